"""The posting function: one batch, one round trip, every decision under the accounts' locks.

Its text is beside this file, in 0002_post.sql.
"""

from pathlib import Path

from alembic import op

revision = "ledger_0002"
down_revision = "ledger_0001"
branch_labels = None
depends_on = None

POST = Path(__file__).with_suffix(".sql")


def upgrade() -> None:
    op.execute(POST.read_text().replace(":", "\\:"))
    op.execute(
        "GRANT EXECUTE ON FUNCTION ledger.post(uuid[], text[], text[], bigint[], bigint[],"
        " numeric[], text[], uuid[], boolean[], timestamptz[], uuid[], text[], uuid[],"
        " boolean[], timestamptz[], boolean[], uuid[], uuid[], uuid[], bigint[], bigint[],"
        " jsonb[], text) TO hazina_app"
    )


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
