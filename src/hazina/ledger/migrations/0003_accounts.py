"""What people do to accounts: freeze, close, grant credit, close a period; each with who and why.

The application cannot write these tables. It may call these functions, which run as their owner.
What it may write by itself, entries and counters, must agree when it commits.
"""

# ruff: noqa: S608 - every part of these statements stands in this file

from alembic import op

revision = "ledger_0003"
down_revision = "ledger_0002"
branch_labels = None
depends_on = None

AS_OWNER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"

# The credit in force at a moment: of the newest line that had begun, unless it had ended.
CREDIT_AT = """
CREATE FUNCTION ledger.credit_at(p_key bigint, p_at timestamptz) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
DECLARE
    line record;
BEGIN
    SELECT l.amount, l.ends_at INTO line FROM ledger.credit_line l
    WHERE l.account_key = p_key AND l.starts_at <= p_at AND l.granted_at <= p_at
    ORDER BY l.seq DESC LIMIT 1;
    RETURN CASE WHEN line.ends_at IS NULL OR line.ends_at > p_at THEN coalesce(line.amount, 0)
                ELSE 0 END;
END
$$
"""
# Under the lock that postings take: what is in flight ends first, what comes sees the new state. An
# unbounded account is not locked by postings, so that freezing one is best effort.
SET_STATE = f"""
CREATE FUNCTION ledger.set_state(p_key bigint, p_event text, p_actor text, p_reason text)
RETURNS text {AS_OWNER} AS $$
DECLARE
    a ledger.account;
    next text := CASE p_event WHEN 'frozen' THEN 'frozen' WHEN 'unfrozen' THEN 'open'
                              WHEN 'closed' THEN 'closed' END;
BEGIN
    SELECT * INTO a FROM ledger.account q WHERE q.key = p_key FOR NO KEY UPDATE;
    IF a.key IS NULL THEN RETURN 'account_not_found';
    ELSIF a.state = next THEN RETURN 'unchanged';
    ELSIF a.state = 'closed' THEN RETURN 'account_closed';
    ELSIF next = 'closed' AND NOT a.bounded THEN RETURN 'account_unbounded';
    ELSIF next = 'closed' AND (a.debits_posted <> a.credits_posted OR a.debits_pending <> 0
                               OR a.credits_pending <> 0) THEN
        RETURN 'account_not_empty';
    END IF;
    INSERT INTO ledger.account_event (account_key, event, actor, reason)
    VALUES (p_key, p_event, p_actor, p_reason);
    UPDATE ledger.account SET state = next WHERE key = p_key;
    RETURN 'done';
END
$$
"""
GRANT_CREDIT = f"""
CREATE FUNCTION ledger.grant_credit(
    p_key bigint, p_amount numeric, p_starts timestamptz, p_ends timestamptz, p_asked_by text,
    p_granted_by text, p_reason text
) RETURNS text {AS_OWNER} AS $$
DECLARE
    a ledger.account;
BEGIN
    SELECT * INTO a FROM ledger.account q WHERE q.key = p_key FOR NO KEY UPDATE;
    IF a.key IS NULL THEN RETURN 'account_not_found';
    ELSIF a.state = 'closed' THEN RETURN 'account_closed';
    ELSIF NOT a.bounded THEN RETURN 'account_unbounded';
    ELSIF p_asked_by = p_granted_by THEN RETURN 'same_person';
    END IF;
    INSERT INTO ledger.credit_line (account_key, amount, starts_at, ends_at, asked_by, granted_by,
                                    reason)
    VALUES (p_key, p_amount, p_starts, p_ends, p_asked_by, p_granted_by, p_reason);
    INSERT INTO ledger.account_event (account_key, event, actor, reason)
    VALUES (p_key, 'credit', p_granted_by, p_reason);
    UPDATE ledger.account SET credit = true WHERE key = p_key;
    RETURN 'done';
END
$$
"""
# Exclusively of all postings: none that is in flight can still book into what is closed here.
CLOSE_PERIOD = f"""
CREATE FUNCTION ledger.close_period(p_until timestamptz, p_actor text, p_reason text)
RETURNS text {AS_OWNER} AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(20261120, 256);
    IF p_until > clock_timestamp() THEN RETURN 'period_not_over';
    ELSIF p_until <= (SELECT max(p.closed_until) FROM ledger.period p) THEN
        RETURN 'period_closed_before';
    END IF;
    INSERT INTO ledger.period (closed_until, closed_by, reason)
    VALUES (p_until, p_actor, p_reason);
    RETURN 'done';
END
$$
"""
# Holds whose time has come and that have ended need no more watching.
FORGET_EXPIRED = f"""
CREATE FUNCTION ledger.forget_expired(p_ids uuid[]) RETURNS bigint {AS_OWNER} AS $$
    WITH gone AS (
        DELETE FROM ledger.hold_expiry w
        USING ledger.transfer h
        WHERE h.id = ANY (p_ids) AND w.id = h.id AND w.expires_at = h.expires_at
          AND w.expires_at <= clock_timestamp()
          AND (EXISTS (SELECT FROM ledger.transfer t WHERE t.pending_id = h.id
                       AND (t.kind = 'void_pending' OR NOT t.keep_rest))
               OR h.amount = (SELECT sum(t.amount) FROM ledger.transfer t
                              WHERE t.pending_id = h.id AND t.kind = 'post_pending'))
        RETURNING 1
    )
    SELECT count(*) FROM gone
$$
""".replace("plpgsql", "sql")

