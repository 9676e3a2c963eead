"""What customers owe after a claw-back."""  # tidy: allow migration — a branch of its own

from alembic import op

from hazina.infra.states import state_tables

revision = "debts_0001"
down_revision = None
branch_labels = ("debts",)
depends_on = "desk_0002"

STATEMENTS = [
    """
    CREATE TABLE desk.debt (
        id              uuid PRIMARY KEY,
        customer_id     uuid NOT NULL,
        asset           text NOT NULL,
        amount          numeric(38, 0) NOT NULL CHECK (amount > 0),
        outstanding     numeric(38, 0) NOT NULL CHECK (outstanding BETWEEN 0 AND amount),
        cause           text NOT NULL,
        state           text NOT NULL,
        state_since     timestamptz NOT NULL,
        since           timestamptz NOT NULL,
        CHECK ((state = 'open') = (outstanding > 0))
    )
    """,
    "CREATE INDEX debt_open_customer ON desk.debt (customer_id) WHERE state = 'open'",
    "CREATE INDEX debt_open ON desk.debt (since, id) WHERE state = 'open'",
    "GRANT SELECT, INSERT ON desk.debt TO hazina_app",
    "GRANT UPDATE (outstanding, state, state_since) ON desk.debt TO hazina_app",
    "GRANT SELECT ON desk.debt TO hazina_read",
    *state_tables("desk", "debt"),
    # Bookings for a customer share a lock that a claw-back takes alone: a payment that looked for
    # debts before one was written cannot be booked after it. 256 locks for all customers.
    """
    CREATE FUNCTION desk.debts_of(customers uuid[]) RETURNS SETOF desk.debt
    LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(1212241476, s.slot)
        FROM (SELECT DISTINCT get_byte(uuid_send(c), 15) AS slot FROM unnest(customers) c
              ORDER BY 1) s;
        RETURN QUERY SELECT * FROM desk.debt d
            WHERE d.customer_id = ANY (customers) AND d.state = 'open'
            ORDER BY d.since, d.id FOR NO KEY UPDATE;
    END
    $$
    """,
    """
    CREATE FUNCTION desk.bar_customer(customer uuid) RETURNS void
    LANGUAGE sql AS $$
        SELECT pg_advisory_xact_lock(1212241476, get_byte(uuid_send(customer), 15))
    $$
    """,
    "REVOKE ALL ON FUNCTION desk.debts_of(uuid[]), desk.bar_customer(uuid) FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION desk.debts_of(uuid[]), desk.bar_customer(uuid) TO hazina_app",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
