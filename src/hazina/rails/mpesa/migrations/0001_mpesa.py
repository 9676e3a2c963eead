"""The access token that all processes share: one row for each app, sealed."""

from alembic import op

revision = "mpesa_0001"
down_revision = None
branch_labels = ("mpesa",)
depends_on = None

STATEMENTS = [
    "CREATE SCHEMA mpesa",
    "GRANT USAGE ON SCHEMA mpesa TO hazina_app, hazina_read",
    """
    CREATE TABLE mpesa.access_token (
        app            text PRIMARY KEY,
        sealed         bytea,
        digest         bytea,
        valid_until    timestamptz,
        fetching_until timestamptz,
        CHECK ((sealed IS NULL) = (valid_until IS NULL)),
        CHECK ((sealed IS NULL) = (digest IS NULL))
    )
    """,
    "GRANT SELECT, INSERT ON mpesa.access_token TO hazina_app",
    """
    GRANT UPDATE (sealed, digest, valid_until, fetching_until)
        ON mpesa.access_token TO hazina_app
    """,
    "GRANT SELECT (app, valid_until, fetching_until) ON mpesa.access_token TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
