"""The posting function's fast path for batches of plain movements.

Its text is beside this file, in 0005_post_plain.sql.
"""

from pathlib import Path

from alembic import op

revision = "ledger_0005"
down_revision = "ledger_0004"
branch_labels = None
depends_on = None

POST_PLAIN = Path(__file__).with_suffix(".sql")
SIGNATURE = (
    "ledger.post_plain(uuid[], text[], bigint[], bigint[], bigint[], text, text[], uuid[], text)"
)


def upgrade() -> None:
    op.execute(POST_PLAIN.read_text().replace(":", "\\:"))
    op.execute(f"REVOKE EXECUTE ON FUNCTION {SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {SIGNATURE} TO hazina_app")


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
