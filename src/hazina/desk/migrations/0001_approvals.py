"""Acts that two persons must agree on."""  # tidy: allow migration — a branch of its own

from alembic import op

revision = "approvals_0001"
down_revision = None
branch_labels = ("approvals",)
depends_on = "desk_0002"

STATEMENTS = [
    """
    CREATE TABLE desk.approval (
        id            uuid PRIMARY KEY,
        act           text NOT NULL,
        subject       uuid NOT NULL,
        facts         jsonb NOT NULL,
        summary       text NOT NULL,
        reason        text NOT NULL,
        asked_by      uuid NOT NULL,
        asked_by_name text NOT NULL,
        asked_at      timestamptz NOT NULL,
        state         text NOT NULL DEFAULT 'open'
            CHECK (state IN ('open', 'approved', 'rejected')),
        decided_by      uuid,
        decided_by_name text,
        decided_at      timestamptz,
        answer          text,
        CHECK ((state = 'open') = (decided_by IS NULL)),
        CHECK ((state = 'open') = (decided_at IS NULL)),
        -- What the code checks in words holds without it too.
        CONSTRAINT approval_two_persons CHECK (state <> 'approved' OR decided_by <> asked_by)
    )
    """,
    """
    CREATE UNIQUE INDEX approval_open ON desk.approval (subject) WHERE state = 'open'
    """,
    "CREATE INDEX approval_newest ON desk.approval (id DESC)",
    "GRANT SELECT, INSERT ON desk.approval TO hazina_app",
    """
    GRANT UPDATE (state, decided_by, decided_by_name, decided_at, answer)
        ON desk.approval TO hazina_app
    """,
    "GRANT SELECT ON desk.approval TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
