"""What a machine signs, and how: one string over all that could be changed on the way. Pure.

docs/internal-api.md has the same with a test vector.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from uuid import UUID

SCHEME = "HAZINA-HMAC-SHA256"
SECRET_BYTES = 32
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)
_SIGNATURE = re.compile(r"[0-9a-f]{64}", re.ASCII)
# A service's credential, or a customer's API key; each door takes only its own.
_ID = re.compile(r"(crd|key)_([0-9a-f]{32})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Claim:
    """The four headers of a request, and what they are said about. ``target`` is path and query
    exactly as they were sent."""

    method: str
    target: str
    credential: str
    timestamp: str
    nonce: str
    signature: str

    @property
    def is_readable(self) -> bool:
        """Whether each header has its shape; what it says is another question."""
        return (
            _ID.fullmatch(self.credential) is not None
            and _SECONDS.fullmatch(self.timestamp) is not None
            and _NONCE.fullmatch(self.nonce) is not None
            and _SIGNATURE.fullmatch(self.signature) is not None
        )

    @property
    def credential_id(self) -> UUID:
        return UUID(self.credential.partition("_")[2])

    def is_signed_by(self, secret: bytes, body: bytes) -> bool:
        """This will compare in a time that does not depend on where they differ."""
        return hmac.compare_digest(self.signature, sign(secret, self, body))


def sign(secret: bytes, claim: Claim, body: bytes) -> str:
    """HMAC-SHA256 over scheme, method, target, timestamp, nonce and the body's SHA-256, a line
    each, as 64 hex digits."""
    lines = (
        SCHEME,
        claim.method,
        claim.target,
        claim.timestamp,
        claim.nonce,
        hashlib.sha256(body).hexdigest(),
    )
    return hmac.new(secret, "\n".join(lines).encode(), hashlib.sha256).hexdigest()
