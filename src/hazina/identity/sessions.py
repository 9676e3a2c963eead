"""Sessions: opened by a login, asked for by every request, ended by whoever may.

**Invariants:** a request is authenticated by one query that sees a revocation the moment it is
committed; a refresh token works once, and a second use ends its session; api and page sessions
never stand in for each other, nor customers' for operators'.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from hazina.identity.people import Customer, Operator, Realm
from hazina.identity.repository import Reads
from hazina.identity.session_rows import USER_AGENT_LENGTH, Channel, Session, SessionRows
from hazina.identity.tokens import AccessTokens, NotSignedIn, hash_secret, new_secret
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Row, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, NotFound, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.page import MAX_LIMIT, Page

P = TypeVar("P", Customer, Operator)

LAST = UUID(int=2**128 - 1)  # sorts after every id: the start of a list read downwards
# Last-seen is for people: writing it on every request would double what a read costs.
SEEN_EVERY = timedelta(minutes=5)
MAX_SECRET = 256


class RefreshRefused(Refusal):
    """The refresh token is unknown, used before, or its session has ended."""

    code = "refresh_refused"
    kind = Kind.UNAUTHENTICATED
    message = "That refresh token cannot be used."
    action = "Sign in again."


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an api login hands out; the refresh token is shown this once."""

    session_id: UUID
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    access_expires_at: datetime
    session_expires_at: datetime
    device_token: str | None = field(default=None, repr=False)  # to be kept, if it is new


@dataclass(frozen=True, slots=True)
class PageSession:
    """What a page login puts into the cookie."""

    id: UUID
    secret: str = field(repr=False)
    expires_at: datetime
    device_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn(Generic[P]):
    """An authenticated request: who, and through which session or API key; ``scopes`` is what
    the key was made for, None for a person."""

    person: P
    session_id: UUID
    session_expires_at: datetime
    scopes: frozenset[str] | None = None


