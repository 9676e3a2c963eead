"""Two persons who end what only persons can end, by the house's own use cases."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tests.journeys.world import PASSWORD

from hazina.desk.approvals import Approval, Approvals
from hazina.desk.debts.service import Debts
from hazina.flows.receipts.statements import Statements
from hazina.flows.receipts.suspense import Suspense
from hazina.flows.receipts.unanswered import Unanswered
from hazina.flows.withdrawals.resend import Resend
from hazina.identity.operators import Operators
from hazina.identity.people import Operator, Role
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id

REASON = "seen in the portal"


@dataclass(frozen=True, slots=True)
class Pair:
    """The first asks, the second agrees."""

    house: House
    first: Operator
    second: Operator

    @classmethod
    async def of(cls, house: House) -> "Pair":
        """Two new managers."""
        operators, now, name = house.get(Operators), house.clock.now(), new_id().hex[-12:]
        made = [
            await operators.create(f"{role}{name}", PASSWORD, Role.MANAGER, SYSTEM, now)
            for role in ("asks", "agrees")
        ]
        return cls(house, *made)

    async def call_prompt_absent(self, deposit_id: UUID) -> None:
        asked = self.house.get(Unanswered).ask_absent
        await self._both(lambda tx: asked(tx, deposit_id, **self._told()))

    async def call_payout_absent(self, withdrawal_id: UUID) -> None:
        asked = self.house.get(Statements).ask_absent
        await self._both(lambda tx: asked(tx, withdrawal_id, **self._told()))

    async def give(self, payment_id: UUID, username: str) -> None:
        asked = self.house.get(Suspense).ask_allocate
        await self._both(lambda tx: asked(tx, payment_id, username, **self._told()))

    async def send_back(self, payment_id: UUID) -> None:
        asked = self.house.get(Suspense).ask_return
        await self._both(lambda tx: asked(tx, payment_id, **self._told()))

    async def return_ended(self, payment_id: UUID, *, went_back: bool) -> None:
        asked = self.house.get(Suspense).ask_return_ended
        await self._both(lambda tx: asked(tx, payment_id, went_back=went_back, **self._told()))

    async def give_up(self, debt_id: UUID) -> None:
        asked = self.house.get(Debts).ask_write_off
        await self._both(lambda tx: asked(tx, debt_id, **self._told()))

    async def send_again(self, withdrawal_id: UUID) -> object:
        """One manager's act: the same bytes once more."""
        actor = self.first.as_actor(SYSTEM)
        return await self.house.get(Resend).send(withdrawal_id, operator=self.first, actor=actor)

    def _told(self) -> dict[str, Any]:
        actor = self.first.as_actor(SYSTEM)
        return {
            "reason": REASON, "operator": self.first, "actor": actor,
            "now": self.house.clock.now(),
        }  # fmt: skip

    async def _both(self, ask: Callable[[Tx], Awaitable[Approval]]) -> None:
        house = self.house
        asked = await house.db.run(ask)
        await house.db.run(
            lambda tx: house.get(Approvals).approve(
                tx,
                asked.id,
                operator=self.second,
                actor=self.second.as_actor(SYSTEM),
                now=house.clock.now(),
            )
        )
