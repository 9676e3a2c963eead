"""The house's own brake on an account, beside the customer's: neither lifts the other."""

from alembic import op

revision = "identity_0004"
down_revision = "identity_0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE identity.guard
      ADD COLUMN blocked_at timestamptz,
      ADD COLUMN blocked_by text,
      ADD COLUMN blocked_why text,
      ADD CONSTRAINT guard_block CHECK (
        (blocked_at IS NULL) = (blocked_by IS NULL)
        AND (blocked_at IS NULL) = (blocked_why IS NULL))
    """,
    "GRANT UPDATE (blocked_at, blocked_by, blocked_why) ON identity.guard TO hazina_app",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
