"""What a payout can be made for: products register a handler under a name.

A payout with a purpose is funded by its product (the proceeds of a sale), not by a hold on the
customer's shillings: the plan of ``paid`` credits the customer with at least the amount, and the
payout takes it from there in the same group.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hazina.flows.plan import Plan, Purposes
from hazina.infra.db import Tx
from hazina.kernel.money import Money
from hazina.ledger.chart import AccountRef


@dataclass(frozen=True, slots=True)
class PayoutFact:
    """What a handler may know of a payout."""

    id: UUID
    customer_id: UUID
    amount: Money
    purpose_id: UUID
    receipt: str | None
    words: str | None  # why it failed, for the customer
    payer: AccountRef  # what the plan credits and the payout takes it from: mostly the wallet


class PayoutPurpose(Protocol):
    """The product's side; must not post."""

    async def paid(self, tx: Tx, payout: PayoutFact, now: datetime) -> Plan:
        """M-Pesa has paid. The plan's transfers and the payout are one group; an exception leaves
        the payout waiting and is tried again. Where the wallet is frozen the ``payer`` is another
        account, since nothing can be taken out of it: what M-Pesa did is booked all the same."""
        ...

    async def failed(self, tx: Tx, payout: PayoutFact, now: datetime) -> Plan:
        """Nothing was paid, on positive evidence: let go of what was reserved."""
        ...


class PayoutPurposes(Purposes[PayoutPurpose]):
    """The registered handlers, as a kind of its own for the house."""
