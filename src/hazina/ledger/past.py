"""What an account was worth: at a version, at a booked time, at an effective time.

Bounded accounts answer from an index, one look each. Unbounded ones from the last checkpoint that
lies wholly before the moment, plus its tail: the few blocks that reach across the moment, and what
is not sealed yet. Never a sum over history.
"""

# ruff: noqa: S608 - every part of these queries stands in this file

from dataclasses import dataclass
from datetime import datetime

from hazina.infra.db import Row
from hazina.kernel.errors import Invalid, NotFound
from hazina.kernel.money import Money
from hazina.ledger.chart import AccountRef
from hazina.ledger.sealing import LATE_S
from hazina.ledger.service import Reader

# An owned account is found by its unique key; one of the house's own has no owner.
OWNED_KEY = "SELECT a.key FROM ledger.account a WHERE a.owner_id = $1 AND a.asset = $2"
OWNED = f"({OWNED_KEY} AND a.purpose = $3)"
OURS = "a.owner_id IS NULL AND a.asset = $1 AND a.purpose = $2"
ENTRY = "SELECT e.version, e.balance, e.held, e.incoming, e.booked_at FROM ledger.entry e"

AT_VERSION = f"{ENTRY} WHERE e.account_key = {OWNED} AND e.version = $4"
AT_BOOKED = f"""
SELECT e.* FROM (
    SELECT a.key, ledger.version_at(a.key, a.version, a.created_at, a.booked_at, $4) AS version
    FROM ledger.account a
    WHERE a.owner_id = $1 AND a.asset = $2 AND a.purpose = $3 OFFSET 0) v
CROSS JOIN LATERAL ({ENTRY} WHERE e.account_key = v.key AND e.version = v.version OFFSET 0) e
"""
# Before a moment is at the microsecond before it: the finest there is.
AT_BEFORE = AT_BOOKED.replace("$4", "($4::timestamptz - interval '1 microsecond')")
LATEST = f"{ENTRY} WHERE e.account_key = {OWNED} ORDER BY e.version DESC LIMIT 1"

MOVED = "t.kind IN ('post', 'post_pending')"
# What counts at {at} though it was booked after it, less what was booked by then and counts later.
# {key} is the account's; only transfers whose two times differ are in these indexes.
LINE_SIDES = """
SELECT coalesce(sum(q.sign * q.debit), 0) AS debit, coalesce(sum(q.sign * q.credit), 0) AS credit
FROM (
    SELECT CASE WHEN t.effective_at <= {at} THEN 1 ELSE -1 END AS sign, t.amount AS debit,
           0::numeric AS credit
    FROM ledger.transfer t
    WHERE t.debit_key = {key} AND t.booked_at <> t.effective_at
      AND t.kind IN ('post', 'post_pending')
      AND (t.effective_at <= {at}) <> (t.booked_at <= {at})
    UNION ALL
    SELECT CASE WHEN t.effective_at <= {at} THEN 1 ELSE -1 END, 0, t.amount
    FROM ledger.transfer t
    WHERE t.credit_key = {key} AND t.booked_at <> t.effective_at
      AND t.kind IN ('post', 'post_pending')
      AND (t.effective_at <= {at}) <> (t.booked_at <= {at})
) q
"""
CORRECTION = LINE_SIDES.format(key=OWNED, at="$4::timestamptz")

# base: the last block before whose end nothing was booked after {at}. ranges: the transactions
# that base does not answer for and that may hold something booked by then.
RANGES = f"""
base AS MATERIALIZED (
    SELECT b.number FROM ledger.block b WHERE b.reach {{than}} {{at}}
    ORDER BY b.reach DESC, b.number DESC LIMIT 1
), near AS MATERIALIZED (
    SELECT b.number FROM ledger.block b WHERE b.reach <= {{at}} + interval '{LATE_S} seconds'
    ORDER BY b.reach DESC, b.number DESC LIMIT 1
), ranges AS MATERIALIZED (
    SELECT b.after_tx, b.last_tx FROM ledger.block b
    WHERE b.number > coalesce((SELECT number FROM base), 0)
      AND b.number <= coalesce((SELECT number FROM near), 0) + 1 AND b.booked_from {{than}} {{at}}
    UNION
    SELECT b.after_tx, b.last_tx FROM ledger.block b
    WHERE b.late AND b.booked_from {{than}} {{at}}
      AND b.number > coalesce((SELECT number FROM base), 0)
    UNION
    SELECT coalesce((SELECT b.last_tx FROM ledger.block b ORDER BY b.number DESC LIMIT 1), '0'),
           '18446744073709551615'::xid8
)
"""
TAIL = f"""
SELECT s.key, sum(s.debit) AS debit, sum(s.credit) AS credit
FROM ranges r
JOIN ledger.transfer t ON t.tx > r.after_tx AND t.tx <= r.last_tx
CROSS JOIN LATERAL (VALUES (t.debit_key, t.amount, 0::numeric),
                           (t.credit_key, 0::numeric, t.amount)) s (key, debit, credit)
WHERE {MOVED} AND t.booked_at {{than}} {{at}}
GROUP BY s.key
"""
CHECKPOINT = """
SELECT k.debits, k.credits FROM ledger.checkpoint k
WHERE k.account_key = a.key AND k.block <= (SELECT number FROM base)
ORDER BY k.block DESC LIMIT 1
"""
# $3 a moment; NULL is now.
_WHEN = "coalesce($3::timestamptz, 'infinity')"


