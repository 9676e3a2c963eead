"""What a payout can be made for: products register a handler under a name.

A payout with a purpose is funded by its product (the proceeds of a sale), not by a hold on the
customer's shillings: the plan of ``paid`` credits the customer with at least the amount, and the
payout takes it from there in the same group.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hazina.flows.plan import Plan
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


class PayoutPurposes:
    """The registered handlers, by purpose, and where a customer reads of what was paid for."""

    def __init__(self) -> None:
        self._handlers: dict[str, PayoutPurpose] = {}
        self._pages: dict[str, Callable[[UUID], str]] = {}

    def register(
        self, purpose: str, handler: PayoutPurpose, *, page: Callable[[UUID], str] | None = None
    ) -> None:
        """``page`` makes the path of the customer's page out of a ``purpose_id``."""
        if purpose in self._handlers:
            raise ValueError(f"purpose {purpose} has a handler already")
        self._handlers[purpose] = handler
        if page is not None:
            self._pages[purpose] = page

    def get(self, purpose: str) -> PayoutPurpose:
        return self._handlers[purpose]

    def page_of(self, purpose: str | None, purpose_id: UUID | None) -> str:
        """The path of the page about ``purpose_id``; empty where there is none."""
        page = self._pages.get(purpose or "")
        return page(purpose_id) if page is not None and purpose_id is not None else ""
