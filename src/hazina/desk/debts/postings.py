"""What debts do in the ledger: the claw-back lines of the posting manual. Pure."""

from uuid import UUID

from hazina.kernel.money import Money
from hazina.ledger.chart import AccountRef, Purpose, customer, receivable, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, Transfer, linked, move, sweep


def reference(debt_id: UUID) -> Reference:
    return Reference("debt", debt_id)


def owed(debt_id: UUID, customer_id: UUID, to: AccountRef, amount: Money) -> Transfer:
    """Taken back by the outside, and spent: the customer owes it, ``to`` is short of it."""
    owner = receivable(customer_id, amount.asset)
    return move(owner, to, amount, Code.CLAW_BACK_OWED, reference(debt_id))


def repaid(debt_id: UUID, customer_id: UUID, amount: Money) -> Transfer:
    """What came to a customer repays what they owe, in the group that brought it."""
    asset = amount.asset
    wallet, owner = customer(customer_id, asset), receivable(customer_id, asset)
    return move(wallet, owner, amount, Code.DEBT_REPAID, reference(debt_id))


def collected(debt_id: UUID, customer_id: UUID, at_most: Money) -> Transfer:
    """What came free later, when a hold ended, repays it too."""
    asset = at_most.asset
    wallet, owner = customer(customer_id, asset), receivable(customer_id, asset)
    return sweep(wallet, owner, at_most, Code.DEBT_REPAID, reference(debt_id))


def written_off(debt_id: UUID, customer_id: UUID, amount: Money) -> list[Transfer]:
    """Two persons gave it up: it is our loss."""
    losses = system(Purpose.EXPENSE_LOSSES, amount.asset)
    owner = receivable(customer_id, amount.asset)
    return linked([move(losses, owner, amount, Code.DEBT_WRITTEN_OFF, reference(debt_id))])