class Sessions(Generic[P]):
    """The sessions of one realm. ``idle``: one that nothing was asked of for so long is over."""

    def __init__(
        self,
        realm: Realm,
        person_of: Callable[[Row], P],
        *,
        tokens: AccessTokens,
        audit: Audit,
        lifetime: timedelta,
        idle: timedelta | None = None,
    ) -> None:
        self.realm = realm
        self._rows = SessionRows(realm)
        self._person_of: Callable[[Row], P] = person_of
        self._tokens = tokens
        self._audit = audit
        self._lifetime = lifetime
        self._idle = idle
        self._seen_every = min(SEEN_EVERY, idle / 10) if idle else SEEN_EVERY

    async def open_api(self, tx: Tx, account_id: UUID, origin: Actor, now: datetime) -> Tokens:
        """This will open a session that lives by access and refresh tokens."""
        session = self._new(Channel.API, origin, now)
        await self._rows.insert(tx, account_id, session, None)
        return await self._issue(tx, account_id, session.id, session.expires_at, now)

    async def open_page(
        self, tx: Tx, account_id: UUID, origin: Actor, now: datetime
    ) -> PageSession:
        """This will open a session that lives by a cookie."""
        session, secret = self._new(Channel.PAGE, origin, now), new_secret("hzs_")
        await self._rows.insert(tx, account_id, session, hash_secret(secret))
        return PageSession(session.id, secret, session.expires_at)

    async def were_opened_from(
        self, reader: Reads, account_id: UUID | None, ip: str | None
    ) -> bool:
        """Whether this account was signed in to from this network in the last months."""
        return await self._rows.opened_from(reader, account_id, ip)

    async def authenticate(
        self, db: Reads, access_token: str, origin: Actor, now: datetime
    ) -> SignedIn[P]:
        """This will say who sent a request with this bearer token, in one query.

        Raises: NotSignedIn.
        """
        claims = self._tokens.read(access_token, now)
        row = await self._rows.find_by_id(db, claims.session_id, claims.account_id, now)
        return await self._signed_in(db, row, origin, now)

    async def authenticate_page(
        self, db: Reads, secret: str, origin: Actor, now: datetime
    ) -> SignedIn[P]:
        """The same for the secret in a page's cookie. Raises: NotSignedIn."""
        if len(secret) > MAX_SECRET:
            raise NotSignedIn
        row = await self._rows.find_by_secret(db, hash_secret(secret), now)
        return await self._signed_in(db, row, origin, now)

    async def refresh(
        self, db: Database, refresh_token: str, origin: Actor, now: datetime
    ) -> Tokens:
        """This will take one refresh token and give the next pair.

        A token seen a second time has been stolen by one of its two users: the session ends for
        both. It opens its own transaction, because that end must be committed although the answer
        is no. Raises: RefreshRefused.
        """
        if len(refresh_token) > MAX_SECRET:
            raise RefreshRefused
        hashed = hash_secret(refresh_token)
        tokens = await db.run(lambda tx: self._rotate(tx, hashed, origin, now))
        if tokens is None:
            raise RefreshRefused
        return tokens

    async def list_sessions(
        self, tx: Tx, account_id: UUID, *, before: UUID | None, limit: int, now: datetime
    ) -> Page[Session]:
        """This will list the live sessions of one account, newest first."""
        limit = max(1, min(limit, MAX_LIMIT))
        rows = await self._rows.list_live(tx, account_id, before or LAST, limit + 1, now)
        return Page.of(rows, limit, lambda session: session.id.hex)

    async def revoke(
        self, tx: Tx, account_id: UUID, session_id: UUID, actor: Actor, now: datetime, *, why: str
    ) -> None:
        """This will end one session of this account at once.

        Raises: NotFound when there is no such live session, or it is somebody else's.
        """
        if not await self._rows.revoke(tx, account_id, session_id, why, now):
            raise NotFound
        await self._record(tx, actor, "session.revoked", session_id, {"why": why}, now)

    async def revoke_others(
        self,
        tx: Tx,
        account_id: UUID,
        actor: Actor,
        now: datetime,
        *,
        keep: UUID | None = None,
        why: str,
    ) -> int:
        """This will end every live session of the account but ``keep``; how many it ended."""
        ended = await self._rows.revoke_others(tx, account_id, keep, why, now)
        after = {"why": why, "ended": ended}
        whose = self.realm.kind.value
        await self._audit.record(
            tx, actor, "session.revoked_all", whose, account_id, after=after, now=now
        )
        return ended

    async def prune(self, tx: Tx, before: datetime, limit: int) -> int:
        """This will delete up to ``limit`` sessions that expired before ``before``."""
        return await self._rows.prune(tx, before, limit)

    async def _signed_in(
        self, db: Reads, row: Row | None, origin: Actor, now: datetime
    ) -> SignedIn[P]:
        if row is None or self._is_idle(row, now):
            raise NotSignedIn
        if now - row["last_seen_at"] > self._seen_every:
            agent = _short(origin.user_agent)
            await self._rows.touch(db, row["session_id"], now, origin.ip, agent)
        return SignedIn(self._person_of(row), row["session_id"], row["expires_at"])

    def _is_idle(self, row: Row, now: datetime) -> bool:
        return self._idle is not None and now - row["last_seen_at"] > self._idle

    async def _rotate(self, tx: Tx, hashed: bytes, origin: Actor, now: datetime) -> Tokens | None:
        session_id = await self._rows.use_token(tx, hashed, now)
        if session_id is None:
            await self._end_family(tx, hashed, origin, now)
            return None
        live = await self._rows.find_live(tx, session_id, now)
        if live is None or self._is_idle(live, now):
            return None
        await self._rows.touch(tx, session_id, now, origin.ip, _short(origin.user_agent))
        return await self._issue(tx, live["account_id"], session_id, live["expires_at"], now)

    async def _end_family(self, tx: Tx, hashed: bytes, origin: Actor, now: datetime) -> None:
        session_id = await self._rows.family_of(tx, hashed)
        if session_id is None:
            return
        why = "refresh token used twice"
        owner = await self._rows.revoke_family(tx, session_id, why, now)
        after = {"why": why, "account_id": str(owner)}
        if owner is not None:
            await self._record(tx, origin, "session.refresh_reused", session_id, after, now)

    async def _issue(
        self, tx: Tx, account_id: UUID, session_id: UUID, expires_at: datetime, now: datetime
    ) -> Tokens:
        refresh = new_secret("hzr_")
        await self._rows.insert_token(tx, hash_secret(refresh), session_id, now)
        return Tokens(
            session_id=session_id,
            access=self._tokens.issue(account_id, session_id, now),
            refresh=refresh,
            access_expires_at=now + self._tokens.lifetime,
            session_expires_at=expires_at,
        )

    def _new(self, channel: Channel, origin: Actor, now: datetime) -> Session:
        return Session(
            id=new_id(),
            channel=channel,
            created_at=now,
            last_seen_at=now,
            expires_at=now + self._lifetime,
            ip=origin.ip,
            user_agent=_short(origin.user_agent),
        )

    async def _record(
        self,
        tx: Tx,
        actor: Actor,
        action: str,
        session_id: UUID,
        after: dict[str, str],
        now: datetime,
    ) -> None:
        await self._audit.record(
            tx, actor, action, f"{self.realm.kind.value}_session", session_id, after=after, now=now
        )


class CustomerSessions(Sessions[Customer]):
    """Customers' sessions, as a kind of its own for the house."""


class OperatorSessions(Sessions[Operator]):
    """Operators' sessions, as a kind of its own for the house."""


def _short(user_agent: str | None) -> str | None:
    return user_agent[:USER_AGENT_LENGTH] if user_agent else None
