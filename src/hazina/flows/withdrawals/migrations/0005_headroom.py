"""Payouts held back while M-Pesa's utility account is known to be too small."""

from alembic import op

revision = "withdrawals_0005"
down_revision = "withdrawals_0004"
branch_labels = None
depends_on = "treasury_0001"

STATEMENTS = [
    "ALTER TABLE withdrawals.withdrawal ADD COLUMN held_back text",
    "GRANT UPDATE (held_back) ON withdrawals.withdrawal TO hazina_app",
    "GRANT SELECT (held_back) ON withdrawals.withdrawal TO hazina_read",
    "CREATE INDEX attempt_started ON withdrawals.attempt (started_at)",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
