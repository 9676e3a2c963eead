"""What a program of its own reads for itself: its clock, and chance for ids and nonces."""

import secrets
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0


def now_s() -> int:
    """Seconds since 1970, for the signature; the ledger takes five minutes either way."""
    return int(time.time())


def new_nonce() -> str:
    """128 bits that no other request has."""
    return secrets.token_urlsafe(16)


def new_id() -> UUID:
    """This will make a UUIDv7 that sorts after every earlier one of this process: ids that are not
    ordered by time make the ledger slower for everybody, and it refuses them."""
    global _last
    now = time.time_ns()
    ticks = (now // 1_000_000) << 12 | (now % 1_000_000) * 4096 // 1_000_000
    with _lock:
        _last = ticks = max(ticks, _last + 1)
    value = (ticks >> 12) << 80 | 0x7 << 76 | (ticks & 0xFFF) << 64
    return UUID(int=value | 0b10 << 62 | secrets.randbits(62))
