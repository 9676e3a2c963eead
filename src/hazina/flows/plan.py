"""What a product adds to a flow's posting: transfers and row changes, never a post of its own.

A flow asks the product that a movement was made for (its *purpose*, under which the product has
registered) for a plan, books its own group and the plan in one ``post()``, and then tells the plan
how it went.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

from hazina.infra.db import Tx
from hazina.ledger.core import Result, Transfer


async def _nothing(_: Tx) -> None:
    """No rows to change."""


async def _nothing_refused(_: Tx, __: Result) -> None:
    """No rows to change."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``transfers`` are booked whole, in order, or not at all.

    ``plan()`` locks the product's rows before it returns; ``booked`` and ``refused`` run after the
    posting in the same transaction and touch only rows locked then, or insert new ones.
    """

    transfers: Sequence[Transfer] = ()
    booked: Callable[[Tx], Awaitable[None]] = field(default=_nothing)
    refused: Callable[[Tx, Result], Awaitable[None]] = field(default=_nothing_refused)


H = TypeVar("H")


class Purposes(Generic[H]):
    """The handlers that products registered for what a movement can be made for, and where a
    customer reads of it."""

    def __init__(self) -> None:
        self._handlers: dict[str, H] = {}
        self._pages: dict[str, Callable[[UUID], str]] = {}

    def register(
        self, purpose: str, handler: H, *, page: Callable[[UUID], str] | None = None
    ) -> None:
        """``page`` makes the path of the customer's page out of a ``purpose_id``."""
        if purpose in self._handlers:
            raise ValueError(f"purpose {purpose} has a handler already")
        self._handlers[purpose] = handler
        if page is not None:
            self._pages[purpose] = page

    def get(self, purpose: str) -> H:
        return self._handlers[purpose]

    def page_of(self, purpose: str | None, purpose_id: UUID | None) -> str:
        """The path of the page about ``purpose_id``; empty where there is none."""
        page = self._pages.get(purpose or "")
        return page(purpose_id) if page is not None and purpose_id is not None else ""
