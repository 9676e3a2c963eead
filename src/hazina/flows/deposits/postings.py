"""What deposits do in the ledger: the M-Pesa page of the posting manual, money in."""

from uuid import UUID

from hazina.kernel.money import KES, Money
from hazina.ledger.chart import Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, Transfer, linked, move

COLLECTION = system(Purpose.MPESA_COLLECTION)
IN_TRANSIT = system(Purpose.MPESA_IN_TRANSIT)
SUSPENSE = system(Purpose.SUSPENSE_MPESA)


def reference(deposit_id: UUID) -> Reference:
    return Reference("deposit", deposit_id)


def paid(deposit_id: UUID, customer_id: UUID, amount: Money, receipt: str) -> list[Transfer]:
    """Paid, with a receipt: M-Pesa holds it for us, we owe it to the customer."""
    to = customer(customer_id, KES)
    facts = {"receipt": receipt}
    return linked(
        [move(COLLECTION, to, amount, Code.DEPOSIT, reference(deposit_id), metadata=facts)]
    )


def confirmed(deposit_id: UUID, customer_id: UUID, amount: Money) -> list[Transfer]:
    """Paid by M-Pesa's word alone: owed to the customer, against what is in transit."""
    to = customer(customer_id, KES)
    return linked([move(IN_TRANSIT, to, amount, Code.DEPOSIT_IN_TRANSIT, reference(deposit_id))])


def receipted(deposit_id: UUID, amount: Money, receipt: str) -> list[Transfer]:
    """The receipt of what was in transit has come."""
    facts = {"receipt": receipt}
    return linked(
        [
            move(
                COLLECTION,
                IN_TRANSIT,
                amount,
                Code.DEPOSIT_RECEIPTED,
                reference(deposit_id),
                metadata=facts,
            )
        ]
    )


def mispaid(deposit_id: UUID, amount: Money, receipt: str) -> list[Transfer]:
    """Paid, but another amount than asked: in suspense until a person decides."""
    facts = {"receipt": receipt}
    return linked(
        [
            move(
                COLLECTION,
                SUSPENSE,
                amount,
                Code.DEPOSIT_SUSPENSE,
                reference(deposit_id),
                metadata=facts,
            )
        ]
    )
