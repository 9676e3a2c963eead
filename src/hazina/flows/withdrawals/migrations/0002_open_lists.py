"""The lists of what is still open: a customer's own, and the operators' by state."""

from alembic import op

revision = "withdrawals_0002"
down_revision = "withdrawals_0001"
branch_labels = None
depends_on = None

# Small however long the history is: a row leaves both when it is settled.
STATEMENTS = [
    """
    CREATE INDEX withdrawal_open_customer ON withdrawals.withdrawal (customer_id, id)
        WHERE state NOT IN ('paid', 'failed')
    """,
    """
    CREATE INDEX withdrawal_open ON withdrawals.withdrawal (id)
        WHERE state NOT IN ('paid', 'failed')
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
