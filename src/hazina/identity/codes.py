"""Short codes by phone or mail, for an hour of need: derived, never stored, tried a few times.

A challenge is a row; its codes follow from its id, the way they go, and a key of the vault. So a
job can send them, a second sending is the same code, and no table, log or queue ever holds one.

Codes are long enough that no count of everybody's guesses is needed, which strangers could use up:
each challenge has its own few tries. Where many ask for one name, what is sent is bounded instead:
for a while the code sent last is good for every challenge that is started, and its owner has it.
See docs/decisions/0048-strangers-lock-nobody-out.md.
"""

import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog

from hazina.infra.db import Database, Row, Tx
from hazina.infra.jobs import Jobs
from hazina.infra.vault import Vault
from hazina.kernel.ids import new_id
from hazina.kernel.outcome import Accepted, Outcome, Rejected

log = structlog.stdlib.get_logger()

LIFETIME = timedelta(minutes=10)
TRIES = 5
DIGITS = 10
GROUP = 5  # digits that are read at a time
STANDS = timedelta(minutes=30)  # for so long a crowd is sent no other code
BY_PHONE = "challenge.phone_code"
BY_EMAIL = "challenge.email_code"

START = """
INSERT INTO identity.challenge
  (id, customer_id, purpose, started_at, expires_at, asked, code_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
# The newest of its own code that was sent not long ago and opened nothing yet.
STANDING = """
SELECT id FROM (
  SELECT id FROM identity.challenge
  WHERE asked = $1 AND code_id = id AND started_at > $2 ORDER BY id DESC LIMIT 1) c
WHERE NOT EXISTS (
  SELECT 1 FROM identity.challenge o WHERE o.code_id = c.id AND o.done_at IS NOT NULL)
"""
FIND = "SELECT * FROM identity.challenge WHERE id = $1"
# Counted and committed before the code is looked at: a guess cannot be undone.
TRY = """
UPDATE identity.challenge SET tries = tries + 1
WHERE id = $1 AND purpose = $2 AND tries < $3 AND expires_at > $4 AND done_at IS NULL
RETURNING id, customer_id, email_asked, COALESCE(code_id, id) AS code_id
"""
ASK_EMAIL = """
UPDATE identity.challenge c SET email_asked = true
WHERE id = $1 AND expires_at > $2 AND done_at IS NULL AND NOT email_asked
RETURNING COALESCE(code_id, id) AS code_id, EXISTS (
  SELECT 1 FROM identity.challenge o
  WHERE o.code_id = c.code_id AND o.id <> c.id AND o.email_asked) AS sent
"""
# A code opens once, whichever of the challenges it is good for.
DONE = """
UPDATE identity.challenge c SET done_at = $2
WHERE id = $1 AND done_at IS NULL AND NOT EXISTS (
  SELECT 1 FROM identity.challenge o WHERE o.code_id = c.code_id AND o.done_at IS NOT NULL)
"""
PRUNE = """
DELETE FROM identity.challenge WHERE id IN (
  SELECT id FROM identity.challenge WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)
