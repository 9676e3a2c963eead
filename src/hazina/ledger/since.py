"""The claims again, for what happened since the last verdict: proven once, then only continued.

Each says why it is enough to look at what is new: by induction from a verdict that held. What was
written *into* proven history afterwards is not seen here but by ``verify --full``, by heads kept
outside, and, for the blocks themselves, by the hash that the verdict remembers.

What is new are the transfers of transactions after the verdict's block, sealed or not, the accounts
that moved since the first of them was booked, and their entries from that moment on.
"""

# ruff: noqa: S608 - every part of these queries stands in this file

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.infra.db import Tx
from hazina.ledger.claims import (
    ACTS_END,
    BALANCES_FOLLOW,
    BLOCKS,
    CHECKPOINTS_ADD_UP,
    CLAIMS,
    CLASSES,
    CLASSES_OF,
    COUNTERS,
    FLOORS,
    GIVEN_BACK,
    HELD_FOLLOWS,
    HOLDS,
    IN_BLOCKS,
    OWNED,
    PER_USER,
    TWO_ENTRIES,
    TWO_SIDES,
    blocks,
    checkpoints_add_up,
    in_blocks,
    look_up,
)  # fmt: skip

WINDOW = """
SELECT b.hash, b.last_tx, (SELECT min(t.booked_at) FROM ledger.transfer t WHERE t.tx > b.last_tx)
    AS booked_from
FROM ledger.block b WHERE b.number = $1
"""


@dataclass(frozen=True, slots=True)
class Since:
    """Where the last verdict that held left off."""

    block: int
    last_tx: int
    booked_from: datetime | None  # None: nothing was booked since

    @property
    def transfers(self) -> str:
        # OFFSET 0: planned by itself, through the index of transactions. Before PostgreSQL 18 the
        # price of a forced look-up beside it makes every other price look alike.
        return f"(SELECT * FROM ledger.transfer WHERE tx > '{self.last_tx}'::xid8 OFFSET 0)"

    @property
    def moment(self) -> str:
        if self.booked_from is None:
            return "'infinity'::timestamptz"
        return f"'{self.booked_from.isoformat()}'::timestamptz"

    @property
    def first_id(self) -> UUID:
        """Ids begin with the time at which they were made; an hour's grace for slow callers."""
        if self.booked_from is None:
            return UUID(int=2**128 - 1)
        moment = max(int(self.booked_from.timestamp()) - 3600, 0) * 1000
        return UUID(int=moment << 80)


async def find_window(tx: Tx, block: int) -> Since | None:
    """The window after ``block``; None where that block is gone."""
    row = await tx.fetchrow(WINDOW, block)
    return None if row is None else Since(block, int(row["last_tx"]), row["booked_from"])


# What an act let go of, its hold's earlier acts by their number: however old, an index look-up.
RELEASED = """
SELECT CASE WHEN t.kind = 'void_pending' OR t.keep_rest THEN t.amount
       ELSE p.amount - coalesce((SELECT sum(x.amount) FROM ledger.transfer x
                                 WHERE x.pending_id = t.pending_id
                                   AND x.pending_seq < t.pending_seq), 0) END AS released
FROM ledger.transfer p WHERE p.id = t.pending_id
"""
# Through the index of holds by account; only asked where an account holds something.
OPEN_HOLDS_OF = """
SELECT coalesce(sum(p.amount - coalesce(x.posted, 0)), 0) AS amount
FROM ledger.transfer p
LEFT JOIN LATERAL (SELECT sum(t.amount) FILTER (WHERE t.kind = 'post_pending') AS posted,
                          bool_or(t.kind = 'void_pending' OR NOT t.keep_rest) AS ended
                   FROM ledger.transfer t WHERE t.pending_id = p.id) x ON true
WHERE p.kind = 'pending' AND p.debit_key = a.key AND x.ended IS NOT TRUE
"""


def _old(table: str, alias: str, by: str, *, join: str = "LEFT JOIN") -> str:
    """One row of any age, by its key."""
    return look_up(1, table, alias, by, join=join)


def claims_since(since: Since) -> dict[str, str]:
    """The claims with the queries that continue them; a claim not named here is implied."""
    moved = f"(SELECT a.* FROM ledger.account a WHERE a.bounded AND a.booked_at >= {since.moment})"
    entries = f"""(SELECT e.* FROM {moved} a CROSS JOIN LATERAL (
        SELECT x.* FROM ledger.entry x WHERE x.account_key = a.key AND x.booked_at >= {since.moment}
          AND x.version >= ledger.version_near(a.key, a.version, {since.moment}) OFFSET 0) e)"""
    both = f"""(SELECT e.account_key, e.transfer_id, e.debit, e.credit, e.booked_at FROM {entries} e
        UNION ALL
        SELECT u.account_key, u.transfer_id, u.debit, u.credit, u.booked_at
        FROM {since.transfers} n CROSS JOIN LATERAL (
            SELECT u.* FROM ledger.entry_unbounded u
            WHERE u.account_key IN (n.debit_key, n.credit_key) AND u.transfer_id = n.id
            OFFSET 0) u)"""
    return {
        TWO_SIDES: _two_sides(since, both),
        OWNED: _owned(since, entries),
        TWO_ENTRIES: _two_entries(since, both),
        BALANCES_FOLLOW: _balances_follow(entries),
        HELD_FOLLOWS: _held_follows(entries),
        COUNTERS: _counters(moved),
        FLOORS: _floors(moved),
        HOLDS: _holds(moved),
        ACTS_END: _acts(since),
        GIVEN_BACK: CLAIMS[GIVEN_BACK],  # indexes of what is given back: few rows, read in full
        CLASSES: _classes(since),
        PER_USER: _per_user(moved),
        BLOCKS: blocks(since.block),
        IN_BLOCKS: in_blocks(since.block),
        CHECKPOINTS_ADD_UP: checkpoints_add_up(since.block),
    }


