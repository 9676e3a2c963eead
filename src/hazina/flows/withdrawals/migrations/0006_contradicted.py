"""The list of payouts that nobody knows the ending of now has those that M-Pesa contradicts."""

from alembic import op

revision = "withdrawals_0006"
down_revision = "withdrawals_0005"
branch_labels = None
depends_on = None

# The first finds what an operator lists, the second what a payout of a statement may have been.
STATEMENTS = [
    """
    CREATE INDEX withdrawal_question ON withdrawals.withdrawal (state_since, id)
        WHERE state IN ('unknown', 'contradicted')
    """,
    """
    CREATE INDEX withdrawal_failed ON withdrawals.withdrawal (amount, requested_at)
        WHERE state = 'failed'
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
