"""The claims again, for what happened since the last verdict: proven once, then only continued.

Each says why it is enough to look at what is new: by induction from a verdict that held. What was
written *into* proven history afterwards is not seen here but by ``verify --full``, by heads kept
outside, and, for the blocks themselves, by the hash that the verdict remembers.

What is new are the transfers of transactions after the verdict's block, sealed or not, the accounts
that moved since the first of them was booked, and their entries from that moment on. All of it is
read once (``NEW``), and judged by set: what one claim reads costs the next one nothing.
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
    CLASSES,
    CLASSES_OF,
    COUNTERS,
    FLOORS,
    GIVEN_BACK,
    HELD_FOLLOWS,
    HOLDS,
    IN_BLOCKS,
    LAST_SEALED,
    LISTED,
    OWNED,
    PER_USER,
    TWO_ENTRIES,
    TWO_SIDES,
    Question,
    blocks,
    checkpoints_add_up,
    holds,
    in_blocks,
    listed_holds,
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


# What came since, each part once:
#   n     the transfers
#   acted whose accounts they are, and how many entries each must have got from them
#   a     those accounts, all that moved since ({moment}), and all that are unbounded
#   m     of these the bounded ones that moved; first: a version before all that is new. It is the
#         last one less the new entries; where that is too late, because more was booked in those
#         seconds or was forged, it is found by halving
#   read  their entries from there on, each beside its neighbour
#   e     of these the new ones
#   u     the entries of n on unbounded accounts
#   ends  the ends of unbounded accounts, where something forged would stand
#   t     the transfers of all these entries: n, and where an entry has another one, that
NEW = """
WITH n AS MATERIALIZED (
    SELECT t.id, t.kind, t.asset, t.amount, t.debit_key, t.credit_key, t.pending_id, t.pending_seq,
           t.keep_rest, t.group_id, t.refund_of, t.reverses, t.booked_at
    FROM ledger.transfer t WHERE t.tx > '{last_tx}'::xid8
), sides AS MATERIALIZED (
    SELECT n.id, n.debit_key AS key FROM n UNION ALL SELECT n.id, n.credit_key FROM n
), acted AS MATERIALIZED (
    SELECT s.key, count(*) AS entries FROM sides s GROUP BY 1
), a AS MATERIALIZED (
    SELECT a.*, coalesce(x.entries, 0) AS entries
    FROM ledger.account a LEFT JOIN acted x ON x.key = a.key
    WHERE NOT a.bounded OR a.booked_at >= {moment} OR x.key IS NOT NULL
), m AS MATERIALIZED (
    SELECT a.*, CASE WHEN {moment} <= (SELECT x.booked_at FROM ledger.entry x
                                       WHERE x.account_key = a.key
                                         AND x.version = a.version - a.entries)
                THEN ledger.version_near(a.key, a.version, {moment})
                ELSE a.version - a.entries END AS first
    FROM a WHERE a.bounded AND a.booked_at >= {moment}
), read AS MATERIALIZED (
    SELECT x.* FROM m CROSS JOIN LATERAL (
        SELECT e.*, lag(e.version) OVER w AS previous, lag(e.balance) OVER w AS was,
               lag(e.held) OVER w AS was_held, lag(e.incoming) OVER w AS was_incoming,
               lag(e.booked_at) OVER w AS earlier, lead(e.version) OVER w IS NULL AS newest
        FROM ledger.entry e WHERE e.account_key = m.key AND e.version >= m.first
        WINDOW w AS (ORDER BY e.version) OFFSET 0) x
), e AS NOT MATERIALIZED (
    SELECT r.* FROM read r WHERE r.booked_at >= {moment}
), u AS MATERIALIZED (
    SELECT x.* FROM sides s JOIN a ON a.key = s.key AND NOT a.bounded
    CROSS JOIN LATERAL (SELECT y.* FROM ledger.entry_unbounded y
                        WHERE y.account_key = s.key AND y.transfer_id = s.id OFFSET 0) x
), ends AS MATERIALIZED (
    SELECT x.account_key, x.transfer_id FROM a CROSS JOIN LATERAL (
        SELECT y.* FROM ledger.entry_unbounded y
        WHERE y.account_key = a.key AND y.transfer_id >= '{first_id}' OFFSET 0) x
    WHERE NOT a.bounded
), owned AS MATERIALIZED (
    SELECT e.account_key, e.transfer_id FROM e
    UNION ALL SELECT x.account_key, x.transfer_id FROM ends x
), t AS MATERIALIZED (
    SELECT n.id, n.kind, n.amount, n.debit_key, n.credit_key, n.pending_id, n.pending_seq,
           n.keep_rest FROM n
    UNION ALL
    SELECT o.id, o.kind, o.amount, o.debit_key, o.credit_key, o.pending_id, o.pending_seq,
           o.keep_rest
    FROM (SELECT DISTINCT x.transfer_id FROM owned x
          WHERE NOT EXISTS (SELECT FROM n WHERE n.id = x.transfer_id)) s
    CROSS JOIN LATERAL (SELECT * FROM ledger.transfer o WHERE o.id = s.transfer_id OFFSET 0) o
), judged AS MATERIALIZED (
    SELECT n.id, n.kind, n.amount, n.asset, n.debit_key, n.credit_key,
           count(x.transfer_id) AS entries, coalesce(sum(x.debit), 0) AS debits,
           coalesce(sum(x.credit), 0) AS credits,
           coalesce(sum(x.debit) FILTER (WHERE x.account_key = n.debit_key), 0) AS debit,
           coalesce(sum(x.credit) FILTER (WHERE x.account_key = n.credit_key), 0) AS credit
    FROM n LEFT JOIN (
        SELECT e.account_key, e.transfer_id, e.debit, e.credit, e.booked_at FROM e
        UNION ALL SELECT u.account_key, u.transfer_id, u.debit, u.credit, u.booked_at FROM u) x
        -- an entry is a transfer's where it stands on one of its accounts, at its time
        ON x.transfer_id = n.id AND x.booked_at = n.booked_at
           AND x.account_key IN (n.debit_key, n.credit_key)
    GROUP BY 1, 2, 3, 4, 5, 6
)
"""
# Sums that were equal stay equal when what is added is equal.
TWO_SIDES_NEW = """
SELECT format('%s: debits %s, credits %s', j.asset, sum(j.debits), sum(j.credits))
FROM judged j GROUP BY j.asset HAVING sum(j.debits) <> sum(j.credits)
"""
# A new entry is at the end of an account that moved, or, on an unbounded account, has a new id. One
# forged with an old id there is seen in full only.
OWNED_NEW = """
SELECT format('account %s (%s %s): an entry of transfer %s, which is not there',
              a.id, a.purpose, a.asset, x.transfer_id)
