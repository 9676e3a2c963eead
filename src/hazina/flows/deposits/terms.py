"""What a deposit may be. Pure."""

from hazina.infra.settings import Settings
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.money import KES, AmountInvalid, Money

SHILLING = 100


class AmountOutOfRange(Refusal):
    """M-Pesa, or the house, does not move so little or so much at once."""

    code = "amount_out_of_range"
    kind = Kind.INVALID
    message = "That amount is outside what can be moved at once."


def whole_shillings(amount: Money, *, least: int, most: int) -> int:
    """This will give ``amount`` as whole shillings between the two bounds.

    Raises: AmountInvalid for other assets and for cents, AmountOutOfRange with the bounds.
    """
    if amount.asset != KES:
        raise AmountInvalid("M-Pesa moves Kenyan shillings.", details={"asset": KES.code})
    if amount.units % SHILLING:
        raise AmountInvalid(
            "M-Pesa moves whole shillings.", action="Leave the cents out, for example 250."
        )
    shillings = amount.units // SHILLING
    if not least <= shillings <= most:
        raise AmountOutOfRange(
            f"Use between KES {least:,} and KES {most:,}.",
            action=f"Enter an amount from {least:,} to {most:,} shillings.",
            details={"least": f"{least}.00", "most": f"{most}.00", "asset": KES.code},
        )
    return shillings


def check_deposit(amount: Money, settings: Settings) -> int:
    """Whole shillings within the deposit's bounds; raises as ``whole_shillings``."""
    return whole_shillings(amount, least=settings.deposit_min_kes, most=settings.deposit_max_kes)
