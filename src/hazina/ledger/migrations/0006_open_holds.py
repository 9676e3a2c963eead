"""The holds that are open, listed: a proof of every day must not read all holds there ever were.

The list is the sealer's work, off the writers' path: it says which holds were open at the end of
the last block. What came since is found by its transaction, and whatever ended is left out by who
reads (``ledger.claims``). The application can only call the function, which lists what is there.
"""

# ruff: noqa: S608 - every part of these statements stands in this file

from alembic import op

revision = "ledger_0006"
down_revision = "ledger_0005"
branch_labels = None
depends_on = None

# Of hold p: whether anything of it is still reserved.
IS_OPEN = """
NOT EXISTS (SELECT FROM ledger.transfer t WHERE t.pending_id = p.id
            AND (t.kind = 'void_pending' OR NOT t.keep_rest))
AND p.amount > (SELECT coalesce(sum(t.amount), 0) FROM ledger.transfer t
                WHERE t.pending_id = p.id AND t.kind = 'post_pending')
"""
TABLE = "CREATE TABLE ledger.open_hold (id uuid PRIMARY KEY)"
# What is open of all that was sealed before this revision.
FILL = f"""
INSERT INTO ledger.open_hold (id)
SELECT p.id FROM ledger.transfer p
WHERE p.kind = 'pending' AND p.tx <= (SELECT b.last_tx FROM ledger.block b
                                      ORDER BY b.number DESC LIMIT 1)
  AND {IS_OPEN}
"""
# Whoever calls it with whatever range: what it adds is open, and what it removes has ended.
FOLLOW = f"""
CREATE FUNCTION ledger.follow_holds(p_after xid8, p_upto xid8) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ledger.open_hold (id)
    SELECT p.id FROM ledger.transfer p
    WHERE p.tx > p_after AND p.tx <= p_upto AND p.kind = 'pending' AND {IS_OPEN}
    ORDER BY p.id
    ON CONFLICT DO NOTHING;
    DELETE FROM ledger.open_hold o
    USING (SELECT DISTINCT n.pending_id AS id FROM ledger.transfer n
           WHERE n.tx > p_after AND n.tx <= p_upto AND n.pending_id IS NOT NULL) n,
          ledger.transfer p
    WHERE o.id = n.id AND p.id = n.id AND NOT ({IS_OPEN});
END
$$
"""
ROLES = [
    "GRANT SELECT ON ledger.open_hold TO hazina_app, hazina_read",
    "REVOKE EXECUTE ON FUNCTION ledger.follow_holds(xid8, xid8) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION ledger.follow_holds(xid8, xid8) TO hazina_app",
]


def upgrade() -> None:
    for statement in [TABLE, FILL, FOLLOW, *ROLES]:
        op.execute(statement.replace(":", "\\:"))


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
