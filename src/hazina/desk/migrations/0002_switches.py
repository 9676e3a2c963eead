"""Switches that stop a rail, a direction or all writing; and the record of recoveries."""

from alembic import op

revision = "desk_0002"
down_revision = "desk_0001"
branch_labels = None
depends_on = None

STATEMENTS = [
    """
    CREATE TABLE desk.switch (
        name      text PRIMARY KEY,
        off_since timestamptz,
        by        text,
        reason    text,
        CHECK ((off_since IS NULL) = (by IS NULL)),
        CHECK ((off_since IS NULL) = (reason IS NULL))
    )
    """,
    "GRANT SELECT, INSERT, UPDATE (off_since, by, reason) ON desk.switch TO hazina_app",
    "GRANT SELECT ON desk.switch TO hazina_read",
    """
    CREATE TABLE desk.recovery (
        id          uuid PRIMARY KEY,
        copied_at   timestamptz NOT NULL,
        entered_at  timestamptz NOT NULL,
        asked       integer NOT NULL,
        released_at timestamptz,
        released_by text,
        open_left   integer,
        reason      text,
        CHECK ((released_at IS NULL) = (released_by IS NULL)),
        CHECK ((released_at IS NULL) = (open_left IS NULL))
    )
    """,
    # One at a time: who enters a second one joins the first.
    "CREATE UNIQUE INDEX recovery_open ON desk.recovery ((true)) WHERE released_at IS NULL",
    """
    GRANT SELECT, INSERT, UPDATE (released_at, released_by, open_left, reason)
        ON desk.recovery TO hazina_app
    """,
    "GRANT SELECT ON desk.recovery TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
