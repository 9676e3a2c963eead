"""What M-Pesa takes (dated), what it says it holds for us, and what two persons moved."""

from alembic import op

revision = "treasury_0001"
down_revision = None
branch_labels = ("treasury",)
depends_on = None

STATEMENTS = [
    "CREATE SCHEMA treasury",
    "GRANT USAGE ON SCHEMA treasury TO hazina_app, hazina_read",
    # Rows are added and never changed: what was charged stays explained.
    """
    CREATE TABLE treasury.tariff (
        id         uuid PRIMARY KEY,
        kind       text NOT NULL CHECK (kind IN ('payout', 'payment')),
        valid_from timestamptz NOT NULL,
        bands      text NOT NULL,
        made_by    text NOT NULL,
        made_at    timestamptz NOT NULL,
        note       text NOT NULL,
        UNIQUE (kind, valid_from),
        CHECK (valid_from > made_at)
    )
    """,
    "GRANT SELECT, INSERT ON treasury.tariff TO hazina_app",
    """
    CREATE TABLE treasury.balance (
        id        uuid PRIMARY KEY,
        shortcode text NOT NULL,
        token     text NOT NULL UNIQUE,
        asked_at  timestamptz NOT NULL,
        told_at   timestamptz,
        utility   numeric(38, 0),
        working   numeric(38, 0),
        charges   numeric(38, 0),
        why       text
    )
    """,
    "CREATE INDEX balance_newest ON treasury.balance (shortcode, asked_at DESC)",
    """
    CREATE INDEX balance_told ON treasury.balance (shortcode, asked_at DESC)
        WHERE told_at IS NOT NULL
    """,
    "GRANT SELECT, INSERT, DELETE ON treasury.balance TO hazina_app",
    "GRANT UPDATE (told_at, utility, working, charges, why) ON treasury.balance TO hazina_app",
    """
    CREATE TABLE treasury.movement (
        id          uuid PRIMARY KEY,
        kind        text NOT NULL,
        amount      numeric(38, 0) NOT NULL CHECK (amount > 0),
        reference   text NOT NULL,
        asked_by    text NOT NULL,
        approved_by text NOT NULL,
        reason      text NOT NULL,
        group_id    uuid NOT NULL,
        at          timestamptz NOT NULL,
        UNIQUE (kind, reference),
        CHECK (asked_by <> approved_by)
    )
    """,
    "GRANT SELECT, INSERT ON treasury.movement TO hazina_app",
    "GRANT SELECT ON treasury.tariff, treasury.movement TO hazina_read",
    """
    GRANT SELECT (id, shortcode, asked_at, told_at, utility, working, charges, why)
        ON treasury.balance TO hazina_read
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
