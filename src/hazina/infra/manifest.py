"""What infra offers to the house: its migrations and its technical services."""

from pathlib import Path

from hazina.infra.audit import Audit
from hazina.infra.db import Tx
from hazina.infra.house import House, Manifest
from hazina.infra.http import Http
from hazina.infra.idempotency import Idempotency
from hazina.infra.inbox import Inbox
from hazina.infra.jobs import Jobs
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.outbox import Outbox
from hazina.infra.queue import PRUNE_LOG
from hazina.infra.ratelimit import RateLimiter
from hazina.infra.settings import Settings
from hazina.infra.vault import CustomerVault, Vault
from hazina.infra.webhooks import Webhooks

LOG_DAYS = 3


def key_file(settings: Settings) -> Path:
    """Where the vault's master keys are."""
    return settings.key_file or settings.data_dir / "keys.json"


def build(house: House) -> None:
    """This will put the technical services into the house."""
    settings, db, clock = house.settings, house.db, house.clock
    jobs = Jobs(db, clock)
    vault = Vault(LocalKeyProvider(key_file(settings)))
    http = Http(settings.mode)
    idempotency = Idempotency()
    house.put(jobs)
    house.put(Inbox())
    house.put(Outbox(db, jobs, clock))
    house.put(Audit())
    house.put(idempotency)
    limiter = RateLimiter(settings.rate_limit_storage)
    house.put(limiter)
    house.on_close(limiter.close)
    house.put(vault)
    house.put(CustomerVault(vault, clock))
    house.put(http)
    house.on_close(http.close)
    webhooks = Webhooks(settings.mode)
    house.put(webhooks)
    house.on_close(webhooks.close)

    async def prune_log(tx: Tx) -> int:
        return await tx.execute(PRUNE_LOG, LOG_DAYS)

    async def prune() -> None:
        while await db.run(prune_log):
            pass
        await idempotency.prune(db, clock.now())

    jobs.every("infra.prune", 600, prune)


MANIFEST = Manifest(name="infra", build=build, migrations=Path(__file__).parent / "migrations")
