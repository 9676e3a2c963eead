"""The four headers of a signed request. docs/internal-api.md has a test vector."""

import hashlib
import hmac
from collections.abc import Mapping

SCHEME = "HAZINA-HMAC-SHA256"


def canonical(method: str, target: str, timestamp: str, nonce: str, body: bytes) -> str:
    """What is signed: a line each, ``target`` being path and query as they are sent."""
    return "\n".join([SCHEME, method, target, timestamp, nonce, hashlib.sha256(body).hexdigest()])


def signed_headers(
    credential: str,
    secret: bytes,
    *,
    method: str,
    target: str,
    timestamp: str,
    nonce: str,
    body: bytes,
) -> Mapping[str, str]:
    """This will sign one attempt; the next one needs a nonce of its own."""
    text = canonical(method, target, timestamp, nonce, body)
    return {
        "Hazina-Credential": credential,
        "Hazina-Timestamp": timestamp,
        "Hazina-Nonce": nonce,
        "Hazina-Signature": hmac.new(secret, text.encode(), hashlib.sha256).hexdigest(),
    }
