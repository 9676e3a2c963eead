"""A picture that M-Pesa's own app reads: pay this number, this account, this amount.

M-Pesa draws it. It is asked at most once in a while for the same picture, waited for briefly, and
its absence is said: the numbers can always be typed.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

from hazina.kernel.clock import Clock
from hazina.kernel.outcome import Accepted
from hazina.rails.receipts import CodeOrder, ReceiptRail

PATIENCE_S = 8
KEPT, MISSED = timedelta(minutes=30), timedelta(seconds=30)
MOST_KEPT = 500


@dataclass(frozen=True, slots=True)
class _Kept:
    picture: bytes | None
    until: datetime


class PaybillCodes:
    """Pictures of one process; what they say is no secret to who may see them."""

    def __init__(self, rail: ReceiptRail, clock: Clock) -> None:
        self._rail, self._clock = rail, clock
        self._kept: OrderedDict[CodeOrder, _Kept] = OrderedDict()

    async def find(self, account: str, amount_kes: int) -> bytes | None:
        """A PNG, or None where M-Pesa gives none just now."""
        order, now = CodeOrder(account, amount_kes), self._clock.now()
        kept = self._kept.get(order)
        if kept is not None and now < kept.until:
            return kept.picture
        picture = await self._ask(order)
        self._kept[order] = _Kept(picture, now + (KEPT if picture else MISSED))
        self._kept.move_to_end(order)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return picture

    async def _ask(self, order: CodeOrder) -> bytes | None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                outcome = await self._rail.draw_code(order)
        except TimeoutError:
            return None
        return outcome.value if isinstance(outcome, Accepted) else None
