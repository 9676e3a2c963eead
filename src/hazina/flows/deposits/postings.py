"""What deposits do in the ledger: the M-Pesa page of the posting manual, money in."""

from uuid import UUID

from hazina.flows.treasury.postings import payment_charge
from hazina.kernel.money import KES, Money
from hazina.ledger.chart import AccountRef, Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, Transfer, linked, move

COLLECTION = system(Purpose.MPESA_COLLECTION)
IN_TRANSIT = system(Purpose.MPESA_IN_TRANSIT)
SUSPENSE = system(Purpose.SUSPENSE_MPESA)


def reference(deposit_id: UUID) -> Reference:
    return Reference("deposit", deposit_id)


def paid(
    deposit_id: UUID, customer_id: UUID, amount: Money, receipt: str, charge: Money
) -> list[Transfer]:
    """Paid, with a receipt: M-Pesa holds it for us, we owe it to the customer."""
    return _collected(deposit_id, customer(customer_id, KES), amount, Code.DEPOSIT, receipt, charge)


def confirmed(deposit_id: UUID, customer_id: UUID, amount: Money) -> list[Transfer]:
    """Paid by M-Pesa's word alone: owed to the customer, against what is in transit."""
    to = customer(customer_id, KES)
    return linked([move(IN_TRANSIT, to, amount, Code.DEPOSIT_IN_TRANSIT, reference(deposit_id))])


def receipted(deposit_id: UUID, amount: Money, receipt: str, charge: Money) -> list[Transfer]:
    """The receipt of what was in transit has come."""
    return _collected(deposit_id, IN_TRANSIT, amount, Code.DEPOSIT_RECEIPTED, receipt, charge)


def mispaid(deposit_id: UUID, amount: Money, receipt: str, charge: Money) -> list[Transfer]:
    """Paid, but another amount than asked: in suspense until a person decides."""
    return _collected(deposit_id, SUSPENSE, amount, Code.DEPOSIT_SUSPENSE, receipt, charge)


def _collected(
    deposit_id: UUID, to: AccountRef, amount: Money, code: Code, receipt: str, charge: Money
) -> list[Transfer]:
    """All of what was paid, and what M-Pesa keeps of it."""
    about, facts = reference(deposit_id), {"receipt": receipt}
    paid_in = move(COLLECTION, to, amount, code, about, metadata=facts)
    return linked([paid_in, *payment_charge(about, charge)])
