"""Payments that M-Pesa took back by itself: a claim first, a fact once M-Pesa agrees."""

from alembic import op

from hazina.infra.states import state_tables

revision = "receipts_0004"
down_revision = "receipts_0003"
branch_labels = None
depends_on = "debts_0001"

STATEMENTS = [
    # A payment is taken back once, and the movement that did it took back one payment.
    """
    CREATE TABLE receipts.reversal (
        id              uuid PRIMARY KEY,
        receipt         text NOT NULL UNIQUE,
        by_receipt      text UNIQUE,
        amount          numeric(38, 0) NOT NULL CHECK (amount > 0),
        heard_from      text NOT NULL CHECK (heard_from IN ('result', 'pull', 'statement')),
        heard_at        timestamptz NOT NULL,
        proven          boolean NOT NULL,
        token           text NOT NULL UNIQUE,
        state           text NOT NULL,
        state_since     timestamptz NOT NULL,
        next_attempt_at timestamptz,
        questions       integer NOT NULL DEFAULT 0,
        customer_id     uuid,
        owed            numeric(38, 0),
        group_id        uuid,
        why             text
    ) WITH (fillfactor = 80)
    """,
    """
    CREATE INDEX reversal_due ON receipts.reversal (next_attempt_at)
        WHERE next_attempt_at IS NOT NULL
    """,
    "CREATE INDEX reversal_open ON receipts.reversal (state_since, id) WHERE state = 'claimed'",
    "GRANT SELECT, INSERT ON receipts.reversal TO hazina_app",
    """
    GRANT UPDATE (by_receipt, proven, state, state_since, next_attempt_at, questions, customer_id,
        owed, group_id, why) ON receipts.reversal TO hazina_app
    """,
    """
    GRANT SELECT (id, receipt, by_receipt, amount, heard_from, heard_at, proven, state, state_since,
        next_attempt_at, questions, customer_id, owed, group_id, why)
        ON receipts.reversal TO hazina_read
    """,
    *state_tables("receipts", "reversal"),
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
