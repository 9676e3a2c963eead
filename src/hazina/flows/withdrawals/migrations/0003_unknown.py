"""How an unknown payout ends: how often M-Pesa was asked in vain."""

from alembic import op

revision = "withdrawals_0003"
down_revision = "withdrawals_0002"
branch_labels = None
depends_on = None

STATEMENTS = [
    "ALTER TABLE withdrawals.withdrawal ADD COLUMN not_found integer NOT NULL DEFAULT 0",
    "GRANT UPDATE (not_found) ON withdrawals.withdrawal TO hazina_app",
    "GRANT SELECT (not_found) ON withdrawals.withdrawal TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
