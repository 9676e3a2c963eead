"""The inbox: what the outside told us, kept as it came, before anyone believes it.

A message is stored once per (source, kind, external id, hash of the body): the same message again
changes nothing, and a forged one with another body cannot block the genuine one. Storing is all
that a callback's request does; a job reads the row later. Rows are never deleted here: they are
evidence.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from hazina.infra.db import Row, Tx
from hazina.infra.redaction import redact
from hazina.kernel.errors import Kind, NotFound, Refusal
from hazina.kernel.ids import new_id

MAX_BODY = 64 * 1024

# The same bytes from a trusted source after an untrusted one: trust is gained, the work is open.
RECEIVE = """
INSERT INTO infra.inbox
  (id, source, kind, external_id, body, body_hash, headers, ip, trusted, received_at, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'new')
ON CONFLICT (source, kind, external_id, body_hash) DO UPDATE
  SET trusted = true, ip = excluded.ip, headers = excluded.headers, state = 'new', note = NULL
  WHERE excluded.trusted AND NOT inbox.trusted AND inbox.state <> 'done'
RETURNING id
"""
COLUMNS = "id, source, kind, external_id, body, headers, ip, trusted, received_at, state, note"
GET = f"SELECT {COLUMNS} FROM infra.inbox WHERE id = $1"  # noqa: S608 - a constant
OPEN = f"""
SELECT {COLUMNS} FROM infra.inbox
WHERE state IN ('new', 'waiting') AND source = $1 AND received_at < $2
ORDER BY received_at, id LIMIT $3
"""  # noqa: S608 - a constant
MARK = """
UPDATE infra.inbox SET state = $2, note = $3,
  settled_at = CASE WHEN $2 IN ('done', 'refused') THEN now() END
WHERE id = $1
"""


class InboxState(StrEnum):
    """How far a message has come."""

    NEW = "new"  # stored, not yet read
    WAITING = "waiting"  # read; what it speaks of is not known yet, or must be asked for
    DONE = "done"  # acted on, or rightly ignored
    REFUSED = "refused"  # not believed


class BodyTooLarge(Refusal):
    """A callback's body is longer than any that its sender documents."""

    code = "body_too_large"
    kind = Kind.INVALID
    message = "The body is larger than 64 KiB."


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """One message as it came. ``trusted`` speaks of its source and token, not of its content."""

    id: UUID
    source: str
    kind: str
    external_id: str
    body: bytes
    headers: Mapping[str, str]
    ip: str | None
    trusted: bool
    received_at: datetime
    state: InboxState
    note: str | None


class Inbox:
    """Stateless; every method joins the caller's transaction."""

    async def receive(
        self,
        tx: Tx,
        *,
        source: str,
        kind: str,
        external_id: str,
        body: bytes,
        headers: Mapping[str, str],
        ip: str | None,
        trusted: bool,
        now: datetime,
    ) -> UUID | None:
        """This will store a message and return its id, or None for the same message again.

        The same bytes that came untrusted before and now come trusted return their first id:
        work on it again. Raises: BodyTooLarge.
        """
        if len(body) > MAX_BODY:
            raise BodyTooLarge
        found: UUID | None = await tx.fetchval(
            RECEIVE,
            new_id(),
            source,
            kind,
            external_id,
            body,
            hashlib.sha256(body).digest(),
            redact(dict(headers)),
            ip,
            trusted,
            now,
        )
        return found

    async def get(self, tx: Tx, message_id: UUID) -> InboxMessage:
        """Raises: NotFound."""
        row = await tx.fetchrow(GET, message_id)
        if row is None:
            raise NotFound
        return _message(row)

    async def list_open(
        self, tx: Tx, source: str, *, before: datetime, limit: int = 100
    ) -> list[InboxMessage]:
        """What came before ``before`` and is still new or waiting, oldest first; for sweepers."""
        return [_message(row) for row in await tx.fetch(OPEN, source, before, limit)]

    async def mark(
        self,
        tx: Tx,
        message_id: UUID,
        state: InboxState | str,
        note: str | None = None,
    ) -> None:
        """This will say how far the message has come."""
        await tx.execute(MARK, message_id, InboxState(state).value, note)


def _message(row: Row) -> InboxMessage:
    return InboxMessage(**{**row, "state": InboxState(row["state"])})
