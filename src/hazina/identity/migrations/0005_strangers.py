"""Whom strangers cannot lock out: codes that several starts share, and where sessions began."""

from alembic import op

revision = "identity_0005"
down_revision = "identity_0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    # asked is a keyed hash of what was asked for, so that a name that nobody has is counted like
    # any other; code_id is the challenge whose codes are good for this one, mostly itself.
    """
    ALTER TABLE identity.challenge
      ADD COLUMN asked bytea CHECK (octet_length(asked) = 32),
      ADD COLUMN code_id uuid
    """,
    "CREATE INDEX challenge_asked_idx ON identity.challenge (asked, id)",
    "CREATE INDEX challenge_code_idx ON identity.challenge (code_id)",
    *(
        statement
        for realm in ("customer", "operator")
        for statement in (
            f"ALTER TABLE identity.{realm}_session ADD COLUMN opened_from text",
            f"""
            CREATE INDEX {realm}_session_from_idx
              ON identity.{realm}_session (account_id, opened_from)
            """,
        )
    ),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
