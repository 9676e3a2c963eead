"""What the ledger offers the house."""

from pathlib import Path

from hazina.infra.house import House, Manifest
from hazina.infra.jobs import Jobs
from hazina.infra.vault import Vault
from hazina.infra.webhooks import Webhooks
from hazina.ledger import external
from hazina.ledger.accounts import Accounts
from hazina.ledger.batcher import LANES, Batcher
from hazina.ledger.daily import EVERY_S as PROVE_EVERY_S
from hazina.ledger.daily import DailyProof
from hazina.ledger.expiry import SWEEP_EVERY_S, HoldExpiry
from hazina.ledger.heads import EVERY_S, DailyHeads, Signer
from hazina.ledger.history import History
from hazina.ledger.proof import Proof
from hazina.ledger.sealing import SEAL_EVERY_S, Sealing
from hazina.ledger.service import Ledger


def build(house: House) -> None:
    ledger, proof = Ledger(), Proof()
    house.put(ledger)
    house.put(History(house.db))
    house.put(proof)
    proof.add_owner(external.REFERENCE_TYPE, external.LIVING)
    proof.add_of_transfers(external.CLAIM, external.MIXED)
    batcher = Batcher(
        house.db,
        ledger,
        queue_limit=house.settings.ledger_queue,
        # It keeps its connections, and others need one too.
        lanes=min(LANES, house.settings.database_pool_size - 1),
    )
    house.put(batcher)
    house.on_close(batcher.close)
    sealing = Sealing(house.db)
    house.put(sealing)
    signer = Signer(house.get(Vault))
    house.put(signer)
    settings = house.settings
    heads = DailyHeads(
        house.db, signer, house.clock, settings.data_dir,
        webhooks=house.get(Webhooks), webhook=settings.ledger_head_webhook,
    )  # fmt: skip
    house.put(heads)
    daily = DailyProof(house.db, proof, signer, house.clock, settings.data_dir)
    house.put(daily)
    jobs = house.get(Jobs)
    house.put(Accounts(ledger))
    jobs.every("ledger.expire_holds", SWEEP_EVERY_S, HoldExpiry(house.db, ledger).sweep)
    jobs.every("ledger.seal", SEAL_EVERY_S, sealing.sweep)
    jobs.every("ledger.head", EVERY_S, heads.sweep)
    jobs.every("ledger.prove", PROVE_EVERY_S, daily.sweep)


MANIFEST = Manifest("ledger", build, migrations=Path(__file__).parent / "migrations")
