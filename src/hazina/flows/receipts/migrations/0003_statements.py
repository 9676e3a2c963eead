"""M-Pesa's own statements, as people import them: what moved, and which time is covered."""

from alembic import op

revision = "receipts_0003"
down_revision = "receipts_0002"
branch_labels = None
depends_on = None

STATEMENTS = [
    """
    CREATE TABLE receipts.statement (
        id          uuid PRIMARY KEY,
        digest      text NOT NULL UNIQUE,
        covers_from timestamptz NOT NULL,
        covers_to   timestamptz NOT NULL,
        complete    boolean NOT NULL,
        lines       integer NOT NULL,
        imported_by text NOT NULL,
        imported_at timestamptz NOT NULL,
        CHECK (covers_from < covers_to)
    )
    """,
    "CREATE INDEX statement_covers ON receipts.statement (covers_from, covers_to) WHERE complete",
    # A charge is told under its payment's own receipt.
    """
    CREATE TABLE receipts.statement_line (
        receipt      text NOT NULL,
        kind         text NOT NULL,
        inward       boolean NOT NULL,
        amount       numeric(38, 0) NOT NULL CHECK (amount > 0),
        at           timestamptz NOT NULL,
        linked       text,
        statement_id uuid NOT NULL,
        PRIMARY KEY (receipt, kind, inward, amount)
    )
    """,
    """
    CREATE INDEX statement_line_payout ON receipts.statement_line (amount, at)
        WHERE kind = 'payout'
    """,
    """
    CREATE INDEX statement_line_linked ON receipts.statement_line (linked)
        WHERE linked IS NOT NULL
    """,
    "GRANT SELECT, INSERT ON receipts.statement, receipts.statement_line TO hazina_app",
    "GRANT SELECT ON receipts.statement, receipts.statement_line TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
