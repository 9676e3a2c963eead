"""What a withdrawal may be and what it costs. Pure."""

from dataclasses import dataclass

from hazina.flows.deposits.terms import SHILLING, whole_shillings
from hazina.infra.settings import Settings
from hazina.kernel.money import KES, Money, Rounding, divide


@dataclass(frozen=True, slots=True)
class Fee:
    """Our fee for a withdrawal; ``excise`` is the state's part of it."""

    total: Money
    excise: Money

    @property
    def ours(self) -> Money:
        return self.total - self.excise


def check_withdrawal(amount: Money, settings: Settings) -> int:
    """Whole shillings within the bounds. Raises: AmountInvalid, AmountOutOfRange."""
    return whole_shillings(
        amount, least=settings.withdrawal_min_kes, most=settings.withdrawal_max_kes
    )


def fee_for(amount: Money, settings: Settings) -> Fee:
    """Basis points with a least amount, up to the whole cent; the excise rounds half-even."""
    share = divide(amount.units * settings.withdrawal_fee_bps, 10_000, Rounding.UP)
    total = max(share, settings.withdrawal_fee_min_kes * SHILLING)
    excise = divide(total * settings.withdrawal_excise_bps, 10_000, Rounding.HALF_EVEN)
    return Fee(KES.units(total), KES.units(excise))
