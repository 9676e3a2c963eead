"""Debts put into the house: the ledger's rule, the service, the collector, the claim."""

from hazina.desk.approvals import Approvals
from hazina.desk.debts import repository as sql
from hazina.desk.debts.repay import RepayFirst
from hazina.desk.debts.service import Debts
from hazina.desk.debts.tasks import Collector
from hazina.identity.customers import Customers
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Outbox
from hazina.ledger.proof import Proof
from hazina.ledger.service import Ledger

CLAIM = "what customers owe is what their receivables hold, debt by debt"


def build(house: House) -> None:
    """This will make debts count for every batch that is booked in this house."""
    ledger = house.get(Ledger)
    rule = RepayFirst(ledger, house.clock)
    ledger.govern(rule)
    debts = Debts(ledger, rule, house.get(Approvals), house.get(Customers), house.get(Outbox))
    Collector(house.db, house.get(Jobs), debts)
    house.get(Proof).add(CLAIM, _exact)
    house.put(debts)


async def _exact(tx: Tx) -> list[str]:
    return [row[0] for row in await tx.fetch(sql.EXACT)]
