"""The proof: every claim the ledger makes about itself, checked from its rows.

Slices add what only they can know (a hold's living owner, gold in the vault) with ``add``. A check
returns the lines that do not hold; an empty list is a proof.

In full it reads all of history. Normally it goes on from the last verdict that held, which is a row
that remembers the newest block of its time: what the ledger claims of itself is proven for what is
new, by induction (``since``). What slices claim is about their own rows and always asked whole.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hazina.infra.db import Tx
from hazina.kernel.ids import new_id
from hazina.ledger.chart import Purpose
from hazina.ledger.claims import BLOCKS, CLAIMS, OPEN_HOLDS, Question, listed_holds
from hazina.ledger.service import Reader
from hazina.ledger.since import Since, claims_since, find_window

Check = Callable[[Tx], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim and what contradicts it, at most ``MAX_LINES`` lines of it. ``took_ms``: how long
    that took; of claims that are checked together all of it stands with the first."""

    claim: str
    faults: list[str]
    took_ms: int = 0

    @property
    def holds(self) -> bool:
        return not self.faults


@dataclass(frozen=True, slots=True)
class Proven:
    """A verdict as it is remembered: the newest block of its snapshot, and when it was given."""

    block: int
    hash: bytes | None
    decided_at: datetime


MAX_LINES = 20
LIVING = "every open hold has a living owner"
# The claims join whole tables. Right after much was written the statistics still say "few rows",
# and a nested loop over millions takes for ever. What is joined fits into memory or goes through
# files; of a hash table PostgreSQL takes up to twice this.
SETTINGS = ("SET LOCAL enable_nestloop = off", "SET LOCAL work_mem = '128MB'")
LAST_PROVEN = """
SELECT v.block, v.hash, v.decided_at FROM ledger.verdict v
WHERE v.faults = 0 ORDER BY v.decided_at DESC LIMIT 1
"""
NEWEST = "SELECT b.number, b.hash FROM ledger.block b ORDER BY b.number DESC LIMIT 1"
ABOUT = """
SELECT greatest(sum(c.reltuples), 0)::bigint FROM pg_class c
WHERE c.oid IN ('ledger.entry'::regclass, 'ledger.entry_unbounded'::regclass)
"""
SAME = "SELECT b.hash FROM ledger.block b WHERE b.number = $1"
REMEMBER = """
INSERT INTO ledger.verdict (id, block, hash, since, claims, faults, decided_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

Side = Literal["debit", "credit"]
# What went through an account on one side, group by group, beside what its owner says went.
DOOR = """
SELECT format('group %s: {purpose} {side}ed %s, listed %s', coalesce(b.group_id, l.group_id),
              coalesce(b.amount, 0), coalesce(l.amount, 0))
FROM (
    SELECT coalesce(t.group_id, t.id) AS group_id, sum(t.amount) AS amount
    FROM {transfers} t JOIN ledger.account a ON a.key = t.{side}_key
    WHERE a.purpose = '{purpose}' AND t.kind IN ('post', 'post_pending') GROUP BY 1
) b
{join} JOIN ({listed}) l ON l.group_id = b.group_id
WHERE b.amount IS DISTINCT FROM l.amount
"""


@dataclass(frozen=True, slots=True)
class _Door:
    """Since a verdict, what was listed before and is listed no more is not looked for."""

    purpose: Purpose
    side: Side
    listed: str

    def sql(self, since: Since | None) -> str:
        return DOOR.format(
            side=self.side,
            purpose=self.purpose.value,
            listed=self.listed,
            transfers=_transfers(since),
            join="FULL" if since is None else "LEFT",
        )


async def last_proven(reader: Reader) -> Proven | None:
    """The last verdict without a fault; None where there is none."""
    rows = await reader.fetch(LAST_PROVEN)
    return Proven(rows[0]["block"], rows[0]["hash"], rows[0]["decided_at"]) if rows else None


async def about_how_many(reader: Reader) -> int:
    """Entries there are, as the planner's statistics have it: to count them is to read them."""
    return int((await reader.fetch(ABOUT))[0][0])


async def newest_block(tx: Tx) -> tuple[int, bytes | None]:
    """What a verdict given in this snapshot is about: the newest block and its hash."""
    row = await tx.fetchrow(NEWEST)
    return (0, None) if row is None else (row["number"], row["hash"])


async def hash_of(tx: Tx, block: int) -> bytes | None:
    """The hash of a block as it stands; None where it is gone."""
    found = await tx.fetchval(SAME, block)
    return None if found is None else bytes(found)


async def remember(
    tx: Tx,
    verdicts: list[Verdict],
    upto: tuple[int, bytes | None],
    proven: Proven | None,
    now: datetime,
) -> None:
    """This will keep what was found; where nothing was, the next proof goes on from ``upto``."""
    faults = sum(len(verdict.faults) for verdict in verdicts)
    since = 0 if proven is None else proven.block
    await tx.execute(REMEMBER, new_id(), *upto, since, len(verdicts), faults, now)


def _transfers(since: Since | None) -> str:
    return "ledger.transfer" if since is None else since.transfers


