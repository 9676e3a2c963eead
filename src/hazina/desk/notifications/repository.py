"""The SQL of messages and of what customers wish to hear."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hazina.desk.notifications.channels.port import Channel
from hazina.desk.notifications.states import MessageState
from hazina.desk.notifications.texts import TEMPLATES, Language, Text
from hazina.infra.db import Row

PREFIX = "msg"

# Once for each event and channel, however often the event is told.
ADD = """
INSERT INTO desk.message (id, event_id, customer_id, channel, template, language, facts, state,
                          state_since, next_attempt_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9)
ON CONFLICT (event_id, channel) DO NOTHING RETURNING id
"""
LOCK = "SELECT * FROM desk.message WHERE id = $1 FOR NO KEY UPDATE"
MOVE = """
UPDATE desk.message
SET state = $3, state_since = $4, next_attempt_at = $5, reference = $6, note = $7,
    attempts = attempts + $8
WHERE id = $1 AND state = $2
"""
DUE = """
SELECT id FROM desk.message WHERE next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2
"""
UNSENT = """
SELECT * FROM desk.message WHERE state IN ('queued', 'sending') ORDER BY id FOR NO KEY UPDATE
"""
LOST = """
SELECT * FROM desk.message WHERE state IN ('unknown', 'failed')
  AND id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
ORDER BY id DESC LIMIT $1
"""
INBOX = """
SELECT * FROM desk.message WHERE customer_id = $1 AND channel = 'inbox'
  AND id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
ORDER BY id DESC LIMIT $3
"""
UNREAD = """
SELECT count(*) AS unread FROM (
  SELECT 1 FROM desk.message WHERE customer_id = $1 AND channel = 'inbox' AND read_at IS NULL
  LIMIT 100) few
"""
# Up to the newest one that was shown: what came meanwhile stays unread.
READ = """
UPDATE desk.message SET read_at = $3
WHERE customer_id = $1 AND channel = 'inbox' AND read_at IS NULL AND id <= $2
"""
WISH = "SELECT language, sms, email FROM desk.message_wish WHERE customer_id = $1"
SET_WISH = """
INSERT INTO desk.message_wish (customer_id, language, sms, email, updated_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (customer_id) DO UPDATE SET language = excluded.language, sms = excluded.sms,
    email = excluded.email, updated_at = excluded.updated_at
"""


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetchrow(self, sql: str, *args: object) -> Row | None: ...

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer wants to hear about money. What guards the account is always told."""

    language: Language = Language.EN
    sms: bool = True
    email: bool = True

    def wants(self, channel: Channel) -> bool:
        return {Channel.SMS: self.sms, Channel.EMAIL: self.email}.get(channel, True)


@dataclass(frozen=True, slots=True)
class InboxLine:
    """One message as its customer reads it inside the house."""

    id: UUID
    template: str
    text: Text
    at: datetime
    read: bool

    @classmethod
    def of(cls, row: Row, language: Language) -> "InboxLine":
        text = TEMPLATES[row["template"]].text(language).filled(Shown(row["facts"]))
        return cls(row["id"], row["template"], text, row["created_at"], row["read_at"] is not None)


class Shown(dict[str, str]):
    """Facts as they are read; a fact that is not there is a dash, not a crash years later."""

    def __missing__(self, key: str) -> str:
        return "–"


@dataclass(frozen=True, slots=True)
class LostMessage:
    """One message that did not arrive, as operators see it: without its words."""

    id: UUID
    customer_id: UUID
    channel: Channel
    template: str
    state: MessageState
    since: datetime
    attempts: int
    note: str

    @classmethod
    def of(cls, row: Row) -> "LostMessage":
        return cls(
            row["id"],
            row["customer_id"],
            Channel(row["channel"]),
            row["template"],
            MessageState(row["state"]),
            row["state_since"],
            row["attempts"],
            row["note"] or "",
        )


@dataclass(frozen=True, slots=True)
class Claimed:
    """One message that this worker alone may send."""

    id: UUID
    customer_id: UUID
    channel: Channel
    attempts: int
    text: Text


def claimed_of(row: Row, extra: dict[str, str]) -> Claimed:
    template, language = TEMPLATES[row["template"]], Language(row["language"])
    return Claimed(
        id=row["id"],
        customer_id=row["customer_id"],
        channel=Channel(row["channel"]),
        attempts=int(row["attempts"]),
        text=template.text(language).filled(Shown({**row["facts"], **extra})),
    )


def state_of(row: Row) -> MessageState:
    return MessageState(row["state"])
