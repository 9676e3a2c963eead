"""What strangers sent is not for reports: it has phones, and the addresses callbacks come to."""

from alembic import op

revision = "infra_0002"
down_revision = "infra_0001"
branch_labels = None
depends_on = None

# Whoever knows such an address can send there; ``external_id`` begins with it.
STATEMENTS = [
    "REVOKE SELECT ON infra.inbox FROM hazina_read",
    """
    GRANT SELECT (id, source, kind, trusted, received_at, state, note, settled_at)
        ON infra.inbox TO hazina_read
    """,
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
