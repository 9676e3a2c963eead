"""What the ledger claims about itself, as queries: each selects one line for each contradiction.

They are written from the meaning of the rows, not from the posting function, and read all of
history; ``since`` continues them from the last verdict, and ``proof`` runs either.
"""

# ruff: noqa: S608 - every part of these queries stands in this file or in sealing

from dataclasses import dataclass

from hazina.ledger.sealing import CHECKPOINTS, HEADER, LEAF, NO_BLOCK

TWO_SIDES = "debits equal credits in every asset"
OWNED = "every entry belongs to a transfer"
TWO_ENTRIES = "every transfer has its two entries, of its amount, on its accounts"
BALANCES_FOLLOW = "every balance follows from the entries before it"
HELD_FOLLOWS = "what every entry says is held follows from the holds"
COUNTERS = "every account stands where its entries say"
FLOORS = "no bounded account is below its floor, holds counted"
HOLDS = "what accounts hold is what open holds say"
LISTED = "every open hold that was sealed is on the list of open holds"
ACTS_END = "every act on a hold keeps to its accounts, its amount and its end"
GIVEN_BACK = "what was given back never passes its original, and a group is reversed whole"
CLASSES = "a group has one class, and real never meets paper"
PER_USER = "what a user was credited less debited is available, locked or pending"
BLOCKS = "every block holds what was sealed and follows from the one before"
IN_BLOCKS = "every transfer up to the last block is in its block"
CHECKPOINTS_ADD_UP = "every checkpoint is the one before and what its block moved"


@dataclass(frozen=True, slots=True)
class Question:
    """One query for one claim or several; its lines are (place among ``claims``, fault)."""

    claims: tuple[str, ...]
    sql: str

    @classmethod
    def one(cls, claim: str, sql: str, most: int) -> "Question":
        """This will ask for the lines of ``sql`` that contradict one claim, at most so many."""
        return cls((claim,), f"SELECT 0, q.* FROM ({sql} LIMIT {most}) q")


# Of account a: a new debit that went below the credit line in force. A line that is lowered or ends
# leaves what was used before as it is. Booked time runs at most a batch ahead of what was decided.
BEYOND_CREDIT = """
SELECT FROM ledger.entry e JOIN ledger.transfer t ON t.id = e.transfer_id
WHERE e.account_key = a.key AND t.debit_key = a.key AND t.kind IN ('post', 'pending')
  AND e.balance - e.held < a.floor - greatest(
      ledger.credit_at(a.key, e.booked_at),
      ledger.credit_at(a.key, e.booked_at - interval '10 milliseconds'))
"""
# What an act let go of: all that was left of its hold, unless it kept the rest.
ACTS = """
SELECT t.id, CASE WHEN t.kind = 'void_pending' OR t.keep_rest THEN t.amount
             ELSE p.amount - coalesce(sum(t.amount) OVER (
                 PARTITION BY t.pending_id ORDER BY t.pending_seq
                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) END AS released
FROM ledger.transfer t JOIN ledger.transfer p ON p.id = t.pending_id
"""
OPEN_HOLDS = """
SELECT p.id, p.debit_key, p.credit_key, p.reference_type, p.reference_id, p.tx,
       p.amount - coalesce(sum(t.amount) FILTER (WHERE t.kind = 'post_pending'), 0) AS rest
FROM ledger.transfer p LEFT JOIN ledger.transfer t ON t.pending_id = p.id
WHERE p.kind = 'pending'
GROUP BY p.id
HAVING NOT coalesce(bool_or(t.kind = 'void_pending' OR NOT t.keep_rest), false)
   AND p.amount > coalesce(sum(t.amount) FILTER (WHERE t.kind = 'post_pending'), 0)
"""
LAST_SEALED = """
coalesce((SELECT b.last_tx FROM ledger.block b ORDER BY b.number DESC LIMIT 1), '0')
"""


