"""Asking M-Pesa once more, now, because a person wants to know: of anything that is open.

A question moves no money and may be asked at any time; what M-Pesa answers goes the usual way.
"""

from datetime import datetime
from uuid import UUID

from hazina.flows.deposits import oversight as deposits
from hazina.flows.deposits.request import ADVANCE as ASK_DEPOSIT
from hazina.flows.receipts import repository as sql
from hazina.flows.receipts.hear import ADVANCE as ASK_PAYMENT
from hazina.flows.receipts.pull import Puller
from hazina.flows.receipts.reversals import JOB as ASK_REVERSAL
from hazina.flows.withdrawals import oversight as withdrawals
from hazina.flows.withdrawals.request import ADVANCE as ASK_WITHDRAWAL
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Tx
from hazina.infra.jobs import Jobs
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal

WAYS = {
    "deposit": (deposits.DUE_NOW, ASK_DEPOSIT),
    "withdrawal": (withdrawals.DUE_NOW, ASK_WITHDRAWAL),
    "payment": (sql.DUE_NOW, ASK_PAYMENT),
    "reversal": (sql.REVERSAL_DUE_NOW, ASK_REVERSAL),
}


class CannotBeAsked(Refusal):
    """It is answered already, or M-Pesa never gave us an id to ask with."""

    code = "cannot_be_asked"
    kind = Kind.CONFLICT
    message = "M-Pesa cannot be asked about this."
    action = "Reload: it may be answered. Otherwise M-Pesa's statement tells."


class AskAgain:
    """What a person may have asked at once."""

    def __init__(self, db: Database, jobs: Jobs, audit: Audit, puller: Puller) -> None:
        self._db, self._jobs, self._audit, self._puller = db, jobs, audit, puller

    async def ask(self, tx: Tx, kind: str, found: UUID, actor: Actor, now: datetime) -> None:
        """This will have a worker ask about one thing as soon as this commits.

        Raises: CannotBeAsked.
        """
        if kind not in WAYS:
            raise CannotBeAsked
        due, job = WAYS[kind]
        if await tx.execute(due, found, now) != 1:
            raise CannotBeAsked
        await self._jobs.enqueue(tx, job, found)
        await self._audit.record(tx, actor, f"{kind}.asked_again", kind, found, now=now)

    async def try_job(self, tx: Tx, key: int, actor: Actor, now: datetime) -> None:
        """This will queue a held job anew. Raises: NotFound."""
        name, subject = await self._jobs.try_again(tx, key)
        after = {"job": name}
        await self._audit.record(tx, actor, "job.tried_again", "job", subject, after=after, now=now)

    async def read_list(self, actor: Actor, now: datetime) -> int | None:
        """This will read M-Pesa's own list at once: how many lines, None where it gave no whole
        list. It calls the outside; nothing may be open around it."""
        lines = await self._puller.read(now)
        after = {"lines": lines}

        async def note(tx: Tx) -> None:
            await self._audit.record(tx, actor, "pull.asked", "pull", "mpesa", after=after, now=now)

        await self._db.run(note)
        return lines
