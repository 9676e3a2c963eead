"""A movement that was booked wrongly is taken back by two persons, and booked anew."""

from alembic import op

revision = "treasury_0002"
down_revision = "treasury_0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE treasury.movement
      ADD COLUMN back_group uuid,
      ADD COLUMN back_at timestamptz,
      ADD COLUMN back_asked_by text,
      ADD COLUMN back_approved_by text,
      ADD COLUMN back_reason text,
      ADD CONSTRAINT movement_back CHECK (
        num_nonnulls(back_group, back_at, back_asked_by, back_approved_by, back_reason) IN (0, 5)
        AND back_asked_by <> back_approved_by)
    """,
    # What was taken back may be booked once more under its reference, as it should have been.
    "ALTER TABLE treasury.movement DROP CONSTRAINT movement_kind_reference_key",
    """
    CREATE UNIQUE INDEX movement_reference_idx ON treasury.movement (kind, reference)
      WHERE back_group IS NULL
    """,
    """
    GRANT UPDATE (back_group, back_at, back_asked_by, back_approved_by, back_reason)
      ON treasury.movement TO hazina_app
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
