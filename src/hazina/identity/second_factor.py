"""Second factors: codes of an app (TOTP, RFC 6238), and recovery codes for when it is lost.

**Invariants:** a code is taken once, whatever window it is good for; the secret is sealed and shown
only while it is being set up; recovery codes are kept as hashes and work once.

Guessing is bounded by limits for each account, which count every attempt, right ones too. Whoever
has the password alone can use up what strangers may try, and not what is tried from where the
account was signed in to before.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import pyotp

from hazina.identity.people import Realm
from hazina.identity.repository import Reads
from hazina.identity.session_rows import SessionRows
from hazina.infra.audit import Audit
from hazina.infra.client_ip import network_of
from hazina.infra.db import Database, Row, Tx
from hazina.infra.outbox import Outbox
from hazina.infra.ratelimit import RateLimiter
from hazina.infra.vault import Vault
from hazina.kernel.actor import Actor, ActorKind
from hazina.kernel.errors import Kind, Refusal

STEP_S = 30
SKEW_STEPS = 1  # a phone's clock may be half a minute off, either way
DIGITS = 6
LIMITS = ("5/minute", "100/day")
STRANGERS = "strangers"
RECOVERY_CODES = 10
MAX_CODE = 32
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else

FIND = """
SELECT secret_sealed, last_step, confirmed_at FROM identity.second_factor WHERE account_id = $1
"""
LOCK = """
SELECT secret_sealed, last_step, confirmed_at FROM identity.second_factor
WHERE account_id = $1 FOR NO KEY UPDATE
"""
BEGIN = """
INSERT INTO identity.second_factor (account_id, secret_sealed, created_at) VALUES ($1, $2, $3)
ON CONFLICT (account_id) DO UPDATE SET secret_sealed = excluded.secret_sealed,
    created_at = excluded.created_at