FROM owned x
LEFT JOIN t ON t.id = x.transfer_id
LEFT JOIN a ON a.key = x.account_key
WHERE t.id IS NULL OR x.account_key NOT IN (t.debit_key, t.credit_key)
"""
# Transfers are never changed: an old one that had its entries has them.
TWO_ENTRIES_NEW = """
SELECT format('transfer %s: %s entries, debit %s, credit %s, amount %s', j.id, j.entries,
              j.debit, j.credit, j.amount)
FROM judged j JOIN a d ON d.key = j.debit_key JOIN a c ON c.key = j.credit_key
WHERE d.asset <> j.asset OR c.asset <> j.asset
   OR CASE WHEN j.kind IN ('post', 'post_pending')
      THEN j.entries <> 2 OR j.debit <> j.amount OR j.credit <> j.amount
           OR j.debits + j.credits <> 2 * j.amount
      ELSE j.entries <> d.bounded::int + c.bounded::int OR j.debits + j.credits <> 0 END
"""
# An account's last proven balance is right, and each new entry follows from its neighbour.
BALANCES_FOLLOW_NEW = """
SELECT format('account %s version %s: balance %s does not follow', e.account_key,
              e.version, e.balance)
FROM e
WHERE e.balance <> coalesce(e.was, 0) + e.credit - e.debit
   OR e.version <> coalesce(e.previous, 0) + 1 OR e.booked_at <= e.earlier
"""
# As for balances; what an act let go of follows from its hold and the acts before it, found by the
# hold's id and their number, however old they are.
HELD_FOLLOWS_NEW = """
SELECT format('account %s version %s: held %s, incoming %s do not follow', e.account_key,
              e.version, e.held, e.incoming)
