"""Messages to customers, by channel, and what each customer wants to hear."""

from alembic import op

revision = "desk_0003"
down_revision = "desk_0002"
branch_labels = None
depends_on = None

# facts are what a template needs: amounts, a masked phone, a device's name. Never a secret, never
# an address: those are opened when a message is sent.
STATEMENTS = [
    """
    CREATE TABLE desk.message (
        id              uuid PRIMARY KEY,
        event_id        uuid NOT NULL,
        customer_id     uuid NOT NULL,
        channel         text NOT NULL CHECK (channel IN ('sms', 'email', 'inbox')),
        template        text NOT NULL,
        language        text NOT NULL CHECK (language IN ('en', 'sw')),
        facts           jsonb NOT NULL,
        state           text NOT NULL
                        CHECK (state IN ('queued', 'sending', 'sent', 'unknown', 'failed')),
        state_since     timestamptz NOT NULL,
        attempts        integer NOT NULL DEFAULT 0,
        next_attempt_at timestamptz,
        reference       text,
        note            text,
        created_at      timestamptz NOT NULL,
        read_at         timestamptz,
        CONSTRAINT message_once UNIQUE (event_id, channel),
        CHECK ((next_attempt_at IS NOT NULL) = (state IN ('queued', 'sending')))
    )
    """,
    "CREATE INDEX message_due ON desk.message (next_attempt_at) WHERE next_attempt_at IS NOT NULL",
    "CREATE INDEX message_inbox ON desk.message (customer_id, id) WHERE channel = 'inbox'",
    """
    CREATE INDEX message_unread ON desk.message (customer_id)
        WHERE channel = 'inbox' AND read_at IS NULL
    """,
    # What an operator looks at: messages that never arrived, newest first.
    "CREATE INDEX message_lost ON desk.message (id) WHERE state IN ('unknown', 'failed')",
    """
    CREATE TABLE desk.message_wish (
        customer_id uuid PRIMARY KEY,
        language    text NOT NULL CHECK (language IN ('en', 'sw')),
        sms         boolean NOT NULL,
        email       boolean NOT NULL,
        updated_at  timestamptz NOT NULL
    )
    """,
    """
    GRANT SELECT, INSERT, UPDATE (state, state_since, attempts, next_attempt_at, reference, note,
                                  read_at)
        ON desk.message TO hazina_app
    """,
    """
    GRANT SELECT, INSERT, UPDATE (language, sms, email, updated_at)
        ON desk.message_wish TO hazina_app
    """,
    "GRANT SELECT ON desk.message, desk.message_wish TO hazina_read",
]


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
