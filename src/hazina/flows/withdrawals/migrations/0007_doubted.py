"""Payouts that were booked as paid and then doubted; what was given back of them, once each."""

from alembic import op

revision = "withdrawals_0007"
down_revision = "withdrawals_0006"
branch_labels = None
depends_on = None

# The first finds what an operator lists, the second what a statement's time covers. What was given
# back keeps the group and the receipt that it had been paid under: the receipt may turn up.
STATEMENTS = [
    """
    CREATE INDEX withdrawal_unsettled ON withdrawals.withdrawal (state_since, id)
        WHERE state IN ('unknown', 'contradicted', 'doubted')
    """,
    """
    CREATE INDEX withdrawal_paid ON withdrawals.withdrawal (requested_at) WHERE state = 'paid'
    """,
    """
    CREATE TABLE withdrawals.given_back (
        paid_group    uuid PRIMARY KEY,
        group_id      uuid NOT NULL UNIQUE,
        withdrawal_id uuid NOT NULL,
        receipt       text NOT NULL,
        amount        numeric(38, 0) NOT NULL CHECK (amount > 0),
        at            timestamptz NOT NULL
    )
    """,
    "CREATE INDEX given_back_withdrawal ON withdrawals.given_back (withdrawal_id)",
    "CREATE INDEX given_back_receipt ON withdrawals.given_back (receipt)",
    "GRANT SELECT, INSERT ON withdrawals.given_back TO hazina_app",
    "GRANT SELECT ON withdrawals.given_back TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
