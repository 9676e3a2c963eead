"""What withdrawals do in the ledger: the M-Pesa page of the posting manual, money out."""

from dataclasses import dataclass
from uuid import UUID

from hazina.flows.treasury.postings import payout_charge, payout_charge_undone
from hazina.flows.withdrawals.terms import Fee
from hazina.kernel.money import KES, Money
from hazina.ledger.chart import AccountRef, Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Hold, Reference, Transfer, hold, linked, move

UTILITY = system(Purpose.MPESA_UTILITY)
IN_TRANSIT = system(Purpose.MPESA_IN_TRANSIT)
FEES = system(Purpose.INCOME_FEES)
TAX = system(Purpose.PAYABLE_TAX)


def reference(withdrawal_id: UUID) -> Reference:
    return Reference("withdrawal", withdrawal_id)


@dataclass(frozen=True, slots=True)
class Holds:
    """The holds of one withdrawal: its amount and, where there is a fee, the fee's two parts."""

    amount: Hold
    fee: Hold | None
    excise: Hold | None

    @classmethod
    def of(
        cls, withdrawal_id: UUID, amount: UUID, fee: UUID | None, excise: UUID | None
    ) -> "Holds":
        about = reference(withdrawal_id)
        return cls(
            Hold(amount, Code.WITHDRAWAL, about),
            None if fee is None else Hold(fee, Code.WITHDRAWAL_FEE, about),
            None if excise is None else Hold(excise, Code.FEE_EXCISE, about),
        )

    @property
    def all(self) -> list[Hold]:
        return [held for held in (self.amount, self.fee, self.excise) if held is not None]


def asked(
    withdrawal_id: UUID, customer_id: UUID, amount: Money, fee: Fee
) -> tuple[Holds, list[Transfer]]:
    """The amount and our fee are reserved together or not at all."""
    about, owner = reference(withdrawal_id), customer(customer_id, KES)
    main, opening = hold(owner, UTILITY, amount, Code.WITHDRAWAL, about)
    transfers, ours, excise = [opening], None, None
    if fee.ours:
        ours, opening = hold(owner, FEES, fee.ours, Code.WITHDRAWAL_FEE, about)
        transfers.append(opening)
    if fee.excise:
        excise, opening = hold(owner, TAX, fee.excise, Code.FEE_EXCISE, about)
        transfers.append(opening)
    return Holds(main, ours, excise), linked(transfers)


def paid(withdrawal_id: UUID, holds: Holds, charge: Money) -> list[Transfer]:
    """M-Pesa paid it: what was held is moved, and M-Pesa's charge is our expense."""
    return [
        *(held.post() for held in holds.all),
        *payout_charge(reference(withdrawal_id), charge),
    ]


def paid_funded(
    withdrawal_id: UUID, payer: AccountRef, amount: Money, charge: Money
) -> list[Transfer]:
    """M-Pesa paid what a product has credited to ``payer`` just before, in the same group."""
    payout = move(payer, UTILITY, amount, Code.WITHDRAWAL, reference(withdrawal_id))
    return [payout, *payout_charge(reference(withdrawal_id), charge)]


def failed(holds: Holds) -> list[Transfer]:
    """Nothing was paid: everything held is free again."""
    return [held.void() for held in holds.all]


def given_back(
    withdrawal_id: UUID, customer_id: UUID, amount: Money, fee: Fee, charge: Money, receipt: str
) -> list[Transfer]:
    """It was booked as paid under ``receipt`` and never made: the customer has the amount again,
    and of our fee and M-Pesa's charge what was booked with it."""
    about, owner, facts = reference(withdrawal_id), customer(customer_id, KES), {"receipt": receipt}
    transfers = [move(UTILITY, owner, amount, Code.WITHDRAWAL_UNPAID, about, metadata=facts)]
    if fee.ours:
        transfers.append(move(FEES, owner, fee.ours, Code.FEE_GIVEN_BACK, about))
    if fee.excise:
        transfers.append(move(TAX, owner, fee.excise, Code.FEE_GIVEN_BACK, about))
    return [*transfers, *payout_charge_undone(about, charge)]
