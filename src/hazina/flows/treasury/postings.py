"""The house's own money in the ledger: the owner's lines of the posting manual. Pure."""

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from hazina.kernel.money import Money
from hazina.ledger.chart import AccountRef, Purpose, system
from hazina.ledger.codes import Code
from hazina.ledger.core import PLAIN, Leg, Reference, Terms, Transfer, linked, move, reversal

BANK = system(Purpose.BANK)
CAPITAL = system(Purpose.CAPITAL)
UTILITY = system(Purpose.MPESA_UTILITY)
COLLECTION = system(Purpose.MPESA_COLLECTION)
CHARGES = system(Purpose.MPESA_CHARGES)
EXPENSE = system(Purpose.EXPENSE_MPESA)


class Movement(StrEnum):
    """What the house does with its own money; it was done at M-Pesa or the bank, and is booked."""

    CAPITAL_IN = "capital_in"  # the owner pays into the house's bank account
    CAPITAL_OUT = "capital_out"  # the bank account pays the owner
    FLOAT_FUNDED = "float_funded"  # the bank account feeds M-Pesa's utility account
    COLLECTION_SWEPT = "collection_swept"  # what was collected goes to the bank account
    COLLECTION_TO_UTILITY = "collection_to_utility"  # what was collected is made payable
    CHARGES_SETTLED = "charges_settled"  # M-Pesa took its charges out of utility


SIDES: dict[Movement, tuple[AccountRef, AccountRef, Code]] = {
    Movement.CAPITAL_IN: (BANK, CAPITAL, Code.CAPITAL_IN),
    Movement.CAPITAL_OUT: (CAPITAL, BANK, Code.CAPITAL_OUT),
    Movement.FLOAT_FUNDED: (UTILITY, BANK, Code.FLOAT_FUNDED),
    Movement.COLLECTION_SWEPT: (BANK, COLLECTION, Code.COLLECTION_SWEPT),
    Movement.COLLECTION_TO_UTILITY: (UTILITY, COLLECTION, Code.COLLECTION_TO_UTILITY),
    Movement.CHARGES_SETTLED: (CHARGES, UTILITY, Code.MPESA_CHARGE_SETTLED),
}


def moved(
    movement_id: UUID, kind: Movement, amount: Money, reference: str, *, corrects: UUID | None
) -> list[Transfer]:
    """What two persons say was moved, under the bank's or M-Pesa's own reference; ``corrects`` is
    the transfer in whose place it is booked, after that was taken back."""
    debit, credit, code = SIDES[kind]
    about, facts = Reference("movement", movement_id), {"reference": reference}
    terms = Terms(corrects=corrects) if corrects else PLAIN
    return linked([move(debit, credit, amount, code, about, metadata=facts, terms=terms)])


def taken_back(movement_id: UUID, legs: Sequence[Leg]) -> list[Transfer]:
    """The whole of a movement that was booked wrongly, the other way."""
    return reversal(legs, Reference("movement", movement_id))


def payout_charge(about: Reference, charge: Money) -> list[Transfer]:
    """M-Pesa's charge for a payout, which it takes from our charges account."""
    return [move(EXPENSE, CHARGES, charge, Code.MPESA_CHARGE, about)] if charge else []


def payout_charge_undone(about: Reference, charge: Money) -> list[Transfer]:
    """The charge for a payout that M-Pesa never made: it takes nothing."""
    return [move(CHARGES, EXPENSE, charge, Code.MPESA_CHARGE_UNDONE, about)] if charge else []


def payment_charge(about: Reference, charge: Money) -> list[Transfer]:
    """M-Pesa's charge for a payment to us, which it keeps of what it collected."""
    return [move(EXPENSE, COLLECTION, charge, Code.MPESA_CHARGE, about)] if charge else []
