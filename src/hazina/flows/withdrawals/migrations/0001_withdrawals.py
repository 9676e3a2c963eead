"""Withdrawals, their events and attempts, and the questions asked about them."""

from alembic import op

from hazina.infra.attempts import attempt_table
from hazina.infra.states import state_tables

revision = "withdrawals_0001"
down_revision = None
branch_labels = ("withdrawals",)
depends_on = None

STATEMENTS = [
    "CREATE SCHEMA withdrawals",
    "GRANT USAGE ON SCHEMA withdrawals TO hazina_app, hazina_read",
    """
    CREATE TABLE withdrawals.withdrawal (
        id              uuid PRIMARY KEY,
        customer_id     uuid NOT NULL,
        amount          numeric(38, 0) NOT NULL CHECK (amount > 0),
        fee             numeric(38, 0) NOT NULL CHECK (fee >= 0),
        excise          numeric(38, 0) NOT NULL CHECK (excise >= 0),
        phone_sealed    bytea NOT NULL,
        phone_masked    text NOT NULL,
        token           text NOT NULL UNIQUE,
        purpose         text,
        purpose_id      uuid,
        limit_day       date NOT NULL,
        hold_id         uuid,
        fee_hold_id     uuid,
        excise_hold_id  uuid,
        group_id        uuid,
        state           text NOT NULL,
        state_since     timestamptz NOT NULL,
        requested_at    timestamptz NOT NULL,
        next_attempt_at timestamptz,
        attempts        integer NOT NULL DEFAULT 0,
        questions       integer NOT NULL DEFAULT 0,
        conversation_id text,
        receipt         text UNIQUE,
        code            text,
        words           text,
        CHECK ((purpose IS NULL) = (purpose_id IS NULL)),
        CHECK ((purpose IS NULL) = (hold_id IS NOT NULL))
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX withdrawal_customer ON withdrawals.withdrawal (customer_id, id DESC)",
    """
    CREATE INDEX withdrawal_due ON withdrawals.withdrawal (next_attempt_at)
        WHERE next_attempt_at IS NOT NULL
    """,
    """
    CREATE INDEX withdrawal_waiting ON withdrawals.withdrawal (state, state_since)
        WHERE state IN ('held', 'sending', 'sent', 'unknown')
    """,
    """
    CREATE INDEX withdrawal_purpose ON withdrawals.withdrawal (purpose_id)
        WHERE purpose_id IS NOT NULL
    """,
    "GRANT SELECT, INSERT ON withdrawals.withdrawal TO hazina_app",
    """
    GRANT UPDATE (state, state_since, next_attempt_at, attempts, questions, conversation_id,
        receipt, code, words, group_id) ON withdrawals.withdrawal TO hazina_app
    """,
    # The reader sees neither sealed phones nor the tokens of callback addresses.
    """
    GRANT SELECT (id, customer_id, amount, fee, excise, phone_masked, purpose, purpose_id,
        limit_day, hold_id, fee_hold_id, excise_hold_id, group_id, state, state_since,
        requested_at, next_attempt_at, attempts, questions, conversation_id, receipt, code, words)
        ON withdrawals.withdrawal TO hazina_read
    """,
    *state_tables("withdrawals", "withdrawal"),
    *attempt_table("withdrawals", "attempt"),
    """
    CREATE TABLE withdrawals.question (
        token         text PRIMARY KEY,
        withdrawal_id uuid NOT NULL,
        asked_at      timestamptz NOT NULL
    )
    """,
    "CREATE INDEX question_withdrawal ON withdrawals.question (withdrawal_id)",
    "GRANT SELECT, INSERT ON withdrawals.question TO hazina_app",
    "GRANT SELECT (withdrawal_id, asked_at) ON withdrawals.question TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
