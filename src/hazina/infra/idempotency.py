"""One act, one answer: a repeat of a money command gets the first answer and does nothing.

The key is inserted first, the answer stored last, both in the transaction of the act itself, so
there is never an act without its answer nor an answer without its act.

Two identical requests at once: the second's INSERT waits on the first's unique row. If the first
commits, the second sees its answer and gives that. If the first rolls back (a bug, a lost
connection, a request that was invalid), its row is gone, the second's INSERT succeeds and it acts.
No row is ever seen without an answer, for the one who inserts it commits only with one.

A business refusal is an answer: its savepoint is undone, its envelope stored and repeated, even
when the reason has passed; a new try takes a new key. What was malformed, unauthenticated or ours
to repair is not stored: mend it and send it under the same key.
"""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from hazina.infra.audit import Audit
from hazina.infra.db import Database, Tx
from hazina.infra.envelope import envelope, status_of
from hazina.infra.house import House
from hazina.infra.observability import request_id
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Invalid, Kind, Refusal

KEY = re.compile(r"[\x21-\x7e]{8,64}")
NOT_STORED = frozenset({Kind.INVALID, Kind.UNAUTHENTICATED, Kind.UNAVAILABLE})
KEEP = timedelta(days=30)

BEGIN = """
INSERT INTO infra.idempotency (principal, route, key, body_hash, created_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true
"""
STORED = """
SELECT body_hash, status, answer FROM infra.idempotency
WHERE principal = $1 AND route = $2 AND key = $3
"""
FINISH = """
UPDATE infra.idempotency SET status = $4, answer = $5
WHERE principal = $1 AND route = $2 AND key = $3 AND status IS NULL
"""
PRUNE = """
DELETE FROM infra.idempotency WHERE ctid IN (
  SELECT ctid FROM infra.idempotency WHERE created_at < $1 ORDER BY created_at LIMIT $2)
"""

Body = Mapping[str, object]
UseCase = Callable[[Tx], Awaitable[tuple[int, Body]]]


class IdempotencyConflict(Refusal):
    """The key was used before for something else."""

    code = "idempotency_conflict"
    kind = Kind.CONFLICT
    message = "This Idempotency-Key was already used with another request."
    action = "Use a new key for a new request; repeat an old one unchanged."


class IdempotencyKeyNeeded(Invalid):
    """A command that moves money came without a usable key."""

    code = "idempotency_key_needed"
    message = "An Idempotency-Key of 8 to 64 visible ASCII characters is needed."
    action = "Send the header Idempotency-Key, new for every new act."


