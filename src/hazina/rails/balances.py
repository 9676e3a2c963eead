"""What the outside holds for us: what a flow may ask of the rail; this file names no rail."""

from typing import Protocol, runtime_checkable

from hazina.kernel.outcome import Outcome
from hazina.rails.ports import StatusRequested


@runtime_checkable
class BalanceRail(Protocol):
    """Tells balances; the answer comes as a ``BalanceResult`` to the question's token."""

    @property
    def shortcodes(self) -> tuple[str, ...]:
        """Our numbers that have balances; none where nothing can be asked."""
        ...

    @property
    def payout_shortcode(self) -> str | None:
        """The one that payouts are made from."""
        ...

    async def ask_balance(self, shortcode: str, callback_token: str) -> Outcome[StatusRequested]:
        """This will ask what one number of ours holds. Rejected is about the question alone."""
        ...
