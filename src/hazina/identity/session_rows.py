"""The SQL of sessions and refresh tokens, for one realm at a time."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from uuid import UUID

from hazina.identity.people import Realm
from hazina.identity.repository import Reads
from hazina.infra.client_ip import network_of
from hazina.infra.db import Row, Tx

USER_AGENT_LENGTH = 256


class Channel(StrEnum):
    """How a session proves itself; one never works in the place of the other."""

    API = "api"  # access and refresh tokens, in the Authorization header
    PAGE = "page"  # a secret in an HttpOnly cookie


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in, as its owner sees it in the list of sessions."""

    id: UUID
    channel: Channel
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip: str | None
    user_agent: str | None


INSERT = """
    INSERT INTO {sessions} (id, account_id, channel, secret_hash, created_at, last_seen_at,
                            expires_at, ip, user_agent, opened_from)
    VALUES ($1, $2, $3, $4, $5, $5, $6, $7, $8, $9)
"""
# Session and account in one statement: this is all that authentication asks of the database.
BY_ID = """
    SELECT s.id AS session_id, s.last_seen_at, s.expires_at, a.id, {person}
      FROM {sessions} s JOIN {accounts} a ON a.id = s.account_id
     WHERE s.id = $1 AND s.account_id = $2 AND s.channel = 'api'
       AND s.revoked_at IS NULL AND s.expires_at > $3 AND a.disabled_at IS NULL
"""
BY_COOKIE = """
    SELECT s.id AS session_id, s.last_seen_at, s.expires_at, a.id, {person}
      FROM {sessions} s JOIN {accounts} a ON a.id = s.account_id
     WHERE s.secret_hash = $1
       AND s.revoked_at IS NULL AND s.expires_at > $2 AND a.disabled_at IS NULL
"""
# Where it was opened, not where it is used: a stolen session makes no network known.
OPENED_FROM = """
    SELECT id FROM {sessions} WHERE account_id = $1 AND opened_from = $2 LIMIT 1
"""
LIVE = """
    SELECT s.account_id, s.expires_at, s.last_seen_at
      FROM {sessions} s JOIN {accounts} a ON a.id = s.account_id
     WHERE s.id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2 AND a.disabled_at IS NULL
"""
TOUCH = """
    UPDATE {sessions} SET last_seen_at = $2, ip = $3, user_agent = $4
     WHERE id = $1 AND last_seen_at < $2
    RETURNING id
"""
LIST = """
    SELECT id, channel, created_at, last_seen_at, expires_at, ip, user_agent
      FROM {sessions}
     WHERE account_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND id < $3
     ORDER BY id DESC LIMIT $4
"""
REVOKE = """
    UPDATE {sessions} SET revoked_at = $3, revoked_why = $4
     WHERE account_id = $1 AND id = $2 AND revoked_at IS NULL AND expires_at > $3
"""
REVOKE_OTHERS = """
    UPDATE {sessions} SET revoked_at = $3, revoked_why = $4
     WHERE account_id = $1 AND id IS DISTINCT FROM $2 AND revoked_at IS NULL AND expires_at > $3
"""
REVOKE_FAMILY = """
    UPDATE {sessions} SET revoked_at = $2, revoked_why = $3
     WHERE id = $1 AND revoked_at IS NULL
    RETURNING account_id
"""
INSERT_REFRESH = "INSERT INTO {tokens} (token_hash, session_id, created_at) VALUES ($1, $2, $3)"
# Compare-and-set: of two requests with one token exactly one gets the row.
SPEND = """
    UPDATE {tokens} SET used_at = $2 WHERE token_hash = $1 AND used_at IS NULL
    RETURNING session_id
"""
FAMILY_OF = "SELECT session_id FROM {tokens} WHERE token_hash = $1"
# Tokens go with their session (ON DELETE CASCADE). Bounded, so that no sweep is ever long.
PRUNE = """
    DELETE FROM {sessions} WHERE id IN (
      SELECT id FROM {sessions} WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
"""