def listed_holds(last_tx: int) -> str:
    """The same holds by the list that sealing keeps, and what was opened after ``last_tx``, up to
    which all is sealed: a look into an index for each, however many have ended."""
    return f"""
        SELECT p.id, p.debit_key, p.credit_key, p.reference_type, p.reference_id, p.tx,
               p.amount - coalesce(x.posted, 0) AS rest
        FROM (SELECT h.id FROM ledger.open_hold h
              UNION
              SELECT n.id
              FROM (SELECT t.id, t.kind FROM ledger.transfer t
                    WHERE t.tx > '{last_tx}'::xid8 OFFSET 0) n  -- not by the index of all holds
              WHERE n.kind = 'pending') l
        CROSS JOIN LATERAL (SELECT * FROM ledger.transfer p
                            WHERE p.id = l.id AND p.kind = 'pending' OFFSET 0) p
        CROSS JOIN LATERAL (
            SELECT sum(t.amount) FILTER (WHERE t.kind = 'post_pending') AS posted,
                   bool_or(t.kind = 'void_pending' OR NOT t.keep_rest) AS ended
            FROM ledger.transfer t WHERE t.pending_id = p.id OFFSET 0) x
        WHERE x.ended IS NOT TRUE AND p.amount > coalesce(x.posted, 0)
    """


ENTRIES = """
SELECT e.account_key, e.transfer_id, e.debit, e.credit, e.booked_at FROM ledger.entry e
UNION ALL
SELECT e.account_key, e.transfer_id, e.debit, e.credit, e.booked_at FROM ledger.entry_unbounded e
"""
CLASSES_OF = """
SELECT format('group %s mixes classes', coalesce(t.group_id, t.id))
FROM {transfers} t {accounts}
GROUP BY coalesce(t.group_id, t.id)
HAVING count(DISTINCT d.class) + count(DISTINCT c.class) <> 2 OR min(d.class) <> min(c.class)
"""


ACCOUNTS_OF = """
JOIN ledger.account d ON d.key = t.debit_key JOIN ledger.account c ON c.key = t.credit_key
"""


def look_up(since: int, table: str, alias: str, by: str, *, join: str = "LEFT JOIN") -> str:
    """Joins one row of a large table by its key: for what came since a block one look-up each,
    however the statistics lag behind; for all of history in whichever way the planner finds."""
    if not since:
        return f"{join} {table} {alias} ON {by}"
    return f"{join} LATERAL (SELECT * FROM {table} {alias} WHERE {by} LIMIT 1) {alias} ON true"


def _reread(since: int) -> str:
    """Blocks as they are now: their transfers hashed again, their checkpoints digested again."""
    return f"""
        WITH leaves AS (
            SELECT q.block, q.position, q.leaf, substr(q.leaf, 1, 8) <> q.mark AS changed, q.gone,
                   lag(q.tx) OVER w > q.tx OR (lag(q.tx) OVER w = q.tx AND lag(q.id) OVER w > q.id)
                   OR lag(q.position, 1, 0) OVER w <> q.position - 1 AS misplaced
            FROM (SELECT q.block, q.position, q.mark, t.tx, t.id, t.id IS NULL AS gone,
                         {LEAF} AS leaf
                  FROM ledger.block_transfer q
                  {look_up(since, "ledger.transfer", "t", "t.id = q.transfer_id")}
                  {look_up(since, "ledger.account", "d", "d.key = t.debit_key")}
                  {look_up(since, "ledger.account", "c", "c.key = t.credit_key")}
                  WHERE q.block > {since} OFFSET 0) q  -- hashed once
            WINDOW w AS (PARTITION BY q.block ORDER BY q.position)
        ), read AS (
            SELECT l.block, count(*) AS size,
                   sha256(string_agg(l.leaf, ''::bytea ORDER BY l.position)) AS content,
                   min(l.position) FILTER (WHERE l.gone OR l.changed) AS bad,
                   min(l.position) FILTER (WHERE l.misplaced) AS misplaced
            FROM leaves l GROUP BY 1
        ), kept AS (
            SELECT k.block, {CHECKPOINTS} AS checkpoints
            FROM ledger.checkpoint k WHERE k.block > {since} GROUP BY 1
        )
    """


