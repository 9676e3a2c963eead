"""The debts' one job: holds of debtors end, and what comes free repays."""

from uuid import UUID

from hazina.desk.debts import repository as sql
from hazina.desk.debts.service import Debts
from hazina.infra.db import Database
from hazina.infra.jobs import Jobs
from hazina.kernel.actor import SYSTEM

SWEEP, SWEEP_EVERY_S, BATCH = "debt.collect", 5, 200
FIRST = UUID(int=0)


class Collector:
    """Goes through the open debts, a few every time."""

    def __init__(self, db: Database, jobs: Jobs, debts: Debts) -> None:
        self._db, self._debts, self._after = db, debts, FIRST
        jobs.every(SWEEP, SWEEP_EVERY_S, self.sweep)

    async def sweep(self) -> None:
        """This will collect for the next open debts; safe to run twice."""
        found = await self._db.fetch(sql.OPEN_IDS, self._after, BATCH)
        for one in found:
            debt_id: UUID = one["id"]
            await self._db.run(lambda tx, which=debt_id: self._debts.collect(tx, which, SYSTEM))  # type: ignore[misc]
        self._after = found[-1]["id"] if len(found) == BATCH else FIRST
