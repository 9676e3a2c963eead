"""The ledger's tables: accounts with counters, append-only transfers, entries and refusals."""

from alembic import op

revision = "ledger_0001"
down_revision = None
branch_labels = ("ledger",)
depends_on = None

TABLES = [
    "CREATE SCHEMA ledger",
    """
    CREATE TABLE ledger.asset (
        code  text PRIMARY KEY,
        scale smallint NOT NULL CHECK (scale BETWEEN 0 AND 18),
        class text NOT NULL CHECK (class IN ('real', 'paper'))
    )
    """,
    # credit: credit lines were granted, see ledger.credit_line. parent_key: the account that this
    # one is a part of. fillfactor: counters change in place (HOT), so no index may name them. What
    # every posting reads comes first, what is always of one width before the rest.
    """
    CREATE TABLE ledger.account (
        key             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        version         bigint NOT NULL DEFAULT 0,
        booked_at       timestamptz NOT NULL DEFAULT '-infinity',
        bounded         boolean NOT NULL,
        debit_normal    boolean NOT NULL,
        credit          boolean NOT NULL DEFAULT false,
        debits_posted   numeric(38, 0) NOT NULL DEFAULT 0,
        credits_posted  numeric(38, 0) NOT NULL DEFAULT 0,
        debits_pending  numeric(38, 0) NOT NULL DEFAULT 0,
        credits_pending numeric(38, 0) NOT NULL DEFAULT 0,
        floor           numeric(38, 0) NOT NULL DEFAULT 0,
        state           text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'frozen', 'closed')),
        asset           text NOT NULL REFERENCES ledger.asset (code),
        class           text NOT NULL,
        purpose         text NOT NULL,
        owner_id        uuid,
        parent_key      bigint,
        id              uuid NOT NULL UNIQUE,
        created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
        UNIQUE NULLS NOT DISTINCT (owner_id, asset, purpose)
    ) WITH (fillfactor = 80)
    """,
    """
    CREATE INDEX account_parent ON ledger.account (parent_key) WHERE parent_key IS NOT NULL
    """,
    # asked: the amount the caller named; NULL where a post or void takes all that is left.
    # up_to: asked is the most that may move. refund_of, reverses: the transfer whose money this one
    # gives back; corrects: what this one puts right. if_…_version: the condition it was sent under.
    """
    CREATE TABLE ledger.transfer (
        id             uuid PRIMARY KEY,
        kind           text NOT NULL
            CHECK (kind IN ('post', 'pending', 'post_pending', 'void_pending')),
        code           text NOT NULL,
        debit_key      bigint NOT NULL,
        credit_key     bigint NOT NULL,
        amount         numeric(38, 0) NOT NULL CHECK (amount > 0),
        asked          numeric(38, 0),
        asset          text NOT NULL,
        pending_id     uuid,
        pending_seq    integer,
        keep_rest      boolean NOT NULL DEFAULT false,
        up_to          boolean NOT NULL DEFAULT false,
        expires_at     timestamptz,
        group_id       uuid,
        reference_type text NOT NULL,
        reference_id   uuid NOT NULL,
        actor          text NOT NULL,
        booked_at      timestamptz NOT NULL,
        effective_at   timestamptz NOT NULL,
        tx             xid8 NOT NULL DEFAULT pg_current_xact_id(),
        refund_of      uuid,
        reverses       uuid,
        corrects       uuid,
        if_debit_version  bigint,
        if_credit_version bigint,
        CHECK ((pending_id IS NULL) = (kind IN ('post', 'pending'))),
        CHECK (refund_of IS NULL OR reverses IS NULL)
    )
    """,
    # Two acts on one hold can never both be its n-th: the second fails and is run again.
    """
    CREATE UNIQUE INDEX transfer_pending ON ledger.transfer (pending_id, pending_seq)
        WHERE pending_id IS NOT NULL
    """,
    "CREATE INDEX transfer_group ON ledger.transfer (group_id) WHERE group_id IS NOT NULL",
    # A leg is reversed once.
    """
    CREATE UNIQUE INDEX transfer_reverses ON ledger.transfer (reverses)
        WHERE reverses IS NOT NULL
    """,
    "CREATE INDEX transfer_refund ON ledger.transfer (refund_of) WHERE refund_of IS NOT NULL",
    # Holds that may expire, until their time has come and they were looked at.
    """
    CREATE TABLE ledger.hold_expiry (
        expires_at timestamptz NOT NULL,
        id         uuid NOT NULL,
        PRIMARY KEY (expires_at, id)
    )
    """,
    """
    CREATE TABLE ledger.transfer_metadata (
        id       uuid PRIMARY KEY,
        metadata jsonb NOT NULL
    )
    """,
    # Bounded accounts: one row a version, with what the account was worth after it.
    """
    CREATE TABLE ledger.entry (
        account_key bigint NOT NULL,
        version     bigint NOT NULL,
        transfer_id uuid NOT NULL,
        debit       numeric(38, 0) NOT NULL,
        credit      numeric(38, 0) NOT NULL,
        balance     numeric(38, 0) NOT NULL,
        held        numeric(38, 0) NOT NULL,
        incoming    numeric(38, 0) NOT NULL,
        booked_at   timestamptz NOT NULL,
        PRIMARY KEY (account_key, version)
    )
    """,
    # Booked times rise with the version, so that the primary key finds a moment by halving; an
    # index on the time cost a third of the log that a posting writes. This gives the lowest of 16
    # versions among which is the last at or before p_at, if there is any: the caller's query reads
    # those. An account with fewer is not looked at here at all.
    """
    CREATE FUNCTION ledger.version_near(p_key bigint, p_version bigint, p_at timestamptz)
    RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
    DECLARE
        before  bigint = 0;
        after   bigint = p_version + 1;
        between bigint;
    BEGIN
        WHILE after - before > 16 LOOP
            between = (before + after) / 2;
            IF p_at >= (SELECT e.booked_at FROM ledger.entry e
                        WHERE e.account_key = p_key AND e.version = between) THEN
                before = between;
            ELSE
                after = between;
            END IF;
        END LOOP;
        RETURN before;
    END
    $$
    """,
    # Unbounded accounts: no version, nothing locked, no row where no money moved.
    """
    CREATE TABLE ledger.entry_unbounded (
        account_key bigint NOT NULL,
        transfer_id uuid NOT NULL,
        debit       numeric(38, 0) NOT NULL,
        credit      numeric(38, 0) NOT NULL,
        booked_at   timestamptz NOT NULL,
        PRIMARY KEY (account_key, transfer_id)
    )
    """,
    # What was refused for a passing reason stays refused under its id.
    """
    CREATE TABLE ledger.transfer_refusal (
        id             uuid PRIMARY KEY,
        result         text NOT NULL,
        kind           text NOT NULL,
        code           text NOT NULL,
        debit_key      bigint,
        credit_key     bigint,
        asked          numeric,
        asset          text,
        pending_id     uuid,
        keep_rest      boolean NOT NULL,
        up_to          boolean NOT NULL,
        expires_at     timestamptz,
        group_id       uuid,
        reference_type text NOT NULL,
        reference_id   uuid NOT NULL,
        refused_at     timestamptz NOT NULL,
        effective_at   timestamptz,
        refund_of      uuid,
        reverses       uuid,
        corrects       uuid,
        if_debit_version  bigint,
        if_credit_version bigint
    )
    """,
    # What people did to accounts, and why; for ever.
    """
    CREATE TABLE ledger.account_event (
        seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        account_key bigint NOT NULL,
        event       text NOT NULL CHECK (event IN ('frozen', 'unfrozen', 'closed', 'credit')),
        actor       text NOT NULL,
        reason      text NOT NULL CHECK (reason <> ''),
        at          timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "CREATE INDEX account_event_account ON ledger.account_event (account_key, seq)",
    # How far below its floor an account may go, from when until when, granted by two persons. The
    # newest line that has begun is the one in force; when it ends there is none.
    """
    CREATE TABLE ledger.credit_line (
        seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        account_key bigint NOT NULL,
        amount      numeric(38, 0) NOT NULL CHECK (amount >= 0),
        starts_at   timestamptz NOT NULL,
        ends_at     timestamptz CHECK (ends_at > starts_at),
        asked_by    text NOT NULL,
        granted_by  text NOT NULL CHECK (granted_by <> asked_by),
        reason      text NOT NULL CHECK (reason <> ''),
        granted_at  timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "CREATE INDEX credit_line_account ON ledger.credit_line (account_key, seq)",
    # Nothing takes effect at or before the latest of these.
    """
    CREATE TABLE ledger.period (
        closed_until timestamptz PRIMARY KEY,
        closed_by    text NOT NULL,
        reason       text NOT NULL CHECK (reason <> ''),
        closed_at    timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
]

ROLES = [
    "GRANT USAGE ON SCHEMA ledger TO hazina_app, hazina_read",
    "GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO hazina_app, hazina_read",
    """
    GRANT INSERT ON ledger.asset, ledger.transfer, ledger.transfer_metadata, ledger.entry,
        ledger.entry_unbounded, ledger.transfer_refusal, ledger.hold_expiry TO hazina_app
    """,
    # An account starts open and empty, with its floor at zero.
    """
    GRANT INSERT (id, purpose, asset, class, owner_id, bounded, debit_normal, parent_key)
        ON ledger.account TO hazina_app
    """,
    """
    GRANT UPDATE (debits_posted, credits_posted, debits_pending, credits_pending, version,
        booked_at) ON ledger.account TO hazina_app
    """,
]


def upgrade() -> None:
    for statement in [*TABLES, *ROLES]:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
