"""What M-Pesa's statement and our books do not both have."""

from alembic import op

revision = "receipts_0007"
down_revision = "receipts_0006"
branch_labels = None
depends_on = None

STATEMENTS = [
    """
    CREATE TABLE receipts.unmatched (
        id        uuid PRIMARY KEY,
        receipt   text NOT NULL,
        side      text NOT NULL CHECK (side IN ('ours', 'theirs')),
        amount    numeric(38, 0) NOT NULL CHECK (amount > 0),
        at        timestamptz NOT NULL,
        found_at  timestamptz NOT NULL,
        ended_at  timestamptz,
        ended_why text,
        UNIQUE (receipt, side),
        CHECK ((ended_at IS NULL) = (ended_why IS NULL))
    )
    """,
    """
    CREATE INDEX unmatched_open ON receipts.unmatched (found_at, id) WHERE ended_at IS NULL
    """,
    "GRANT SELECT, INSERT, UPDATE (ended_at, ended_why) ON receipts.unmatched TO hazina_app",
    "GRANT SELECT ON receipts.unmatched TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