# What an account and all that are parts of it hold together, without a lock on any.
FAMILY = """
CREATE FUNCTION ledger.family(p_key bigint) RETURNS TABLE (key bigint)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE tree AS (
        SELECT p_key AS key
        UNION ALL
        SELECT a.key FROM tree t JOIN ledger.account a ON a.parent_key = t.key
    )
    SELECT t.key FROM tree t
$$
"""

# A bounded account stands where its last entry says, whenever the application commits what it wrote
# without the posting function. That one runs as its owner and is not looked at again: asking for
# each account would double the price of a transfer (docs/decisions/0041-deferred-trigger.md).
STANDS = """
CREATE FUNCTION ledger.stands_by_its_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    k bigint;
BEGIN
    IF TG_TABLE_NAME = 'account' THEN k := NEW.key; ELSE k := NEW.account_key; END IF;
    PERFORM FROM ledger.account a
    LEFT JOIN LATERAL (SELECT x.* FROM ledger.entry x WHERE x.account_key = a.key
                       ORDER BY x.version DESC LIMIT 1) e ON true
    WHERE a.key = k AND a.bounded
      AND (a.version <> coalesce(e.version, 0)
           OR a.credits_posted - a.debits_posted <> coalesce(e.balance, 0)
           OR a.debits_pending <> coalesce(e.held, 0)
           OR a.credits_pending <> coalesce(e.incoming, 0));
    IF FOUND THEN
        RAISE EXCEPTION 'account % does not stand where its last entry says', k
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$
"""
GUARDS = [
    f"""
    CREATE CONSTRAINT TRIGGER stands_by_its_entries AFTER {event} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (current_user = 'hazina_app')
    EXECUTE FUNCTION ledger.stands_by_its_entries()
    """
    for event in ("UPDATE ON ledger.account", "INSERT ON ledger.entry")
]

FOR_THE_APPLICATION = (
    "ledger.set_state(bigint, text, text, text)",
    "ledger.grant_credit(bigint, numeric, timestamptz, timestamptz, text, text, text)",
    "ledger.close_period(timestamptz, text, text)",
    "ledger.forget_expired(uuid[])",
)


def upgrade() -> None:
    made = [CREDIT_AT, SET_STATE, GRANT_CREDIT, CLOSE_PERIOD, FORGET_EXPIRED, FAMILY, STANDS]
    for statement in [*made, *GUARDS]:
        op.execute(statement.replace(":", "\\:"))
    for function in FOR_THE_APPLICATION:
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO hazina_app")


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
