"""The jobs of payments that came unasked. Rows with ``next_attempt_at`` are the truth."""

from uuid import UUID

from hazina.flows.receipts import repository as sql
from hazina.flows.receipts.hear import ADVANCE, Listener
from hazina.flows.receipts.pull import EVERY_S, Puller
from hazina.infra.db import Database, Tx
from hazina.infra.jobs import Jobs
from hazina.kernel.clock import Clock

SWEEP, PULL = "payment.sweep", "payment.pull"
SWEEP_EVERY_S = 5
BATCH = 500


class Tasks:
    """Registered with the worker by the manifest."""

    def __init__(
        self, db: Database, clock: Clock, jobs: Jobs, listener: Listener, puller: Puller
    ) -> None:
        self._db, self._clock, self._jobs, self._listener = db, clock, jobs, listener
        jobs.register(ADVANCE, self.advance)
        jobs.every(SWEEP, SWEEP_EVERY_S, self.sweep)
        jobs.every(PULL, EVERY_S, puller.sweep)

    async def advance(self, payment_id: UUID) -> None:
        """This will ask M-Pesa about an incoming payment, if it is time. Safe to run twice."""
        await self._listener.ask(payment_id)

    async def sweep(self) -> None:
        """This will queue whatever is due, oldest first."""
        now = self._clock.now()

        async def queue(tx: Tx) -> None:
            for row in await tx.fetch(sql.DUE, now, BATCH):
                await self._jobs.enqueue(tx, ADVANCE, row["id"], once=True)

        await self._db.run(queue)
