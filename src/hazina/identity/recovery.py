"""Getting back in: a code by phone and a second proof give a new password, and a day of quiet.

The answer to ``start`` is the same for a name that nobody has. Every wrong try is counted before it
is looked at, five in all; both proofs are judged together, so that neither can be tried alone. What
the old password opened is closed, nothing leaves for a day, and the notice to phone and mail has a
code that freezes the account.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from hazina.identity.api_keys import ApiKeys
from hazina.identity.codes import Challenges, CodeWay, Purpose
from hazina.identity.customers import Customers
from hazina.identity.devices import Devices
from hazina.identity.freeze import Guards, StopCodes
from hazina.identity.names import UsernameInvalid, parse_username
from hazina.identity.passwords import Passwords
from hazina.identity.people import WALLET
from hazina.identity.repository import Accounts, Credentials
from hazina.identity.second_factor import (
    CustomerFactors,
    SecondFactorOff,
    SecondFactorWrong,
)
from hazina.identity.sessions import CustomerSessions
from hazina.infra.audit import Audit
from hazina.infra.client_ip import network_of
from hazina.infra.db import Database, Row, Tx
from hazina.infra.outbox import Outbox
from hazina.infra.ratelimit import RateLimited, RateLimiter
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal

STOP_FOR = timedelta(days=7)  # how long the code of a notice freezes
# Each asker is counted for each name, so that nobody uses up somebody else's starts. What strangers
# together start beyond their limits is not refused, for one of them may be the owner: no further
# code is sent for a while, and the one that was sent last serves them all.
START_LIMITS = ("3/hour", "10/day")
STRANGERS_LIMITS = ("6/hour", "30/day")

RECENT = """
SELECT id FROM identity.challenge
WHERE customer_id = $1 AND purpose = 'recovery' AND done_at > $2 ORDER BY done_at DESC LIMIT 20
"""


class RecoveryRefused(Refusal):
    """The proofs do not belong together, or the tries or the time are used up. Which it was is not
    said."""

    code = "recovery_refused"
    kind = Kind.UNAUTHENTICATED
    message = "That did not prove that the account is yours."
    action = "Check both codes; after five tries or ten minutes, begin again."


class StopRefused(Refusal):
    """Username and freeze code do not belong together, or the notice is too old."""

    code = "stop_refused"
    kind = Kind.UNAUTHENTICATED
    message = "That name and code do not belong together."
    action = "Check both in the notice you got."


class SecondProof(StrEnum):
    """What may stand beside the phone's code."""

    APP = "app"  # a code of the app, where one is set up
    RECOVERY_CODE = "recovery_code"  # one of the codes that were written down
    EMAIL = "email"  # a code by mail


@dataclass(frozen=True, slots=True)
class Proofs:
    """What a person typed to get back in, unread."""

    phone_code: str = field(repr=False)
    second: SecondProof
    second_code: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _New:
    """The new password, and its hash, which took long and was made outside the transaction."""

    password: str = field(repr=False)
    hashed: str = field(repr=False)


