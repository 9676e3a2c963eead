"""Reading the ledger: statements, newest first or of a period, and the trial balance.

A customer's statement is by cursor and always with its owner; a period's has its opening and
closing balance, of bounded accounts and of the house's own. ``past`` has balances at a moment.
"""

# ruff: noqa: S608 - every part of these queries stands in this file or in past

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.infra.db import Row
from hazina.kernel.errors import Invalid
from hazina.kernel.money import ASSETS, Asset, Money
from hazina.kernel.page import Page
from hazina.ledger.chart import AccountRef, Purpose
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, TransferKind
from hazina.ledger.past import (
    CHECKPOINT,
    OURS,
    RANGES,
    TAIL,
    PastBalance,
    balance_at,
    balance_before,
    of_owner,
)
from hazina.ledger.sealing import LATE_S
from hazina.ledger.service import Reader

# The index (account_key, version) gives the page from wherever it starts: the inner LIMIT keeps the
# planner from reading, joining and sorting all that is older.
STATEMENT = """
SELECT e.version, e.transfer_id, e.debit, e.credit, e.balance, e.held, e.booked_at,
       t.kind, t.code, t.amount, t.reference_type, t.reference_id,
       t.debit_key = e.account_key AS outward
FROM (
    SELECT e.* FROM ledger.entry e
    WHERE e.account_key = (
        SELECT a.key FROM ledger.account a
        WHERE a.owner_id = $1 AND a.asset = $2 AND a.purpose = $3
    )
      AND e.version < $4 AND (NOT $6 OR e.debit <> 0 OR e.credit <> 0)
    ORDER BY e.version DESC LIMIT $5
) e
JOIN ledger.transfer t ON t.id = e.transfer_id
ORDER BY e.version DESC
"""
# A few looks into the primary key for each moment, however long the history is. Before a moment is
# at the microsecond before it: the finest there is.
BALANCES_AT = """
SELECT v.ord, e.balance
FROM (SELECT a.key, d.ord,
             ledger.version_at(a.key, a.version, a.created_at, a.booked_at, d.at) AS version
      FROM ledger.account a
      CROSS JOIN (SELECT m.before - interval '1 microsecond' AS at, m.ord
                  FROM unnest($4::timestamptz[]) WITH ORDINALITY m (before, ord)) d
      WHERE a.owner_id = $1 AND a.asset = $2 AND a.purpose = $3 OFFSET 0) v
CROSS JOIN LATERAL (
    SELECT x.balance FROM ledger.entry x
    WHERE x.account_key = v.key AND x.version = v.version OFFSET 0) e
"""
# Bounded accounts as they stand, and as they stood: what moved since is taken off those that did.
BOUNDED_NOW = """
SELECT a.purpose, a.asset, a.bounded, a.debit_normal, count(*) AS accounts,
       sum(a.debits_posted) AS debits, sum(a.credits_posted) AS credits,
       sum(a.debits_pending) AS held
FROM ledger.account a WHERE a.bounded
GROUP BY 1, 2, 3, 4
"""
BOUNDED_THEN = """
SELECT a.purpose, a.asset, a.bounded, a.debit_normal,
       count(*) FILTER (WHERE a.created_at <= $1) AS accounts,
       sum(a.debits_posted - coalesce(s.debit, 0)) AS debits,
       sum(a.credits_posted - coalesce(s.credit, 0)) AS credits,
       sum(CASE WHEN a.booked_at > $1 THEN coalesce(p.held, 0) ELSE a.debits_pending END) AS held
FROM ledger.account a
CROSS JOIN LATERAL (
    SELECT CASE WHEN a.booked_at > $1 THEN ledger.version_near(a.key, a.version, $1) END
        AS version OFFSET 0) v
LEFT JOIN LATERAL (
    SELECT sum(e.debit) AS debit, sum(e.credit) AS credit FROM ledger.entry e
    WHERE e.account_key = a.key AND e.version >= v.version AND e.booked_at > $1) s ON true
LEFT JOIN LATERAL (
    SELECT e.held FROM ledger.entry e
    WHERE e.account_key = a.key AND e.version BETWEEN v.version AND v.version + 15
      AND e.booked_at <= $1
    ORDER BY e.version DESC LIMIT 1) p ON true
WHERE a.bounded
GROUP BY 1, 2, 3, 4
"""


