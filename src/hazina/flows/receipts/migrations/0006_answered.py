"""When M-Pesa's list last had anything in it: what it hides for hours must not be read past."""

from alembic import op

revision = "receipts_0006"
down_revision = "receipts_0005"
branch_labels = None
depends_on = None

STATEMENTS = [
    "ALTER TABLE receipts.pulled ADD COLUMN answered_to timestamptz",
    "GRANT UPDATE (answered_to) ON receipts.pulled TO hazina_app",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
