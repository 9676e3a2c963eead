"""The audit trail: who did what to which thing, from where, and what changed.

Append-only: the application's role may insert and read, nothing else. ``before`` and ``after``
are redacted on the way in, for nothing here is ever deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.infra.db import Database, Row, Tx
from hazina.infra.redaction import redact
from hazina.kernel.actor import Actor
from hazina.kernel.ids import new_id, parse_id
from hazina.kernel.page import MAX_LIMIT, Page

RECORD = """
INSERT INTO infra.audit_event
  (id, at, actor_kind, actor_id, ip, user_agent, request_id, action,
   object_type, object_id, before, after)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
COLUMNS = (
    "id, at, actor_kind, actor_id, ip, user_agent, request_id, action,"
    " object_type, object_id, before, after"
)
BY_OBJECT = f"""
SELECT {COLUMNS} FROM infra.audit_event
WHERE object_type = $1 AND object_id = $2 AND id < coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
ORDER BY id DESC LIMIT $4
"""  # noqa: S608, E501 - a constant
BY_ACTOR = f"""
SELECT {COLUMNS} FROM infra.audit_event
WHERE actor_id = $1 AND id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
ORDER BY id DESC LIMIT $3
"""  # noqa: S608 - a constant
CURSOR = "aud"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One act. ``at`` is the act's time, ``id`` orders the trail."""

    id: UUID
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    ip: str | None
    user_agent: str | None
    request_id: str | None
    action: str
    object_type: str
    object_id: str
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None


class Audit:
    """Stateless; ``record`` joins the caller's transaction, so act and trace commit together."""

    async def record(
        self,
        tx: Tx,
        actor: Actor,
        action: str,
        object_type: str,
        object_id: UUID | str,
        *,
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
        now: datetime,
    ) -> None:
        """This will write one act (``noun.verb``) to the trail, with secrets hidden."""
        await tx.execute(
            RECORD,
            new_id(),
            now,
            actor.kind.value,
            actor.id,
            actor.ip,
            actor.user_agent,
            actor.request_id,
            action,
            object_type,
            str(object_id),
            None if before is None else redact(before),
            None if after is None else redact(after),
        )

    async def list_of_object(
        self,
        db: Database | Tx,
        object_type: str,
        object_id: UUID | str,
        *,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[AuditEvent]:
        """What happened to one thing, newest first."""
        limit = min(limit, MAX_LIMIT)
        rows = await db.fetch(BY_OBJECT, object_type, str(object_id), _after(cursor), limit + 1)
        return _page(rows, limit)

    async def list_of_actor(
        self,
        db: Database | Tx,
        actor_id: UUID,
        *,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[AuditEvent]:
        """What one customer or operator did, newest first."""
        limit = min(limit, MAX_LIMIT)
        rows = await db.fetch(BY_ACTOR, actor_id, _after(cursor), limit + 1)
        return _page(rows, limit)


def _after(cursor: str | None) -> UUID | None:
    return None if cursor is None else parse_id(CURSOR, cursor)


def _page(rows: list[Row], limit: int) -> Page[AuditEvent]:
    events = [AuditEvent(**row) for row in rows]
    return Page.of(events, limit, lambda event: event.id.hex)
