"""Service credentials: other institutions' machines, their namespaces, and whose accounts theirs
are."""

from alembic import op

revision = "identity_0002"
down_revision = "identity_0001"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE identity.namespace (
      id         uuid PRIMARY KEY,
      name       text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_.-]{1,31}$'),
      created_at timestamptz NOT NULL,
      CONSTRAINT namespace_name_key UNIQUE (name)
    )
    """,
    # The secret is sealed, not hashed: an HMAC is checked with the secret itself.
    """
    CREATE TABLE identity.service_credential (
      id            uuid PRIMARY KEY,
      namespace_id  uuid NOT NULL REFERENCES identity.namespace (id),
      label         text NOT NULL CHECK (length(label) BETWEEN 1 AND 64),
      secret_sealed bytea NOT NULL,
      scopes        text[] NOT NULL
                    CHECK (scopes <@ ARRAY['ledger:post', 'ledger:read', 'ledger:accounts']
                           AND cardinality(scopes) > 0),
      networks      text[] NOT NULL,
      created_at    timestamptz NOT NULL,
      expires_at    timestamptz NOT NULL CHECK (expires_at > created_at),
      revoked_at    timestamptz,
      last_used_at  timestamptz
    )
    """,
    "CREATE INDEX service_credential_namespace_idx ON identity.service_credential (namespace_id)",
    # Each signed request once; a row is of no use after the time of its request has passed.
    """
    CREATE TABLE identity.request_nonce (
      credential_id uuid NOT NULL,
      nonce         text NOT NULL CHECK (length(nonce) BETWEEN 16 AND 64),
      expires_at    timestamptz NOT NULL,
      PRIMARY KEY (credential_id, nonce)
    )
    """,
    "CREATE INDEX request_nonce_expires_idx ON identity.request_nonce (expires_at)",
    # id follows from the other two (identity/external.py); this is the way back, for people.
    """
    CREATE TABLE identity.external_owner (
      id           uuid PRIMARY KEY,
      namespace_id uuid NOT NULL REFERENCES identity.namespace (id),
      name         text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
      created_at   timestamptz NOT NULL,
      CONSTRAINT external_owner_name_key UNIQUE (namespace_id, name)
    )
    """,
)
GRANTS = (
    "GRANT SELECT, INSERT ON identity.namespace, identity.external_owner TO hazina_app",
    """
    GRANT SELECT, INSERT, UPDATE (revoked_at, last_used_at)
      ON identity.service_credential TO hazina_app
    """,
    "GRANT SELECT, INSERT, DELETE ON identity.request_nonce TO hazina_app",
    "GRANT SELECT ON identity.namespace, identity.external_owner TO hazina_read",
    """
    GRANT SELECT (id, namespace_id, label, scopes, networks, created_at, expires_at, revoked_at,
                  last_used_at)
      ON identity.service_credential TO hazina_read
    """,
)


def upgrade() -> None:
    for statement in (*TABLES, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("expand, then contract: there is no way down")
