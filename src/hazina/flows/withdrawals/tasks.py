"""The withdrawals' jobs: one that takes a withdrawal its next step, and the sweeper behind it.

The rows with ``next_attempt_at`` are the truth; a job only makes the step prompt.
"""

from uuid import UUID

from hazina.flows.withdrawals import repository as sql
from hazina.flows.withdrawals.listen import Listener
from hazina.flows.withdrawals.request import ADVANCE
from hazina.flows.withdrawals.send import Sender
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.infra.db import Database, Tx
from hazina.infra.jobs import Jobs
from hazina.kernel.clock import Clock

SWEEP = "withdrawal.sweep"
SWEEP_EVERY_S = 2
BATCH = 500


class Tasks:
    """Registered with the worker by the manifest."""

    def __init__(
        self, db: Database, clock: Clock, jobs: Jobs, sender: Sender, listener: Listener
    ) -> None:
        self._db, self._clock, self._jobs = db, clock, jobs
        self._sender, self._listener = sender, listener
        jobs.register(ADVANCE, self.advance, timeout_s=120)
        jobs.every(SWEEP, SWEEP_EVERY_S, self.sweep)

    async def advance(self, withdrawal_id: UUID) -> None:
        """This will do what is next for a withdrawal, if it is time. Safe to run twice."""
        state = await self._db.fetchval(
            "SELECT state FROM withdrawals.withdrawal WHERE id = $1", withdrawal_id
        )
        match state:
            case WithdrawalState.HELD.value:
                await self._sender.send(withdrawal_id)
            case WithdrawalState.SENDING.value:
                await self._sender.give_up_lease(withdrawal_id)
            case None | WithdrawalState.PAID.value:
                return
            case _:
                await self._listener.ask(withdrawal_id)

    async def sweep(self) -> None:
        """This will queue whatever is due, oldest first."""
        now = self._clock.now()

        async def queue(tx: Tx) -> None:
            for row in await tx.fetch(sql.DUE, now, BATCH):
                await self._jobs.enqueue(tx, ADVANCE, row["id"], once=True)

        await self._db.run(queue)