def blocks(since: int) -> str:
    """Recomputes every block after ``since`` from the transfers themselves, first fault first.

    A transfer that is gone or changed is named by its mark; one out of place by its neighbour. A
    block rewritten with everything in it is named by the next block, sealed over another hash.
    """
    return f"""
        {_reread(since)}, faults AS (
            SELECT coalesce(b.number, r.block) AS number, CASE
                WHEN b.number IS NULL THEN 'is gone, and its list of transfers is there'
                WHEN r.bad IS NOT NULL THEN (
                    SELECT format('transfer %s %s', q.transfer_id,
                                  CASE WHEN t.id IS NULL THEN 'is gone' ELSE 'was changed' END)
                    FROM ledger.block_transfer q LEFT JOIN ledger.transfer t ON t.id = q.transfer_id
                    WHERE q.block = r.block AND q.position = r.bad)
                WHEN r.misplaced IS NOT NULL THEN (
                    SELECT format('transfer %s is out of its place', q.transfer_id)
                    FROM ledger.block_transfer q
                    WHERE q.block = r.block AND q.position = r.misplaced)
                WHEN r.size IS DISTINCT FROM b.size THEN
                    format('%s transfers, not %s', coalesce(r.size, 0), b.size)
                WHEN r.content IS DISTINCT FROM b.content
                    THEN 'its transfers are not those that were sealed'
                WHEN coalesce(k.checkpoints, sha256('')) <> b.checkpoints
                    THEN 'its checkpoints were changed'
                WHEN {HEADER} <> b.hash THEN 'its hash is not that of what it says'
                WHEN b.previous <> p.hash THEN NULL  -- said of the one before, below
                WHEN p.number IS NULL AND b.number > 1 THEN NULL
                WHEN b.previous <> coalesce(p.hash, '\\x{NO_BLOCK.hex()}')
                     OR b.after_tx <> coalesce(p.last_tx, '0')
                     OR b.transfers <> coalesce(p.transfers, 0) + b.size
                    THEN 'it does not begin where the one before it ends'
                END AS why
            FROM ledger.block b
            FULL JOIN read r ON r.block = b.number
            LEFT JOIN ledger.block p ON p.number = b.number - 1
            LEFT JOIN kept k ON k.block = b.number
            WHERE coalesce(b.number, r.block) > {since}
            UNION ALL
            SELECT p.number, format('it was rewritten: block %s was sealed over another', b.number)
            FROM ledger.block b JOIN ledger.block p ON p.number = b.number - 1
            WHERE b.number > {since} AND b.previous <> p.hash
            UNION ALL
            SELECT b.number - 1, 'it is gone'
            FROM ledger.block b LEFT JOIN ledger.block p ON p.number = b.number - 1
            WHERE b.number > greatest({since}, 1) AND p.number IS NULL
        )
        SELECT format('block %s: %s', f.number, f.why) FROM faults f
        WHERE f.why IS NOT NULL ORDER BY f.number
    """


def in_blocks(since: int, last_tx: int = 0) -> str:
    """Each block is all transfers of its transactions: one written into sealed history later, or
    by hand below the last block, is in none. ``last_tx``: where block ``since`` ends."""
    return f"""
        SELECT format('block %s: transfer %s is of its time and not in it', f.number, f.id)
        FROM (
            SELECT t.id, (SELECT b.number FROM ledger.block b WHERE b.last_tx >= t.tx
                          ORDER BY b.last_tx LIMIT 1) AS number
            FROM ledger.transfer t
            LEFT JOIN ledger.block_transfer q ON q.transfer_id = t.id AND q.block > {since}
            LEFT JOIN ledger.block b ON b.number = q.block
            WHERE t.tx > '{last_tx}'::xid8 AND t.tx <= {LAST_SEALED}
              AND (b.number IS NULL OR t.tx <= b.after_tx OR t.tx > b.last_tx)) f
        ORDER BY f.number, f.id
    """