FROM e JOIN t ON t.id = e.transfer_id
LEFT JOIN (
    SELECT t.id, r.released FROM t CROSS JOIN LATERAL (
        SELECT CASE WHEN t.kind = 'void_pending' OR t.keep_rest THEN t.amount
               ELSE p.amount - coalesce((SELECT sum(x.amount) FROM ledger.transfer x
                                         WHERE x.pending_id = t.pending_id
                                           AND x.pending_seq < t.pending_seq), 0) END AS released
        FROM ledger.transfer p WHERE p.id = t.pending_id OFFSET 0) r
    WHERE t.pending_id IS NOT NULL) r ON r.id = t.id
CROSS JOIN LATERAL (SELECT CASE t.kind WHEN 'post' THEN 0 WHEN 'pending' THEN t.amount
                           ELSE -r.released END AS change) s
WHERE e.held - coalesce(e.was_held, 0)
          <> CASE WHEN e.account_key = t.debit_key THEN s.change ELSE 0 END
   OR e.incoming - coalesce(e.was_incoming, 0)
          <> CASE WHEN e.account_key = t.credit_key THEN s.change ELSE 0 END
"""
# An account that did not move stands where it stood. Debits and credits raised alike keep the
# balance: that is seen in full only, from the sum of all entries.
COUNTERS_NEW = """
SELECT format('account %s (%s %s): counters %s/%s/%s, entries %s/%s/%s', m.id, m.purpose,
              m.asset, m.credits_posted - m.debits_posted, m.debits_pending,
              m.credits_pending, coalesce(r.balance, 0), coalesce(r.held, 0),
              coalesce(r.incoming, 0))
FROM m LEFT JOIN read r ON r.account_key = m.key AND r.newest
WHERE m.credits_posted - m.debits_posted <> coalesce(r.balance, 0)
   OR m.debits_pending <> coalesce(r.held, 0)
   OR m.credits_pending <> coalesce(r.incoming, 0)
   OR m.version <> coalesce(r.version, 0)
   OR m.booked_at < coalesce(r.booked_at, '-infinity')
"""
# Only a move or the owner's hand changes what is available or the floor; the owner's hand is seen
# where the account moves next, and in full. So is a debit beyond the credit of its time: here the
# most that was ever granted is the limit.
FLOORS_NEW = """
SELECT format('account %s (%s %s): available %s, floor %s', m.id, m.purpose, m.asset,
              m.credits_posted - m.debits_posted - m.debits_pending, m.floor)
FROM m
WHERE m.credits_posted - m.debits_posted - m.debits_pending < m.floor - CASE
          WHEN m.credit THEN (SELECT coalesce(max(l.amount), 0) FROM ledger.credit_line l
                              WHERE l.account_key = m.key) ELSE 0 END
   OR m.debits_pending < 0 OR m.credits_pending < 0
"""
# A hold nobody acted on since keeps what was proven of it.
ACTS_NEW = """
SELECT format('act %s on hold %s: number %s, %s of %s', q.id, q.pending_id,
              q.pending_seq, q.total, p.amount)
FROM (SELECT x.*, row_number() OVER w AS place, sum(x.amount) OVER w AS total,
             lag(x.kind = 'void_pending' OR NOT x.keep_rest, 1, false) OVER w AS late
      FROM (SELECT DISTINCT n.pending_id FROM n WHERE n.pending_id IS NOT NULL) n
      CROSS JOIN LATERAL (SELECT x.* FROM ledger.transfer x
                          WHERE x.pending_id = n.pending_id OFFSET 0) x
      WINDOW w AS (PARTITION BY x.pending_id ORDER BY x.pending_seq)) q
LEFT JOIN LATERAL (SELECT * FROM ledger.transfer p
                   WHERE p.id = q.pending_id AND p.kind = 'pending' LIMIT 1) p ON true
WHERE p.id IS NULL OR q.late OR q.pending_seq <> q.place OR q.total > p.amount
   OR q.debit_key <> p.debit_key OR q.credit_key <> p.credit_key
"""
# What was given back only grows, and an original is what it was.
GIVEN_BACK_NEW = """
SELECT format('transfer %s of %s: refunded %s', o.id, o.amount, r.refunded)
FROM (SELECT DISTINCT n.refund_of AS id FROM n WHERE n.refund_of IS NOT NULL) d
CROSS JOIN LATERAL (SELECT * FROM ledger.transfer o WHERE o.id = d.id OFFSET 0) o
CROSS JOIN LATERAL (SELECT sum(x.amount) AS refunded, bool_and(x.asset = o.asset) AS of_it
                    FROM ledger.transfer x WHERE x.refund_of = o.id OFFSET 0) r
