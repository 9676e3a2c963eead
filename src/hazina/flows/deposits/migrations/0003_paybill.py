"""Payments to the paybill: customers' account numbers, and receipts that belong to no prompt."""

from alembic import op

revision = "deposits_0003"
down_revision = "deposits_0002"
branch_labels = None
depends_on = None

STATEMENTS = [
    """
    CREATE TABLE deposits.account_number (
        customer_id uuid PRIMARY KEY,
        number      text NOT NULL UNIQUE,
        payer_index bytea NOT NULL,
        mask_index  bytea NOT NULL,
        made_at     timestamptz NOT NULL
    )
    """,
    "CREATE INDEX account_number_payer ON deposits.account_number (payer_index)",
    "CREATE INDEX account_number_mask ON deposits.account_number (mask_index)",
    "GRANT SELECT, INSERT ON deposits.account_number TO hazina_app",
    # Up to whom every customer has a number, by the order in which they registered.
    """
    CREATE TABLE deposits.account_number_cursor (
        one  boolean PRIMARY KEY CHECK (one),
        upto uuid NOT NULL
    )
    """,
    "GRANT SELECT, INSERT, UPDATE (upto) ON deposits.account_number_cursor TO hazina_app",
    "GRANT SELECT ON deposits.account_number_cursor TO hazina_read",
    "GRANT SELECT (customer_id, number, made_at) ON deposits.account_number TO hazina_read",
    # A receipt is a prompt's or a payment's that came unasked; it opens the door once all the same.
    "ALTER TABLE deposits.mpesa_receipt ALTER COLUMN deposit_id DROP NOT NULL",
    "ALTER TABLE deposits.mpesa_receipt ADD COLUMN payment_id uuid",
    """
    ALTER TABLE deposits.mpesa_receipt ADD CONSTRAINT mpesa_receipt_of_one
        CHECK ((deposit_id IS NULL) <> (payment_id IS NULL))
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
