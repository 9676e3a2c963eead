"""The proof: every claim the ledger makes about itself, checked from its rows.

Slices add what only they can know (a hold's living owner, gold in the vault) with ``add``. A check
returns the lines that do not hold; an empty list is a proof.

In full it reads all of history. Normally it goes on from the last verdict that held, which is a row
that remembers the newest block of its time: what the ledger claims of itself is proven for what is
new, by induction (``since``). What slices claim is about their own rows and always asked whole.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from hazina.infra.db import Tx
from hazina.kernel.ids import new_id
from hazina.ledger.chart import Purpose
from hazina.ledger.claims import BLOCKS, CLAIMS, OPEN_HOLDS
from hazina.ledger.service import Reader
from hazina.ledger.since import Since, claims_since, find_window

Check = Callable[[Tx], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim and what contradicts it, at most ``MAX_LINES`` lines of it."""

    claim: str
    faults: list[str]

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
LAST_PROVEN = """
SELECT v.block, v.hash, v.decided_at FROM ledger.verdict v
WHERE v.faults = 0 ORDER BY v.decided_at DESC LIMIT 1
"""
NEWEST = "SELECT b.number, b.hash FROM ledger.block b ORDER BY b.number DESC LIMIT 1"
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
            transfers="ledger.transfer" if since is None else since.transfers,
            join="FULL" if since is None else "LEFT",
        )


async def last_proven(reader: Reader) -> Proven | None:
    """The last verdict without a fault; None where there is none."""
    rows = await reader.fetch(LAST_PROVEN)
    return Proven(rows[0]["block"], rows[0]["hash"], rows[0]["decided_at"]) if rows else None


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


class Proof:
    """Collects claims at start; ``verify`` checks them all in one snapshot."""

    def __init__(self) -> None:
        self._extra: dict[str, Check] = {}
        self._owners: dict[str, str] = {}
        self._doors: dict[str, _Door] = {}

    def add(self, claim: str, check: Check) -> None:
        """This will check ``claim`` too."""
        self._extra[claim] = check

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
        """This will let ``living``, a query of ids, say which references may still hold money."""
        self._owners[reference_type] = living

    def checks(self, since: Since | None = None) -> dict[str, Check]:
        """Every claim with what checks it, in the order in which they are checked."""
        claims = CLAIMS if since is None else claims_since(since)
        doors = {claim: door.sql(since) for claim, door in self._doors.items()}
        queries = {claim: _select(sql) for claim, sql in (claims | doors).items()}
        return queries | {"every open hold has a living owner": self._orphans} | self._extra

    async def verify(
        self,
        tx: Tx,
        watch: Callable[[str], None] | None = None,
        *,
        proven: Proven | None = None,
    ) -> list[Verdict]:
        """Every claim with its verdict; ``watch`` hears each claim before it is checked.

        Reads all of history, or what came after ``proven``. Give it a transaction with one
        snapshot (REPEATABLE READ).
        """
        # The claims join whole tables; right after much was written the statistics still say
        # "few rows", and a nested loop over millions takes for ever.
        await tx.execute("SET LOCAL enable_nestloop = off")
        since, broken = None, []
        if proven is not None and proven.block:
            since = await find_window(tx, proven.block)
            if since is None:
                broken = [f"block {proven.block}: it was proven, and it is gone"]
            elif await hash_of(tx, proven.block) != proven.hash:
                broken = [f"block {proven.block}: it was proven, and it was rewritten"]
        verdicts = []
        for claim, check in self.checks(since).items():
            if watch is not None:
                watch(claim)
            faults = await check(tx)
            if claim == BLOCKS:
                faults = broken + faults
            verdicts.append(Verdict(claim, faults[:MAX_LINES]))
        return verdicts

    async def _orphans(self, tx: Tx) -> list[str]:
        living = [
            f"SELECT '{kind}' AS kind, l.id FROM ({sql}) l"  # noqa: S608 - our own queries
            for kind, sql in self._owners.items()
        ]
        known = " UNION ALL ".join(living) or "SELECT ''::text AS kind, NULL::uuid AS id"
        rows = await tx.fetch(
            f"SELECT format('hold %s of %s %s', h.id, h.reference_type, h.reference_id)"  # noqa: S608
            f" FROM ({OPEN_HOLDS}) h LEFT JOIN ({known}) o"
            " ON o.kind = h.reference_type AND o.id = h.reference_id WHERE o.id IS NULL"
            f" LIMIT {MAX_LINES}"
        )
        return [row[0] for row in rows]


def _select(sql: str) -> Check:
    async def check(tx: Tx) -> list[str]:
        return [row[0] for row in await tx.fetch(f"{sql} LIMIT {MAX_LINES}")]

    return check
