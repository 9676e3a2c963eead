"""Between the two steps of a sign-in: a signed word that this account's password was right.

It opens nothing: the second step asks for a code that works once, and whether the password is still
the same. It lives for five minutes.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hazina.identity.tokens import NotSignedIn

LIFETIME = timedelta(minutes=5)
_TICKET = re.compile(r"([0-9a-f]{32})\.([0-9]{1,9})\.([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whose password was right, and which one it was."""

    account_id: UUID
    password_version: int


class Tickets:
    """Issues and reads the tickets of one realm; ``key`` belongs to it alone."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, ticket: Ticket, now: datetime) -> str:
        ends = int((now + LIFETIME).timestamp())
        said = f"{ticket.account_id.hex}.{ticket.password_version}.{ends}"
        return f"{said}.{self._mac(said)}"

    def read(self, text: str, now: datetime) -> Ticket:
        """Raises: NotSignedIn."""
        found = _TICKET.fullmatch(text)
        if found is None:
            raise NotSignedIn
        account, version, ends, mac = found.groups()
        if not hmac.compare_digest(mac, self._mac(f"{account}.{version}.{ends}")):
            raise NotSignedIn
        if now >= datetime.fromtimestamp(int(ends), UTC):
            raise NotSignedIn
        return Ticket(UUID(account), int(version))

    def _mac(self, said: str) -> str:
        return hmac.new(self._key, said.encode(), "sha256").hexdigest()
