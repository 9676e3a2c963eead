"""Identity: customers and operators, their sessions and refresh tokens, realm by realm."""

from alembic import op

revision = "identity_0001"
down_revision = None
branch_labels = ("identity",)
depends_on = "infra_0001"

PEOPLE = (
    "CREATE SCHEMA identity",
    # Contacts are sealed with the customer's own key; the index columns find equals, the masked
    # ones are what screens show, so that a request needs no decryption (resolution C23).
    """
    CREATE TABLE identity.customer (
      id                  uuid PRIMARY KEY,
      username            text NOT NULL CHECK (username ~ '^[a-z0-9_.-]{3,32}$'),
      kind                text NOT NULL CHECK (kind IN ('regular', 'developer')),
      email_sealed        bytea NOT NULL,
      email_index         bytea NOT NULL CHECK (octet_length(email_index) = 32),
      email_masked        text NOT NULL,
      phone_sealed        bytea NOT NULL,
      phone_index         bytea NOT NULL CHECK (octet_length(phone_index) = 32),
      phone_masked        text NOT NULL,
      password_hash       text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
      password_version    integer NOT NULL DEFAULT 1,
      password_changed_at timestamptz NOT NULL,
      created_at          timestamptz NOT NULL,
      disabled_at         timestamptz,
      CONSTRAINT customer_username_key UNIQUE (username),
      CONSTRAINT customer_email_key UNIQUE (email_index),
      CONSTRAINT customer_phone_key UNIQUE (phone_index)
    )
    """,
    """
    CREATE TABLE identity.operator (
      id                  uuid PRIMARY KEY,
      username            text NOT NULL CHECK (username ~ '^[a-z0-9_.-]{3,32}$'),
      role                text NOT NULL
                          CHECK (role IN ('administrator', 'manager', 'operator', 'auditor')),
      password_hash       text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
      password_version    integer NOT NULL DEFAULT 1,
      password_changed_at timestamptz NOT NULL,
      created_at          timestamptz NOT NULL,
      disabled_at         timestamptz,
      CONSTRAINT operator_username_key UNIQUE (username)
    )
    """,
)

# password_version counts changes, not rehashes: a login compares it, so that no session can be
# opened with a password that was changed while its hash was being computed.

# One shape, two pairs of tables: a query that names the wrong realm finds nothing.
# secret_hash is set for pages (the cookie); an api session lives by its refresh tokens.
SESSIONS = """
    CREATE TABLE identity.{realm}_session (
      id           uuid PRIMARY KEY,
      account_id   uuid NOT NULL REFERENCES identity.{realm} (id),
      channel      text NOT NULL CHECK (channel IN ('api', 'page')),
      secret_hash  bytea UNIQUE CHECK (octet_length(secret_hash) = 32),
      created_at   timestamptz NOT NULL,
      last_seen_at timestamptz NOT NULL,
      expires_at   timestamptz NOT NULL,
      revoked_at   timestamptz,
      revoked_why  text,
      ip           text,
      user_agent   text CHECK (length(user_agent) <= 256),
      CHECK ((secret_hash IS NOT NULL) = (channel = 'page')),
      CHECK ((revoked_at IS NULL) = (revoked_why IS NULL))
    ) WITH (fillfactor = 90)
"""
LIVE = """
    CREATE INDEX {realm}_session_live_idx ON identity.{realm}_session (account_id, id)
      WHERE revoked_at IS NULL
"""
ENDED = "CREATE INDEX {realm}_session_expires_idx ON identity.{realm}_session (expires_at)"
# A used token stays until its session is pruned: seeing it again is how theft shows.
REFRESH_TOKENS = """
    CREATE TABLE identity.{realm}_refresh_token (
      token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
      session_id uuid NOT NULL REFERENCES identity.{realm}_session (id) ON DELETE CASCADE,
      created_at timestamptz NOT NULL,
      used_at    timestamptz
    )
"""
FAMILY = """
    CREATE INDEX {realm}_refresh_token_session_idx ON identity.{realm}_refresh_token (session_id)
"""
SESSION_GRANTS = """
    GRANT SELECT, INSERT, DELETE, UPDATE (last_seen_at, ip, user_agent, revoked_at, revoked_why)
      ON identity.{realm}_session TO hazina_app
"""
REFRESH_GRANTS = """
    GRANT SELECT, INSERT, DELETE, UPDATE (used_at)
      ON identity.{realm}_refresh_token TO hazina_app
"""
# Reports see who and when, never a hash or a sealed contact.
READ_GRANTS = """
    GRANT SELECT (id, account_id, channel, created_at, last_seen_at, expires_at, revoked_at,
                  revoked_why)
      ON identity.{realm}_session TO hazina_read
"""

GRANTS = (
    "GRANT USAGE ON SCHEMA identity TO hazina_app, hazina_read",
    """
    GRANT SELECT, INSERT, UPDATE (kind, email_sealed, email_index, email_masked, phone_sealed,
                                  phone_index, phone_masked, password_hash, password_version,
                                  password_changed_at, disabled_at)
      ON identity.customer TO hazina_app
    """,
    """
    GRANT SELECT, INSERT, UPDATE (role, password_hash, password_version, password_changed_at,
                                  disabled_at)
      ON identity.operator TO hazina_app
    """,
    """
    GRANT SELECT (id, username, kind, phone_masked, created_at, disabled_at)
      ON identity.customer TO hazina_read
    """,
    """
    GRANT SELECT (id, username, role, created_at, disabled_at)
      ON identity.operator TO hazina_read
    """,
)


def upgrade() -> None:
    for statement in PEOPLE:
        op.execute(statement)
    shapes = (SESSIONS, LIVE, ENDED, REFRESH_TOKENS, FAMILY)
    for realm in ("customer", "operator"):
        for shape in (*shapes, SESSION_GRANTS, REFRESH_GRANTS):
            op.execute(shape.replace("{realm}", realm))
    for statement in GRANTS:
        op.execute(statement)
    for realm in ("customer", "operator"):
        op.execute(READ_GRANTS.replace("{realm}", realm))


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