class AccountRecovery:
    """The use cases of somebody who cannot sign in, or wants everything to stop."""

    def __init__(
        self,
        db: Database,
        *,
        challenges: Challenges,
        customers: Customers,
        passwords: Passwords,
        factors: CustomerFactors,
        guards: Guards,
        keys: ApiKeys,
        devices: Devices,
        sessions: CustomerSessions,
        stop_codes: StopCodes,
        limiter: RateLimiter,
        limit: str,
        audit: Audit,
        outbox: Outbox,
    ) -> None:
        self._db = db
        self._accounts = Accounts(WALLET)
        self._challenges = challenges
        self._customers = customers
        self._passwords = passwords
        self._factors = factors
        self._guards = guards
        self._keys = keys
        self._devices = devices
        self._sessions = sessions
        self._stop_codes = stop_codes
        self._limiter = limiter
        self._limit = limit
        self._audit = audit
        self._outbox = outbox

    async def start(
        self, username: str, origin: Actor, now: datetime, *, device: str | None = None
    ) -> UUID:
        """This will begin, and have a code sent to the account's phone if there is one. The
        answer and its time do not tell. ``device`` is the token of a device that was here before.
        Raises: RateLimited."""
        await self._limiter.check(self._limit, "recovery", "ip", network_of(origin.ip))
        name = _name(username)
        for limit in START_LIMITS:
            await self._limiter.check(limit, "recovery", limit, network_of(origin.ip), name)
        known = await self._accounts.find(self._db, name)
        whose = known.account_id if known else None
        stranger = not await self._devices.knows(self._db, whose, device, now)
        crowded = stranger and await self._crowded("recovery", name)

        async def begin(tx: Tx) -> UUID:
            whose = None if known is None or known.disabled else known.account_id
            challenge_id = await self._challenges.start(
                tx, whose, Purpose.RECOVERY, now, asked=name, crowded=crowded
            )
            await self._record(tx, origin, "recovery_started", whose or "unknown", now)
            return challenge_id

        return await self._db.run(begin)

    async def ask_email(self, challenge_id: UUID, origin: Actor, now: datetime) -> None:
        """This will have the second code sent by mail, once. Raises: RateLimited."""
        await self._limiter.check(self._limit, "recovery-email", "ip", network_of(origin.ip))
        await self._db.run(lambda tx: self._challenges.ask_email(tx, challenge_id, now))

    async def finish(
        self, challenge_id: UUID, proofs: Proofs, new: str, origin: Actor, now: datetime
    ) -> None:
        """This will set the new password when both proofs hold, end every session and key, and
        cool the account down. Raises: RateLimited, RecoveryRefused, PasswordWeak."""
        await self._limiter.check(self._limit, "recovery", "ip", network_of(origin.ip))
        self._passwords.check_shape(new)  # a weak password should not cost a try
        row = await self._challenges.take_try(challenge_id, Purpose.RECOVERY, now)
        known = await self._known(row)
        if row is None or known is None:
            raise RecoveryRefused
        hashed = await self._passwords.hash(new)
        done = await self._db.run(
            lambda tx: self._reset(tx, row, known, proofs, _New(new, hashed), origin, now)
        )
        if not done:
            await self._db.run(
                lambda tx: self._record(tx, origin, "recovery_refused", known.account_id, now)
            )
            raise RecoveryRefused

    async def stop(self, username: str, code: str, origin: Actor, now: datetime) -> None:
        """This will freeze an account with the code of a notice. Raises: RateLimited,
        StopRefused."""
        # Only the network is counted: fifty bits need no count that others could use up, and this
        # is the brake.
        await self._limiter.check(self._limit, "stop", "ip", network_of(origin.ip))
        name = _name(username)
        known = await self._accounts.find(self._db, name)

        async def freeze(tx: Tx) -> bool:
            if known is None:
                return False
            recent = await tx.fetch(RECENT, known.account_id, now - STOP_FOR)
            if not any(self._stop_codes.matches(row["id"], code) for row in recent):
                return False
            await self._guards.freeze(tx, known.account_id, "stop code", origin, now)
            await self._sessions.revoke_others(
                tx, known.account_id, origin, now, why="account frozen"
            )
            return True

        if not await self._db.run(freeze):
            whose = known.account_id if known else "unknown"
            await self._db.run(lambda tx: self._record(tx, origin, "stop_refused", whose, now))
            raise StopRefused

    async def begin_unfreeze(self, customer_id: UUID, origin: Actor, now: datetime) -> UUID | None:
        """This will send a code to the phone where no app is set up; None: the app is asked.
        Raises: RateLimited."""
        if await self._factors.is_on(self._db, customer_id):
            return None
        name = str(customer_id)
        for limit in START_LIMITS:
            await self._limiter.check(limit, "unfreeze", limit, network_of(origin.ip), name)
        crowded = await self._crowded("unfreeze", name)
        return await self._db.run(
            lambda tx: self._challenges.start(
                tx, customer_id, Purpose.UNFREEZE, now, asked=name, crowded=crowded
            )
        )

    async def unfreeze(
        self, customer_id: UUID, challenge_id: UUID | None, code: str, actor: Actor, now: datetime
    ) -> None:
        """This will lift the freeze with a code of the app, or of the phone where there is none.
        Raises: RateLimited, SecondFactorWrong, RecoveryRefused."""
        # Whoever stole a session does not use up the owner's tries.
        network = network_of(actor.ip)
        await self._limiter.check(self._limit, "unfreeze", network, str(customer_id))
        row = None
        if challenge_id is not None:
            row = await self._challenges.take_try(challenge_id, Purpose.UNFREEZE, now)

        async def lift(tx: Tx) -> None:
            if await self._factors.is_on(tx, customer_id):
                await self._factors.check(tx, customer_id, code, actor, now)
            else:
                await self._take_phone_code(tx, row, customer_id, code, now)
            await self._guards.unfreeze(tx, customer_id, actor, now)

        try:
            await self._db.run(lift)
        except RecoveryRefused:  # a wrong code of the app is recorded where it is checked
            await self._db.run(
                lambda tx: self._record(tx, actor, "unfreeze_refused", customer_id, now)
            )
            raise

    async def _crowded(self, what: str, name: str) -> bool:
        """Whether strangers have started for this name as often as codes are sent."""
        try:
            for limit in STRANGERS_LIMITS:
                await self._limiter.check(limit, what, "strangers", limit, name)
        except RateLimited:
            return True
        return False

    async def _take_phone_code(
        self, tx: Tx, row: Row | None, customer_id: UUID, code: str, now: datetime
    ) -> None:
        if row is None or row["customer_id"] != customer_id:
            raise RecoveryRefused
        if not self._challenges.matches(row["code_id"], CodeWay.PHONE, code):
            raise RecoveryRefused
        if not await self._challenges.finish(tx, row["id"], now):
            raise RecoveryRefused

    async def _known(self, row: Row | None) -> Credentials | None:
        if row is None or row["customer_id"] is None:
            return None
        return await self._accounts.find_by_id(self._db, row["customer_id"])

    async def _check_own(self, tx: Tx, known: Credentials, new: str) -> None:
        """Only after the proofs: the answer says something about the account. Raises:
        PasswordWeak."""
        email = await self._customers.reveal_email(tx, known.account_id)
        phone = await self._customers.reveal_phone(tx, known.account_id)
        self._passwords.check(new, username=known.username, email=email, phone=phone)

    async def _reset(
        self,
        tx: Tx,
        row: Row,
        known: Credentials,
        proofs: Proofs,
        new: "_New",
        origin: Actor,
        now: datetime,
    ) -> bool:
        customer_id, challenge_id = known.account_id, row["id"]
        by_phone = self._challenges.matches(row["code_id"], CodeWay.PHONE, proofs.phone_code)
        second = await self._second(tx, row, customer_id, proofs, by_phone, origin, now)
        if not by_phone or not second:
            return False
        await self._check_own(tx, known, new.password)
        if not await self._challenges.finish(tx, challenge_id, now):
            return False
        if not await self._accounts.set_password(tx, known, new.hashed, now):
            return False
        await self._sessions.revoke_others(tx, customer_id, origin, now, why="password reset")
        await self._keys.revoke_all(tx, customer_id, origin, now)
        until = await self._guards.cool(tx, customer_id, "password_reset", origin, now)
        await self._record(tx, origin, "password_reset", customer_id, now)
        payload = {
            "customer_id": str(customer_id),
            "until": until.isoformat(),
            "stop_id": str(challenge_id),
        }
        await self._outbox.emit(tx, "customer.password_reset", customer_id, payload, now)
        tx.after_commit(lambda: self._factors.forget_strangers(customer_id))
        return True

    async def _second(
        self,
        tx: Tx,
        row: Row,
        customer_id: UUID,
        proofs: Proofs,
        by_phone: bool,  # noqa: FBT001 - the other half of one question
        origin: Actor,
        now: datetime,
    ) -> bool:
        if proofs.second is SecondProof.EMAIL:
            right = self._challenges.matches(row["code_id"], CodeWay.EMAIL, proofs.second_code)
            return right and bool(row["email_asked"])
        if not by_phone:
            return False  # and no code of the app is used up by a thief without the phone
        try:
            await self._factors.check(tx, customer_id, proofs.second_code, origin, now)
        except (SecondFactorWrong, SecondFactorOff):
            return False
        return True

    async def _record(
        self, tx: Tx, origin: Actor, what: str, whose: UUID | str, now: datetime
    ) -> None:
        await self._audit.record(tx, origin, f"customer.{what}", "customer", whose, now=now)


def _name(username: str) -> str:
    try:
        return parse_username(username)
    except UsernameInvalid:
        return ""