def _unbounded(than: str, correction: str) -> str:
    return f"""
WITH {RANGES.format(than=than, at=_WHEN)}
SELECT coalesce(k.debits, 0) + coalesce(s.debit, 0) + f.debit AS debits,
       coalesce(k.credits, 0) + coalesce(s.credit, 0) + f.credit AS credits
FROM ledger.account a
LEFT JOIN LATERAL ({CHECKPOINT}) k ON true
CROSS JOIN LATERAL (
    SELECT sum(t.amount) FILTER (WHERE t.debit_key = a.key) AS debit,
           sum(t.amount) FILTER (WHERE t.credit_key = a.key) AS credit
    FROM ranges r JOIN ledger.transfer t ON t.tx > r.after_tx AND t.tx <= r.last_tx
    WHERE {MOVED} AND t.booked_at {than} {_WHEN} AND a.key IN (t.debit_key, t.credit_key)) s
CROSS JOIN LATERAL ({correction}) f
WHERE {OURS}
"""


_NOTHING = "SELECT 0 AS debit, 0 AS credit"
UNBOUNDED = _unbounded("<=", _NOTHING)
UNBOUNDED_BEFORE = _unbounded("<", _NOTHING)
UNBOUNDED_EFFECTIVE = _unbounded("<=", LINE_SIDES.format(key="a.key", at=_WHEN))


class NoSuchVersion(NotFound):
    """An account has no line of that number."""

    code = "version_not_found"
    message = "That account has no line of that number."


@dataclass(frozen=True, slots=True)
class PastBalance:
    """``posted`` is on the account's own side: positive is normal. The rest is known of bounded
    accounts only, and not of an effective time: holds and versions exist when they are booked."""

    posted: Money
    held: Money | None = None
    incoming: Money | None = None
    version: int | None = None
    booked_at: datetime | None = None


async def balance_at(
    reader: Reader,
    ref: AccountRef,
    *,
    version: int | None = None,
    booked: datetime | None = None,
    effective: datetime | None = None,
) -> PastBalance:
    """What an account was worth after ``version``, at ``booked``, or at ``effective``; now where
    none is named. Times are inclusive.

    Raises: NoSuchVersion; Invalid where two are named, or a version of an unbounded account.
    """
    if sum(given is not None for given in (version, booked, effective)) > 1:
        raise Invalid.field("at", "Name a version, a booked or an effective time, not several.")
    if not ref.line.bounded:
        if version is not None:
            raise Invalid.field("version", "The house's own accounts have no versions.")
        sql = UNBOUNDED if effective is None else UNBOUNDED_EFFECTIVE
        return await _unbounded_at(reader, ref, sql, booked or effective)
    name = (ref.owner, ref.asset.code, ref.purpose.value)
    if version is not None:
        rows = await reader.fetch(AT_VERSION, *name, version)
        if not rows and version != 0:
            raise NoSuchVersion
        return _past(ref, rows)
    if booked is None and effective is None:
        return _past(ref, await reader.fetch(LATEST, *name))
    found = _past(ref, await reader.fetch(AT_BOOKED, *name, booked or effective))
    if effective is None:
        return found
    moved = (await reader.fetch(CORRECTION, *name, effective))[0]
    return PastBalance(found.posted + ref.asset.units(int(moved["credit"]) - int(moved["debit"])))


async def balance_before(reader: Reader, ref: AccountRef, moment: datetime) -> PastBalance:
    """What an account was worth just before a booked time."""
    if not ref.line.bounded:
        return await _unbounded_at(reader, ref, UNBOUNDED_BEFORE, moment)
    name = (ref.owner, ref.asset.code, ref.purpose.value)
    return _past(ref, await reader.fetch(AT_BEFORE, *name, moment))


async def _unbounded_at(
    reader: Reader, ref: AccountRef, sql: str, moment: datetime | None
) -> PastBalance:
    asked, args = of_owner(sql, ref, ref.asset.code, ref.purpose.value, moment)
    rows = await reader.fetch(asked, *args)
    if not rows:
        return PastBalance(ref.asset.units(0))
    debits, credits_ = int(rows[0]["debits"]), int(rows[0]["credits"])
    sign = 1 if ref.line.debit_normal else -1
    return PastBalance(ref.asset.units(sign * (debits - credits_)))


def of_owner(sql: str, ref: AccountRef, *args: object) -> tuple[str, tuple[object, ...]]:
    """A question about ``OURS``, asked about an unbounded account that somebody owns: a receivable,
    another institution's world. Their id is one more argument."""
    if ref.owner is None:
        return sql, args
    theirs = f"a.owner_id = ${len(args) + 1}"
    return sql.replace("a.owner_id IS NULL", theirs), (*args, ref.owner)


def _past(ref: AccountRef, rows: list[Row]) -> PastBalance:
    if not rows:
        nothing = ref.asset.units(0)
        return PastBalance(nothing, nothing, nothing, 0)
    row = rows[0]
    return PastBalance(
        ref.asset.units(int(row["balance"])),
        ref.asset.units(int(row["held"])),
        ref.asset.units(int(row["incoming"])),
        row["version"],
        row["booked_at"],
    )
