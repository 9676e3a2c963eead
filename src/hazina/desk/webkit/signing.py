"""One keyed signature for what travels through the browser and comes back: CSRF and flash."""

import hashlib
import hmac

from starlette.requests import HTTPConnection


class Signer:
    """HMAC-SHA256 under one key, separated by purpose so that no signature serves another."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError("a signing key has at least 32 bytes")
        self._key = key

    def sign(self, purpose: str, message: str) -> str:
        body = f"{purpose}\0{message}".encode()
        return hmac.new(self._key, body, hashlib.sha256).hexdigest()

    def verify(self, purpose: str, message: str, signature: str) -> bool:
        """This will compare in constant time, whatever text ``signature`` is."""
        expected = self.sign(purpose, message).encode()
        return hmac.compare_digest(expected, signature.encode("utf-8", "replace"))


def signer_of(request: HTTPConnection) -> Signer:
    """The shell's signer; the shell puts it there when it is made."""
    signer = request.app.state.signer
    assert isinstance(signer, Signer)
    return signer