class CommittedRefusal(Exception):
    """A refusal whose rows stay: raised after the ledger recorded that it said no.

    Elsewhere a refusal undoes what its use case wrote; a refused posting has to stay refused.
    """

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.message)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What was answered the first time."""

    status: int
    body: dict[str, object]


class Idempotency:
    """The two halves of ``once``, for callers that are no JSON route."""

    def __init__(self) -> None:
        self._first: list[Callable[[Tx, Actor], Awaitable[None]]] = []

    def ask_first(self, guard: Callable[[Tx, Actor], Awaitable[None]]) -> None:
        """This will ask ``guard`` before every money command of an actor; its refusal is the
        answer. For what stops an account whatever it wants to do."""
        self._first.append(guard)

    async def let_in(self, tx: Tx, principal: Actor | str) -> None:
        """Raises: what the guards raise."""
        for guard in self._first:
            if isinstance(principal, Actor):
                await guard(tx, principal)

    async def begin(
        self, tx: Tx, *, principal: str, route: str, key: str, body_hash: bytes, now: datetime
    ) -> StoredAnswer | None:
        """This will take the key, or give the answer stored under it; it may wait for another.

        Must come first in its transaction. Raises: IdempotencyConflict.
        """
        while not await tx.fetchval(BEGIN, principal, route, key, body_hash, now):
            row = await tx.fetchrow(STORED, principal, route, key)
            if row is None:  # pruned between the two statements: take it after all
                continue
            if row["body_hash"] != body_hash:
                raise IdempotencyConflict
            assert row["status"] is not None, "begin() was committed without finish()"
            return StoredAnswer(row["status"], row["answer"])
        return None

    async def finish(
        self, tx: Tx, *, principal: str, route: str, key: str, status: int, body: Body
    ) -> None:
        """This will store the answer of the act that ``begin`` allowed."""
        if await tx.execute(FINISH, principal, route, key, status, dict(body)) != 1:
            raise AssertionError("finish() without begin()")

    async def prune(self, db: Database, now: datetime) -> None:
        """This will forget answers older than thirty days, some at a time."""
        while await db.run(lambda tx: tx.execute(PRUNE, now - KEEP, 1000)) == 1000:
            pass


def check_key(key: str | None) -> str:
    """Raises: IdempotencyKeyNeeded."""
    if key is None or not KEY.fullmatch(key):
        raise IdempotencyKeyNeeded
    return key


async def once(
    house: House,
    principal: Actor | str,
    route: str,
    key: str | None,
    body: bytes,
    use_case: UseCase,
) -> tuple[int, dict[str, object]]:
    """This will run ``use_case`` in one transaction, once per (principal, route, key).

    ``route`` names the method and the concrete path, ids included: one key on two things is two
    acts. ``body`` is the request's bytes. ``use_case`` answers a status and a JSON-ready body; a
    ``Refusal`` undoes its writes and becomes the stored answer, a ``CommittedRefusal`` keeps them.

    Every refusal leaves an event in the audit trail. Raises: IdempotencyKeyNeeded,
    IdempotencyConflict, and refusals that are not stored.
    """
    try:
        return await _once(house, principal, route, key, body, use_case)
    except Refusal as refusal:
        if refusal.kind is not Kind.UNAVAILABLE:
            code, now = refusal.code, house.clock.now()
            await house.db.run(lambda tx: _trace(house, tx, principal, route, code, now))
        raise


async def _once(
    house: House,
    principal: Actor | str,
    route: str,
    key: str | None,
    body: bytes,
    use_case: UseCase,
) -> tuple[int, dict[str, object]]:
    idempotency = house.get(Idempotency)
    act = {"principal": str(principal), "route": route, "key": check_key(key)}
    body_hash = hashlib.sha256(body).digest()
    now = house.clock.now()

    async def run(tx: Tx) -> tuple[int, dict[str, object]]:
        stored = await idempotency.begin(tx, **act, body_hash=body_hash, now=now)
        if stored is not None:
            return stored.status, stored.body

        async def guarded(tx: Tx) -> tuple[int, Body]:
            await idempotency.let_in(tx, principal)
            return await use_case(tx)

        status, answer, refused = await _attempt(tx, guarded, now)
        if refused is not None:
            await _trace(house, tx, principal, route, refused.code, now)
        await idempotency.finish(tx, **act, status=status, body=answer)
        return status, answer

    return await house.db.run(run)


async def _attempt(
    tx: Tx, use_case: UseCase, now: datetime
) -> tuple[int, dict[str, object], Refusal | None]:
    try:
        async with tx.savepoint():
            try:
                status, body = await use_case(tx)
            except CommittedRefusal as kept:
                return _refused(kept.refusal, now)
            # As it will read when it is repeated.
            plain: dict[str, object] = json.loads(json.dumps(body, default=str))
            return status, plain, None
    except Refusal as refusal:
        if refusal.kind in NOT_STORED:
            raise
        return _refused(refusal, now)


def _refused(refusal: Refusal, now: datetime) -> tuple[int, dict[str, object], Refusal | None]:
    told = envelope(refusal, now=now, request_id=request_id() or "")
    return status_of(refusal), told, refusal


async def _trace(
    house: House, tx: Tx, principal: Actor | str, route: str, code: str, now: datetime
) -> None:
    """A money command that was refused: who, from where, what, why. Never what was sent."""
    if isinstance(principal, Actor):
        facts = {"code": code}
        await house.get(Audit).record(
            tx, principal, "request.refused", "route", route, after=facts, now=now
        )
