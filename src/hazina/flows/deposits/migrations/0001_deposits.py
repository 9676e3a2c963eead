"""Deposits, their events and attempts, and the receipts that are the one door for collections."""

from alembic import op

from hazina.infra.attempts import attempt_table
from hazina.infra.states import state_tables

revision = "deposits_0001"
down_revision = None
branch_labels = ("deposits",)
depends_on = None

STATEMENTS = [
    "CREATE SCHEMA deposits",
    "GRANT USAGE ON SCHEMA deposits TO hazina_app, hazina_read",
    """
    CREATE TABLE deposits.deposit (
        id                  uuid PRIMARY KEY,
        customer_id         uuid NOT NULL,
        amount              numeric(38, 0) NOT NULL CHECK (amount > 0),
        phone_sealed        bytea NOT NULL,
        phone_masked        text NOT NULL,
        phone_index         bytea NOT NULL,
        reference           text NOT NULL UNIQUE,
        token               text NOT NULL UNIQUE,
        purpose             text,
        purpose_id          uuid,
        limit_day           date NOT NULL,
        state               text NOT NULL,
        state_since         timestamptz NOT NULL,
        requested_at        timestamptz NOT NULL,
        next_attempt_at     timestamptz,
        attempts            integer NOT NULL DEFAULT 0,
        queries             integer NOT NULL DEFAULT 0,
        merchant_request_id text,
        checkout_request_id text UNIQUE,
        ids_from            text CHECK (ids_from IN ('response', 'callback')),
        receipt             text,
        credited            numeric(38, 0) NOT NULL DEFAULT 0,
        code                text,
        words               text,
        plan                text NOT NULL DEFAULT 'none'
            CHECK (plan IN ('none', 'due', 'booked', 'refused', 'released')),
        CHECK ((purpose IS NULL) = (purpose_id IS NULL))
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX deposit_customer ON deposits.deposit (customer_id, id DESC)",
    """
    CREATE INDEX deposit_due ON deposits.deposit (next_attempt_at)
        WHERE next_attempt_at IS NOT NULL
    """,
    """
    CREATE INDEX deposit_open_phone ON deposits.deposit (phone_index)
        WHERE state IN ('requested', 'sending', 'prompted', 'unknown')
    """,
    """
    CREATE INDEX deposit_waiting ON deposits.deposit (state, state_since)
        WHERE state IN ('unknown', 'confirmed', 'suspended')
    """,
    "CREATE INDEX deposit_plan_due ON deposits.deposit (id) WHERE plan = 'due'",
    "CREATE INDEX deposit_purpose ON deposits.deposit (purpose_id) WHERE purpose_id IS NOT NULL",
    "GRANT SELECT, INSERT ON deposits.deposit TO hazina_app",
    """
    GRANT UPDATE (state, state_since, next_attempt_at, attempts, queries, merchant_request_id,
        checkout_request_id, ids_from, receipt, credited, code, words, plan)
        ON deposits.deposit TO hazina_app
    """,
    # The reader sees neither sealed phones nor the tokens of callback addresses.
    """
    GRANT SELECT (id, customer_id, amount, phone_masked, reference, purpose, purpose_id, limit_day,
        state, state_since, requested_at, next_attempt_at, attempts, queries, merchant_request_id,
        checkout_request_id, ids_from, receipt, credited, code, words, plan)
        ON deposits.deposit TO hazina_read
    """,
    *state_tables("deposits", "deposit"),
    *attempt_table("deposits", "attempt"),
    """
    CREATE TABLE deposits.mpesa_receipt (
        receipt      text PRIMARY KEY,
        amount       numeric(38, 0) NOT NULL CHECK (amount > 0),
        deposit_id   uuid NOT NULL,
        group_id     uuid NOT NULL,
        completed_at timestamptz,
        received_at  timestamptz NOT NULL
    )
    """,
    "CREATE INDEX mpesa_receipt_group ON deposits.mpesa_receipt (group_id)",
    "GRANT SELECT, INSERT ON deposits.mpesa_receipt TO hazina_app",
    "GRANT SELECT ON deposits.mpesa_receipt TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
