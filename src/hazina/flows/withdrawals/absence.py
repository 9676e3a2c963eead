"""An unknown payout that M-Pesa never made: what must be known before two persons may say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.flows.deposits.repository import Reader
from hazina.flows.withdrawals.request import TABLE
from hazina.flows.withdrawals.settle import Settlement
from hazina.flows.withdrawals.states import WithdrawalEvent, WithdrawalState
from hazina.infra.db import Tx
from hazina.kernel.errors import NotFound
from hazina.kernel.money import KES, Money

FACTS = """
SELECT w.state, w.amount, w.not_found, min(a.started_at) AS sent_from, max(a.started_at) AS sent_to
FROM withdrawals.withdrawal w LEFT JOIN withdrawals.attempt a ON a.subject_id = w.id
WHERE w.id = $1 GROUP BY w.id
"""
KNOWN = "SELECT receipt FROM withdrawals.withdrawal WHERE receipt = ANY($1)"
WORDS = "M-Pesa never paid this: it was asked, its statement was read, and two persons checked."


@dataclass(frozen=True, slots=True)
class AbsenceFacts:
    """``not_found`` answers of M-Pesa's status; between the two times it was sent, if ever."""

    state: WithdrawalState
    amount: Money
    not_found: int
    sent_from: datetime | None
    sent_to: datetime | None


class Absence:
    """What withdrawals know of it; the statement is another slice's."""

    def __init__(self, settlement: Settlement) -> None:
        self._settlement = settlement

    async def facts(self, reader: Reader, withdrawal_id: UUID) -> AbsenceFacts:
        """Raises: NotFound."""
        row = await reader.fetchrow(FACTS, withdrawal_id)
        if row is None:
            raise NotFound
        return AbsenceFacts(
            WithdrawalState(row["state"]),
            KES.units(int(row["amount"])),
            row["not_found"],
            row["sent_from"],
            row["sent_to"],
        )

    async def known_receipts(self, reader: Reader, receipts: Sequence[str]) -> set[str]:
        """Those of ``receipts`` that belong to a payout of ours."""
        return {row["receipt"] for row in await reader.fetch(KNOWN, list(receipts))}

    async def mark(self, tx: Tx, withdrawal_id: UUID, now: datetime) -> None:
        """This will end it as failed and free the money. Posts, last. Raises: StateMoved."""
        row = await TABLE.lock(tx, withdrawal_id)
        await self._settlement.fail(
            tx, row, WithdrawalEvent.ABSENT, code="absent", words=WORDS, now=now
        )
