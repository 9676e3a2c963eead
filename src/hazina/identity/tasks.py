"""Jobs of identity: long-ended sessions, used nonces, old failures go in small batches."""

from datetime import timedelta
from functools import partial

from hazina.identity.api_keys import ApiKeys
from hazina.identity.codes import Challenges
from hazina.identity.credentials import Credentials
from hazina.identity.lockout import FORGOTTEN_AFTER, Lockouts
from hazina.identity.recovery import STOP_FOR
from hazina.identity.sessions import CustomerSessions, OperatorSessions
from hazina.infra.db import Database
from hazina.infra.jobs import Jobs
from hazina.kernel.clock import Clock

EVERY_S = 3_600
KEEP = timedelta(days=90)  # as long as a question about a sign-in may still come
BATCH = 500
MAX_BATCHES = 100  # per sweep; the next one goes on
NONCES_EVERY_S = 60
NONCES = 5_000


def register(
    jobs: Jobs,
    db: Database,
    clock: Clock,
    customers: CustomerSessions,
    operators: OperatorSessions,
) -> None:
    """This will keep the session tables as long as people, not as history, make them."""

    async def prune() -> None:
        before = clock.now() - KEEP
        for sessions in (customers, operators):
            for _ in range(MAX_BATCHES):
                if await db.run(partial(sessions.prune, before=before, limit=BATCH)) < BATCH:
                    break

    jobs.every("sessions.prune", EVERY_S, prune)


def register_nonces(
    jobs: Jobs, db: Database, clock: Clock, credentials: Credentials, keys: ApiKeys
) -> None:
    """This will keep the nonces of the last minutes only: older requests are refused anyway."""

    async def prune() -> None:
        now = clock.now()
        for door in (credentials, keys):
            for _ in range(MAX_BATCHES):
                if await db.run(partial(door.prune, now=now, limit=NONCES)) < NONCES:
                    break

    jobs.every("nonces.prune", NONCES_EVERY_S, prune)


def register_guards(
    jobs: Jobs, db: Database, clock: Clock, challenges: Challenges, lockouts: Lockouts
) -> None:
    """This will forget failures after a day, and challenges when their notice's code has ended."""

    async def prune() -> None:
        now = clock.now()
        for table, before in ((lockouts, now - FORGOTTEN_AFTER), (challenges, now - STOP_FOR)):
            for _ in range(MAX_BATCHES):
                if await db.run(partial(table.prune, before=before, limit=BATCH)) < BATCH:
                    break

    jobs.every("guards.prune", EVERY_S, prune)
