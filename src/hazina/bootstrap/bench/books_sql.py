"""The SQL that makes years of books at once, and that counts what is in them.

Every balance has a closed form, so that any range of rows can be made by itself and in the order
in which it would have been booked: round 1 gives every account its opening balance, in every later
round the accounts are paired anew and one of each pair pays the other, and the last two rounds are
a hold and its posting. Version r of an account is what round r did to it.

``a`` is the number of accounts, ``rounds`` how many rounds there are, ``i`` an account, ``j`` a
pair, ``n`` a transfer. Nothing here is random: the same figures make the same books.
"""

# The one place outside the ledger that writes its tables: generated books, proven afterwards.

SCHEMA = (
    "CREATE SCHEMA bench",
    """
    CREATE TABLE bench.seed (
        accounts bigint NOT NULL, rounds integer NOT NULL, entries bigint NOT NULL,
        first_key bigint NOT NULL, bank_key bigint NOT NULL, began timestamptz NOT NULL,
        step_us bigint NOT NULL, finished boolean NOT NULL DEFAULT false
    )
    """,
    # A UUIDv7 of a moment, the rest of it a digest of the number. These are single expressions so
    # that the planner puts them in place: a call costs more than all that they compute.
    """
    CREATE FUNCTION bench.id(moment timestamptz, kind text, n bigint) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7'
                || overlay(substr(md5(kind || n::text), 1, 19) PLACING '8' FROM 4 FOR 1))::uuid
    $$
    """,
    """
    CREATE FUNCTION bench.account_of(a bigint, r integer, j bigint, side integer) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT (2 * j + side - r::bigint * 7919 % a + a) % a $$
    """,
    """
    CREATE FUNCTION bench.place_of(a bigint, r integer, i bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT (i + r::bigint * 7919) % a $$
    """,
    """
    CREATE FUNCTION bench.payer_side(r integer, j bigint) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT ((j + r) % 2)::integer $$
    """,
    """
    CREATE FUNCTION bench.amount(r integer, j bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 100 + (j * 7919 + r * 104729) % 9901 $$
    """,
    """
    CREATE FUNCTION bench.opening(i bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 10000000 + i % 1000 * 100 $$
    """,
    # What the pairs of round r moved at place p, signed from the owner's side.
    """
    CREATE FUNCTION bench.moved(r integer, p bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE WHEN p % 2 = (p / 2 + r) % 2 THEN -1 ELSE 1 END
               * (100 + (p / 2 * 7919 + r * 104729) % 9901)
    $$
    """,
    """
    CREATE FUNCTION bench.number(a bigint, r integer, j bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE WHEN r = 1 THEN j ELSE a + (r - 2) * (a / 2) + j END
    $$
    """,
)
# $1 accounts, $2 rounds, $3 and $4 from and to (without) in the range of a chunk.
_SEED = "bench.seed s"
_AT = "s.began + {n} * (s.step_us * interval '1 microsecond')"


def _at(n: str) -> str:
    return _AT.format(n=f"({n})")


