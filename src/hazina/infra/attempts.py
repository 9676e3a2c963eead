"""Attempts at an outward call: written before the call, ended after it, never forgotten.

Each row keeps the exact bytes (sealed) that went out, so that what is unknown can be asked for or,
where the outside de-duplicates, sent again unchanged. ``lease_until`` lies beyond the call's
timeout: a worker that is dead past it left an unknown, never a "not sent".
"""

from datetime import datetime, timedelta
from uuid import UUID

from hazina.infra.db import Tx

# What a call may take beyond its own timeout before its worker counts as dead.
LEASE_MARGIN = timedelta(seconds=30)


class Attempts:
    """The attempt rows of one slice's table."""

    def __init__(self, table: str) -> None:
        self.table = table

    async def begin(
        self,
        tx: Tx,
        subject_id: UUID,
        number: int,
        *,
        sealed: bytes,
        digest: str,
        lease_until: datetime,
        now: datetime,
    ) -> None:
        """This will write the attempt down; the call may happen once this has committed."""
        await tx.execute(
            f"INSERT INTO {self.table} (subject_id, number, sealed, digest, lease_until,"  # noqa: S608
            " started_at) VALUES ($1, $2, $3, $4, $5, $6)",
            subject_id,
            number,
            sealed,
            digest,
            lease_until,
            now,
        )

    async def end(
        self, tx: Tx, subject_id: UUID, number: int, *, outcome: str, note: str, now: datetime
    ) -> bool:
        """This will write how the call ended, once. False: somebody ended it before."""
        touched = await tx.execute(
            f"UPDATE {self.table} SET ended_at = $3, outcome = $4, note = $5"  # noqa: S608
            " WHERE subject_id = $1 AND number = $2 AND ended_at IS NULL",
            subject_id,
            number,
            now,
            outcome,
            note,
        )
        return touched == 1


def attempt_table(schema: str, name: str) -> list[str]:
    """The SQL of an attempt table, for its slice's migration."""
    return [
        f"""
        CREATE TABLE {schema}.{name} (
            subject_id  uuid NOT NULL,
            number      integer NOT NULL,
            sealed      bytea NOT NULL,
            digest      text NOT NULL,
            lease_until timestamptz NOT NULL,
            started_at  timestamptz NOT NULL,
            ended_at    timestamptz,
            outcome     text,
            note        text,
            PRIMARY KEY (subject_id, number)
        )
        """,
        f"GRANT SELECT, INSERT, UPDATE (ended_at, outcome, note) ON {schema}.{name} TO hazina_app",
        f"""
        GRANT SELECT (subject_id, number, digest, lease_until, started_at, ended_at, outcome, note)
            ON {schema}.{name} TO hazina_read
        """,
    ]