"""


class Purpose(StrEnum):
    """What a challenge is for."""

    RECOVERY = "recovery"  # a new password for somebody who has lost theirs
    UNFREEZE = "unfreeze"  # lifting a freeze where no app is set up


class CodeWay(StrEnum):
    """How a code reaches its customer."""

    PHONE = "phone"  # the number of the account
    EMAIL = "email"  # the address of the account


Carry = Callable[[UUID, str], Awaitable[Outcome[str]]]


class Couriers:
    """Who carries codes which way; filled by a layer above, as identity knows no channel."""

    def __init__(self) -> None:
        self._ways: dict[CodeWay, Carry] = {}

    def register(self, way: CodeWay, carry: Carry) -> None:
        """``carry(customer_id, code)`` will send a code at once, and keep nothing of it."""
        self._ways[way] = carry

    def carries(self, way: CodeWay) -> bool:
        """Whether codes go this way in this house: no page promises one that nobody carries."""
        return way in self._ways

    async def carry(self, way: CodeWay, customer_id: UUID, code: str) -> Outcome[str]:
        carrier = self._ways.get(way)
        if carrier is None:
            return Rejected("channel_off", f"nobody carries codes by {way.value}")
        return await carrier(customer_id, code)


class Challenges:
    """The challenge table and the jobs that send its codes."""

    def __init__(self, db: Database, jobs: Jobs, vault: Vault, couriers: Couriers) -> None:
        self._db = db
        self._jobs = jobs
        self._key = vault.derive("identity.challenge-code")
        self._couriers = couriers
        jobs.register(BY_PHONE, self._send_by_phone, attempts=3)
        jobs.register(BY_EMAIL, self._send_by_email, attempts=3)

    async def start(
        self,
        tx: Tx,
        customer_id: UUID | None,
        purpose: Purpose,
        now: datetime,
        *,
        asked: str,
        crowded: bool,
    ) -> UUID:
        """This will begin one and queue the phone's code; for nobody it does the same, but the
        code goes nowhere. ``asked`` is the name that was given. ``crowded``: too many ask for it,
        and the code that was sent last serves as long as it stands."""
        challenge_id, whose = new_id(), self._asked(purpose, asked)
        standing = await tx.fetchval(STANDING, whose, now - STANDS) if crowded else None
        await tx.execute(
            START, challenge_id, customer_id, purpose, now, now + LIFETIME, whose,
            standing or challenge_id,
        )  # fmt: skip
        if standing is None:
            await self._jobs.enqueue(tx, BY_PHONE, challenge_id)
        return challenge_id

    async def ask_email(self, tx: Tx, challenge_id: UUID, now: datetime) -> None:
        """This will queue the mail's code, once for each code."""
        row = await tx.fetchrow(ASK_EMAIL, challenge_id, now)
        if row is not None and not row["sent"]:
            await self._jobs.enqueue(tx, BY_EMAIL, row["code_id"])

    async def take_try(self, challenge_id: UUID, purpose: Purpose, now: datetime) -> Row | None:
        """This will count one try, in a transaction of its own; None: there are none left, it has
        ended, or there never was such a challenge."""
        return await self._db.run(lambda tx: tx.fetchrow(TRY, challenge_id, purpose, TRIES, now))

    async def finish(self, tx: Tx, challenge_id: UUID, now: datetime) -> bool:
        """This will use a challenge up; False: somebody else has."""
        return await tx.execute(DONE, challenge_id, now) == 1

    async def prune(self, tx: Tx, before: datetime, limit: int) -> int:
        return await tx.execute(PRUNE, before, limit)

    def code(self, code_id: UUID, way: CodeWay) -> str:
        """Ten digits in two groups, the same each time they are asked for."""
        mac = hmac.digest(self._key, code_id.bytes + way.value.encode(), "sha256")
        digits = f"{int.from_bytes(mac[:16]) % 10**DIGITS:0{DIGITS}d}"
        return f"{digits[:GROUP]} {digits[GROUP:]}"

    def matches(self, code_id: UUID, way: CodeWay, code: str) -> bool:
        own = self.code(code_id, way).replace(" ", "").encode()
        plain = code.replace(" ", "").replace("-", "").encode("utf-8", "surrogatepass")
        return hmac.compare_digest(plain, own)

    def _asked(self, purpose: Purpose, name: str) -> bytes:
        return hmac.digest(self._key, f"asked\0{purpose.value}\0{name}".encode(), "sha256")

    async def _send_by_phone(self, challenge_id: UUID) -> None:
        await self._send(challenge_id, CodeWay.PHONE)

    async def _send_by_email(self, challenge_id: UUID) -> None:
        await self._send(challenge_id, CodeWay.EMAIL)

    async def _send(self, challenge_id: UUID, way: CodeWay) -> None:
        row = await self._db.fetchrow(FIND, challenge_id)
        if row is None or row["customer_id"] is None or row["done_at"] is not None:
            return
        outcome = await self._couriers.carry(way, row["customer_id"], self.code(challenge_id, way))
        match outcome:
            case Accepted():
                return
            case Rejected(code=code, retry=True):
                raise CodeNotSent(code)
            case _:
                # Unknown: it may be on its way. Refused: the person sees that nothing comes.
                log.warning("a code was not sent", way=way.value, challenge=str(challenge_id))


class CodeNotSent(Exception):
    """The channel refused for a passing reason: the job tries again."""