class SessionRows:
    """Statements of one realm; every method is one statement."""

    def __init__(self, realm: Realm) -> None:
        self._realm = realm

    def _sql(self, statement: str) -> str:
        return _for_realm(statement, self._realm)

    async def insert(
        self, tx: Tx, account_id: UUID, session: Session, secret_hash: bytes | None
    ) -> None:
        await tx.execute(
            self._sql(INSERT),
            session.id,
            account_id,
            session.channel.value,
            secret_hash,
            session.created_at,
            session.expires_at,
            session.ip,
            session.user_agent,
            network_of(session.ip),
        )

    async def opened_from(self, reader: Reads, account_id: UUID | None, ip: str | None) -> bool:
        """Whether this account was ever signed in to from this network; asks even for nobody's."""
        if ip is None:
            return False
        found = await reader.fetchrow(self._sql(OPENED_FROM), account_id, network_of(ip))
        return found is not None

    async def find_by_id(
        self, db: Reads, session_id: UUID, account_id: UUID, now: datetime
    ) -> Row | None:
        return await db.fetchrow(self._sql(BY_ID), session_id, account_id, now)

    async def find_by_secret(self, db: Reads, secret_hash: bytes, now: datetime) -> Row | None:
        return await db.fetchrow(self._sql(BY_COOKIE), secret_hash, now)

    async def find_live(self, tx: Tx, session_id: UUID, now: datetime) -> Row | None:
        return await tx.fetchrow(self._sql(LIVE), session_id, now)

    async def touch(
        self, db: Reads, session_id: UUID, now: datetime, ip: str | None, user_agent: str | None
    ) -> None:
        await db.fetchrow(self._sql(TOUCH), session_id, now, ip, user_agent)

    async def list_live(
        self, tx: Tx, account_id: UUID, before: UUID, limit: int, now: datetime
    ) -> list[Session]:
        rows = await tx.fetch(self._sql(LIST), account_id, now, before, limit)
        return [_session_of(row) for row in rows]

    async def revoke(
        self, tx: Tx, account_id: UUID, session_id: UUID, why: str, now: datetime
    ) -> bool:
        return await tx.execute(self._sql(REVOKE), account_id, session_id, now, why) == 1

    async def revoke_others(
        self, tx: Tx, account_id: UUID, keep: UUID | None, why: str, now: datetime
    ) -> int:
        return await tx.execute(self._sql(REVOKE_OTHERS), account_id, keep, now, why)

    async def revoke_family(self, tx: Tx, session_id: UUID, why: str, now: datetime) -> UUID | None:
        """This will end the session and say whose it was; None where it had ended before."""
        row = await tx.fetchrow(self._sql(REVOKE_FAMILY), session_id, now, why)
        return row["account_id"] if row else None

    async def insert_token(
        self, tx: Tx, token_hash: bytes, session_id: UUID, now: datetime
    ) -> None:
        await tx.execute(self._sql(INSERT_REFRESH), token_hash, session_id, now)

    async def use_token(self, tx: Tx, token_hash: bytes, now: datetime) -> UUID | None:
        row = await tx.fetchrow(self._sql(SPEND), token_hash, now)
        return row["session_id"] if row else None

    async def family_of(self, tx: Tx, token_hash: bytes) -> UUID | None:
        row = await tx.fetchrow(self._sql(FAMILY_OF), token_hash)
        return row["session_id"] if row else None

    async def prune(self, tx: Tx, before: datetime, limit: int) -> int:
        return await tx.execute(self._sql(PRUNE), before, limit)


def _session_of(row: Row) -> Session:
    return Session(
        id=row["id"],
        channel=Channel(row["channel"]),
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
        expires_at=row["expires_at"],
        ip=row["ip"],
        user_agent=row["user_agent"],
    )


@cache
def _for_realm(statement: str, realm: Realm) -> str:
    # Constants of people.py only; nothing from outside ever gets in here.
    return (
        statement.replace("{sessions}", realm.sessions)
        .replace("{accounts}", realm.accounts)
        .replace("{tokens}", realm.refresh_tokens)
        .replace("{person}", realm.person_columns)
    )
