"""The deposits' jobs: one that takes a deposit its next step, and the sweeper behind it.

The rows with ``next_attempt_at`` are the truth; a job only makes the step prompt.
"""

from datetime import timedelta
from uuid import UUID

from hazina.flows.deposits import repository as sql
from hazina.flows.deposits.accounts import AccountNumbers
from hazina.flows.deposits.listen import Listener
from hazina.flows.deposits.request import ADVANCE, TABLE
from hazina.flows.deposits.send import Sender
from hazina.flows.deposits.settle import Settlement
from hazina.flows.deposits.states import DepositState
from hazina.infra.db import Database, Tx
from hazina.infra.jobs import Jobs
from hazina.kernel.clock import Clock

PLAN = "deposit.plan"
SWEEP = "deposit.sweep"
SWEEP_EVERY_S = 2
BATCH = 500
NUMBERS, NUMBERS_EVERY_S = "account_number.fill", 10


class Tasks:
    """Registered with the worker by the manifest."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        jobs: Jobs,
        sender: Sender,
        listener: Listener,
        settlement: Settlement,
        numbers: AccountNumbers,
    ) -> None:
        self._db, self._clock, self._jobs = db, clock, jobs
        self._sender, self._listener, self._settlement = sender, listener, settlement
        jobs.register(ADVANCE, self.advance, timeout_s=120)
        jobs.register(PLAN, self.plan)
        self._numbers = numbers
        jobs.every(SWEEP, SWEEP_EVERY_S, self.sweep)
        jobs.every(NUMBERS, NUMBERS_EVERY_S, self.number)

    async def advance(self, deposit_id: UUID) -> None:
        """This will do what is next for a deposit, if it is time. Safe to run twice."""
        now = self._clock.now()
        row = await self._db.fetchrow(
            "SELECT state, next_attempt_at FROM deposits.deposit WHERE id = $1", deposit_id
        )
        if row is None:
            return
        due = row["next_attempt_at"] is not None and row["next_attempt_at"] <= now
        match DepositState(row["state"]):
            case DepositState.REQUESTED:
                await self._sender.send(deposit_id)
            case DepositState.SENDING if due:
                await self._sender.give_up_lease(deposit_id)
            case DepositState.PROMPTED | DepositState.UNKNOWN if due:
                await self._listener.query(deposit_id)
            case _:
                return

    async def plan(self, deposit_id: UUID) -> None:
        """This will try again a product's plan that failed when its deposit was paid."""

        async def again(tx: Tx) -> None:
            row = await TABLE.lock(tx, deposit_id)
            await self._settlement.apply_due_plan(tx, row, self._clock.now())

        await self._db.run(again)

    async def number(self) -> None:
        """This will give some of those a number who have none yet. Safe to run twice."""
        await self._db.run(lambda tx: self._numbers.make_missing(tx, self._clock.now()))

    async def sweep(self) -> None:
        """This will queue whatever is due, oldest first."""
        now = self._clock.now()

        async def queue(tx: Tx) -> None:
            for row in await tx.fetch(sql.DUE, now, BATCH):
                await self._jobs.enqueue(tx, ADVANCE, row["id"], once=True)
            for row in await tx.fetch(sql.PLAN_DUE, now - timedelta(seconds=30), BATCH):
                await self._jobs.enqueue(tx, PLAN, row["id"], once=True)

        await self._db.run(queue)
