"""The lists of what is still open: a customer's own, and the operators' by state."""

from alembic import op

revision = "deposits_0002"
down_revision = "deposits_0001"
branch_labels = None
depends_on = None

# Small however long the history is: a row leaves both when it is settled.
STATEMENTS = [
    """
    CREATE INDEX deposit_open_customer ON deposits.deposit (customer_id, id)
        WHERE state NOT IN ('paid', 'failed')
    """,
    """
    CREATE INDEX deposit_open ON deposits.deposit (id)
        WHERE state NOT IN ('paid', 'failed')
    """,
    "CREATE INDEX mpesa_receipt_deposit ON deposits.mpesa_receipt (deposit_id)",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
