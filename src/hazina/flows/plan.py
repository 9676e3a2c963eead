"""What a product adds to a flow's posting: transfers and row changes, never a post of its own.

A flow asks the product that a movement was made for (its *purpose*) for a plan, books its own
group and the plan in one ``post()``, and then tells the plan how it went.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

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
