"""What was paid to us within the time of M-Pesa's statement is looked up by when it came."""

from alembic import op

revision = "deposits_0005"
down_revision = "deposits_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX mpesa_receipt_received ON deposits.mpesa_receipt (received_at)")


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