def _trial_balance(bounded: str, at: str) -> str:
    """The house's own accounts from their last checkpoint before ``at`` and its tail, all at once;
    ``bounded`` has the others."""
    return f"""
WITH {RANGES.format(than="<=", at=at)}
{bounded}
UNION ALL
SELECT a.purpose, a.asset, a.bounded, a.debit_normal, count(*),
       sum(coalesce(k.debits, 0) + coalesce(s.debit, 0)),
       sum(coalesce(k.credits, 0) + coalesce(s.credit, 0)), 0
FROM ledger.account a
LEFT JOIN LATERAL ({CHECKPOINT}) k ON true
LEFT JOIN ({TAIL.format(than="<=", at=at)}) s ON s.key = a.key
WHERE NOT a.bounded
GROUP BY 1, 2, 3, 4
ORDER BY 2, 1
"""


TRIAL_BALANCE = _trial_balance(BOUNDED_NOW, "'infinity'::timestamptz")
TRIAL_BALANCE_THEN = _trial_balance(BOUNDED_THEN, "$1::timestamptz")
# Lines of a bounded account after one version, up to another, oldest first.
PERIOD = STATEMENT.replace(
    "e.version < $4 AND (NOT $6 OR e.debit <> 0 OR e.credit <> 0)\n    ORDER BY e.version DESC",
    "e.version > $4 AND e.version <= $6\n    ORDER BY e.version",
).replace("ORDER BY e.version DESC", "ORDER BY e.version")
# The stretches of the feed in which one of the house's own accounts moved, and where they end;
# the last is what is not sealed yet.
STRETCHES = f"""
WITH k AS MATERIALIZED (SELECT a.key FROM ledger.account a WHERE {OURS}),
lowest AS MATERIALIZED (
    SELECT greatest(
        (SELECT b.number FROM ledger.block b WHERE b.last_tx >= $3::xid8
         ORDER BY b.last_tx LIMIT 1),
        (SELECT b.number + 1 FROM ledger.block b WHERE b.reach < $4::timestamptz
         ORDER BY b.reach DESC, b.number DESC LIMIT 1)) AS number
), highest AS MATERIALIZED (
    SELECT coalesce((SELECT b.number FROM ledger.block b
                     WHERE b.reach <= $5::timestamptz + interval '{LATE_S} seconds'
                     ORDER BY b.reach DESC, b.number DESC LIMIT 1), 0) + 1 AS number
), last AS MATERIALIZED (
    SELECT coalesce((SELECT b.last_tx FROM ledger.block b ORDER BY b.number DESC LIMIT 1), '0')
        AS tx
)
SELECT s.after_tx, s.last_tx FROM (
    (SELECT b.after_tx, b.last_tx FROM k JOIN ledger.checkpoint c ON c.account_key = k.key
     JOIN ledger.block b ON b.number = c.block
     WHERE c.block >= (SELECT number FROM lowest) AND c.block <= (SELECT number FROM highest)
       AND b.booked_from < $5 AND b.last_tx >= $3::xid8
     ORDER BY c.block LIMIT $6)
    UNION
    (SELECT b.after_tx, b.last_tx FROM k JOIN ledger.block b ON b.late
     JOIN ledger.checkpoint c ON c.account_key = k.key AND c.block = b.number
     WHERE b.number > (SELECT number FROM highest) AND b.booked_from < $5
       AND b.last_tx >= $3::xid8
     ORDER BY b.number LIMIT $6)
    ORDER BY last_tx LIMIT $6
) s
UNION ALL SELECT last.tx, '18446744073709551615'::xid8 FROM last
ORDER BY 2
"""
STRETCH = f"""
SELECT t.tx, t.id AS transfer_id, t.kind, t.code, t.amount, t.reference_type, t.reference_id,
       t.booked_at, t.debit_key = k.key AS outward
FROM (SELECT a.key FROM ledger.account a WHERE {OURS}) k
JOIN ledger.transfer t ON k.key IN (t.debit_key, t.credit_key)
WHERE t.tx > $3::xid8 AND t.tx <= $4::xid8 AND (t.tx, t.id) > ($5::xid8, $6::uuid)
  AND t.booked_at >= $7 AND t.booked_at < $8 AND t.kind IN ('post', 'post_pending')
ORDER BY t.tx, t.id LIMIT $9
"""