WHERE r.refunded > o.amount OR NOT r.of_it OR o.refund_of IS NOT NULL OR o.reverses IS NOT NULL
   OR o.kind NOT IN ('post', 'post_pending')
UNION ALL
SELECT format('transfer %s reverses %s', n.id, n.reverses)
FROM n LEFT JOIN LATERAL (SELECT * FROM ledger.transfer o WHERE o.id = n.reverses LIMIT 1) o ON true
WHERE n.reverses IS NOT NULL
  AND (o.id IS NULL OR o.reverses IS NOT NULL OR n.amount <> o.amount
       OR n.debit_key <> o.credit_key OR n.credit_key <> o.debit_key
       OR EXISTS (SELECT FROM ledger.transfer l
                  WHERE l.group_id = o.group_id AND l.kind IN ('post', 'post_pending')
                    AND NOT EXISTS (SELECT FROM ledger.transfer b
                                    WHERE b.reverses = l.id
                                      AND b.group_id IS NOT DISTINCT FROM n.group_id)))
"""
# A group is booked in one transaction and takes no members later.
CLASSES_NEW = CLASSES_OF.format(
    transfers="n", accounts="JOIN a d ON d.key = t.debit_key JOIN a c ON c.key = t.credit_key"
)
# The last entry's balance is the sum of credits less debits, by the claim before.
PER_USER_NEW = """
SELECT format('user %s: %s credited less debited, %s available, locked and pending',
              m.owner_id, m.asset || ' ' || coalesce(r.balance, 0),
              m.credits_posted - m.debits_posted)
FROM m LEFT JOIN read r ON r.account_key = m.key AND r.newest
WHERE m.purpose = 'wallet' AND m.credits_posted - m.debits_posted <> coalesce(r.balance, 0)
"""
OF_WHAT_IS_NEW = {
    TWO_SIDES: TWO_SIDES_NEW,
    OWNED: OWNED_NEW,
    TWO_ENTRIES: TWO_ENTRIES_NEW,
    BALANCES_FOLLOW: BALANCES_FOLLOW_NEW,
    HELD_FOLLOWS: HELD_FOLLOWS_NEW,
    COUNTERS: COUNTERS_NEW,
    FLOORS: FLOORS_NEW,
    ACTS_END: ACTS_NEW,
    GIVEN_BACK: GIVEN_BACK_NEW,
    CLASSES: CLASSES_NEW,
    PER_USER: PER_USER_NEW,
}


def claims_since(since: Since, most: int) -> list[Question]:
    """The questions that continue the claims, each claim in one of them; of each claim at most
    ``most`` faults."""
    new = NEW.format(
        last_tx=since.last_tx, moment=since.moment, first_id=since.first_id
    ) + " UNION ALL ".join(
        f"(SELECT {number}, q.* FROM ({sql}) q LIMIT {most})"
        for number, sql in enumerate(OF_WHAT_IS_NEW.values())
    )
    alone = {
        # Every account, not only those that moved: what is open is on a list.
        HOLDS: holds(listed_holds(since.last_tx)),
        LISTED: _listed(since),
        BLOCKS: blocks(since.block),
        IN_BLOCKS: in_blocks(since.block, since.last_tx),
        CHECKPOINTS_ADD_UP: checkpoints_add_up(since.block),
    }
    return [
        Question(tuple(OF_WHAT_IS_NEW), new),
        *(Question.one(claim, sql, most) for claim, sql in alone.items()),
    ]


def _listed(since: Since) -> str:
    """What was sealed since and is open; what was listed before is compared with the counters."""
    return f"""
        SELECT format('hold %s of %s %s', p.id, p.reference_type, p.reference_id)
        FROM {since.transfers} p
        CROSS JOIN LATERAL (SELECT sum(t.amount) FILTER (WHERE t.kind = 'post_pending') AS posted,
                                   bool_or(t.kind = 'void_pending' OR NOT t.keep_rest) AS ended
                            FROM ledger.transfer t WHERE t.pending_id = p.id OFFSET 0) x
        LEFT JOIN ledger.open_hold l ON l.id = p.id
        WHERE p.kind = 'pending' AND p.tx <= {LAST_SEALED} AND l.id IS NULL
          AND x.ended IS NOT TRUE AND p.amount > coalesce(x.posted, 0)
    """
