"""The posting function: one batch, one round trip, every decision under the accounts' locks.

Its text is beside this file, in 0002_post.sql; that of its fast path for a batch of one, which
hands on what it is not sure of, in 0002_post_one.sql.
"""

from pathlib import Path

from alembic import op

revision = "ledger_0002"
down_revision = "ledger_0001"
branch_labels = None
depends_on = None

HERE = Path(__file__)
POST = HERE.with_name("0002_post.sql")
POST_ONE = HERE.with_name("0002_post_one.sql")

SIGNATURES = (
    (
        "ledger.post(uuid[], text[], text[], bigint[], bigint[], numeric[], text[], uuid[],"
        " boolean[], timestamptz[], uuid[], text[], uuid[], boolean[], timestamptz[], boolean[],"
        " uuid[], uuid[], uuid[], bigint[], bigint[], jsonb[], text)"
    ),
    (
        "ledger.post_one(uuid, text, text, bigint, bigint, bigint, text, timestamptz, text, uuid,"
        " text)"
    ),
)


def upgrade() -> None:
    for function in (POST, POST_ONE):
        op.execute(function.read_text().replace(":", "\\:"))
    # They run as their owner: what the application writes by itself is looked at again when it
    # commits (0003_accounts), what they write is not.
    for signature in SIGNATURES:
        op.execute(f"REVOKE EXECUTE ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO hazina_app")


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
