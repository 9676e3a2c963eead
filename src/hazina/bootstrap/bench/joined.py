"""A use case as most are: a business row, a job and a posting in one transaction."""

from uuid import UUID

from hazina.bootstrap.bench import books_sql as sql
from hazina.bootstrap.bench.books import Books
from hazina.infra.db import Tx
from hazina.infra.jobs import Jobs
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import SystemClock
from hazina.ledger.core import ResultCode, Transfer

JOB = "bench.nothing"


class Joined:
    """The business row is the receipt that M-Pesa's collection account is entered by, so that the
    proof holds of these postings too. Nobody works the jobs off."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._clock = SystemClock()
        self._jobs = Jobs(books.db, self._clock)
        self._jobs.register(JOB, _nothing)

    async def act(self, transfer: Transfer, *, job: bool) -> None:
        """This will do the whole of it and come back when it is durable."""

        async def use_case(tx: Tx) -> None:
            assert transfer.amount is not None
            subject = transfer.reference.id
            receipt = subject.hex
            now = self._clock.now()
            units = transfer.amount.units
            await tx.execute(sql.BUSINESS_ROW, receipt, units, subject, transfer.id, now)
            if job:
                await self._jobs.enqueue(tx, JOB, subject)
            results = await self._books.ledger.post(tx, [transfer], SYSTEM)
            assert results[0].code is ResultCode.CREATED

        await self._books.db.run(use_case)


async def _nothing(_subject: UUID) -> None:
    return