def checkpoints_add_up(since: int) -> str:
    """Of unbounded accounts; the one before may lie before ``since``, where it was proven."""
    return f"""
        SELECT format('block %s: the checkpoint of account %s does not follow',
                      coalesce(k.block, m.block), coalesce(k.account_key, m.key))
        FROM (SELECT k.*, p.debits AS was_debits, p.credits AS was_credits
              FROM ledger.checkpoint k
              LEFT JOIN LATERAL (SELECT p.debits, p.credits FROM ledger.checkpoint p
                                 WHERE p.account_key = k.account_key AND p.block < k.block
                                 ORDER BY p.block DESC LIMIT 1) p ON true
              WHERE k.block > {since}) k
        FULL JOIN (
            SELECT q.block, s.key, sum(s.debit) AS debit, sum(s.credit) AS credit
            FROM ledger.block_transfer q
            {look_up(since, "ledger.transfer", "t", "t.id = q.transfer_id", join="JOIN")}
            CROSS JOIN LATERAL (VALUES (t.debit_key, t.amount, 0::numeric),
                                       (t.credit_key, 0, t.amount)) s (key, debit, credit)
            {look_up(since, "ledger.account", "a", "a.key = s.key", join="JOIN")}
            WHERE q.block > {since} AND NOT a.bounded AND t.kind IN ('post', 'post_pending')
            GROUP BY 1, 2) m ON m.key = k.account_key AND m.block = k.block
        WHERE coalesce(k.block, m.block) > {since}
          AND (k.debits IS DISTINCT FROM coalesce(k.was_debits, 0) + m.debit
               OR k.credits IS DISTINCT FROM coalesce(k.was_credits, 0) + m.credit)
        ORDER BY coalesce(k.block, m.block)
    """


def holds(of: str) -> str:
    """Every bounded account, by what ``of`` says is open: all of it, or what is listed."""
    return f"""
        WITH h AS MATERIALIZED ({of}), s AS (
            SELECT u.key, sum(u.held) AS held, sum(u.incoming) AS incoming
            FROM (SELECT h.debit_key AS key, h.rest AS held, 0 AS incoming FROM h
                  UNION ALL SELECT h.credit_key, 0, h.rest FROM h) u GROUP BY 1)
        SELECT format('account %s (%s %s): held %s, open holds %s; incoming %s, open holds %s',
                      a.id, a.purpose, a.asset, a.debits_pending, coalesce(s.held, 0),
                      a.credits_pending, coalesce(s.incoming, 0))
        FROM ledger.account a LEFT JOIN s ON s.key = a.key
        WHERE a.bounded AND (a.debits_pending <> coalesce(s.held, 0)
                             OR a.credits_pending <> coalesce(s.incoming, 0))
    """


