"""What a deposit can be made for: products register a handler under a name.

A deposit with a purpose is paid like any other: the money is booked to the customer first. What
the product then does with it is a plan, booked in the same posting as a group of its own, so money
received is never rolled back by a product.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hazina.flows.plan import Plan, Purposes
from hazina.infra.db import Tx
from hazina.kernel.money import Money


@dataclass(frozen=True, slots=True)
class DepositFact:
    """What a handler may know of a deposit."""

    id: UUID
    customer_id: UUID
    amount: Money
    purpose_id: UUID
    receipt: str | None
    words: str | None  # why it failed, for the customer


class DepositPurpose(Protocol):
    """The product's side. Runs in a savepoint of the deposit's transaction; must not post."""

    async def paid(self, tx: Tx, deposit: DepositFact, now: datetime) -> Plan:
        """The customer's account holds the money (or will, in the same posting, just before).

        May come after ``failed``: late payments count. An exception defers the plan, not the money.
        """
        ...

    async def failed(self, tx: Tx, deposit: DepositFact, now: datetime) -> Plan:
        """The deposit ended without money: let go of what was reserved for it."""
        ...


class DepositPurposes(Purposes[DepositPurpose]):
    """The registered handlers, as a kind of its own for the house."""
