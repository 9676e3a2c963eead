-- No sequential scans, and one plan for every size: a session that planned while the tables were
-- small would go on scanning them until the next ANALYZE (measured: 3 ms became 120 ms).
-- Arrays named p_ come from the caller, one element for each transfer, or NULL where no transfer has
-- one; a_ are accounts, h_ holds, f_ originals whose money is given back; d_ and c_ are what each
-- transfer left on its debit and its credit account. Everything is decided in memory, in order, then
-- written set-based.
-- Answers are arrays too, NULL where there is nothing to say: o_result where all were created,
-- o_amount where all have the amount they asked for, o_at where none was booked before. Transfer i
-- is booked i microseconds after o_base, so that time rises strictly on every account.
CREATE FUNCTION ledger.post(
    p_id uuid[], p_kind text[], p_code text[], p_debit bigint[], p_credit bigint[],
    p_asked numeric[], p_asset text[], p_pending uuid[], p_keep boolean[], p_expires timestamptz[],
    p_group uuid[], p_ref_type text[], p_ref_id uuid[], p_up_to boolean[],
    p_effective timestamptz[], p_backdatable boolean[], p_refund uuid[], p_reverses uuid[],
    p_corrects uuid[], p_if_debit bigint[], p_if_credit bigint[], p_metadata jsonb[],
    p_actor text,
    OUT o_base timestamptz, OUT o_result text[], OUT o_amount numeric[], OUT o_at timestamptz[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $post$
DECLARE
    n         integer := cardinality(p_id);
    few       integer := 8;  -- so small a batch is looked through faster without a query
    queue     integer := 20261120;  -- advisory locks of this key space are the ledger's: 0 to 255
    closing   integer := 256;       -- for holds and originals, by a byte of their id
    tick      interval := interval '1 microsecond';
    largest   numeric := repeat('9', 38)::numeric;
    passing   text[] := ARRAY['pending_not_found', 'account_not_found', 'hold_posted',
                              'hold_voided', 'hold_expired', 'exceeds_hold', 'account_closed',
                              'account_frozen', 'insufficient_funds', 'total_too_large',
                              'original_not_found', 'effective_in_future', 'period_closed',
                              'already_reversed', 'not_reversible', 'exceeds_original',
                              'version_moved', 'nothing_to_move'];
    d bigint[]; c bigint[]; di bigint[]; ci bigint[]; hi bigint[]; si bigint[];
    a_key bigint[]; a_tid tid[]; a_asset text[]; a_class text[]; a_state text[]; a_floor numeric[];
    a_dp numeric[]; a_cp numeric[]; a_dh numeric[]; a_ch numeric[]; a_ver bigint[]; a_ver0 bigint[];
    h_id uuid[]; h_dk bigint[]; h_ck bigint[]; h_di bigint[]; h_ci bigint[];
    h_amount numeric[]; h_expires timestamptz[]; h_known boolean[];
    h_left numeric[]; h_end text[]; h_seq integer[];
    f_id uuid[]; f_known boolean[]; f_dk bigint[]; f_ck bigint[]; f_asset text[];
    f_amount numeric[]; f_refunded numeric[]; f_reversed boolean[]; f_refund boolean[];
    f_reversal boolean[]; fi bigint[]; ti bigint[]; whole boolean[];
    d_ver bigint[] := array_fill(NULL::bigint, ARRAY[n]); c_ver bigint[] := d_ver;
    d_bal numeric[] := array_fill(NULL::numeric, ARRAY[n]); c_bal numeric[] := d_bal;
    d_held numeric[]; d_in numeric[]; c_held numeric[]; c_in numeric[];
    prior text[]; prior_amount numeric[]; prior_at timestamptz[]; earlier bigint[];
    res text[] := array_fill(NULL::text, ARRAY[n]); ok boolean[] := array_fill(false, ARRAY[n]);
    amt numeric[] := d_bal; rel numeric[]; seq integer[]; refused boolean[]; old_group boolean[];
    grp uuid; first integer := 1; failed boolean := false; grp_class text;
    holds boolean; seen boolean; tidy boolean; roomy boolean; answers boolean := false;
    special boolean := num_nonnulls(p_up_to, p_effective, p_refund, p_reverses, p_if_debit,
                                    p_if_credit) > 0;
    places bigint[]; absent bigint[]; rest bigint[]; latest timestamptz; closed timestamptz;
    lines boolean; touched integer := 0;
    x bigint; y bigint; h bigint; k bigint; f bigint; m numeric; r numeric; why text;
BEGIN
    -- Whoever closes a period waits for us, and we for them.
    PERFORM pg_advisory_xact_lock_shared(queue, closing);
    -- Holds named by this batch: stored ones, or (still without accounts) made in the batch.
    IF p_pending IS NOT NULL THEN
        SELECT array_agg(s.id ORDER BY s.id) INTO h_id
        FROM (SELECT DISTINCT q AS id FROM unnest(p_pending) q WHERE q IS NOT NULL) s;
    END IF;
    IF h_id IS NULL THEN
        d := p_debit; c := p_credit;
    ELSE
        SELECT array_agg(p.debit_key ORDER BY o.ord), array_agg(p.credit_key ORDER BY o.ord),
               array_agg(p.amount ORDER BY o.ord), array_agg(p.expires_at ORDER BY o.ord),
               array_agg(p.id IS NOT NULL ORDER BY o.ord)
        INTO h_dk, h_ck, h_amount, h_expires, h_known
        FROM unnest(h_id) WITH ORDINALITY o (id, ord)
        LEFT JOIN ledger.transfer p ON p.id = o.id AND p.kind = 'pending';
        SELECT array_agg(CASE WHEN q.pending IS NULL THEN q.debit ELSE k.dk END ORDER BY q.ord),
               array_agg(CASE WHEN q.pending IS NULL THEN q.credit ELSE k.ck END ORDER BY q.ord),
               array_agg(k.ord ORDER BY q.ord), array_agg(s.ord ORDER BY q.ord)
        INTO d, c, hi, si
        FROM unnest(p_id, p_kind, p_debit, p_credit, p_pending)
             WITH ORDINALITY q (id, kind, debit, credit, pending, ord)
        LEFT JOIN unnest(h_id, h_dk, h_ck) WITH ORDINALITY k (id, dk, ck, ord) ON k.id = q.pending
        LEFT JOIN unnest(h_id) WITH ORDINALITY s (id, ord)
               ON s.id = q.id AND q.kind = 'pending';
    END IF;

    -- Bounded accounts are locked in key order; unbounded ones are only read.
    SELECT array_agg(a.key), array_agg(a.ctid), array_agg(a.asset), array_agg(a.state),
           array_agg(a.floor), array_agg(a.debits_posted), array_agg(a.credits_posted),
           array_agg(a.debits_pending), array_agg(a.credits_pending), array_agg(a.version),
           max(a.booked_at),
           bool_and(a.state = 'open') AND min(a.asset) = max(a.asset), bool_or(a.credit),
           max(a.debits_posted) + max(a.debits_pending),
           max(a.credits_posted) + max(a.credits_pending),
           (SELECT max(p.closed_until) FROM ledger.period p)
    INTO a_key, a_tid, a_asset, a_state, a_floor, a_dp, a_cp, a_dh, a_ch, a_ver, latest, tidy,
         lines, m, r, closed
    FROM (SELECT l.*, l.ctid FROM ledger.account l WHERE l.key = ANY (d || c) AND l.bounded
          ORDER BY l.key FOR NO KEY UPDATE) a;
    a_ver0 := a_ver;
    o_base := greatest(clock_timestamp(), latest, closed);
    IF lines THEN
        SELECT array_agg(CASE WHEN l.key IS NULL THEN q.floor
                              ELSE q.floor - ledger.credit_at(q.key, o_base) END ORDER BY q.ord)
        INTO a_floor
        FROM unnest(a_key, a_floor) WITH ORDINALITY q (key, floor, ord)
        LEFT JOIN (SELECT DISTINCT i.account_key AS key FROM ledger.credit_line i
                   WHERE i.account_key = ANY (a_key)) l ON l.key = q.key;
    END IF;
    -- Where each transfer finds its accounts in a_key, debits first, then credits; the second time
    -- with the unbounded ones (rest) behind those that were locked.
    LOOP
        IF n > few THEN
            SELECT array_agg(f.ord ORDER BY q.ord), array_agg(q.key) FILTER (WHERE f.ord IS NULL)
            INTO places, absent
            FROM unnest(d || c) WITH ORDINALITY q (key, ord)
            LEFT JOIN unnest(a_key) WITH ORDINALITY f (key, ord) ON f.key = q.key;
        ELSE
            places := '{}'; absent := NULL;
            FOREACH x IN ARRAY d || c LOOP
                y := array_position(a_key, x);
                places := places || y;
                IF y IS NULL THEN absent := absent || x; END IF;
            END LOOP;
        END IF;
        EXIT WHEN absent IS NULL OR rest IS NOT NULL;
        rest := absent;
        SELECT a_key || array_agg(a.key), a_asset || array_agg(a.asset),
               a_state || array_agg(a.state),
               coalesce(tidy, true) AND bool_and(a.state = 'open')
               AND bool_and(a.asset = coalesce(a_asset[1], p_asset[1]))
        INTO a_key, a_asset, a_state, tidy
        FROM ledger.account a WHERE a.key = ANY (rest) AND NOT a.bounded;
    END LOOP;
    di := places[:n]; ci := places[n + 1:];
    -- Shortcuts for all of the batch: everything open and in one asset; no total near its end.
    tidy := coalesce(tidy AND a_asset[1] = ALL (p_asset), false);
    IF n > few THEN
        SELECT coalesce(bool_and(q.asked > 0
                                 OR q.asked IS NULL AND q.kind NOT IN ('post', 'pending')), false)
               AND greatest(m, r, 0) + coalesce(sum(q.asked), 0) <= largest
        INTO roomy FROM unnest(p_asked, p_kind) q (asked, kind);
    ELSE
        roomy := false;
    END IF;
    IF p_group IS NOT NULL THEN
        SELECT array_agg(s.class ORDER BY q.ord) INTO a_class
        FROM unnest(a_asset) WITH ORDINALITY q (code, ord)
        LEFT JOIN ledger.asset s ON s.code = q.code;
        IF EXISTS (SELECT FROM ledger.transfer t WHERE t.group_id = ANY (p_group)) THEN
            SELECT array_agg(g.id IS NOT NULL ORDER BY q.ord) INTO old_group
            FROM unnest(p_group) WITH ORDINALITY q (id, ord)
            LEFT JOIN (SELECT DISTINCT t.group_id AS id FROM ledger.transfer t
                       WHERE t.group_id = ANY (p_group)) g ON g.id = q.id;
        END IF;
    END IF;

    -- Before the ids: where no account is locked, an act booked in between is then found by its
    -- id, or stops us at transfer_pending, and is never mistaken for somebody else's.
    IF h_id IS NOT NULL THEN
        SELECT array_agg(f.ord ORDER BY o.ord), array_agg(g.ord ORDER BY o.ord) INTO h_di, h_ci
        FROM unnest(h_dk, h_ck) WITH ORDINALITY o (d, c, ord)
        LEFT JOIN unnest(a_key) WITH ORDINALITY f (key, ord) ON f.key = o.d
        LEFT JOIN unnest(a_key) WITH ORDINALITY g (key, ord) ON g.key = o.c;
    END IF;
    IF p_refund IS NOT NULL OR p_reverses IS NOT NULL THEN
        SELECT array_agg(s.id ORDER BY s.id) INTO f_id
        FROM (SELECT DISTINCT q AS id FROM unnest(p_refund || p_reverses) q WHERE q IS NOT NULL) s;
        SELECT array_agg(o.ord ORDER BY q.ord), array_agg(t.ord ORDER BY q.ord) INTO fi, ti
        FROM unnest(p_id, p_refund, p_reverses) WITH ORDINALITY q (id, refund, reverses, ord)
        LEFT JOIN unnest(f_id) WITH ORDINALITY o (id, ord)
               ON o.id = coalesce(q.refund, q.reverses)
        LEFT JOIN unnest(f_id) WITH ORDINALITY t (id, ord) ON t.id = q.id;
    END IF;
    -- A hold between two unbounded accounts has no row to lock, and an original none that its
    -- refunds share, so they queue here, by the id's last (random) byte: 256 locks at most, taken
    -- in order and after the accounts'.
    IF h_id IS NOT NULL OR f_id IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(queue, s.slot)
        FROM (SELECT DISTINCT get_byte(uuid_send(q.id), 15) AS slot
              FROM (SELECT o.id FROM unnest(h_id, h_di, h_ci) o (id, x, y)
                    WHERE least(o.x, o.y) > coalesce(cardinality(a_ver), 0)
                    UNION ALL SELECT unnest(f_id)) q
              ORDER BY 1) s;
    END IF;
    IF h_id IS NOT NULL THEN
        SELECT array_agg(CASE WHEN s.voided OR s.posted_all THEN 0
                              ELSE h_amount[o.ord] - coalesce(s.posted, 0) END ORDER BY o.ord),
               array_agg(CASE WHEN s.voided THEN 'hold_voided'
                              WHEN s.posted_all OR s.posted = h_amount[o.ord] THEN 'hold_posted'
                         END ORDER BY o.ord),
               array_agg(s.acts ORDER BY o.ord)
        INTO h_left, h_end, h_seq
        FROM unnest(h_id) WITH ORDINALITY o (id, ord)
        CROSS JOIN LATERAL (
            SELECT count(*)::integer AS acts,
                   sum(p.amount) FILTER (WHERE p.kind = 'post_pending') AS posted,
                   coalesce(bool_or(p.kind = 'void_pending'), false) AS voided,
                   coalesce(bool_or(p.kind = 'post_pending' AND NOT p.keep_rest), false)
                       AS posted_all
            FROM ledger.transfer p WHERE p.pending_id = o.id
        ) s;
    END IF;

    -- Originals: what was given back of them, and whether a reversal here takes its group whole.
    IF f_id IS NOT NULL THEN
        SELECT array_agg(t.id IS NOT NULL ORDER BY o.ord), array_agg(t.debit_key ORDER BY o.ord),
               array_agg(t.credit_key ORDER BY o.ord), array_agg(t.asset ORDER BY o.ord),
               array_agg(t.amount ORDER BY o.ord), array_agg(b.refunded ORDER BY o.ord),
               array_agg(b.reversed ORDER BY o.ord),
               array_agg(t.refund_of IS NOT NULL ORDER BY o.ord),
               array_agg(t.reverses IS NOT NULL ORDER BY o.ord)
        INTO f_known, f_dk, f_ck, f_asset, f_amount, f_refunded, f_reversed, f_refund, f_reversal
        FROM unnest(f_id) WITH ORDINALITY o (id, ord)
        LEFT JOIN ledger.transfer t ON t.id = o.id AND t.kind IN ('post', 'post_pending')
        CROSS JOIN LATERAL (
            SELECT coalesce((SELECT sum(r.amount) FROM ledger.transfer r
                             WHERE r.refund_of = o.id), 0) AS refunded,
                   EXISTS (SELECT FROM ledger.transfer r WHERE r.reverses = o.id) AS reversed) b;
    END IF;
    IF p_reverses IS NOT NULL THEN
        WITH legs AS (
            SELECT q.ord, q.grp, coalesce(t.group_id, t.id) AS origin, t.id
            FROM unnest(p_reverses, p_group) WITH ORDINALITY q (id, grp, ord)
            JOIN ledger.transfer t ON t.id = q.id AND t.kind IN ('post', 'post_pending')
        ), origins AS (
            SELECT o.origin, count(*) FILTER (WHERE l.kind IN ('post', 'post_pending')) AS legs,
                   bool_or(l.kind = 'pending' AND p.ended IS NOT TRUE) AS held
            FROM (SELECT DISTINCT s.origin FROM legs s) o
            CROSS JOIN LATERAL (
                SELECT t.id, t.kind, t.amount FROM ledger.transfer t WHERE t.group_id = o.origin
                UNION ALL
                SELECT t.id, t.kind, t.amount FROM ledger.transfer t
                WHERE t.id = o.origin AND t.group_id IS NULL) l
            LEFT JOIN LATERAL (
                SELECT bool_or(t.kind = 'void_pending' OR NOT t.keep_rest)
                       OR sum(t.amount) FILTER (WHERE t.kind = 'post_pending') = l.amount AS ended
                FROM ledger.transfer t WHERE l.kind = 'pending' AND t.pending_id = l.id) p ON true
            GROUP BY o.origin
        ), taken AS (
            SELECT s.grp, s.origin, count(DISTINCT s.id) AS legs FROM legs s GROUP BY 1, 2
        )
        SELECT array_agg(o.legs = t.legs AND NOT o.held AND (o.legs = 1 OR s.grp IS NOT NULL)
                         ORDER BY q.ord)
        INTO whole
        FROM generate_series(1, n) q (ord)
        LEFT JOIN legs s ON s.ord = q.ord
        LEFT JOIN origins o ON o.origin = s.origin
        LEFT JOIN taken t ON t.origin = s.origin AND t.grp IS NOT DISTINCT FROM s.grp;
    END IF;

    -- Ids seen before, booked or refused, read after the locks. An act names its hold, and so has
    -- no accounts of its own to compare. earlier: the last place of the same id in this batch.
    seen := EXISTS (SELECT FROM ledger.transfer t WHERE t.id = ANY (p_id))
         OR EXISTS (SELECT FROM ledger.transfer_refusal t WHERE t.id = ANY (p_id))
         OR n > (SELECT count(DISTINCT q.id) FROM unnest(p_id) q (id));
    IF seen THEN
        SELECT array_agg(CASE
                   WHEN old.id IS NULL THEN NULL
                   WHEN old.kind <> q.kind THEN 'exists_with_different_kind'
                   WHEN q.pending IS NULL AND (old.debit_key IS DISTINCT FROM q.d
                                               OR old.credit_key IS DISTINCT FROM q.c)
                       THEN 'exists_with_different_accounts'
                   WHEN old.asked IS DISTINCT FROM q.asked
                        OR old.asked_asset IS DISTINCT FROM q.asset
                       THEN 'exists_with_different_amount'
                   WHEN old.code <> q.code THEN 'exists_with_different_code'
                   WHEN old.pending_id IS DISTINCT FROM q.pending
                        OR old.keep_rest <> coalesce(q.keep, false)
                       THEN 'exists_with_different_pending'
                   WHEN old.expires_at IS DISTINCT FROM q.expires
                       THEN 'exists_with_different_expiry'
                   WHEN old.group_id IS DISTINCT FROM q.grp THEN 'exists_with_different_group'
                   WHEN old.reference_type <> q.ref_type OR old.reference_id <> q.ref_id
                       THEN 'exists_with_different_reference'
                   WHEN old.refund_of IS DISTINCT FROM q.refund
                        OR old.reverses IS DISTINCT FROM q.reverses
                        OR old.corrects IS DISTINCT FROM q.corrects
                       THEN 'exists_with_different_origin'
                   WHEN old.up_to <> coalesce(q.up_to, false)
                        OR old.if_debit_version IS DISTINCT FROM q.if_debit
                        OR old.if_credit_version IS DISTINCT FROM q.if_credit
                       THEN 'exists_with_different_condition'
                   WHEN old.asked_effective IS DISTINCT FROM q.effective
                       THEN 'exists_with_different_effective_at'
                   ELSE coalesce(old.result, 'exists') END ORDER BY q.ord),
               array_agg(old.amount ORDER BY q.ord), array_agg(old.booked_at ORDER BY q.ord),
               array_agg(q.earlier ORDER BY q.ord)
        INTO prior, prior_amount, prior_at, earlier
        FROM (SELECT s.*, lag(s.ord) OVER (PARTITION BY s.id ORDER BY s.ord) AS earlier
              FROM unnest(p_id, p_kind, d, c, p_asked, p_asset, p_code, p_pending, p_keep,
                          p_expires, p_group, p_ref_type, p_ref_id, p_refund, p_reverses,
                          p_corrects, p_up_to, p_if_debit, p_if_credit, p_effective)
                   WITH ORDINALITY s (id, kind, d, c, asked, asset, code, pending, keep, expires,
                                      grp, ref_type, ref_id, refund, reverses, corrects, up_to,
                                      if_debit, if_credit, effective, ord)) q
        LEFT JOIN LATERAL (
            SELECT p.id, p.kind, p.code, p.debit_key, p.credit_key, p.asked, p.amount, p.pending_id,
                   p.keep_rest, p.expires_at, p.group_id, p.reference_type, p.reference_id,
                   p.refund_of, p.reverses, p.corrects, p.up_to, p.if_debit_version,
                   p.if_credit_version, p.booked_at,
                   CASE WHEN p.asked IS NOT NULL THEN p.asset END AS asked_asset,
                   nullif(p.effective_at, p.booked_at) AS asked_effective, NULL::text AS result
            FROM ledger.transfer p WHERE p.id = q.id
            UNION ALL
            SELECT p.id, p.kind, p.code, p.debit_key, p.credit_key, p.asked, NULL, p.pending_id,
                   p.keep_rest, p.expires_at, p.group_id, p.reference_type, p.reference_id,
                   p.refund_of, p.reverses, p.corrects, p.up_to, p.if_debit_version,
                   p.if_credit_version, NULL, p.asset, p.effective_at, p.result
            FROM ledger.transfer_refusal p WHERE p.id = q.id
            -- Two contents sent at once under one id, on accounts that share no lock, can leave
            -- both.
            LIMIT 1
        ) old ON true;
        o_at := array_fill(NULL::timestamptz, ARRAY[n]);
    END IF;
    refused := ok;
    holds := h_id IS NOT NULL OR 'pending' = ANY (p_kind);
    IF holds THEN
        d_held := d_bal; d_in := d_bal; c_held := d_bal; c_in := d_bal; rel := d_bal;
        seq := array_fill(NULL::integer, ARRAY[n]);
    END IF;

    FOR i IN 1..n LOOP
        IF p_group IS NOT NULL THEN
            IF p_group[i] IS NULL OR p_group[i] IS DISTINCT FROM grp THEN
                grp := p_group[i]; first := i; failed := false; grp_class := NULL;
            END IF;
            IF failed THEN
                res[i] := 'linked_failed';
                IF prior[i] = 'exists' THEN
                    res[i] := 'exists'; amt[i] := prior_amount[i]; o_at[i] := prior_at[i];
                END IF;
                CONTINUE;
            END IF;
        END IF;
        m := p_asked[i]; why := NULL;

        -- The order of these tests is the order of ResultCode.
        IF seen THEN
            -- Twice in one batch: the last attempt that counts is what a retry would meet.
            k := earlier[i];
            WHILE k IS NOT NULL AND NOT ok[k] AND NOT refused[k] LOOP
                k := earlier[k];
            END LOOP;
            IF prior[i] IS NOT NULL THEN why := prior[i];
            ELSIF k IS NOT NULL THEN
                why := CASE WHEN p_kind[k] <> p_kind[i] THEN 'exists_with_different_kind'
                    WHEN p_pending[i] IS NULL
                         AND (d[k] IS DISTINCT FROM d[i] OR c[k] IS DISTINCT FROM c[i])
                        THEN 'exists_with_different_accounts'
                    WHEN p_asked[k] IS DISTINCT FROM m OR p_asset[k] IS DISTINCT FROM p_asset[i]
                        THEN 'exists_with_different_amount'
                    WHEN p_code[k] <> p_code[i] THEN 'exists_with_different_code'
                    WHEN p_pending[k] IS DISTINCT FROM p_pending[i] OR p_keep[k] <> p_keep[i]
                        THEN 'exists_with_different_pending'
                    WHEN p_expires[k] IS DISTINCT FROM p_expires[i]
                        THEN 'exists_with_different_expiry'
                    WHEN p_group[k] IS DISTINCT FROM p_group[i] THEN 'exists_with_different_group'
                    WHEN p_ref_type[k] <> p_ref_type[i] OR p_ref_id[k] <> p_ref_id[i]
                        THEN 'exists_with_different_reference'
                    WHEN p_refund[k] IS DISTINCT FROM p_refund[i]
                         OR p_reverses[k] IS DISTINCT FROM p_reverses[i]
                         OR p_corrects[k] IS DISTINCT FROM p_corrects[i]
                        THEN 'exists_with_different_origin'
                    WHEN p_up_to[k] <> p_up_to[i]
                         OR p_if_debit[k] IS DISTINCT FROM p_if_debit[i]
                         OR p_if_credit[k] IS DISTINCT FROM p_if_credit[i]
                        THEN 'exists_with_different_condition'
                    WHEN p_effective[k] IS DISTINCT FROM p_effective[i]
                        THEN 'exists_with_different_effective_at'
                    WHEN refused[k] THEN res[k]
                    ELSE 'exists' END;
                prior_amount[i] := coalesce(amt[k], p_asked[k]); prior_at[i] := o_base + k * tick;
            END IF;
        END IF;
        IF h_id IS NOT NULL THEN
            h := hi[i];
            IF h IS NOT NULL AND h_known[h] THEN
                d[i] := h_dk[h]; c[i] := h_ck[h]; di[i] := h_di[h]; ci[i] := h_ci[h];
            END IF;
        END IF;
        x := di[i]; y := ci[i];
        IF special THEN f := fi[i]; END IF;
        IF why IS NOT NULL THEN NULL;
        ELSIF NOT roomy AND (m <= 0 OR (m IS NULL AND p_kind[i] IN ('post', 'pending'))) THEN
            why := 'amount_not_positive';
        ELSIF NOT roomy AND m > largest THEN why := 'amount_too_large';
        ELSIF h IS NOT NULL AND NOT h_known[h] THEN why := 'pending_not_found';
        ELSIF f IS NOT NULL AND NOT f_known[f] THEN why := 'original_not_found';
        ELSIF x IS NULL OR y IS NULL THEN why := 'account_not_found';
        ELSIF x = y THEN why := 'same_account';
        ELSIF NOT tidy AND (a_asset[x] <> a_asset[y] OR p_asset[i] <> a_asset[x])
              OR f_asset[f] <> a_asset[x] THEN
            why := 'assets_differ';
        ELSIF grp_class <> a_class[x] THEN why := 'classes_differ';
        ELSIF h IS NOT NULL THEN
            IF h_end[h] IS NOT NULL THEN why := h_end[h];
            ELSIF p_kind[i] = 'void_pending' THEN m := h_left[h]; r := m;
            ELSIF h_expires[h] <= o_base THEN why := 'hold_expired';
            ELSIF m > h_left[h] THEN why := 'exceeds_hold';
            ELSE
                m := coalesce(m, h_left[h]);
                r := CASE WHEN p_keep[i] THEN m ELSE h_left[h] END;
            END IF;
        ELSIF special THEN
            IF p_effective[i] IS NOT NULL AND NOT p_backdatable[i] THEN why := 'not_backdatable';
            ELSIF p_effective[i] > o_base THEN why := 'effective_in_future';
            ELSIF p_effective[i] <= closed THEN why := 'period_closed';
            ELSIF p_reverses[i] IS NOT NULL AND f_reversed[f] THEN why := 'already_reversed';
            ELSIF p_reverses[i] IS NOT NULL
                  AND (f_reversal[f] OR f_refunded[f] > 0 OR whole[i] IS NOT TRUE
                       OR m <> f_amount[f] OR d[i] <> f_ck[f] OR c[i] <> f_dk[f]) THEN
                why := 'not_reversible';
            ELSIF p_refund[i] IS NOT NULL AND (f_refund[f] OR f_reversal[f]) THEN
                why := 'not_refundable';
            ELSIF p_refund[i] IS NOT NULL AND (f_reversed[f] OR m > f_amount[f] - f_refunded[f])
            THEN why := 'exceeds_original';
            END IF;
        END IF;
        IF why IS NOT NULL OR h IS NOT NULL THEN NULL;
        ELSIF NOT tidy AND 'closed' IN (a_state[x], a_state[y]) THEN why := 'account_closed';
        -- A frozen account can still be paid into: money that came is never turned away.
        ELSIF NOT tidy AND a_state[x] = 'frozen' THEN why := 'account_frozen';
        ELSIF special AND (p_if_debit[i] <> a_ver[x] OR p_if_credit[i] <> a_ver[y]) THEN
            why := 'version_moved';
        ELSE
            IF special AND p_up_to[i] THEN
                -- What is there, not what could be owed.
                m := least(m, a_cp[x] - a_dp[x] - a_dh[x] - greatest(a_floor[x], 0));
            END IF;
            IF special AND m <= 0 THEN why := 'nothing_to_move';
            ELSIF a_cp[x] - a_dp[x] - a_dh[x] - m < a_floor[x] THEN why := 'insufficient_funds';
            ELSIF NOT roomy AND (a_dp[x] + a_dh[x] + m > largest OR a_cp[y] + a_ch[y] + m > largest)
            THEN why := 'total_too_large';
            END IF;
        END IF;
        IF why = 'exists' THEN
            res[i] := 'exists'; amt[i] := prior_amount[i]; o_at[i] := prior_at[i];
            answers := true;
            CONTINUE;
        END IF;
        -- A group is booked whole: a new member cannot join what was booked before this batch.
        IF why IS NULL AND old_group[i] THEN why := 'linked_failed'; END IF;
        IF why IS NOT NULL THEN
            answers := true; res[i] := why;
            refused[i] := prior[i] IS NULL AND k IS NULL AND why = ANY (passing);
            IF grp IS NULL THEN CONTINUE; END IF;
            failed := true;
            FOR j IN REVERSE i - 1..first LOOP
                CONTINUE WHEN prior[j] IS NOT NULL;
                why := res[j]; res[j] := 'linked_failed'; m := coalesce(amt[j], p_asked[j]);
                amt[j] := NULL; ok[j] := false;
                CONTINUE WHEN why = 'exists';  -- the same member twice
                x := di[j]; y := ci[j];
                a_ver[x] := a_ver[x] - 1; a_ver[y] := a_ver[y] - 1;
                IF a_ver[x] = a_ver0[x] THEN touched := touched - 1; END IF;
                IF a_ver[y] = a_ver0[y] THEN touched := touched - 1; END IF;
                IF p_refund[j] IS NOT NULL THEN f_refunded[fi[j]] := f_refunded[fi[j]] - m; END IF;
                IF p_reverses[j] IS NOT NULL THEN f_reversed[fi[j]] := false; END IF;
                IF ti[j] IS NOT NULL THEN f_known[ti[j]] := false; END IF;
                IF p_kind[j] IN ('post', 'post_pending') THEN
                    a_dp[x] := a_dp[x] - m; a_cp[y] := a_cp[y] - m;
                END IF;
                IF p_kind[j] = 'pending' THEN
                    a_dh[x] := a_dh[x] - m; a_ch[y] := a_ch[y] - m;
                    IF si[j] IS NOT NULL THEN h_known[si[j]] := false; END IF;
                ELSIF p_kind[j] <> 'post' THEN
                    h := hi[j]; r := rel[j];
                    a_dh[x] := a_dh[x] + r; a_ch[y] := a_ch[y] + r;
                    h_left[h] := h_left[h] + r; h_end[h] := NULL; h_seq[h] := h_seq[h] - 1;
                END IF;
            END LOOP;
            CONTINUE;
        END IF;

        -- Booked. Counters of unbounded accounts are NULL and stay so.
        ok[i] := true;
        IF p_group IS NOT NULL THEN grp_class := a_class[x]; END IF;
        IF NOT holds OR p_kind[i] IN ('post', 'post_pending') THEN
            a_dp[x] := a_dp[x] + m; a_cp[y] := a_cp[y] + m;
        END IF;
        IF a_ver[x] = a_ver0[x] THEN touched := touched + 1; END IF;
        IF a_ver[y] = a_ver0[y] THEN touched := touched + 1; END IF;
        a_ver[x] := a_ver[x] + 1; d_ver[i] := a_ver[x]; d_bal[i] := a_cp[x] - a_dp[x];
        a_ver[y] := a_ver[y] + 1; c_ver[i] := a_ver[y]; c_bal[i] := a_cp[y] - a_dp[y];
        IF special THEN
            IF p_up_to[i] THEN amt[i] := m; answers := true; END IF;
            IF p_refund[i] IS NOT NULL THEN f_refunded[f] := f_refunded[f] + m;
            ELSIF p_reverses[i] IS NOT NULL THEN f_reversed[f] := true;
            END IF;
            IF ti[i] IS NOT NULL AND p_kind[i] IN ('post', 'post_pending') THEN
                f := ti[i]; f_known[f] := true; f_dk[f] := d[i]; f_ck[f] := c[i];
                f_asset[f] := a_asset[x]; f_amount[f] := m; f_refunded[f] := 0;
                f_reversed[f] := false; f_refund[f] := p_refund[i] IS NOT NULL;
                f_reversal[f] := p_reverses[i] IS NOT NULL;
            END IF;
        END IF;
        IF NOT holds THEN CONTINUE; END IF;
        IF p_kind[i] = 'pending' THEN
            a_dh[x] := a_dh[x] + m; a_ch[y] := a_ch[y] + m;
            IF si[i] IS NOT NULL THEN
                h := si[i]; h_known[h] := true; h_amount[h] := m; h_left[h] := m;
                h_expires[h] := p_expires[i]; h_seq[h] := 0; h_end[h] := NULL;
                h_dk[h] := d[i]; h_ck[h] := c[i]; h_di[h] := x; h_ci[h] := y;
            END IF;
        ELSIF h IS NOT NULL THEN
            amt[i] := m; rel[i] := r; answers := true;
            a_dh[x] := a_dh[x] - r; a_ch[y] := a_ch[y] - r;
            h_left[h] := h_left[h] - r; h_seq[h] := h_seq[h] + 1; seq[i] := h_seq[h];
            h_end[h] := CASE WHEN p_kind[i] = 'void_pending' THEN 'hold_voided'
                             WHEN h_left[h] = 0 THEN 'hold_posted' END;
        END IF;
        d_held[i] := a_dh[x]; d_in[i] := a_ch[x]; c_held[i] := a_dh[y]; c_in[i] := a_ch[y];
    END LOOP;

    IF true = ANY (ok) THEN
        INSERT INTO ledger.transfer (
            id, kind, code, debit_key, credit_key, amount, asked, asset, pending_id, pending_seq,
            keep_rest, up_to, expires_at, group_id, reference_type, reference_id, actor, booked_at,
            effective_at, refund_of, reverses, corrects, if_debit_version, if_credit_version)
        SELECT q.id, q.kind, q.code, q.d, q.c, coalesce(q.amount, q.asked), q.asked,
               a_asset[q.x], q.pending, q.seq, coalesce(q.keep, false), coalesce(q.up_to, false),
               q.expires, q.grp, q.ref_type, q.ref_id, p_actor, o_base + q.ord * tick,
               coalesce(q.effective, o_base + q.ord * tick), q.refund, q.reverses, q.corrects,
               q.if_debit, q.if_credit
        FROM unnest(p_id, p_kind, p_code, d, c, amt, p_asked, di, p_pending, seq, p_keep, p_up_to,
                    p_expires, p_group, p_ref_type, p_ref_id, p_effective, p_refund, p_reverses,
                    p_corrects, p_if_debit, p_if_credit, ok)
             WITH ORDINALITY q (id, kind, code, d, c, amount, asked, x, pending, seq, keep, up_to,
                                expires, grp, ref_type, ref_id, effective, refund, reverses,
                                corrects, if_debit, if_credit, ok, ord)
        WHERE q.ok;
        IF p_expires IS NOT NULL THEN
            INSERT INTO ledger.hold_expiry (expires_at, id)
            SELECT q.expires, q.id FROM unnest(p_expires, p_id, ok) q (expires, id, ok)
            WHERE q.ok AND q.expires IS NOT NULL;
        END IF;
        IF p_metadata IS NOT NULL THEN
            INSERT INTO ledger.transfer_metadata (id, metadata)
            SELECT q.id, q.metadata FROM unnest(p_id, p_metadata, ok) q (id, metadata, ok)
            WHERE q.ok AND q.metadata IS NOT NULL;
        END IF;
        INSERT INTO ledger.entry (account_key, version, transfer_id, debit, credit, balance, held,
                                  incoming, booked_at)
        SELECT q.key, q.ver, q.id, CASE WHEN q.outward THEN q.moved ELSE 0 END,
               CASE WHEN q.outward THEN 0 ELSE q.moved END, q.bal, q.held, q.inc,
               o_base + q.ord * tick
        FROM (
            SELECT s.key, s.ver, s.id, true AS outward, s.bal, s.ord, s.ok,
                   CASE WHEN s.kind LIKE 'post%' THEN coalesce(s.amt, s.asked) ELSE 0 END AS moved,
                   CASE WHEN holds THEN s.held ELSE a_dh[s.x] END AS held,
                   CASE WHEN holds THEN s.inc ELSE a_ch[s.x] END AS inc
            FROM unnest(d, d_ver, p_id, p_kind, amt, p_asked, d_bal, di, d_held, d_in, ok)
                 WITH ORDINALITY s (key, ver, id, kind, amt, asked, bal, x, held, inc, ok, ord)
            UNION ALL
            SELECT s.key, s.ver, s.id, false, s.bal, s.ord, s.ok,
                   CASE WHEN s.kind LIKE 'post%' THEN coalesce(s.amt, s.asked) ELSE 0 END,
                   CASE WHEN holds THEN s.held ELSE a_dh[s.x] END,
                   CASE WHEN holds THEN s.inc ELSE a_ch[s.x] END
            FROM unnest(c, c_ver, p_id, p_kind, amt, p_asked, c_bal, ci, c_held, c_in, ok)
                 WITH ORDINALITY s (key, ver, id, kind, amt, asked, bal, x, held, inc, ok, ord)
        ) q
        WHERE q.ok AND q.ver IS NOT NULL
        ORDER BY q.key, q.ver;
        IF rest IS NOT NULL THEN
            INSERT INTO ledger.entry_unbounded (account_key, transfer_id, debit, credit, booked_at)
            SELECT q.key, q.id, CASE WHEN q.outward THEN q.moved ELSE 0 END,
                   CASE WHEN q.outward THEN 0 ELSE q.moved END, o_base + q.ord * tick
            FROM (
                SELECT CASE WHEN o.outward THEN s.d ELSE s.c END AS key, s.id, o.outward, s.ord,
                       coalesce(s.amt, s.asked) AS moved,
                       CASE WHEN o.outward THEN s.d_ver ELSE s.c_ver END AS ver
                FROM unnest(d, c, d_ver, c_ver, p_id, p_kind, amt, p_asked, ok)
                     WITH ORDINALITY s (d, c, d_ver, c_ver, id, kind, amt, asked, ok, ord)
                CROSS JOIN (VALUES (true), (false)) o (outward)
                WHERE s.ok AND s.kind LIKE 'post%'
            ) q
            WHERE q.ver IS NULL
            ORDER BY q.key, q.id;
        END IF;
        UPDATE ledger.account a
        SET debits_posted = q.dp, credits_posted = q.cp, debits_pending = q.dh,
            credits_pending = q.ch, version = q.ver, booked_at = o_base + n * tick
        FROM unnest(a_tid, a_key, a_dp, a_cp, a_dh, a_ch, a_ver, a_ver0)
             q (tid, key, dp, cp, dh, ch, ver, ver0)
        WHERE a.ctid = q.tid AND a.key = q.key AND q.ver <> q.ver0;
        GET DIAGNOSTICS k = ROW_COUNT;
        IF k <> touched THEN RAISE EXCEPTION 'a locked account has moved'; END IF;
    END IF;
    IF true = ANY (refused) THEN
        INSERT INTO ledger.transfer_refusal (
            id, result, kind, code, debit_key, credit_key, asked, asset, pending_id, keep_rest,
            up_to, expires_at, group_id, reference_type, reference_id, refused_at, effective_at,
            refund_of, reverses, corrects, if_debit_version, if_credit_version)
        SELECT q.id, q.res, q.kind, q.code, q.d, q.c, q.asked, q.asset, q.pending,
               coalesce(q.keep, false), coalesce(q.up_to, false), q.expires, q.grp, q.ref_type,
               q.ref_id, o_base, q.effective, q.refund, q.reverses, q.corrects, q.if_debit,
               q.if_credit
        FROM unnest(p_id, res, p_kind, p_code, d, c, p_asked, p_asset, p_pending, p_keep, p_up_to,
                    p_expires, p_group, p_ref_type, p_ref_id, p_effective, p_refund, p_reverses,
                    p_corrects, p_if_debit, p_if_credit, refused)
             q (id, res, kind, code, d, c, asked, asset, pending, keep, up_to, expires, grp,
                ref_type, ref_id, effective, refund, reverses, corrects, if_debit, if_credit,
                refused)
        WHERE q.refused ORDER BY q.id;
    END IF;
    IF answers THEN o_result := res; o_amount := amt; ELSE o_at := NULL; END IF;
END
$post$