CLAIMS = {
    TWO_SIDES: f"""
        SELECT format('%s: debits %s, credits %s', a.asset, sum(e.debit), sum(e.credit))
        FROM ({ENTRIES}) e JOIN ledger.account a ON a.key = e.account_key
        GROUP BY a.asset HAVING sum(e.debit) <> sum(e.credit)
    """,
    OWNED: f"""
        SELECT format('account %s (%s %s): an entry of transfer %s, which is not there',
                      a.id, a.purpose, a.asset, e.transfer_id)
        FROM ({ENTRIES}) e
        LEFT JOIN ledger.account a ON a.key = e.account_key
        LEFT JOIN ledger.transfer t ON t.id = e.transfer_id
        WHERE t.id IS NULL OR a.key IS NULL
    """,
    TWO_ENTRIES: f"""
        SELECT format('transfer %s: %s entries, debit %s, credit %s, amount %s', q.id, q.entries,
                      q.debit, q.credit, q.amount)
        FROM (
            SELECT t.id, t.kind, t.amount, count(x.transfer_id) AS entries,
                   d.bounded::int + c.bounded::int AS bounded,
                   coalesce(sum(x.debit) FILTER (WHERE x.account_key = t.debit_key), 0) AS debit,
                   coalesce(sum(x.credit) FILTER (WHERE x.account_key = t.credit_key), 0)
                       AS credit,
                   coalesce(sum(x.debit + x.credit), 0) AS both,
                   coalesce(bool_or(x.booked_at <> t.booked_at), false)
                       OR d.asset <> t.asset OR c.asset <> t.asset AS elsewhere
            FROM ledger.transfer t
            JOIN ledger.account d ON d.key = t.debit_key
            JOIN ledger.account c ON c.key = t.credit_key
            LEFT JOIN ({ENTRIES}) x ON x.transfer_id = t.id
            GROUP BY t.id, d.key, c.key
        ) q
        WHERE q.elsewhere OR CASE WHEN q.kind IN ('post', 'post_pending')
            THEN q.entries <> 2 OR q.debit <> q.amount OR q.credit <> q.amount
                 OR q.both <> 2 * q.amount
            ELSE q.entries <> q.bounded OR q.both <> 0 END
    """,
    BALANCES_FOLLOW: """
        SELECT format('account %s version %s: balance %s does not follow', q.account_key,
                      q.version, q.balance)
        FROM (SELECT e.*, lag(e.balance, 1, 0::numeric) OVER w AS before,
                     lag(e.version, 1, 0::bigint) OVER w AS previous,
                     lag(e.booked_at, 1, '-infinity'::timestamptz) OVER w AS earlier
              FROM ledger.entry e WINDOW w AS (PARTITION BY e.account_key ORDER BY e.version)) q
        WHERE q.balance <> q.before + q.credit - q.debit OR q.version <> q.previous + 1
           OR q.booked_at <= q.earlier
    """,
    HELD_FOLLOWS: f"""
        SELECT format('account %s version %s: held %s, incoming %s do not follow', q.account_key,
                      q.version, q.held, q.incoming)
        FROM (SELECT e.*, e.held - lag(e.held, 1, 0::numeric) OVER w AS more_held,
                     e.incoming - lag(e.incoming, 1, 0::numeric) OVER w AS more_incoming
              FROM ledger.entry e WINDOW w AS (PARTITION BY e.account_key ORDER BY e.version)) q
        JOIN ledger.transfer t ON t.id = q.transfer_id
        LEFT JOIN ({ACTS}) r ON r.id = t.id
        CROSS JOIN LATERAL (SELECT CASE t.kind WHEN 'post' THEN 0 WHEN 'pending' THEN t.amount
                                   ELSE -r.released END AS change) s
        WHERE q.more_held <> CASE WHEN q.account_key = t.debit_key THEN s.change ELSE 0 END
           OR q.more_incoming <> CASE WHEN q.account_key = t.credit_key THEN s.change ELSE 0 END
    """,
    COUNTERS: """
        SELECT format('account %s (%s %s): counters %s/%s/%s, entries %s/%s/%s', a.id, a.purpose,
                      a.asset, a.credits_posted - a.debits_posted, a.debits_pending,
                      a.credits_pending, coalesce(e.balance, 0), coalesce(e.held, 0),
                      coalesce(e.incoming, 0))
        FROM ledger.account a
        LEFT JOIN ledger.entry e ON e.account_key = a.key AND e.version = a.version
        LEFT JOIN (SELECT x.account_key, sum(x.debit) AS debit, sum(x.credit) AS credit,
                          max(x.version) AS version
                   FROM ledger.entry x GROUP BY 1) s ON s.account_key = a.key
        WHERE a.credits_posted - a.debits_posted <> coalesce(e.balance, 0)
           OR a.debits_pending <> coalesce(e.held, 0)
           OR a.credits_pending <> coalesce(e.incoming, 0)
           OR a.debits_posted <> coalesce(s.debit, 0)
           OR a.credits_posted <> coalesce(s.credit, 0)
           OR a.version <> coalesce(s.version, 0)
           OR a.booked_at < coalesce(e.booked_at, '-infinity')
    """,
    FLOORS: f"""
        SELECT format('account %s (%s %s): available %s, floor %s', a.id, a.purpose, a.asset,
                      a.credits_posted - a.debits_posted - a.debits_pending, a.floor)
        FROM ledger.account a
        WHERE a.bounded
          AND (a.credits_posted - a.debits_posted - a.debits_pending < a.floor
               AND (NOT a.credit OR EXISTS ({BEYOND_CREDIT}))
               OR a.debits_pending < 0 OR a.credits_pending < 0)
    """,
    HOLDS: holds(OPEN_HOLDS),
    LISTED: f"""
        SELECT format('hold %s of %s %s', h.id, h.reference_type, h.reference_id)
        FROM ({OPEN_HOLDS}) h LEFT JOIN ledger.open_hold l ON l.id = h.id
        WHERE l.id IS NULL AND h.tx <= {LAST_SEALED}
    """,
    ACTS_END: """
        SELECT format('act %s on hold %s: number %s, %s of %s', t.id, t.pending_id,
                      t.pending_seq, t.total, p.amount)
        FROM (SELECT t.*, row_number() OVER w AS place, sum(t.amount) OVER w AS total,
                     lag(t.kind = 'void_pending' OR NOT t.keep_rest, 1, false) OVER w AS late
              FROM ledger.transfer t WHERE t.pending_id IS NOT NULL
              WINDOW w AS (PARTITION BY t.pending_id ORDER BY t.pending_seq)) t
        LEFT JOIN ledger.transfer p ON p.id = t.pending_id AND p.kind = 'pending'
        WHERE p.id IS NULL OR t.late OR t.pending_seq <> t.place OR t.total > p.amount
           OR t.debit_key <> p.debit_key OR t.credit_key <> p.credit_key
    """,
    GIVEN_BACK: """
        SELECT format('transfer %s of %s: refunded %s', o.id, o.amount, r.refunded)
        FROM (SELECT t.refund_of AS id, sum(t.amount) AS refunded,
                     bool_or(t.reverses IS NOT NULL) AS reverses, count(DISTINCT t.asset) AS assets,
                     min(t.asset) AS asset
              FROM ledger.transfer t WHERE t.refund_of IS NOT NULL GROUP BY 1) r
        JOIN ledger.transfer o ON o.id = r.id
        WHERE r.refunded > o.amount OR r.assets <> 1 OR r.asset <> o.asset
           OR o.refund_of IS NOT NULL OR o.reverses IS NOT NULL
           OR o.kind NOT IN ('post', 'post_pending')
        UNION ALL
        SELECT format('transfer %s reverses %s', t.id, t.reverses)
        FROM ledger.transfer t LEFT JOIN ledger.transfer o ON o.id = t.reverses
        WHERE t.reverses IS NOT NULL
          AND (o.id IS NULL OR o.reverses IS NOT NULL OR t.amount <> o.amount
               OR t.debit_key <> o.credit_key OR t.credit_key <> o.debit_key
               OR EXISTS (SELECT FROM ledger.transfer l
                          WHERE l.group_id = o.group_id AND l.kind IN ('post', 'post_pending')
                            AND NOT EXISTS (SELECT FROM ledger.transfer b
                                            WHERE b.reverses = l.id
                                              AND b.group_id IS NOT DISTINCT FROM t.group_id)))
    """,
    CLASSES: CLASSES_OF.format(transfers="ledger.transfer", accounts=ACCOUNTS_OF),
    PER_USER: """
        SELECT format('user %s: %s credited less debited, %s available, locked and pending',
                      a.owner_id, a.asset || ' ' || coalesce(e.net, 0), round(w.total))
        FROM ledger.account a
        JOIN (SELECT v.user_id, v.asset, v.locked, v.pending,
                     (v.available + v.locked + v.pending) * power(10::numeric, s.scale) AS total
              FROM ledger.wallet_balances v JOIN ledger.asset s ON s.code = v.asset) w
            ON w.user_id = a.owner_id AND w.asset = a.asset
        LEFT JOIN (SELECT x.account_key, sum(x.credit - x.debit) AS net
                   FROM ledger.entry x GROUP BY 1) e ON e.account_key = a.key
        WHERE a.purpose = 'wallet'
          AND (w.total <> coalesce(e.net, 0) OR w.locked < 0 OR w.pending < 0)
    """,
    BLOCKS: blocks(0),
    IN_BLOCKS: in_blocks(0),
    CHECKPOINTS_ADD_UP: checkpoints_add_up(0),
}
