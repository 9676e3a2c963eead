"""Payments that came unasked, the questions about them, and how far M-Pesa's list was read."""

from alembic import op

from hazina.infra.states import state_tables

revision = "receipts_0001"
down_revision = None
branch_labels = ("receipts",)
depends_on = "deposits_0003"

STATEMENTS = [
    "CREATE SCHEMA receipts",
    "GRANT USAGE ON SCHEMA receipts TO hazina_app, hazina_read",
    """
    CREATE TABLE receipts.payment (
        id              uuid PRIMARY KEY,
        receipt         text NOT NULL UNIQUE,
        amount          numeric(38, 0) NOT NULL CHECK (amount > 0),
        account         text NOT NULL,
        payer_index     bytea,
        payer_shown     text NOT NULL,
        paid_at         timestamptz,
        heard_at        timestamptz NOT NULL,
        heard_from      text NOT NULL CHECK (heard_from IN ('notice', 'pull', 'statement')),
        trusted         boolean NOT NULL,
        state           text NOT NULL,
        state_since     timestamptz NOT NULL,
        next_attempt_at timestamptz,
        questions       integer NOT NULL DEFAULT 0,
        not_found       integer NOT NULL DEFAULT 0,
        customer_id     uuid,
        suggested_id    uuid,
        deposit_id      uuid,
        group_id        uuid,
        why             text
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX payment_customer ON receipts.payment (customer_id, id DESC)",
    """
    CREATE INDEX payment_due ON receipts.payment (next_attempt_at)
        WHERE next_attempt_at IS NOT NULL
    """,
    """
    CREATE INDEX payment_open ON receipts.payment (state_since, id)
        WHERE state IN ('incoming', 'suspended', 'returning')
    """,
    "GRANT SELECT, INSERT ON receipts.payment TO hazina_app",
    """
    GRANT UPDATE (amount, account, payer_index, payer_shown, paid_at, heard_from, trusted, state,
        state_since, next_attempt_at, questions, not_found, customer_id, suggested_id, deposit_id,
        group_id, why) ON receipts.payment TO hazina_app
    """,
    """
    GRANT SELECT (id, receipt, amount, account, payer_shown, paid_at, heard_at, heard_from, trusted,
        state, state_since, next_attempt_at, questions, not_found, customer_id, suggested_id,
        deposit_id, group_id, why) ON receipts.payment TO hazina_read
    """,
    *state_tables("receipts", "payment"),
    """
    CREATE TABLE receipts.question (
        token      text PRIMARY KEY,
        payment_id uuid NOT NULL,
        asked_at   timestamptz NOT NULL
    )
    """,
    "CREATE INDEX question_payment ON receipts.question (payment_id)",
    "GRANT SELECT, INSERT ON receipts.question TO hazina_app",
    "GRANT SELECT (payment_id, asked_at) ON receipts.question TO hazina_read",
    # M-Pesa's own list was read without a gap up to this moment, for each shortcode.
    """
    CREATE TABLE receipts.pulled (
        shortcode text PRIMARY KEY,
        read_to   timestamptz NOT NULL,
        read_at   timestamptz NOT NULL
    )
    """,
    "GRANT SELECT, INSERT, UPDATE (read_to, read_at) ON receipts.pulled TO hazina_app",
    "GRANT SELECT ON receipts.pulled TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
