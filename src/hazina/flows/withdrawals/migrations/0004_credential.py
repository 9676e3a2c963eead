"""Payouts that failed because M-Pesa refused our own credential: two in ten minutes stop all."""

from alembic import op

revision = "withdrawals_0004"
down_revision = "withdrawals_0003"
branch_labels = None
depends_on = None

STATEMENTS = [
    """
    CREATE TABLE withdrawals.credential_refusal (
        withdrawal_id uuid PRIMARY KEY,
        code          text NOT NULL,
        at            timestamptz NOT NULL
    )
    """,
    "CREATE INDEX credential_refusal_at ON withdrawals.credential_refusal (at)",
    "GRANT SELECT, INSERT ON withdrawals.credential_refusal TO hazina_app",
    "GRANT SELECT ON withdrawals.credential_refusal TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