NEWEST = 2**63 - 1  # a version no account reaches
_PLACE = re.compile(r"[0-9]{1,19}\.[0-9a-f]{32}\.-?[0-9]{1,38}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StatementLine:
    """``change`` is signed from the owner's side; ``held`` is what was reserved afterwards.

    The house's own accounts have no versions and count no holds: both are 0 there.
    """

    version: int
    transfer_id: UUID
    kind: TransferKind
    code: Code
    change: Money
    amount: Money
    outward: bool
    balance: Money
    held: Money
    booked_at: datetime
    reference: Reference


@dataclass(frozen=True, slots=True)
class Period:
    """``since`` inclusive, ``until`` exclusive, both booked times. Lines oldest first."""

    opening: Money
    closing: Money
    lines: Page[StatementLine]


@dataclass(frozen=True, slots=True)
class TrialLine:
    """``balance`` is on the account's own side: positive is normal."""

    purpose: Purpose
    asset: Asset
    accounts: int
    debits: Money
    credits: Money
    held: Money
    balance: Money


class History:
    """Reads of what was booked; nothing here changes anything."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def statement(
        self,
        ref: AccountRef,
        *,
        limit: int = 50,
        cursor: str | None = None,
        booked_only: bool = False,
    ) -> Page[StatementLine]:
        """One page of a bounded account's lines, newest first. ``booked_only`` leaves out holds.

        Raises: Invalid when ``cursor`` is not one of ours.
        """
        before = _version(cursor) if cursor else NEWEST
        rows = await self._reader.fetch(
            STATEMENT, ref.owner, ref.asset.code, ref.purpose.value, before, limit + 1, booked_only
        )
        lines = [_line(ref, row) for row in rows]
        return Page.of(lines, limit, lambda line: str(line.version))

    async def balances_before(
        self, ref: AccountRef, moments: Sequence[datetime]
    ) -> list[Money | None]:
        """What a bounded account was worth just before each moment; None before its first line."""
        found: list[Money | None] = [None] * len(moments)
        rows = await self._reader.fetch(
            BALANCES_AT, ref.owner, ref.asset.code, ref.purpose.value, list(moments)
        )
        for row in rows:
            found[row["ord"] - 1] = ref.asset.units(int(row["balance"]))
        return found

    async def balance_at(
        self,
        ref: AccountRef,
        *,
        version: int | None = None,
        booked: datetime | None = None,
        effective: datetime | None = None,
    ) -> PastBalance:
        """What any account was worth after a version, at a booked or at an effective time."""
        return await balance_at(
            self._reader, ref, version=version, booked=booked, effective=effective
        )

    async def period(
        self,
        ref: AccountRef,
        since: datetime,
        until: datetime,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Period:
        """One page of what was booked in a period, oldest first, between its two balances.

        Of the house's own accounts the order is the feed's, and each line's balance follows from
        the one before. Raises: Invalid when ``cursor`` is not one of ours.
        """
        before = await balance_before(self._reader, ref, since)
        after = await balance_before(self._reader, ref, until)
        if ref.line.bounded:
            assert before.version is not None
            assert after.version is not None
            first = _version(cursor) if cursor else before.version
            rows = await self._reader.fetch(
                PERIOD, ref.owner, ref.asset.code, ref.purpose.value, first, limit + 1,
                after.version,
            )  # fmt: skip
            lines = [_line(ref, row) for row in rows]
            page = Page.of(lines, limit, lambda line: str(line.version))
        else:
            place = _Place.of(cursor) if cursor else _Place(0, UUID(int=0), before.posted.units)
            page = await self._feed_page(ref, since, until, limit, place)
        return Period(before.posted, after.posted, page)

    async def _feed_page(
        self, ref: AccountRef, since: datetime, until: datetime, limit: int, place: "_Place"
    ) -> Page[StatementLine]:
        """Stretch after stretch, until the page is full: most of them have a line or more."""
        name = (ref.asset.code, ref.purpose.value)
        lines: list[StatementLine] = []
        places: list[_Place] = []
        while True:
            asked, args = of_owner(STRETCHES, ref, *name, place.tx, since, until, limit + 1)
            stretches = await self._reader.fetch(asked, *args)
            # What is not sealed comes after all blocks, and there may be more of them.
            more = len(stretches) > limit + 1
            for stretch in stretches[: limit + 1]:
                asked, args = of_owner(
                    STRETCH, ref, *name, stretch["after_tx"], stretch["last_tx"], place.tx,
                    place.id, since, until, limit + 1 - len(lines),
                )  # fmt: skip
                rows = await self._reader.fetch(asked, *args)
                for row in rows:
                    line = _unversioned(ref, row, place.units)
                    place = _Place(row["tx"], row["transfer_id"], line.balance.units)
                    places.append(place)
                    lines.append(line)
                if len(lines) > limit:
                    return Page(lines[:limit], str(places[limit - 1]))
            if not more:
                return Page(lines, None)
            place = _Place(stretches[-2]["last_tx"] + 1, UUID(int=0), place.units)

    async def trial_balance(self, at: datetime | None = None) -> list[TrialLine]:
        """Every purpose and asset with its totals, now or as booked by ``at``; debits and credits
        of an asset are equal. Of bounded accounts it costs what was booked since then."""
        lines = []
        rows = await (
            self._reader.fetch(TRIAL_BALANCE)
            if at is None
            else self._reader.fetch(TRIAL_BALANCE_THEN, at)
        )
        for row in rows:
            asset = ASSETS[row["asset"]]
            debits, credits_ = int(row["debits"]), int(row["credits"])
            sign = 1 if row["debit_normal"] else -1
            lines.append(
                TrialLine(
                    Purpose(row["purpose"]),
                    asset,
                    row["accounts"],
                    asset.units(debits),
                    asset.units(credits_),
                    asset.units(int(row["held"])),
                    asset.units(sign * (debits - credits_)),
                )
            )
        return lines


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page ended: in the feed's order, with the balance there."""

    tx: int
    id: UUID
    units: int

    def __str__(self) -> str:
        return f"{self.tx}.{self.id.hex}.{self.units}"

    @classmethod
    def of(cls, cursor: str) -> "_Place":
        if not _PLACE.fullmatch(cursor):
            raise Invalid.field("cursor", "That cursor is not one of ours: start anew.")
        tx, id_, units = cursor.split(".")
        return cls(int(tx), UUID(id_), int(units))


def _line(ref: AccountRef, row: Row) -> StatementLine:
    return StatementLine(
        row["version"],
        row["transfer_id"],
        TransferKind(row["kind"]),
        Code(row["code"]),
        ref.asset.units(int(row["credit"]) - int(row["debit"])),
        ref.asset.units(int(row["amount"])),
        row["outward"],
        ref.asset.units(int(row["balance"])),
        ref.asset.units(int(row["held"])),
        row["booked_at"],
        Reference(row["reference_type"], row["reference_id"]),
    )


def _unversioned(ref: AccountRef, row: Row, before: int) -> StatementLine:
    change = int(row["amount"]) * (1 if row["outward"] == ref.line.debit_normal else -1)
    return StatementLine(
        0,
        row["transfer_id"],
        TransferKind(row["kind"]),
        Code(row["code"]),
        ref.asset.units(change),
        ref.asset.units(int(row["amount"])),
        row["outward"],
        ref.asset.units(before + change),
        ref.asset.units(0),
        row["booked_at"],
        Reference(row["reference_type"], row["reference_id"]),
    )


def _version(cursor: str) -> int:
    """The wire form is a plain number; isdigit() alone would let through what int() cannot read."""
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < len(str(NEWEST))):
        raise Invalid.field("cursor", "That cursor is not one of ours: start from the first page.")
    return int(cursor)
