"""Signing in with username and password, for either realm.

The answer to an unknown username, a wrong password and a disabled account is one and the same, and
takes as long: what can be told apart can be listed. Nothing typed is ever written down.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from hazina.identity.devices import Devices
from hazina.identity.lockout import Lockouts
from hazina.identity.names import UsernameInvalid, parse_username
from hazina.identity.passwords import Passwords
from hazina.identity.people import Customer, Operator, Realm, acting
from hazina.identity.repository import Accounts, Credentials
from hazina.identity.second_factor import (
    SecondFactorNeeded,
    SecondFactors,
    SecondFactorWrong,
)
from hazina.identity.sessions import PageSession, Sessions, Tokens
from hazina.identity.tickets import Ticket, Tickets
from hazina.identity.tokens import NotSignedIn
from hazina.infra.audit import Audit
from hazina.infra.client_ip import network_of
from hazina.infra.db import Database, Tx
from hazina.infra.ratelimit import RateLimiter
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal

# What all strangers together may try at one name; who was here before is none of them. The right
# password begins it anew, so that nobody who knows it uses it up.
STRANGERS_LIMITS = ("60/hour", "200/day")

Opened = TypeVar("Opened", Tokens, PageSession)


class LoginRefused(Refusal):
    """Username and password do not belong together; which of them is wrong is not said."""

    code = "login_refused"
    kind = Kind.UNAUTHENTICATED
    message = "That username and password do not belong together."
    action = "Check both and try again."


class SecondFactorMissing(Refusal):
    """Operators sign in with a second factor here, and this one has none."""

    code = "second_factor_missing"
    kind = Kind.FORBIDDEN
    message = "This console needs a second factor, and yours is not set up."
    action = "Ask an administrator for: hazina operator second-factor."


@dataclass(frozen=True, slots=True)
class _Proof:
    """Credentials whose password was right, and a better hash where the old one is outdated."""

    known: Credentials
    better_hash: str | None


@dataclass(frozen=True, slots=True)
class _Proven:
    """A right password, and the row that counts the wrong ones."""

    proof: _Proof
    who: bytes


class Login:
    """The door of one realm."""

    def __init__(
        self,
        realm: Realm,
        db: Database,
        *,
        passwords: Passwords,
        sessions: Sessions[Customer] | Sessions[Operator],
        factors: SecondFactors,
        lockouts: Lockouts,
        tickets: Tickets,
        limiter: RateLimiter,
        limit: str,
        audit: Audit,
        devices: Devices | None = None,
        factor_required: bool = False,
    ) -> None:
        if sessions.realm is not realm:
            raise ValueError(f"sessions of {sessions.realm.name} in the login of {realm.name}")
        self._realm = realm
        self._db = db
        self._accounts = Accounts(realm)
        self._passwords = passwords
        self._sessions = sessions
        self._factors = factors
        self._lockouts = lockouts
        self._tickets = tickets
        self._limiter = limiter
        self._limit = limit
        self._audit = audit
        self._devices = devices
        self._factor_required = factor_required

    async def for_tokens(
        self,
        username: str,
        password: str,
        origin: Actor,
        now: datetime,
        *,
        device: str | None = None,
    ) -> Tokens:
        """This will sign in to the JSON API; ``origin.otp`` is the second factor's code and
        ``device`` the token of a device that was here before.

        It opens its own transactions: none is open while a password is hashed, and a refusal is
        audited although the answer is no. Raises: LoginRefused, SecondFactorNeeded,
        SecondFactorWrong, SecondFactorMissing, RateLimited.
        """
        proven = await self._prove(username, password, origin, now, device=device)
        return await self._open(proven, self._sessions.open_api, origin, device, now)

    async def for_page(
        self,
        username: str,
        password: str,
        origin: Actor,
        now: datetime,
        *,
        device: str | None = None,
    ) -> PageSession:
        """The same for pages: what it returns goes into the cookie. Where a code is missing the
        refusal carries a ticket for ``finish_page``."""
        proven = await self._prove(username, password, origin, now, device=device)
        return await self._open(proven, self._sessions.open_page, origin, device, now)

    async def finish_page(
        self, ticket: str, origin: Actor, now: datetime, *, device: str | None = None
    ) -> PageSession:
        """This will do the second step with ``origin.otp``. Raises: NotSignedIn,
        SecondFactorNeeded, SecondFactorWrong, RateLimited."""
        read = self._tickets.read(ticket, now)
        known = await self._accounts.find_by_id(self._db, read.account_id)
        if known is None or known.disabled or known.password_version != read.password_version:
            raise NotSignedIn
        who = self._lockouts.who(self._realm.name, known.username, origin.ip)
        proven = _Proven(_Proof(known, None), who)
        return await self._open(proven, self._sessions.open_page, origin, device, now)

    async def confirm(self, username: str, password: str, origin: Actor, now: datetime) -> None:
        """This will prove once more who is at a session that is open already: by the password
        and, where a factor is on, ``origin.otp``. Raises: as ``for_tokens``."""
        proven = await self._prove(username, password, origin, now, signed_in=True)
        known = proven.proof.known
        await self._require_code(known, origin, now)
        actor = acting(self._realm.kind, known.account_id, origin)

        async def spend(tx: Tx) -> None:
            await self._factors.require(tx, known.account_id, origin.otp, actor, now)
            await self._lockouts.succeeded(tx, proven.who)

        try:
            await self._db.run(spend)
        except SecondFactorWrong:
            await self._db.run(lambda tx: self._refused(tx, known, proven.who, origin, now))
            raise

    async def _prove(
        self,
        username: str,
        password: str,
        origin: Actor,
        now: datetime,
        *,
        device: str | None = None,
        signed_in: bool = False,
    ) -> "_Proven":
        name = await self._admit(username, origin)
        who = self._lockouts.who(self._realm.name, name, origin.ip)
        await self._lockouts.require_free(self._db, who, now)
        known = await self._accounts.find(self._db, name)
        stranger = not signed_in and await self._is_stranger(known, origin, device, now)
        if stranger:
            for limit in STRANGERS_LIMITS:
                await self._limiter.check(limit, *self._strangers(limit, name))
        proof = await self._check(known, password)
        if proof is None:
            await self._db.run(lambda tx: self._refused(tx, known, who, origin, now))
            raise LoginRefused
        if stranger:
            for limit in STRANGERS_LIMITS:
                await self._limiter.forget(limit, *self._strangers(limit, name))
        return _Proven(proof, who)

    def _strangers(self, limit: str, name: str) -> tuple[str, ...]:
        return ("login", self._realm.name, "strangers", limit, name)

    async def _is_stranger(
        self, known: Credentials | None, origin: Actor, device: str | None, now: datetime
    ) -> bool:
        # Both are asked whoever is meant: the time they take says nothing of a name.
        whose = known.account_id if known else None
        by_network = await self._sessions.were_opened_from(self._db, whose, origin.ip)
        by_device = self._devices is not None and await self._devices.knows(
            self._db, whose, device, now
        )
        return not (by_network or by_device)

    async def _open(
        self,
        proven: "_Proven",
        open_session: Callable[..., Awaitable[Opened]],
        origin: Actor,
        device: str | None,
        now: datetime,
    ) -> Opened:
        known, better = proven.proof.known, proven.proof.better_hash
        await self._require_code(known, origin, now)

        async def book(tx: Tx) -> Opened | None:
            if not await self._accounts.still_holds(tx, known):
                await self._refused(tx, known, proven.who, origin, now)
                return None
            actor = acting(self._realm.kind, known.account_id, origin)
            await self._factors.require(tx, known.account_id, origin.otp, actor, now)
            opened = await open_session(tx, known.account_id, origin, now)
            if better is not None:
                await self._accounts.rehash(tx, known, better)
            await self._lockouts.succeeded(tx, proven.who)
            opened = await self._recognize(tx, known, opened, actor, device, now)
            await self._accepted(tx, known, opened, origin, now)
            return opened

        try:
            opened = await self._db.run(book)
        except SecondFactorWrong:
            await self._db.run(lambda tx: self._refused(tx, known, proven.who, origin, now))
            raise
        if opened is None:
            raise LoginRefused
        return opened

    async def _require_code(self, known: Credentials, origin: Actor, now: datetime) -> None:
        if await self._factors.is_on(self._db, known.account_id):
            if not origin.otp:
                missing = SecondFactorNeeded()
                ticket = Ticket(known.account_id, known.password_version)
                missing.ticket = self._tickets.issue(ticket, now)
                raise missing
        elif self._factor_required:
            raise SecondFactorMissing

    async def _recognize(
        self,
        tx: Tx,
        known: Credentials,
        opened: Opened,
        actor: Actor,
        device: str | None,
        now: datetime,
    ) -> Opened:
        if self._devices is None:
            return opened
        found = await self._devices.recognize(tx, known.account_id, device, actor, now)
        await self._devices.bind(tx, _session_of(opened), found.id)
        return replace(opened, device_token=found.token)

    async def _admit(self, username: str, origin: Actor) -> str:
        # The network alone: what somebody else does to a name must not keep its owner out.
        realm = self._realm.name
        await self._limiter.check(self._limit, "login", realm, "ip", network_of(origin.ip))
        try:
            return parse_username(username)
        except UsernameInvalid:
            return ""  # nobody's: it goes the same long way to the same answer

    async def _check(self, known: Credentials | None, password: str) -> _Proof | None:
        right = await self._passwords.matches(known.password_hash if known else None, password)
        if known is None or not right or known.disabled:
            return None
        outdated = self._passwords.outdated(known.password_hash)
        return _Proof(known, await self._passwords.hash(password) if outdated else None)

    async def _accepted(
        self, tx: Tx, known: Credentials, opened: Tokens | PageSession, origin: Actor, now: datetime
    ) -> None:
        session = _session_of(opened)
        kind = self._realm.kind
        await self._audit.record(
            tx,
            acting(kind, known.account_id, origin),
            f"{kind.value}.logged_in",
            kind.value,
            known.account_id,
            after={"session_id": str(session)},
            now=now,
        )

    async def _refused(
        self, tx: Tx, known: Credentials | None, who: bytes, origin: Actor, now: datetime
    ) -> None:
        await self._lockouts.failed(tx, who, now)
        # Not what was typed as a username: people type their password into that field too.
        kind = self._realm.kind.value
        whose = known.account_id if known else "unknown"
        await self._audit.record(tx, origin, f"{kind}.login_refused", kind, whose, now=now)


class CustomerLogin(Login):
    """The customers' door, as a kind of its own for the house."""


class OperatorLogin(Login):
    """The console's door. In production nobody comes in without a second factor."""


def _session_of(opened: Tokens | PageSession) -> UUID:
    return opened.session_id if isinstance(opened, Tokens) else opened.id
