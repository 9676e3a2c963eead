"""Tokens: signed access tokens for minutes, opaque secrets for sessions.

An access token only names a session; whether that session still lives is asked of the database
each time, so a token is never more than a claim. Opaque secrets have 256 bits and are stored as
SHA-256: nothing to guess, hence nothing to stretch.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from hazina.kernel.errors import Kind, Refusal

ISSUER = "hazina"
ALGORITHM = "HS256"
# Machines of one house may disagree a little on what time it is.
SKEW = timedelta(seconds=30)
REMEMBERED = 4_096
_MAX_TOKEN = 2_048


class NotSignedIn(Refusal):
    """There is no token or cookie, or it is expired, forged, revoked or of the other realm."""

    code = "not_signed_in"
    kind = Kind.UNAUTHENTICATED
    message = "You are not signed in, or your session has ended."
    action = "Sign in and try again."


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a valid access token says."""

    account_id: UUID
    session_id: UUID
    issued_at: datetime
    expires_at: datetime


class AccessTokens:
    """Issues and reads the access tokens of one audience.

    Each audience signs with a key of its own, derived from ``secret``: even a bug in the check of
    ``aud`` would not let a customer's token open the console.
    """

    def __init__(self, secret: bytes, *, audience: str, lifetime: timedelta) -> None:
        if len(secret) < 32:
            raise ValueError("a token secret has at least 32 bytes")
        self._key = OctKey.import_key(hmac.digest(secret, audience.encode(), "sha256"))
        self._audience = audience
        # What a token says never changes, so it is worked out once; when it ends, and whether
        # its session lives, is asked each time. A refusal is an exception and not remembered.
        self._verified = lru_cache(maxsize=REMEMBERED)(self._verify)
        self.lifetime = lifetime

    def issue(self, account_id: UUID, session_id: UUID, now: datetime) -> str:
        """This will sign a token that ends ``lifetime`` after ``now``."""
        claims = {
            "iss": ISSUER,
            "aud": self._audience,
            "sub": account_id.hex,
            "sid": session_id.hex,
            "iat": int(now.timestamp()),
            "exp": int((now + self.lifetime).timestamp()),
        }
        return jwt.encode({"alg": ALGORITHM, "typ": "JWT"}, claims, self._key)

    def read(self, token: str, now: datetime) -> AccessClaims:
        """This will check signature, issuer, audience and time. Raises: NotSignedIn."""
        if len(token) > _MAX_TOKEN or not token.isascii():
            raise NotSignedIn
        claims = self._verified(token)
        # decode() checks the signature only: an expired token passes it.
        if not claims.issued_at - SKEW <= now < claims.expires_at:
            raise NotSignedIn
        return claims

    def _verify(self, token: str) -> AccessClaims:
        try:
            claims = jwt.decode(token, self._key, algorithms=[ALGORITHM]).claims
            if claims["iss"] != ISSUER or claims["aud"] != self._audience:
                raise NotSignedIn
            return AccessClaims(
                account_id=UUID(claims["sub"]),
                session_id=UUID(claims["sid"]),
                issued_at=_time(claims["iat"]),
                expires_at=_time(claims["exp"]),
            )
        except (JoseError, ValueError, TypeError, AttributeError, KeyError, OverflowError):
            raise NotSignedIn from None


def _time(seconds: object) -> datetime:
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise TypeError("a NumericDate of ours is a whole number")
    return datetime.fromtimestamp(seconds, UTC)


def new_secret(prefix: str) -> str:
    """256 random bits; the prefix lets a leaked one be recognized by scanners."""
    return prefix + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
