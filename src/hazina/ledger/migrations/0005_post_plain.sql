-- The fast path of ledger.post for batches as most are: movements in one asset with nothing special
-- to any of them. Like ledger.post_one it takes the same locks in the same order, writes the same
-- rows and only knows how to say yes: whatever is not plainly in order answers NULL with nothing
-- written, and the caller goes to ledger.post.
-- Nothing is decided transfer by transfer. Whoever has at the start what all their payments of the
-- batch need, can make them in any order; who would pay with what they only receive in it is not
-- plainly in order.
CREATE FUNCTION ledger.post_plain(
    p_id uuid[], p_code text[], p_debit bigint[], p_credit bigint[], p_asked bigint[],
    p_asset text, p_ref_type text[], p_ref_id uuid[], p_actor text
) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $post$
DECLARE
    n       integer := cardinality(p_id);
    tick    interval := interval '1 microsecond';
    near    numeric := 1e37;  -- totals beyond this are looked at closely
    -- Both sides of each transfer: the debits, then the credits.
    none    bigint[] := array_fill(0::bigint, ARRAY[n]);
    s_key   bigint[] := p_debit || p_credit;
    s_id    uuid[] := p_id || p_id;
    s_paid  bigint[] := p_asked || none;
    s_got   bigint[] := none || p_asked;
    -- Whoever closes a period waits for us, and we for them. As an expression it needs no statement.
    closing boolean := pg_advisory_xact_lock_shared(20261120, 256) IS NULL;
    a_key bigint[]; a_tid tid[]; a_ver bigint[]; a_bal numeric[]; a_held numeric[]; a_in numeric[];
    a_free numeric[]; paid numeric[]; got numeric[]; times bigint[]; rest bigint[];
    tidy boolean; latest timestamptz; base timestamptz; touched integer;
BEGIN
    SELECT array_agg(a.key), array_agg(a.ctid), array_agg(a.version), array_agg(a.balance),
           array_agg(a.held), array_agg(a.incoming), array_agg(a.balance - a.held - a.floor),
           max(a.booked_at), bool_and(a.tidy)
    INTO a_key, a_tid, a_ver, a_bal, a_held, a_in, a_free, latest, tidy
    FROM (SELECT l.key, l.ctid, l.version, l.credits_posted - l.debits_posted AS balance,
                 l.debits_pending AS held, l.credits_pending AS incoming, l.floor, l.booked_at,
                 l.asset = p_asset AND l.state = 'open' AND NOT l.credit
                 AND l.debits_posted < near AND l.credits_posted < near
                 AND l.debits_pending < near AND l.credits_pending < near AS tidy
          FROM ledger.account l WHERE l.key = ANY (s_key) AND l.bounded
          ORDER BY l.key FOR NO KEY UPDATE) a;
    IF tidy IS FALSE THEN RETURN NULL; END IF;
    -- What each account pays and gets, in the order of a_key; rest: those that were not locked.
    SELECT array_agg(s.paid ORDER BY s.key) FILTER (WHERE a.key IS NOT NULL),
           array_agg(s.got ORDER BY s.key) FILTER (WHERE a.key IS NOT NULL),
           array_agg(s.times ORDER BY s.key) FILTER (WHERE a.key IS NOT NULL),
           array_agg(s.key) FILTER (WHERE a.key IS NULL),
           bool_and(a.free >= s.paid)
    INTO paid, got, times, rest, tidy
    FROM (SELECT q.key, sum(q.paid) AS paid, sum(q.got) AS got, count(*) AS times
          FROM unnest(s_key, s_paid, s_got) q (key, paid, got) GROUP BY q.key) s
    LEFT JOIN unnest(a_key, a_free) a (key, free) ON a.key = s.key;
    IF tidy IS FALSE THEN RETURN NULL; END IF;
    -- Unbounded accounts are only read. What was seen or closed meanwhile: read after the locks.
    SELECT greatest(clock_timestamp(), latest, (SELECT max(p.closed_until) FROM ledger.period p))
    INTO base
    WHERE 0 < ALL (p_asked)
      AND NOT EXISTS (SELECT FROM unnest(p_debit, p_credit) q (d, c) WHERE q.d = q.c)
      AND n = (SELECT count(DISTINCT q.id) FROM unnest(p_id) q (id))
      AND NOT EXISTS (SELECT FROM ledger.transfer t WHERE t.id = ANY (p_id))
      AND NOT EXISTS (SELECT FROM ledger.transfer_refusal t WHERE t.id = ANY (p_id))
      AND (rest IS NULL
           OR cardinality(rest) = (SELECT count(*) FROM ledger.account u
                                   WHERE u.key = ANY (rest) AND NOT u.bounded
                                     AND u.asset = p_asset AND u.state = 'open'));
    IF base IS NULL THEN RETURN NULL; END IF;
    INSERT INTO ledger.transfer (
        id, kind, code, debit_key, credit_key, amount, asked, asset, reference_type, reference_id,
        actor, booked_at, effective_at)
    SELECT q.id, 'post', q.code, q.d, q.c, q.asked, q.asked, p_asset, q.ref_type, q.ref_id,
           p_actor, base + q.ord * tick, base + q.ord * tick
    FROM unnest(p_id, p_code, p_debit, p_credit, p_asked, p_ref_type, p_ref_id)
         WITH ORDINALITY q (id, code, d, c, asked, ref_type, ref_id, ord);
    IF rest IS NOT NULL THEN
        INSERT INTO ledger.entry_unbounded (account_key, transfer_id, debit, credit, booked_at)
        SELECT s.key, s.id, s.paid, s.got, base + ((s.ord - 1) % n + 1) * tick
        FROM unnest(s_key, s_id, s_paid, s_got) WITH ORDINALITY s (key, id, paid, got, ord)
        WHERE s.key = ANY (rest)
        ORDER BY s.key, s.id;
    END IF;
    IF a_key IS NOT NULL THEN
        INSERT INTO ledger.entry (account_key, version, transfer_id, debit, credit, balance, held,
                                  incoming, booked_at)
        SELECT q.key, a.version + row_number() OVER w, q.id, q.paid, q.got,
               a.balance + sum(q.got - q.paid) OVER w, a.held, a.incoming, base + q.place * tick
        FROM (SELECT s.key, s.id, s.paid, s.got, (s.ord - 1) % n + 1 AS place
              FROM unnest(s_key, s_id, s_paid, s_got) WITH ORDINALITY s (key, id, paid, got, ord)
             ) q
        JOIN unnest(a_key, a_ver, a_bal, a_held, a_in) a (key, version, balance, held, incoming)
            ON a.key = q.key
        WINDOW w AS (PARTITION BY q.key ORDER BY q.place ROWS UNBOUNDED PRECEDING);
        UPDATE ledger.account a
        SET debits_posted = a.debits_posted + q.paid, credits_posted = a.credits_posted + q.got,
            version = a.version + q.times, booked_at = base + n * tick
        FROM unnest(a_tid, a_key, paid, got, times) q (tid, key, paid, got, times)
        WHERE a.ctid = q.tid AND a.key = q.key;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> cardinality(a_key) THEN RAISE EXCEPTION 'a locked account has moved'; END IF;
    END IF;
    RETURN base;
END
$post$
