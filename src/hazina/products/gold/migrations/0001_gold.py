"""Gold's tables: prices, lots and their top-ups, quotes, trades and their allocations."""

from alembic import op

from hazina.infra.states import state_tables

revision = "gold_0001"
down_revision = None
branch_labels = ("gold",)
depends_on = "infra_0001"

TABLES = [
    "CREATE SCHEMA gold",
    # Never changed: quotes and trades point to the row whose price they were promised.
    # Prices are ten-thousandths of a shilling for a gram.
    """
    CREATE TABLE gold.price (
        id             uuid PRIMARY KEY,
        buy            numeric(38, 0) NOT NULL CHECK (buy > 0),
        sell           numeric(38, 0) NOT NULL CHECK (sell > 0),
        effective_from timestamptz NOT NULL,
        note           text NOT NULL,
        created_by     uuid,
        created_at     timestamptz NOT NULL,
        CHECK (buy >= sell)
    )
    """,
    "CREATE INDEX price_effective ON gold.price (effective_from DESC, id DESC)",
    # How much is in a lot is the ledger's to say.
    """
    CREATE TABLE gold.lot (
        id         uuid PRIMARY KEY,
        name       text NOT NULL,
        purity     text NOT NULL,
        priority   integer NOT NULL,
        note       text NOT NULL,
        created_by uuid,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX lot_name ON gold.lot (lower(name))",
    "CREATE INDEX lot_priority ON gold.lot (priority, id)",
    # id: of the transfer that booked it.
    """
    CREATE TABLE gold.top_up (
        id         uuid PRIMARY KEY,
        lot_id     uuid NOT NULL REFERENCES gold.lot (id),
        grams      numeric(38, 0) NOT NULL CHECK (grams > 0),
        note       text NOT NULL,
        created_by uuid,
        created_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX top_up_lot ON gold.top_up (lot_id, id)",
    """
    CREATE TABLE gold.quote (
        id          uuid PRIMARY KEY,
        customer_id uuid NOT NULL,
        side        text NOT NULL CHECK (side IN ('buy', 'sell')),
        via         text NOT NULL CHECK (via IN ('mpesa', 'wallet')),
        price_id    uuid NOT NULL REFERENCES gold.price (id),
        grams       numeric(38, 0) NOT NULL CHECK (grams > 0),
        total       numeric(38, 0) NOT NULL CHECK (total > 0),
        worth       numeric(38, 0) NOT NULL,
        at_mid      numeric(38, 0) NOT NULL,
        created_at  timestamptz NOT NULL,
        expires_at  timestamptz NOT NULL,
        trade_id    uuid
    )
    """,
    "CREATE INDEX quote_unused ON gold.quote (expires_at) WHERE trade_id IS NULL",
    """
    CREATE TABLE gold.trade (
        id              uuid PRIMARY KEY,
        customer_id     uuid NOT NULL,
        side            text NOT NULL CHECK (side IN ('buy', 'sell')),
        via             text NOT NULL CHECK (via IN ('mpesa', 'wallet')),
        state           text NOT NULL,
        state_since     timestamptz NOT NULL,
        next_attempt_at timestamptz,
        price_id        uuid NOT NULL REFERENCES gold.price (id),
        quote_id        uuid,
        grams           numeric(38, 0) NOT NULL CHECK (grams > 0),
        total           numeric(38, 0) NOT NULL CHECK (total > 0),
        worth           numeric(38, 0) NOT NULL,
        at_mid          numeric(38, 0) NOT NULL,
        partial         boolean NOT NULL,
        proceeds_id     uuid,
        deposit_id      uuid,
        payout_id       uuid,
        receipt         text,
        words           text,
        created_at      timestamptz NOT NULL
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX trade_customer ON gold.trade (customer_id, id DESC)",
    "CREATE INDEX trade_due ON gold.trade (next_attempt_at) WHERE next_attempt_at IS NOT NULL",
    # Which gold went where. id: of the transfer or hold that moves it. Of a purchase, returned
    # says how much was sold again; of a sale, source_id names the purchase it gives back.
    """
    CREATE TABLE gold.allocation (
        id          uuid PRIMARY KEY,
        trade_id    uuid NOT NULL REFERENCES gold.trade (id),
        customer_id uuid NOT NULL,
        side        text NOT NULL CHECK (side IN ('buy', 'sell')),
        lot_id      uuid NOT NULL REFERENCES gold.lot (id),
        grams       numeric(38, 0) NOT NULL CHECK (grams > 0),
        returned    numeric(38, 0) NOT NULL DEFAULT 0 CHECK (returned BETWEEN 0 AND grams),
        source_id   uuid,
        state       text NOT NULL CHECK (state IN ('held', 'booked', 'released')),
        created_at  timestamptz NOT NULL
    ) WITH (fillfactor = 80)
    """,
    "CREATE INDEX allocation_trade ON gold.allocation (trade_id)",
    """
    CREATE INDEX allocation_kept ON gold.allocation (customer_id, id)
        WHERE side = 'buy' AND state = 'booked' AND returned < grams
    """,
]

ROLES = [
    "GRANT USAGE ON SCHEMA gold TO hazina_app, hazina_read",
    "GRANT SELECT ON ALL TABLES IN SCHEMA gold TO hazina_app, hazina_read",
    "GRANT INSERT ON ALL TABLES IN SCHEMA gold TO hazina_app",
    "GRANT UPDATE (name, purity, priority, note, changed_at) ON gold.lot TO hazina_app",
    "GRANT UPDATE (trade_id) ON gold.quote TO hazina_app",
    """
    GRANT UPDATE (state, state_since, next_attempt_at, receipt, words) ON gold.trade TO hazina_app
    """,
    "GRANT UPDATE (returned, state) ON gold.allocation TO hazina_app",
    # Quotes that nobody took are forgotten.
    "GRANT DELETE ON gold.quote TO hazina_app",
]


def upgrade() -> None:
    for statement in [*TABLES, *state_tables("gold", "trade"), *ROLES]:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