class Proof:
    """Collects claims at start; ``verify`` checks them all in one snapshot."""

    def __init__(self) -> None:
        self._extra: dict[str, Check] = {}
        self._owners: dict[str, str] = {}
        self._doors: dict[str, _Door] = {}
        self._of_transfers: dict[str, str] = {}

    def add(self, claim: str, check: Check) -> None:
        """This will check ``claim`` too."""
        self._extra[claim] = check

    def add_of_transfers(self, claim: str, sql: str) -> None:
        """This will check ``claim`` by ``sql``, a query for lines that contradict it. It says
        ``{transfers}`` for the transfers to look at: all there are, or those that are new."""
        self._of_transfers[claim] = sql

    def add_door(self, claim: str, purpose: Purpose, side: Side, listed: str) -> None:
        """This will check that one of the house's accounts is only debited (or credited) by the
        groups that ``listed``, a query of (group_id, amount), names, with exactly that amount.

        Slices that share a door name it with one claim: what any of them lists may go through.
        """
        before = self._doors.get(claim)
        if before is not None:
            listed = f"{before.listed} UNION ALL {listed}"
        self._doors[claim] = _Door(purpose, side, listed)

    def add_owner(self, reference_type: str, living: str) -> None:
        """This will let ``living``, a query of ids, say which references may still hold money.

        It may ask ``open_hold``: the holds that are open, as rows (id, debit_key, credit_key,
        reference_type, reference_id, rest).
        """
        self._owners[reference_type] = living

    def claims(self) -> list[str]:
        """Every claim, in the order in which they are checked in full."""
        return [claim for step in self._steps(None) for claim in step.claims]

    async def verify(
        self,
        tx: Tx,
        watch: Callable[[Sequence[str]], None] | None = None,
        *,
        proven: Proven | None = None,
    ) -> list[Verdict]:
        """Every claim with its verdict; ``watch`` hears the claims that are checked next.

        Reads all of history, or what came after ``proven``. Give it a transaction with one
        snapshot (REPEATABLE READ).
        """
        for setting in SETTINGS:
            await tx.execute(setting)
        since, broken = None, []
        if proven is not None and proven.block:
            since = await find_window(tx, proven.block)
            if since is None:
                broken = [f"block {proven.block}: it was proven, and it is gone"]
            elif await hash_of(tx, proven.block) != proven.hash:
                broken = [f"block {proven.block}: it was proven, and it was rewritten"]
        verdicts = []
        for step in self._steps(since):
            if watch is not None:
                watch(step.claims)
            began_ns = time.perf_counter_ns()
            found = await step.check(tx)
            took_ms = (time.perf_counter_ns() - began_ns) // 1_000_000
            for claim, faults in zip(step.claims, found, strict=True):
                said = broken + faults if claim == BLOCKS else faults
                verdicts.append(Verdict(claim, said[:MAX_LINES], took_ms))
                took_ms = 0
        return verdicts

    def _steps(self, since: Since | None) -> "list[_Step]":
        if since is None:
            questions = [Question.one(claim, sql, MAX_LINES) for claim, sql in CLAIMS.items()]
        else:
            questions = claims_since(since, MAX_LINES)
        for claim, door in self._doors.items():
            questions.append(Question.one(claim, door.sql(since), MAX_LINES))
        for claim, sql in self._of_transfers.items():
            asked = sql.format(transfers=_transfers(since))
            questions.append(Question.one(claim, asked, MAX_LINES))
        living = Question.one(LIVING, self._orphans(since), MAX_LINES)
        return [
            *(_asked(question) for question in [*questions, living]),
            *(_Step((claim,), _alone(check)) for claim, check in self._extra.items()),
        ]

    def _orphans(self, since: Since | None) -> str:
        """In full by all holds there ever were, else by the list, which the claims before prove."""
        living = [
            f"SELECT '{kind}' AS kind, l.id FROM ({sql}) l"  # noqa: S608 - our own queries
            for kind, sql in self._owners.items()
        ]
        holds = OPEN_HOLDS if since is None else listed_holds(since.last_tx)
        known = " UNION ALL ".join(living) or "SELECT ''::text AS kind, NULL::uuid AS id"
        return (
            f"WITH open_hold AS MATERIALIZED ({holds})"  # noqa: S608 - our own queries
            " SELECT format('hold %s of %s %s', h.id, h.reference_type, h.reference_id)"
            f" FROM open_hold h LEFT JOIN ({known}) o"
            " ON o.kind = h.reference_type AND o.id = h.reference_id WHERE o.id IS NULL"
        )


@dataclass(frozen=True, slots=True)
class _Step:
    """What is checked at once: a list of faults for each of the claims."""

    claims: tuple[str, ...]
    check: Callable[[Tx], Awaitable[list[list[str]]]]


def _asked(question: Question) -> _Step:
    async def check(tx: Tx) -> list[list[str]]:
        faults: list[list[str]] = [[] for _ in question.claims]
        for line in await tx.fetch(question.sql):
            faults[line[0]].append(line[1])
        return faults

    return _Step(question.claims, check)


def _alone(check: Check) -> Callable[[Tx], Awaitable[list[list[str]]]]:
    async def alone(tx: Tx) -> list[list[str]]:
        return [await check(tx)]

    return alone
