-- The fast path of ledger.post: one movement or one hold with nothing special to it, the same locks
-- in the same order, the same rows, no arrays. It only knows how to say yes, with the base of the
-- booked time. Whatever is not plainly in order answers NULL with nothing written: the caller goes to
-- ledger.post, which alone refuses and answers repeats.
-- Plain statements, one a table, and few expressions: most calls are the only one of their
-- transaction, where making a statement ready costs more than running it (measured: one statement
-- that updates and inserts is slower than the two).
CREATE FUNCTION ledger.post_one(
    p_id uuid, p_kind text, p_code text, p_debit bigint, p_credit bigint, p_asked bigint,
    p_asset text, p_expires timestamptz, p_ref_type text, p_ref_id uuid, p_actor text
) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $post$
DECLARE
    held    numeric := CASE p_kind WHEN 'pending' THEN p_asked ELSE 0 END;
    moved   numeric := p_asked - held;
    near    numeric := 1e37;  -- totals beyond this are looked at closely
    bounded integer := 0;
    tidy    boolean := p_asked > 0 AND p_debit <> p_credit AND p_kind IN ('post', 'pending');
    -- Whoever closes a period waits for us, and we for them. As an expression it needs no statement.
    closing boolean := pg_advisory_xact_lock_shared(20261120, 256) IS NULL;
    latest  timestamptz; base timestamptz; at timestamptz; a record;
    d_ver bigint; d_bal numeric; d_held numeric; d_in numeric;
    c_ver bigint; c_bal numeric; c_held numeric; c_in numeric;
BEGIN
    FOR a IN
        SELECT l.key, l.version + 1 AS version, l.credits_posted - l.debits_posted AS balance,
               l.debits_pending AS held, l.credits_pending AS incoming, l.floor, l.booked_at,
               l.asset = p_asset AND l.state = 'open' AND NOT l.credit
               AND l.debits_posted < near AND l.credits_posted < near
               AND l.debits_pending < near AND l.credits_pending < near AS tidy
        FROM ledger.account l
        WHERE l.key IN (p_debit, p_credit) AND l.bounded
        ORDER BY l.key FOR NO KEY UPDATE
    LOOP
        bounded := bounded + 1;
        tidy := tidy AND a.tidy;
        latest := greatest(latest, a.booked_at);
        IF a.key = p_debit THEN
            tidy := tidy AND a.balance - a.held - p_asked >= a.floor;
            d_ver := a.version; d_bal := a.balance - moved; d_held := a.held + held;
            d_in := a.incoming;
        ELSE
            c_ver := a.version; c_bal := a.balance + moved; c_held := a.held;
            c_in := a.incoming + held;
        END IF;
    END LOOP;
    IF tidy IS NOT TRUE THEN RETURN NULL; END IF;
    -- Unbounded accounts are only read. What was seen or closed meanwhile: read after the locks.
    SELECT greatest(clock_timestamp(), latest, (SELECT max(p.closed_until) FROM ledger.period p))
    INTO base
    WHERE NOT EXISTS (SELECT FROM ledger.transfer t WHERE t.id = p_id)
      AND NOT EXISTS (SELECT FROM ledger.transfer_refusal t WHERE t.id = p_id)
      AND (bounded = 2 OR 2 - bounded = (SELECT count(*) FROM ledger.account u
                                         WHERE u.key IN (p_debit, p_credit) AND NOT u.bounded
                                           AND u.asset = p_asset AND u.state = 'open'));
    IF base IS NULL THEN RETURN NULL; END IF;
    at := base + interval '1 microsecond';
    INSERT INTO ledger.transfer (
        id, kind, code, debit_key, credit_key, amount, asked, asset, expires_at, reference_type,
        reference_id, actor, booked_at, effective_at)
    VALUES (p_id, p_kind, p_code, p_debit, p_credit, p_asked, p_asked, p_asset, p_expires,
            p_ref_type, p_ref_id, p_actor, at, at);
    IF p_expires IS NOT NULL THEN
        INSERT INTO ledger.hold_expiry (expires_at, id) VALUES (p_expires, p_id);
    END IF;
    IF d_ver IS NOT NULL THEN
        INSERT INTO ledger.entry (account_key, version, transfer_id, debit, credit, balance, held,
                                  incoming, booked_at)
        VALUES (p_debit, d_ver, p_id, moved, 0, d_bal, d_held, d_in, at);
        UPDATE ledger.account SET debits_posted = debits_posted + moved, version = d_ver,
               debits_pending = d_held, booked_at = at
        WHERE key = p_debit;
    ELSIF moved > 0 THEN
        INSERT INTO ledger.entry_unbounded (account_key, transfer_id, debit, credit, booked_at)
        VALUES (p_debit, p_id, moved, 0, at);
    END IF;
    IF c_ver IS NOT NULL THEN
        INSERT INTO ledger.entry (account_key, version, transfer_id, debit, credit, balance, held,
                                  incoming, booked_at)
        VALUES (p_credit, c_ver, p_id, 0, moved, c_bal, c_held, c_in, at);
        UPDATE ledger.account SET credits_posted = credits_posted + moved, version = c_ver,
               credits_pending = c_in, booked_at = at
        WHERE key = p_credit;
    ELSIF moved > 0 THEN
        INSERT INTO ledger.entry_unbounded (account_key, transfer_id, debit, credit, booked_at)
        VALUES (p_credit, p_id, 0, moved, at);
    END IF;
    RETURN base;
END
$post$
