"""Sealing: blocks of transfers, checkpoints of unbounded accounts, verdicts of the proof; and the
views that show the ledger in the shapes of other systems."""

from alembic import op

revision = "ledger_0004"
down_revision = "ledger_0003"
branch_labels = None
depends_on = None

TABLES = [
    # A block is whole transactions: all transfers with after_tx < tx <= last_tx, in the order of
    # (tx, id). So what is sealed is one number, and what is not is one look into transfer_tx.
    # reach: the latest booked_at of this and all earlier blocks. transfers and totals count from
    # the first block on.
    """
    CREATE TABLE ledger.block (
        number      bigint PRIMARY KEY CHECK (number > 0),
        format      smallint NOT NULL,
        previous    bytea NOT NULL,
        after_tx    xid8 NOT NULL,
        last_tx     xid8 NOT NULL,
        first_id    uuid NOT NULL,
        last_id     uuid NOT NULL,
        size        integer NOT NULL CHECK (size > 0),
        transfers   bigint NOT NULL,
        totals      jsonb NOT NULL,
        booked_from timestamptz NOT NULL,
        reach       timestamptz NOT NULL,
        late        boolean NOT NULL,
        sealed_at   timestamptz NOT NULL,
        content     bytea NOT NULL,
        checkpoints bytea NOT NULL,
        hash        bytea NOT NULL CHECK (length(hash) = 32),
        CHECK (after_tx < last_tx)
    )
    """,
    "CREATE UNIQUE INDEX block_last_tx ON ledger.block (last_tx)",
    "CREATE INDEX block_reach ON ledger.block (reach, number)",
    "CREATE INDEX block_late ON ledger.block (booked_from) WHERE late",
    # mark: the first bytes of the transfer's own hash, to name the one that was changed.
    """
    CREATE TABLE ledger.block_transfer (
        block       bigint NOT NULL,
        transfer_id uuid NOT NULL,
        position    integer NOT NULL CHECK (position > 0),
        mark        bytea NOT NULL CHECK (length(mark) = 8),
        PRIMARY KEY (block, position)
    )
    """,
    # Only accounts that the block touched: what they come to at its end. Nothing limits what goes
    # through an account of the house's own, so neither may this.
    """
    CREATE TABLE ledger.checkpoint (
        account_key bigint NOT NULL,
        block       bigint NOT NULL,
        debits      numeric NOT NULL,
        credits     numeric NOT NULL,
        PRIMARY KEY (account_key, block)
    )
    """,
    "CREATE INDEX checkpoint_block ON ledger.checkpoint (block)",
    """
    CREATE TABLE ledger.verdict (
        id         uuid PRIMARY KEY,
        block      bigint NOT NULL,
        hash       bytea,
        since      bigint NOT NULL,
        claims     integer NOT NULL,
        faults     integer NOT NULL,
        decided_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX verdict_decided ON ledger.verdict (decided_at)",
    # The heads that were told outside, one for each day (UTC).
    """
    CREATE TABLE ledger.head_told (
        day     date PRIMARY KEY,
        block   bigint NOT NULL,
        told_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX transfer_tx ON ledger.transfer (tx)",
    # Few: only what was booked at one time and counts at another.
    """
    CREATE INDEX transfer_effective_debit ON ledger.transfer (debit_key, effective_at)
        WHERE booked_at <> effective_at
    """,
    """
    CREATE INDEX transfer_effective_credit ON ledger.transfer (credit_key, effective_at)
        WHERE booked_at <> effective_at
    """,
    "CREATE INDEX transfer_hold ON ledger.transfer (debit_key, id) WHERE kind = 'pending'",
]

VIEWS = [
    # pending: withdrawals under way; locked: everything else that is reserved.
    """
    CREATE VIEW ledger.wallet_balances WITH (security_invoker = true) AS
    SELECT a.owner_id AS user_id, a.asset,
           round((a.credits_posted - a.debits_posted - a.debits_pending) / s.unit, s.scale)
               AS available,
           round((a.debits_pending - h.withdrawing) / s.unit, s.scale) AS locked,
           round(h.withdrawing / s.unit, s.scale) AS pending, a.version
    FROM ledger.account a
    JOIN (SELECT code, scale::integer, power(10::numeric, scale) AS unit FROM ledger.asset) s
        ON s.code = a.asset
    CROSS JOIN LATERAL (
        SELECT CASE WHEN a.debits_pending = 0 THEN 0 ELSE (
            SELECT coalesce(sum(p.amount - coalesce(x.posted, 0)), 0)
            FROM ledger.transfer p
            LEFT JOIN LATERAL (
                SELECT sum(t.amount) FILTER (WHERE t.kind = 'post_pending') AS posted,
                       bool_or(t.kind = 'void_pending' OR NOT t.keep_rest) AS ended
                FROM ledger.transfer t WHERE t.pending_id = p.id) x ON true
            WHERE p.debit_key = a.key AND p.kind = 'pending'
              AND p.reference_type = 'withdrawal' AND x.ended IS NOT TRUE
        ) END AS withdrawing) h
    WHERE a.purpose = 'wallet'
    """,
    """
    CREATE VIEW ledger.ledger_entries WITH (security_invoker = true) AS
    SELECT md5(a.id::text || e.version)::uuid AS id, a.owner_id AS user_id, a.asset,
           upper(t.code) || CASE t.kind WHEN 'pending' THEN '_LOCK'
                                        WHEN 'void_pending' THEN '_UNLOCK' ELSE '' END
               AS entry_type,
           round(e.debit / s.unit, s.scale) AS debit, round(e.credit / s.unit, s.scale) AS credit,
           round(e.balance / s.unit, s.scale) AS balance_after, t.reference_type,
           t.reference_id::text AS reference_id, t.id::text AS idempotency_key, e.version,
           e.booked_at AS created_at
    FROM ledger.account a
    JOIN (SELECT code, scale::integer, power(10::numeric, scale) AS unit FROM ledger.asset) s
        ON s.code = a.asset
    JOIN ledger.entry e ON e.account_key = a.key
    JOIN ledger.transfer t ON t.id = e.transfer_id
    WHERE a.purpose = 'wallet'
    """,
    """
    CREATE VIEW ledger.user_balances WITH (security_invoker = true) AS
    SELECT a.id, a.owner_id AS user_id,
           round((a.credits_posted - a.debits_posted) / 1000000, 6) AS grams,
           round(a.debits_pending / 1000000, 6) AS locked_grams,
           greatest(a.created_at, a.booked_at) AS updated_at
    FROM ledger.account a WHERE a.purpose = 'wallet' AND a.asset = 'XAU'
    """,
]

ROLES = [
    """
    GRANT SELECT ON ledger.block, ledger.block_transfer, ledger.checkpoint, ledger.verdict,
        ledger.head_told, ledger.wallet_balances, ledger.ledger_entries, ledger.user_balances
        TO hazina_app, hazina_read
    """,
    """
    GRANT INSERT ON ledger.block, ledger.block_transfer, ledger.checkpoint, ledger.verdict,
        ledger.head_told
        TO hazina_app
    """,
]


def upgrade() -> None:
    for statement in [*TABLES, *VIEWS, *ROLES]:
        op.execute(statement.replace(":", "\\:"))


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
