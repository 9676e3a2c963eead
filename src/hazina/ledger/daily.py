"""The day's proof: once a day every claim is checked, and a contradiction rings.

It goes on from the last verdict that held, as ``hazina ledger verify`` does; all of history is
read by ``--full``, which a person or a timer of the machine's runs. What was found is a verdict's
row, an error in the log for each claim that fails, two metrics, and a report beside the data:
proof, trial balance and signed head of one day.
"""

import json
from datetime import UTC, datetime, time
from pathlib import Path

import structlog
from prometheus_client import Gauge

from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, Tx
from hazina.infra.observability import REGISTRY
from hazina.kernel.clock import Clock
from hazina.ledger.heads import NothingSealed, Signer, take_head
from hazina.ledger.history import History
from hazina.ledger.proof import Proof, Proven, Verdict, last_proven, newest_block, remember

log = structlog.stdlib.get_logger()

CONTRADICTED = Alarm("ledger-contradicted")

EVERY_S = 600  # a look whether the day's proof is there
CLAIM_S = 6 * 3600  # the first proof of old books reads all of them, claim by claim
GIVEN = "SELECT max(v.decided_at) FROM ledger.verdict v WHERE v.decided_at >= $1"
FAULTS = Gauge(
    "hazina_ledger_proof_faults",
    "Lines that contradict the ledger's claims, as the last proof of the day found them.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
PROVEN = Gauge(
    "hazina_ledger_proven_timestamp_seconds",
    "When the ledger was last proven without a contradiction.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)


class DailyProof:
    """Proves the ledger once for each day (UTC), in whichever worker comes first."""

    def __init__(
        self, db: Database, proof: Proof, signer: Signer, clock: Clock, data_dir: Path
    ) -> None:
        self._db, self._proof, self._signer, self._clock = db, proof, signer, clock
        self._folder = data_dir / "reports"

    async def sweep(self) -> None:
        await self.prove()
        if (proven := await last_proven(self._db)) is not None:
            PROVEN.set(proven.decided_at.timestamp())

    async def prove(self) -> list[Verdict] | None:
        """This will prove what came since the last verdict that held, unless a verdict was given
        today; raise the alarm for what fails; and write the day's report."""
        now = self._clock.now()
        midnight = datetime.combine(now.astimezone(UTC), time(), UTC)
        if await self._db.fetchval(GIVEN, midnight) is not None:
            return None
        async with self._db.transaction(readonly=True, statement_s=CLAIM_S) as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            proven = await last_proven(tx)
            upto = await newest_block(tx)
            verdicts = await self._proof.verify(tx, proven=proven)
            report = await self._report(tx, verdicts, proven, upto[0], now)
        # The alarm before the row: killed between the two, it rings again.
        self._ring(verdicts)
        self._write(report, now)
        await self._db.run(lambda tx: remember(tx, verdicts, upto, proven, now))
        return verdicts

    def _ring(self, verdicts: list[Verdict]) -> None:
        failed = [verdict for verdict in verdicts if not verdict.holds]
        FAULTS.set(sum(len(verdict.faults) for verdict in failed))
        for verdict in failed:
            CONTRADICTED.ring("ledger proof failed", claim=verdict.claim, faults=verdict.faults)
        if not failed:
            log.info("ledger proven", claims=len(verdicts))

    async def _report(
        self, tx: Tx, verdicts: list[Verdict], proven: Proven | None, upto: int, now: datetime
    ) -> dict[str, object]:
        try:
            head = (await take_head(tx, self._signer, now)).as_json()
        except NothingSealed:
            head = None
        return {
            "at": now.isoformat(),
            "holds": all(verdict.holds for verdict in verdicts),
            "since_block": 0 if proven is None else proven.block,
            "to_block": upto,
            "claims": [
                {"claim": one.claim, "holds": one.holds, "faults": one.faults} for one in verdicts
            ],
            "trial_balance": [
                {
                    "purpose": line.purpose.value,
                    "asset": line.asset.code,
                    "accounts": line.accounts,
                    "debits": line.debits.decimal,
                    "credits": line.credits.decimal,
                    "held": line.held.decimal,
                    "balance": line.balance.decimal,
                }
                for line in await History(tx).trial_balance()
            ],
            "head": head,
        }

    def _write(self, report: dict[str, object], now: datetime) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{now:%Y-%m-%d}.json"
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(report, indent=1) + "\n")
        draft.replace(path)
