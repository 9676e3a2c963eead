"""What a deposit can be made for: products register a handler under a name.

A deposit with a purpose is paid like any other: the money is booked to the customer first. What
the product then does with it is a plan, booked in the same posting as a group of its own, so money
received is never rolled back by a product.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hazina.flows.plan import Plan
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


class DepositPurposes:
    """The registered handlers, by purpose, and where a customer reads of what was paid for."""

    def __init__(self) -> None:
        self._handlers: dict[str, DepositPurpose] = {}
        self._pages: dict[str, Callable[[UUID], str]] = {}

    def register(
        self, purpose: str, handler: DepositPurpose, *, page: Callable[[UUID], str] | None = None
    ) -> None:
        """``page`` makes the path of the customer's page out of a ``purpose_id``."""
        if purpose in self._handlers:
            raise ValueError(f"purpose {purpose} has a handler already")
        self._handlers[purpose] = handler
        if page is not None:
            self._pages[purpose] = page

    def get(self, purpose: str) -> DepositPurpose:
        return self._handlers[purpose]

    def page_of(self, purpose: str | None, purpose_id: UUID | None) -> str:
        """The path of the page about ``purpose_id``; empty where there is none."""
        page = self._pages.get(purpose or "")
        return page(purpose_id) if page is not None and purpose_id is not None else ""
