"""What payments that came unasked do in the ledger: the M-Pesa page of the posting manual."""

from uuid import UUID

from hazina.flows.treasury.postings import payment_charge
from hazina.kernel.money import KES, Money
from hazina.ledger.chart import Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, Transfer, linked, move

COLLECTION = system(Purpose.MPESA_COLLECTION)
SUSPENSE = system(Purpose.SUSPENSE_MPESA)


def reference(payment_id: UUID) -> Reference:
    return Reference("payment", payment_id)


def credited(
    payment_id: UUID, customer_id: UUID, amount: Money, receipt: str, charge: Money
) -> list[Transfer]:
    """Paid to a customer's account number: M-Pesa holds it for us, we owe it to the customer."""
    to = customer(customer_id, KES)
    about, facts = reference(payment_id), {"receipt": receipt}
    paid = move(COLLECTION, to, amount, Code.DEPOSIT, about, metadata=facts)
    return linked([paid, *payment_charge(about, charge)])


def suspended(payment_id: UUID, amount: Money, receipt: str, charge: Money) -> list[Transfer]:
    """Paid, and nobody's yet: in suspense until two persons decide."""
    about, facts = reference(payment_id), {"receipt": receipt}
    paid = move(COLLECTION, SUSPENSE, amount, Code.DEPOSIT_SUSPENSE, about, metadata=facts)
    return linked([paid, *payment_charge(about, charge)])


def allocated(payment_id: UUID, customer_id: UUID, amount: Money) -> list[Transfer]:
    """Two persons found whose it is."""
    to = customer(customer_id, KES)
    about = reference(payment_id)
    return linked([move(SUSPENSE, to, amount, Code.SUSPENSE_ALLOCATED, about)])


def returned(payment_id: UUID, amount: Money, receipt: str | None) -> list[Transfer]:
    """M-Pesa has sent it back to who paid."""
    facts = {"receipt": receipt} if receipt else None
    about = reference(payment_id)
    return linked(
        [move(SUSPENSE, COLLECTION, amount, Code.SUSPENSE_RETURNED, about, metadata=facts)]
    )