# ruff: noqa: S608 - every part of these queries stands in this file
# tidy: allow ledger-tables — generated books
ACCOUNTS = f"""
INSERT INTO ledger.account (key, id, purpose, asset, class, owner_id, bounded, debit_normal,
    debits_posted, credits_posted, version, booked_at, created_at)
OVERRIDING SYSTEM VALUE
SELECT s.first_key + i, bench.id(s.began, 'account', i), 'wallet', 'KES', 'real',
       bench.id(s.began, 'owner', i), true, false, -c.paid, c.received, s.rounds,
       {_at("bench.number(s.accounts, s.rounds, bench.place_of(s.accounts, x.q, i) / 2)")},
       s.began
FROM {_SEED}
CROSS JOIN LATERAL (SELECT s.rounds - (s.rounds > 3)::integer) x (q)
CROSS JOIN generate_series($1::bigint, $2::bigint - 1) i
CROSS JOIN LATERAL (
    SELECT coalesce(sum(m) FILTER (WHERE m < 0), 0) AS paid,
           coalesce(sum(m) FILTER (WHERE m > 0), 0) + bench.opening(i) AS received
    FROM (SELECT bench.moved(r, bench.place_of(s.accounts, r, i)) AS m
          FROM generate_series(2, x.q) r) y) c
"""
# tidy: allow ledger-tables — generated books
OPENINGS = f"""
WITH made AS MATERIALIZED (
    SELECT i, bench.id({_at("i")}, 'transfer', i) AS id, s.first_key + i AS key, s.bank_key,
           bench.opening(i) AS amount, {_at("i")} AS at
    FROM {_SEED} CROSS JOIN generate_series($1::bigint, $2::bigint - 1) i
), transfers AS (
    INSERT INTO ledger.transfer (id, kind, code, debit_key, credit_key, amount, asked, asset,
        reference_type, reference_id, actor, booked_at, effective_at)
    SELECT m.id, 'post', 'deposit', m.bank_key, m.key, m.amount, m.amount, 'KES', 'seed', m.id,
           'system', m.at, m.at
    FROM made m ORDER BY m.i
), entries AS (
    INSERT INTO ledger.entry (account_key, version, transfer_id, debit, credit, balance, held,
        incoming, booked_at)
    SELECT m.key, 1, m.id, 0, m.amount, m.amount, 0, 0, m.at FROM made m ORDER BY m.key
)
INSERT INTO ledger.entry_unbounded (account_key, transfer_id, debit, credit, booked_at)
SELECT m.bank_key, m.id, m.amount, 0, m.at FROM made m ORDER BY m.id
"""
# $3 is the round; q is the round whose pairs and amounts it has.
# tidy: allow ledger-tables — generated books
ROUND = f"""
WITH made AS MATERIALIZED (
    SELECT j, n, x.kind, x.moved, bench.amount(x.q, j) AS amount, {_at("n")} AS at,
           bench.id({_at("n")}, 'transfer', n) AS id,
           CASE WHEN x.kind = 'post_pending'
                THEN bench.id({_at("h")}, 'transfer', h) END AS pending,
           bench.account_of(s.accounts, x.q, j, bench.payer_side(x.q, j)) AS payer,
           bench.account_of(s.accounts, x.q, j, 1 - bench.payer_side(x.q, j)) AS payee,
           s.first_key, s.accounts, s.rounds
    FROM {_SEED}
    CROSS JOIN LATERAL (
        SELECT CASE WHEN s.rounds > 3 AND $3 = s.rounds THEN $3 - 1 ELSE $3 END AS q,
               CASE WHEN s.rounds > 3 AND $3 = s.rounds - 1 THEN 'pending'
                    WHEN s.rounds > 3 AND $3 = s.rounds THEN 'post_pending'
                    ELSE 'post' END AS kind,
               NOT (s.rounds > 3 AND $3 = s.rounds - 1) AS moved) x
    CROSS JOIN generate_series($1::bigint, $2::bigint - 1) j
    CROSS JOIN LATERAL (SELECT bench.number(s.accounts, $3, j) AS n,
                               bench.number(s.accounts, x.q, j) AS h) y
), transfers AS (
    INSERT INTO ledger.transfer (id, kind, code, debit_key, credit_key, amount, asked, asset,
        pending_id, pending_seq, reference_type, reference_id, actor, booked_at, effective_at)
    SELECT m.id, m.kind, 'deposit', m.first_key + m.payer, m.first_key + m.payee, m.amount,
           CASE WHEN m.pending IS NULL THEN m.amount END, 'KES', m.pending,
           CASE WHEN m.pending IS NOT NULL THEN 1 END, 'seed', m.id, 'system', m.at, m.at
    FROM made m ORDER BY m.n
)
INSERT INTO ledger.entry (account_key, version, transfer_id, debit, credit, balance, held,
    incoming, booked_at)
SELECT m.first_key + e.i, $3, m.id, CASE WHEN e.pays AND m.moved THEN m.amount ELSE 0 END,
       CASE WHEN NOT e.pays AND m.moved THEN m.amount ELSE 0 END,
       bench.opening(e.i) + (
           SELECT coalesce(sum(bench.moved(r, bench.place_of(m.accounts, r, e.i))), 0)
           FROM generate_series(2, $3 - (m.rounds > 3 AND $3 >= m.rounds - 1)::integer) r),
       CASE WHEN e.pays AND NOT m.moved THEN m.amount ELSE 0 END,
       CASE WHEN NOT e.pays AND NOT m.moved THEN m.amount ELSE 0 END, m.at
FROM made m CROSS JOIN LATERAL (VALUES (m.payer, true), (m.payee, false)) e (i, pays)
ORDER BY 1
"""
# What stands around the books: as many people, their sessions, answers kept for repeats, callbacks
# worked off and deposits that came to nothing. Sealed columns hold noise that nobody can open.
PEOPLE = (
    """
    INSERT INTO identity.customer (id, username, kind, email_sealed, email_index, email_masked,
        phone_sealed, phone_index, phone_masked, password_hash, password_changed_at, created_at)
    SELECT bench.id(s.began, 'owner', i), 'seed-' || i, 'regular', h, sha256(h || '\\x01'), 's•••',
           h, sha256(h || '\\x02'), '+254 7•• ••• •••', '$argon2id$none', s.began, s.began
    FROM bench.seed s CROSS JOIN generate_series($1::bigint, $2::bigint - 1) i
    CROSS JOIN LATERAL sha256(i::text::bytea) h
    """,
    """
    INSERT INTO identity.customer_session (id, account_id, channel, created_at, last_seen_at,
        expires_at)
    SELECT bench.id(s.began, 'session', i), bench.id(s.began, 'owner', i), 'api', s.began,
           s.began, s.began + interval '10 years'
    FROM bench.seed s CROSS JOIN generate_series($1::bigint, $2::bigint - 1) i
    """,
    """
    INSERT INTO infra.idempotency (principal, route, key, body_hash, status, answer, created_at)
    SELECT 'customer:' || bench.id(s.began, 'owner', i), 'POST /wallet/deposits',
           md5(i::text), sha256(i::text::bytea), 202, '{}', s.began + i * interval '1 second'
    FROM bench.seed s CROSS JOIN generate_series($1::bigint, $2::bigint - 1) i
    """,
    """
    INSERT INTO infra.inbox (id, source, kind, external_id, body, body_hash, headers, trusted,
        received_at, state, settled_at)
    SELECT bench.id(s.began + i * interval '1 second', 'inbox', i), 'mpesa', 'collection',
           md5(i::text), '{}', sha256(i::text::bytea), '{}', true,
           s.began + i * interval '1 second', 'done', s.began + i * interval '1 second'
    FROM bench.seed s CROSS JOIN generate_series($1::bigint, $2::bigint - 1) i
    """,
    """
    INSERT INTO deposits.deposit (id, customer_id, amount, phone_sealed, phone_masked, phone_index,
        reference, token, limit_day, state, state_since, requested_at)
    SELECT bench.id(s.began + i * interval '1 second', 'deposit', i),
           bench.id(s.began, 'owner', i), 10000, '\\x00', '+254 7•• ••• •••',
           sha256(i::text::bytea), 'SEED' || i, md5('token' || i), s.began::date, 'failed',
           s.began + i * interval '1 second', s.began + i * interval '1 second'
    FROM bench.seed s CROSS JOIN generate_series($1::bigint, $2::bigint - 1) i
    """,
)
# tidy: allow ledger-tables — generated books
BANK_KEY = """
SELECT key FROM ledger.account WHERE owner_id IS NULL AND purpose = 'bank' AND asset = 'KES'
"""
# tidy: allow ledger-tables — generated books
FIRST_KEY = "SELECT max(key) + 1 FROM ledger.account"
# tidy: allow ledger-tables — generated books
NEXT_KEY = """
SELECT setval(pg_get_serial_sequence('ledger.account', 'key'), max(key)) FROM ledger.account
"""
TABLES = (
    # tidy: allow ledger-tables — generated books
    *("ledger.account", "ledger.transfer", "ledger.entry", "ledger.entry_unbounded"),
    *("identity.customer", "identity.customer_session", "infra.idempotency", "infra.inbox"),
    "deposits.deposit",
)

# Some owners of seeded wallets, spread over all of them.
# tidy: allow ledger-tables — reads which accounts there are
OWNERS = """
SELECT a.owner_id FROM bench.seed s
CROSS JOIN generate_series(0, least($1::bigint, s.accounts) - 1) g
JOIN ledger.account a ON a.key = s.first_key + g * (s.accounts / least($1::bigint, s.accounts))
"""
# tidy: allow ledger-tables — counts
ENTRIES = """
SELECT (SELECT count(*) FROM ledger.entry) + (SELECT count(*) FROM ledger.entry_unbounded)
"""
# tidy: allow ledger-tables — counts
PRESENT = "SELECT count(*) FROM ledger.transfer WHERE id = ANY($1)"
SIZE = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'ledger' AND c.relkind IN ('r', 'm')
"""
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
# The business row of a joined posting: what M-Pesa gave a receipt for, listed at the ledger's door.
BUSINESS_ROW = """
INSERT INTO deposits.mpesa_receipt (receipt, amount, deposit_id, group_id, received_at)
VALUES ($1, $2, $3, $4, $5)
"""
