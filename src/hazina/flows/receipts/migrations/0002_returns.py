"""Orders to send payments back, their events and attempts."""

from alembic import op

from hazina.infra.attempts import attempt_table
from hazina.infra.states import state_tables

revision = "receipts_0002"
down_revision = "receipts_0001"
branch_labels = None
depends_on = None

STATEMENTS = [
    """
    CREATE TABLE receipts.return_order (
        id              uuid PRIMARY KEY,
        payment_id      uuid NOT NULL,
        receipt         text NOT NULL,
        amount          numeric(38, 0) NOT NULL CHECK (amount > 0),
        token           text NOT NULL UNIQUE,
        state           text NOT NULL,
        state_since     timestamptz NOT NULL,
        ordered_at      timestamptz NOT NULL,
        next_attempt_at timestamptz,
        attempts        integer NOT NULL DEFAULT 0,
        conversation_id text,
        code            text,
        words           text
    ) WITH (fillfactor = 80)
    """,
    # A payment goes back once: a second order only after the first is known to have failed.
    """
    CREATE UNIQUE INDEX return_order_one ON receipts.return_order (payment_id)
        WHERE state <> 'failed'
    """,
    """
    CREATE INDEX return_order_due ON receipts.return_order (next_attempt_at)
        WHERE next_attempt_at IS NOT NULL
    """,
    "GRANT SELECT, INSERT ON receipts.return_order TO hazina_app",
    """
    GRANT UPDATE (state, state_since, next_attempt_at, attempts, conversation_id, code, words)
        ON receipts.return_order TO hazina_app
    """,
    """
    GRANT SELECT (id, payment_id, receipt, amount, state, state_since, ordered_at, next_attempt_at,
        attempts, conversation_id, code, words) ON receipts.return_order TO hazina_read
    """,
    *state_tables("receipts", "return_order"),
    *attempt_table("receipts", "attempt"),
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
