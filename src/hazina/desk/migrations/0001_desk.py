"""The desk's tables: what customers have used of their daily limits."""

from alembic import op

revision = "desk_0001"
down_revision = None
branch_labels = ("desk",)
depends_on = None

STATEMENTS = [
    "CREATE SCHEMA desk",
    """
    CREATE TABLE desk.limit_use (
        customer_id uuid NOT NULL,
        kind        text NOT NULL,
        day         date NOT NULL,
        used        numeric(38, 0) NOT NULL CHECK (used >= 0),
        PRIMARY KEY (customer_id, kind, day)
    )
    """,
    "CREATE INDEX limit_use_day ON desk.limit_use (day)",
    "GRANT USAGE ON SCHEMA desk TO hazina_app, hazina_read",
    "GRANT SELECT, INSERT, DELETE, UPDATE (used) ON desk.limit_use TO hazina_app",
    "GRANT SELECT ON desk.limit_use TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