# An entry is a transfer's where it stands on one of its accounts, at its time.
IS_ITS_OWN = """
e.transfer_id = t.id AND e.booked_at = t.booked_at AND e.account_key IN (t.debit_key, t.credit_key)
"""


def _two_sides(since: Since, entries: str) -> str:
    """Sums that were equal stay equal when what is added is equal."""
    return f"""
        SELECT format('%s: debits %s, credits %s', t.asset, sum(e.debit), sum(e.credit))
        FROM {since.transfers} t JOIN {entries} e ON {IS_ITS_OWN}
        GROUP BY t.asset HAVING sum(e.debit) <> sum(e.credit)
    """


def _owned(since: Since, entries: str) -> str:
    """A new entry is at the end of an account that moved, or, on an unbounded account, has a new
    id. One forged with an old id there is seen in full only."""
    of_it = "e.account_key IN (t.debit_key, t.credit_key)"
    return f"""
        SELECT format('account %s (%s %s): an entry of transfer %s, which is not there',
                      a.id, a.purpose, a.asset, e.transfer_id)
        FROM (
            SELECT x.account_key, x.transfer_id FROM {entries} x
            UNION ALL
            SELECT x.account_key, x.transfer_id FROM ledger.account k
            CROSS JOIN LATERAL (
                SELECT x.* FROM ledger.entry_unbounded x
                WHERE x.account_key = k.key AND x.transfer_id >= '{since.first_id}' OFFSET 0) x
            WHERE NOT k.bounded) e
        {_old("ledger.transfer", "t", f"t.id = e.transfer_id AND {of_it}")}
        {_old("ledger.account", "a", "a.key = e.account_key")}
        WHERE t.id IS NULL
    """


def _two_entries(since: Since, entries: str) -> str:
    """Transfers are never changed: an old one that had its entries has them."""
    return f"""
        SELECT format('transfer %s: %s entries, debit %s, credit %s, amount %s', t.id, t.entries,
                      t.debit, t.credit, t.amount)
        FROM (
            SELECT t.id, t.kind, t.amount, t.asset, t.debit_key, t.credit_key,
                   count(e.transfer_id) AS entries, coalesce(sum(e.debit + e.credit), 0) AS both,
                   coalesce(sum(e.debit) FILTER (WHERE e.account_key = t.debit_key), 0) AS debit,
                   coalesce(sum(e.credit) FILTER (WHERE e.account_key = t.credit_key), 0) AS credit
            FROM {since.transfers} t LEFT JOIN {entries} e ON {IS_ITS_OWN}
            GROUP BY 1, 2, 3, 4, 5, 6) t
        {_old("ledger.account", "d", "d.key = t.debit_key", join="JOIN")}
        {_old("ledger.account", "c", "c.key = t.credit_key", join="JOIN")}
        WHERE d.asset <> t.asset OR c.asset <> t.asset
           OR CASE WHEN t.kind IN ('post', 'post_pending')
              THEN t.entries <> 2 OR t.debit <> t.amount OR t.credit <> t.amount
                   OR t.both <> 2 * t.amount
              ELSE t.entries <> d.bounded::int + c.bounded::int OR t.both <> 0 END
    """


# The entry before, by its number: for the first new one it is the last that was proven.
PREVIOUS = _old("ledger.entry", "p", "p.account_key = e.account_key AND p.version = e.version - 1")


def _balances_follow(entries: str) -> str:
    """An account's last proven balance is right, and each new entry follows from its neighbour."""
    return f"""
        SELECT format('account %s version %s: balance %s does not follow', e.account_key,
                      e.version, e.balance)
        FROM {entries} e {PREVIOUS}
        WHERE e.balance <> coalesce(p.balance, 0) + e.credit - e.debit
           OR (p.version IS NULL AND e.version <> 1) OR e.booked_at <= p.booked_at
    """


def _held_follows(entries: str) -> str:
    """As for balances; the acts of a hold are few and found by its id, however old it is."""
    return f"""
        SELECT format('account %s version %s: held %s, incoming %s do not follow', e.account_key,
                      e.version, e.held, e.incoming)
        FROM {entries} e {PREVIOUS}
        {_old("ledger.transfer", "t", "t.id = e.transfer_id", join="JOIN")}
        LEFT JOIN LATERAL ({RELEASED}) r ON true
        CROSS JOIN LATERAL (SELECT CASE t.kind WHEN 'post' THEN 0 WHEN 'pending' THEN t.amount
                                   ELSE -r.released END AS change) s
        WHERE e.held - coalesce(p.held, 0)
                  <> CASE WHEN e.account_key = t.debit_key THEN s.change ELSE 0 END
           OR e.incoming - coalesce(p.incoming, 0)
                  <> CASE WHEN e.account_key = t.credit_key THEN s.change ELSE 0 END
    """


