"""A claim that a payment was taken back may be put right by a better one."""

from alembic import op

revision = "receipts_0005"
down_revision = "receipts_0004"
branch_labels = None
depends_on = None

STATEMENTS = [
    """
    GRANT UPDATE (receipt, amount, heard_from, heard_at, token) ON receipts.reversal TO hazina_app
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