WHERE second_factor.confirmed_at IS NULL
"""
CONFIRM = """
UPDATE identity.second_factor SET confirmed_at = $2 WHERE account_id = $1 AND confirmed_at IS NULL
"""
SPEND_STEP = "UPDATE identity.second_factor SET last_step = $2 WHERE account_id = $1"
REMOVE = "DELETE FROM identity.second_factor WHERE account_id = $1"
ADD_CODE = """
INSERT INTO identity.recovery_code (account_id, code_hash, created_at) VALUES ($1, $2, $3)
"""
DROP_CODES = "DELETE FROM identity.recovery_code WHERE account_id = $1"
SPEND_CODE = """
UPDATE identity.recovery_code SET used_at = $3
WHERE account_id = $1 AND code_hash = $2 AND used_at IS NULL
"""
CODES_LEFT = """
SELECT count(*) AS left FROM identity.recovery_code WHERE account_id = $1 AND used_at IS NULL
"""


class SecondFactorNeeded(Refusal):
    """The act asks for a code of the app, and none came with it. The same request with a code, in
    the header ``Hazina-Otp`` or the field of the page, goes on."""

    code = "second_factor_needed"
    kind = Kind.UNAUTHENTICATED
    message = "This needs a code from your app."
    action = "Open the app, and send the code it shows now."

    def __init__(self) -> None:
        super().__init__(details={"field": "otp"})
        self.ticket = ""  # for the second step of a page's sign-in; never part of an answer


class SecondFactorWrong(Refusal):
    """The code is not the one the app shows, was used before, or is no recovery code of theirs."""

    code = "second_factor_wrong"
    kind = Kind.UNAUTHENTICATED
    message = "That code is not right, or was used before."
    action = "Wait for the next code in your app, or use one of your recovery codes."

    def __init__(self) -> None:
        super().__init__(details={"field": "otp"})


class SecondFactorOn(Refusal):
    """A second factor is set up already."""

    code = "second_factor_on"
    kind = Kind.CONFLICT
    message = "A second factor is set up already."
    action = "Switch it off first, with a code of it."


class SecondFactorOff(Refusal):
    """There is no second factor to do this with."""

    code = "second_factor_off"
    kind = Kind.CONFLICT
    message = "No second factor is set up."
    action = "Set one up first."


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an app needs, shown while it is being set up and never again."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FactorStatus:
    """Whether codes are asked for, and how many recovery codes are left."""

    on: bool
    recovery_codes_left: int


class SecondFactors:
    """The factors of one realm."""

    def __init__(
        self,
        realm: Realm,
        db: Database,
        *,
        vault: Vault,
        limiter: RateLimiter,
        audit: Audit,
        outbox: Outbox,
    ) -> None:
        self._realm = realm
        self._db = db
        self._sessions = SessionRows(realm)
        self._vault = vault
        self._limiter = limiter
        self._audit = audit
        self._outbox = outbox

    async def status(self, reader: Reads, account_id: UUID) -> FactorStatus:
        on = await self.is_on(reader, account_id)
        row = await reader.fetchrow(CODES_LEFT, account_id)
        return FactorStatus(on, int(row["left"]) if row and on else 0)

    async def is_on(self, reader: Reads, account_id: UUID) -> bool:
        row = await reader.fetchrow(FIND, account_id)
        return row is not None and row["confirmed_at"] is not None

    async def begin(self, tx: Tx, account_id: UUID, username: str, now: datetime) -> Enrolment:
        """This will make a secret that counts for nothing until ``confirm``. Asked again it makes
        another one. Raises: SecondFactorOn."""
        secret = pyotp.random_base32()
        sealed = self._vault.seal(secret.encode(), context=self._context(account_id))
        if not await tx.execute(BEGIN, account_id, sealed, now):
            raise SecondFactorOn
        issuer = "Hazina" if self._realm.kind is ActorKind.CUSTOMER else "Hazina console"
        uri = pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=issuer)
        return Enrolment(secret, uri)

    async def confirm(
        self, tx: Tx, account_id: UUID, code: str, actor: Actor, now: datetime
    ) -> list[str]:
        """This will switch the factor on with a first code, and give the recovery codes, this
        once. Raises: SecondFactorOff, SecondFactorOn, SecondFactorWrong, RateLimited."""
        await self._count(tx, account_id, actor)
        row = await tx.fetchrow(LOCK, account_id)
        if row is None:
            raise SecondFactorOff
        if row["confirmed_at"] is not None:
            raise SecondFactorOn
        await self._spend(tx, account_id, row, code, now)
        await tx.execute(CONFIRM, account_id, now)
        await self._tell(tx, "second_factor_on", account_id, actor, now)
        return await self._new_codes(tx, account_id, now)

    async def check(self, tx: Tx, account_id: UUID, code: str, actor: Actor, now: datetime) -> None:
        """This will take a code of the app or a recovery code, and use it up with the caller's
        transaction. Raises: SecondFactorOff, SecondFactorWrong, RateLimited."""
        await self._count(tx, account_id, actor)
        try:
            await self._take(tx, account_id, code, actor, now)
        except SecondFactorWrong:
            tx.either_way(lambda: self._refused(account_id, actor, now))
            raise

    async def _take(self, tx: Tx, account_id: UUID, code: str, actor: Actor, now: datetime) -> None:
        row = await tx.fetchrow(LOCK, account_id)
        if row is None or row["confirmed_at"] is None:
            raise SecondFactorOff
        if len(code) > MAX_CODE:
            raise SecondFactorWrong
        plain = _plain(code)
        if len(plain) == DIGITS and plain.isdigit():
            await self._spend(tx, account_id, row, plain, now)
            return
        if not await tx.execute(SPEND_CODE, account_id, _hash(plain), now):
            raise SecondFactorWrong
        await self._tell(tx, "recovery_code_used", account_id, actor, now)

    async def require(
        self, tx: Tx, account_id: UUID, code: str | None, actor: Actor, now: datetime
    ) -> bool:
        """This will take a code where a factor is on, and say whether it is.
        Raises: SecondFactorNeeded, SecondFactorWrong, RateLimited."""
        if not await self.is_on(tx, account_id):
            return False
        if not code:
            raise SecondFactorNeeded
        await self.check(tx, account_id, code, actor, now)
        return True

    async def renew_codes(
        self, tx: Tx, account_id: UUID, code: str, actor: Actor, now: datetime
    ) -> list[str]:
        """This will void the recovery codes and give new ones. Raises: as ``check``."""
        await self.check(tx, account_id, code, actor, now)
        await self._tell(tx, "recovery_codes_made", account_id, actor, now)
        return await self._new_codes(tx, account_id, now)

    async def remove(
        self, tx: Tx, account_id: UUID, code: str, actor: Actor, now: datetime
    ) -> None:
        """This will switch the factor off. Raises: as ``check``."""
        await self.check(tx, account_id, code, actor, now)
        await self.reset(tx, account_id, actor, now)

    async def reset(self, tx: Tx, account_id: UUID, actor: Actor, now: datetime) -> None:
        """The same without a code: for the command line of the house's machine."""
        await tx.execute(REMOVE, account_id)
        await tx.execute(DROP_CODES, account_id)
        await self._tell(tx, "second_factor_off", account_id, actor, now)

    async def _refused(self, account_id: UUID, actor: Actor, now: datetime) -> None:
        """A wrong code stands in the trail, whatever it was meant for and was undone with it."""
        kind = self._realm.kind.value
        await self._db.run(
            lambda tx: self._audit.record(
                tx, actor, f"{kind}.second_factor_refused", kind, account_id, now=now
            )
        )

    async def forget_strangers(self, account_id: UUID) -> None:
        """This will let strangers try anew: the password they knew is gone."""
        for limit in LIMITS:
            await self._limiter.forget(limit, *_counted(limit, account_id, STRANGERS))

    async def _count(self, reader: Reads, account_id: UUID, actor: Actor) -> None:
        known = await self._sessions.opened_from(reader, account_id, actor.ip)
        whose = network_of(actor.ip) if known else STRANGERS
        for limit in LIMITS:
            await self._limiter.check(limit, *_counted(limit, account_id, whose))

    async def _spend(self, tx: Tx, account_id: UUID, row: Row, code: str, now: datetime) -> None:
        secret = self._vault.open(row["secret_sealed"], context=self._context(account_id)).decode()
        step = _step_of(secret, _plain(code), now)
        # A code read over a shoulder is worth nothing: its step, and those before, are gone.
        if step is None or step <= row["last_step"]:
            raise SecondFactorWrong
        await tx.execute(SPEND_STEP, account_id, step)

    async def _new_codes(self, tx: Tx, account_id: UUID, now: datetime) -> list[str]:
        await tx.execute(DROP_CODES, account_id)
        codes = [_random_code() for _ in range(RECOVERY_CODES)]
        await tx.executemany(ADD_CODE, [(account_id, _hash(code), now) for code in codes])
        return ["-".join(code[i : i + 4] for i in range(0, 16, 4)) for code in codes]

    async def _tell(self, tx: Tx, what: str, account_id: UUID, actor: Actor, now: datetime) -> None:
        kind = self._realm.kind
        await self._audit.record(tx, actor, f"{kind.value}.{what}", kind.value, account_id, now=now)
        if kind is ActorKind.CUSTOMER:
            payload = {"customer_id": str(account_id)}
            await self._outbox.emit(tx, f"customer.{what}", account_id, payload, now)

    def _context(self, account_id: UUID) -> str:
        return f"identity.second_factor.secret:{self._realm.name}:{account_id}"


class CustomerFactors(SecondFactors):
    """Customers' factors, as a kind of its own for the house."""


class OperatorFactors(SecondFactors):
    """Operators' factors, as a kind of its own for the house."""


def _counted(limit: str, account_id: UUID, whose: str) -> tuple[str, ...]:
    return ("second-factor", limit, str(account_id), whose)


def _step_of(secret: str, code: str, now: datetime) -> int | None:
    """Which time step ``code`` belongs to; every candidate is compared, in constant time."""
    totp, current, found = pyotp.TOTP(secret, interval=STEP_S), int(now.timestamp()) // STEP_S, None
    for step in range(current - SKEW_STEPS, current + SKEW_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), code.encode()):
            found = step
    return found


def _random_code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(16))


def _plain(code: str) -> str:
    return code.replace(" ", "").replace("-", "").lower()


def _hash(code: str) -> bytes:
    return hashlib.sha256(f"hazina/recovery-code/{code}".encode("utf-8", "surrogatepass")).digest()
