"""Text messages on the simulated handsets: the manner of a receipt, in words of our own."""

from hazina.simulators.daraja.clock import in_eat
from hazina.simulators.daraja.money import decimal_text, spoken


def _when(at_ms: int) -> str:
    moment = in_eat(at_ms)
    return f"{moment.day}/{moment.month}/{moment:%y} at {moment.hour % 12 or 12}:{moment:%M %p}"


def _kes(cents: int) -> str:
    whole, _, rest = decimal_text(cents).partition(".")
    return f"KES {int(whole):,}.{rest}"


def paid(
    receipt: str, amount: int, organisation: str, reference: str, at_ms: int, balance: int
) -> str:
    """This will word the receipt of a payment."""
    return (
        f"{receipt} Paid. {_kes(amount)} went to {organisation} for account {reference} on "
        f"{_when(at_ms)}. Cost to you KES 0.00. M-PESA balance now {_kes(balance)}. "
        "Play money, simulator."
    )


def received(receipt: str, amount: int, organisation: str, at_ms: int, balance: int) -> str:
    """This will word the notice of money received."""
    return (
        f"{receipt} Received. {organisation} sent you {_kes(amount)} on {_when(at_ms)}. "
        f"M-PESA balance now {_kes(balance)}. Play money, simulator."
    )


def question(amount: int, organisation: str, reference: str) -> str:
    """This will word a prompt."""
    return f"Do you want to pay KES {spoken(amount)} to {organisation} account {reference}?"


def reversed_payment(
    receipt: str, original: str, amount: int, organisation: str, at_ms: int, balance: int
) -> str:
    """This will word the notice of a payment that came back."""
    return (
        f"{receipt} Reversed. {_kes(amount)} of {original} came back from {organisation} on "
        f"{_when(at_ms)}. M-PESA balance now {_kes(balance)}. Play money, simulator."
    )


def declined(amount: int, organisation: str, reference: str, at_ms: int) -> str:
    """This will word the notice of a PayBill payment the business did not want."""
    return (
        f"Failed. {organisation} did not accept {_kes(amount)} for account {reference} on "
        f"{_when(at_ms)}. Nothing was paid. Play money, simulator."
    )
