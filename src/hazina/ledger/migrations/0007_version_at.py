"""The version of a moment, by as few rows as can be: each lies on a page of its own, and long ago.

``ledger.version_near`` halves an account's versions down to sixteen, which the caller reads: right
where all that follows a moment is wanted. For the moment alone this guesses where it lies between
two versions whose times are known, as one opens a dictionary: twice, since the second guess mostly
is the first one's neighbour and ends it, and then it halves once, so that bursts and pauses cost a
few looks more and never a walk.
"""

from alembic import op

revision = "ledger_0007"
down_revision = "ledger_0006"
branch_labels = None
depends_on = None

# p_version: the account's newest version, booked at p_last or a little earlier; p_from: before all
# of them. The last version at or before p_at, 0 where there is none.
VERSION_AT = """
CREATE FUNCTION ledger.version_at(p_key bigint, p_version bigint, p_from timestamptz,
                                  p_last timestamptz, p_at timestamptz)
RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    before    bigint = 0;
    began     numeric = extract(epoch FROM p_from);
    after     bigint = p_version + 1;
    ended     numeric = extract(epoch FROM p_last);
    moment    numeric = extract(epoch FROM p_at);
    between   bigint;
    found     timestamptz;
    step      integer = 0;
BEGIN
    IF p_at >= p_last THEN RETURN p_version; END IF;
    IF p_at = '-infinity' THEN RETURN 0; END IF;
    WHILE after - before > 1 LOOP
        between = (before + after) / 2;
        IF step % 3 < 2 AND ended > began THEN
            between = before + ((after - before) * (moment - began) / (ended - began))::bigint;
            between = least(greatest(between, before + 1), after - 1);
        END IF;
        step = step + 1;
        found = (SELECT e.booked_at FROM ledger.entry e
                 WHERE e.account_key = p_key AND e.version = between);
        IF p_at >= found THEN
            before = between;
            began = extract(epoch FROM found);
        ELSE
            after = between;
            ended = extract(epoch FROM found);
        END IF;
    END LOOP;
    RETURN before;
END
$$
"""


def upgrade() -> None:
    op.execute(VERSION_AT.replace(":", "\\:"))


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
