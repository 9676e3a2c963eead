"""Identifiers in the shapes Safaricom gives them, never twice, repeatable with a seed.

Each comes from (seed, counter), and the counter lives in the books: a restart goes on, a rolled
back request leaves no gap, the same seed and order of events give the same identifiers.
"""

import hashlib
import secrets

from hazina.simulators.daraja.clock import in_eat
from hazina.simulators.daraja.store import Store

_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_RECEIPTS = 36**7
_STRIDE = 26_254_435_051
"""Coprime to 36**7, so counter * stride visits every receipt of a day once before repeating."""


class Ids:
    """The issuer; call it inside a transaction of the store."""

    def __init__(self, store: Store, seed: int | None) -> None:
        self._store = store
        if store.get("seed") is None:
            with store.transaction():
                store.put("seed", secrets.token_hex(8) if seed is None else str(seed))
        self._seed = store.get("seed") or ""

    def _digest(self, what: str, number: int) -> str:
        return hashlib.sha256(f"{self._seed}:{what}:{number}".encode()).hexdigest()

    def receipt(self, at_ms: int) -> str:
        """This will issue ten characters; the first three tell year, month and day, as M-Pesa's."""
        day = in_eat(at_ms)
        number = self._store.next_number("receipt")
        value = (int(self._digest("offset", 0)[:12], 16) + number * _STRIDE) % _RECEIPTS
        tail = ""
        for _ in range(7):
            value, digit = divmod(value, 36)
            tail = _BASE36[digit] + tail
        year = chr(ord("A") + (day.year - 2006) % 26)
        return year + chr(ord("A") + day.month - 1) + _BASE36[day.day] + tail

    def checkout(self, at_ms: int, phone: str) -> str:
        """This will issue ws_CO_ + DDMMYYYYHHmmss + milliseconds + subscriber number."""
        while True:
            moment = in_eat(at_ms)
            issued = f"ws_CO_{moment:%d%m%Y%H%M%S}{at_ms % 1000:03d}{phone[3:]}"
            taken = self._store.row("SELECT 1 FROM prompts WHERE checkout_id = ?", issued)
            if taken is None:
                return issued
            at_ms += 1

    def merchant(self) -> str:
        """This will issue a MerchantRequestID such as 2f1c-4d7e-9a10-0c5d77aa1204417."""
        return self._hyphenated("merchant", self._store.next_number("merchant"))

    def conversation(self, at_ms: int) -> str:
        """This will issue AG_ + YYYYMMDD + _ + 20 hexadecimal digits."""
        digest = self._digest("conversation", self._store.next_number("conversation"))
        return f"AG_{in_eat(at_ms):%Y%m%d}_2010{digest[:16]}"

    def request(self) -> str:
        """This will issue the requestId of an error; chance is enough, nobody looks it up."""
        return self._hyphenated("request", secrets.randbits(48))

    def token(self) -> str:
        """This will issue an opaque access token of 28 characters."""
        digest = self._digest("token", self._store.next_number("token"))
        return "".join(_BASE36[int(digest[2 * i : 2 * i + 2], 16) % 36] for i in range(28))

    def _hyphenated(self, what: str, number: int) -> str:
        h = self._digest(what, number)
        return f"{h[:4]}-{h[4:8]}-{h[8:12]}-{h[12:22]}{int(h[22:30], 16) % 100000:05d}"