def _counters(moved: str) -> str:
    """An account that did not move stands where it stood. Debits and credits raised alike keep the
    balance: that is seen in full only, from the sum of all entries."""
    return f"""
        SELECT format('account %s (%s %s): counters %s/%s/%s, entries %s/%s/%s', a.id, a.purpose,
                      a.asset, a.credits_posted - a.debits_posted, a.debits_pending,
                      a.credits_pending, coalesce(e.balance, 0), coalesce(e.held, 0),
                      coalesce(e.incoming, 0))
        FROM {moved} a
        LEFT JOIN LATERAL (SELECT * FROM ledger.entry x WHERE x.account_key = a.key
                           ORDER BY x.version DESC LIMIT 1) e ON true
        WHERE a.credits_posted - a.debits_posted <> coalesce(e.balance, 0)
           OR a.debits_pending <> coalesce(e.held, 0)
           OR a.credits_pending <> coalesce(e.incoming, 0)
           OR a.version <> coalesce(e.version, 0)
           OR a.booked_at < coalesce(e.booked_at, '-infinity')
    """


def _floors(moved: str) -> str:
    """Only a move or the owner's hand changes what is available or the floor; the owner's hand is
    seen where the account moves next, and in full. So is a debit beyond the credit of its time:
    here the most that was ever granted is the limit."""
    return f"""
        SELECT format('account %s (%s %s): available %s, floor %s', a.id, a.purpose, a.asset,
                      a.credits_posted - a.debits_posted - a.debits_pending, a.floor)
        FROM {moved} a
        WHERE a.credits_posted - a.debits_posted - a.debits_pending < a.floor - CASE
                  WHEN a.credit THEN (SELECT coalesce(max(l.amount), 0) FROM ledger.credit_line l
                                      WHERE l.account_key = a.key) ELSE 0 END
           OR a.debits_pending < 0 OR a.credits_pending < 0
    """


def _holds(moved: str) -> str:
    """Holds are only opened and ended by acts, and each act's entry was just compared with what it
    let go of. What is left to compare are accounts that still hold something and moved."""
    return f"""
        SELECT format('account %s (%s %s): held %s, open holds %s', a.id, a.purpose, a.asset,
                      a.debits_pending, o.amount)
        FROM {moved} a CROSS JOIN LATERAL ({OPEN_HOLDS_OF}) o
        WHERE a.debits_pending > 0 AND a.debits_pending <> o.amount
    """


def _acts(since: Since) -> str:
    """A hold nobody acted on since keeps what was proven of it."""
    return f"""
        SELECT format('act %s on hold %s: number %s, %s of %s', t.id, t.pending_id,
                      t.pending_seq, t.total, p.amount)
        FROM (SELECT t.*, row_number() OVER w AS place, sum(t.amount) OVER w AS total,
                     lag(t.kind = 'void_pending' OR NOT t.keep_rest, 1, false) OVER w AS late
              FROM (SELECT DISTINCT n.pending_id FROM {since.transfers} n
                    WHERE n.pending_id IS NOT NULL) n
              CROSS JOIN LATERAL (SELECT t.* FROM ledger.transfer t
                                  WHERE t.pending_id = n.pending_id OFFSET 0) t
              WINDOW w AS (PARTITION BY t.pending_id ORDER BY t.pending_seq)) t
        {_old("ledger.transfer", "p", "p.id = t.pending_id AND p.kind = 'pending'")}
        WHERE p.id IS NULL OR t.late OR t.pending_seq <> t.place OR t.total > p.amount
           OR t.debit_key <> p.debit_key OR t.credit_key <> p.credit_key
    """


def _classes(since: Since) -> str:
    """A group is booked in one transaction and takes no members later."""
    accounts = [
        _old("ledger.account", side, f"{side}.key = t.{key}", join="JOIN")
        for side, key in (("d", "debit_key"), ("c", "credit_key"))
    ]
    return CLASSES_OF.format(transfers=since.transfers, accounts=" ".join(accounts))


def _per_user(moved: str) -> str:
    """The last entry's balance is the sum of credits less debits, by the claim before."""
    return f"""
        SELECT format('user %s: %s credited less debited, %s available, locked and pending',
                      a.owner_id, a.asset || ' ' || coalesce(e.balance, 0), w.total)
        FROM {moved} a
        CROSS JOIN LATERAL (SELECT a.credits_posted - a.debits_posted AS total) w
        LEFT JOIN LATERAL (SELECT x.balance FROM ledger.entry x WHERE x.account_key = a.key
                           ORDER BY x.version DESC LIMIT 1) e ON true
        WHERE a.purpose = 'wallet' AND w.total <> coalesce(e.balance, 0)
    """
