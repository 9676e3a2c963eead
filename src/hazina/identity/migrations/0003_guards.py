"""What guards an account: second factors, devices, payout phones, recovery, freezing, API keys."""

from alembic import op

revision = "identity_0003"
down_revision = "identity_0002"
branch_labels = None
depends_on = None

FACTORS = (
    # last_step is the time step of the last code that was taken: none is taken twice.
    """
    CREATE TABLE identity.second_factor (
      account_id    uuid PRIMARY KEY,
      secret_sealed bytea NOT NULL,
      last_step     bigint NOT NULL DEFAULT 0,
      created_at    timestamptz NOT NULL,
      confirmed_at  timestamptz
    )
    """,
    # 80 random bits each, so that a plain hash hides them.
    """
    CREATE TABLE identity.recovery_code (
      account_id uuid NOT NULL,
      code_hash  bytea NOT NULL CHECK (octet_length(code_hash) = 32),
      created_at timestamptz NOT NULL,
      used_at    timestamptz,
      PRIMARY KEY (account_id, code_hash)
    )
    """,
)
GUARDS = (
    """
    CREATE TABLE identity.device (
      id            uuid PRIMARY KEY,
      customer_id   uuid NOT NULL REFERENCES identity.customer (id),
      token_hash    bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
      name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
      first_seen_at timestamptz NOT NULL,
      last_seen_at  timestamptz NOT NULL,
      forgotten_at  timestamptz
    )
    """,
    """
    CREATE INDEX device_customer_idx ON identity.device (customer_id, id)
      WHERE forgotten_at IS NULL
    """,
    "ALTER TABLE identity.customer_session ADD COLUMN device_id uuid",
    """
    CREATE TABLE identity.payout_phone (
      id           uuid PRIMARY KEY,
      customer_id  uuid NOT NULL REFERENCES identity.customer (id),
      phone_index  bytea NOT NULL CHECK (octet_length(phone_index) = 32),
      phone_masked text NOT NULL,
      added_at     timestamptz NOT NULL,
      usable_from  timestamptz NOT NULL,
      CONSTRAINT payout_phone_key UNIQUE (customer_id, phone_index)
    )
    """,
    # One row for each customer who has ever been cooled down or frozen.
    """
    CREATE TABLE identity.guard (
      customer_id uuid PRIMARY KEY REFERENCES identity.customer (id),
      cool_until  timestamptz,
      cool_why    text,
      frozen_at   timestamptz,
      frozen_why  text,
      CHECK ((frozen_at IS NULL) = (frozen_why IS NULL))
    )
    """,
    # customer_id is null where nobody has the name that was given: the answer is the same. The
    # codes follow from the row's id and a key of the vault, and are nowhere.
    """
    CREATE TABLE identity.challenge (
      id          uuid PRIMARY KEY,
      customer_id uuid REFERENCES identity.customer (id),
      purpose     text NOT NULL CHECK (purpose IN ('recovery', 'unfreeze')),
      started_at  timestamptz NOT NULL,
      expires_at  timestamptz NOT NULL,
      tries       integer NOT NULL DEFAULT 0,
      email_asked boolean NOT NULL DEFAULT false,
      done_at     timestamptz
    )
    """,
    "CREATE INDEX challenge_customer_idx ON identity.challenge (customer_id, done_at)",
    "CREATE INDEX challenge_expires_idx ON identity.challenge (expires_at)",
    # who is a keyed hash of realm, name and address: it also counts names that nobody has.
    """
    CREATE TABLE identity.login_failure (
      who           bytea PRIMARY KEY CHECK (octet_length(who) = 32),
      failures      integer NOT NULL,
      last_at       timestamptz NOT NULL,
      blocked_until timestamptz
    )
    """,
    "CREATE INDEX login_failure_last_idx ON identity.login_failure (last_at)",
)
KEYS = (
    """
    CREATE TABLE identity.api_key (
      id            uuid PRIMARY KEY,
      customer_id   uuid NOT NULL REFERENCES identity.customer (id),
      label         text NOT NULL CHECK (length(label) BETWEEN 1 AND 64),
      secret_sealed bytea NOT NULL,
      scopes        text[] NOT NULL
                    CHECK (scopes <@ ARRAY['read', 'trade', 'withdraw']
                           AND cardinality(scopes) > 0),
      networks      text[] NOT NULL,
      created_at    timestamptz NOT NULL,
      expires_at    timestamptz NOT NULL CHECK (expires_at > created_at),
      revoked_at    timestamptz,
      last_used_at  timestamptz
    )
    """,
    "CREATE INDEX api_key_customer_idx ON identity.api_key (customer_id, id)",
    """
    CREATE TABLE identity.api_nonce (
      key_id     uuid NOT NULL,
      nonce      text NOT NULL CHECK (length(nonce) BETWEEN 16 AND 64),
      expires_at timestamptz NOT NULL,
      PRIMARY KEY (key_id, nonce)
    )
    """,
    "CREATE INDEX api_nonce_expires_idx ON identity.api_nonce (expires_at)",
)
GRANTS = (
    """
    GRANT SELECT, INSERT, DELETE, UPDATE (secret_sealed, last_step, created_at, confirmed_at)
      ON identity.second_factor TO hazina_app
    """,
    "GRANT SELECT, INSERT, DELETE, UPDATE (used_at) ON identity.recovery_code TO hazina_app",
    """
    GRANT SELECT, INSERT, UPDATE (name, last_seen_at, forgotten_at) ON identity.device
      TO hazina_app
    """,
    "GRANT UPDATE (device_id) ON identity.customer_session TO hazina_app",
    "GRANT SELECT, INSERT, DELETE ON identity.payout_phone TO hazina_app",
    """
    GRANT SELECT, INSERT, UPDATE (cool_until, cool_why, frozen_at, frozen_why)
      ON identity.guard TO hazina_app
    """,
    """
    GRANT SELECT, INSERT, DELETE, UPDATE (tries, email_asked, done_at) ON identity.challenge
      TO hazina_app
    """,
    """
    GRANT SELECT, INSERT, DELETE, UPDATE (failures, last_at, blocked_until)
      ON identity.login_failure TO hazina_app
    """,
    "GRANT SELECT, INSERT, UPDATE (revoked_at, last_used_at) ON identity.api_key TO hazina_app",
    "GRANT SELECT, INSERT, DELETE ON identity.api_nonce TO hazina_app",
    # Reports see that a guard exists, never a secret, hash or index.
    """
    GRANT SELECT (account_id, created_at, confirmed_at) ON identity.second_factor TO hazina_read
    """,
    """
    GRANT SELECT (id, customer_id, name, first_seen_at, last_seen_at, forgotten_at)
      ON identity.device TO hazina_read
    """,
    """
    GRANT SELECT (id, customer_id, phone_masked, added_at, usable_from) ON identity.payout_phone
      TO hazina_read
    """,
    "GRANT SELECT ON identity.guard TO hazina_read",
    """
    GRANT SELECT (id, customer_id, label, scopes, networks, created_at, expires_at, revoked_at,
                  last_used_at)
      ON identity.api_key TO hazina_read
    """,
)


def upgrade() -> None:
    for statement in (*FACTORS, *GUARDS, *KEYS, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
