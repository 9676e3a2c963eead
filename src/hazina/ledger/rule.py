"""A rule: what a slice above makes of every batch before it is booked, whoever posts it.

The ledger knows no debts and no customers' manners; it asks the one rule that was registered. A
rule may add transfers of its own, whose results the caller never sees, or raise a ``Refusal``.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hazina.infra.db import Tx
from hazina.ledger.core import Result, Transfer


@dataclass(frozen=True, slots=True)
class Enlarged:
    """The batch as it is booked: each transfer, and whether the caller asked for it.

    ``booked`` hears the results of all in the same transaction, and touches only rows that the
    rule has locked, or inserts new ones.
    """

    transfers: Sequence[tuple[Transfer, bool]]
    booked: Callable[[Tx, Sequence[Result]], Awaitable[None]]


class Rule(Protocol):
    """Runs before the accounts are locked; what it locks itself is locked before them."""

    async def judge(self, tx: Tx, transfers: Sequence[Transfer]) -> Enlarged | None:
        """This will say what else belongs to a batch; None: it is booked as it is."""
        ...
