"""M-Pesa's own ids of a prompt are not for reports: one of them ends in the payer's number."""

from alembic import op

revision = "deposits_0004"
down_revision = "deposits_0003"
branch_labels = None
depends_on = None

STATEMENTS = [
    """
    REVOKE SELECT (merchant_request_id, checkout_request_id) ON deposits.deposit FROM hazina_read
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
