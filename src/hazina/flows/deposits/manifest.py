"""What deposits offer the house."""

from pathlib import Path

from hazina.desk.debts.service import Debts
from hazina.desk.limits import Limits
from hazina.desk.recovery import Recovery
from hazina.desk.switches import Switches
from hazina.flows.deposits import console, pages
from hazina.flows.deposits.accounts import AccountNumbers
from hazina.flows.deposits.arrivals import Arrivals
from hazina.flows.deposits.listen import Listener
from hazina.flows.deposits.paybill_code import PaybillCodes
from hazina.flows.deposits.purpose import DepositPurposes
from hazina.flows.deposits.recover import RecoverDeposits
from hazina.flows.deposits.request import Deposits
from hazina.flows.deposits.routes import router
from hazina.flows.deposits.send import Sender
from hazina.flows.deposits.settle import Settlement
from hazina.flows.deposits.tasks import Tasks
from hazina.flows.treasury.movements import COLLECTION_DOOR
from hazina.flows.treasury.tariffs import Tariffs
from hazina.identity.customers import Customers
from hazina.infra.house import House, Manifest, NavItem
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Outbox
from hazina.infra.vault import CustomerVault, Vault
from hazina.ledger.chart import Purpose
from hazina.ledger.proof import Proof
from hazina.ledger.service import Ledger
from hazina.rails.callbacks import Callbacks
from hazina.rails.ports import CallbackKind, Rails
from hazina.rails.receipts import ReceiptRail


def build(house: House) -> None:
    """This will put deposits and their purposes into the house and listen to the rail."""
    purposes, switches = DepositPurposes(), house.get(Switches)
    settlement = Settlement(
        house.settings,
        house.get(Ledger),
        house.get(Limits),
        house.get(Outbox),
        house.get(Tariffs),
        purposes,
        house.get(Debts),
    )
    deposits = Deposits(
        house.settings,
        house.get(Jobs),
        house.get(Limits),
        house.get(Ledger),
        house.get(Customers),
        house.get(Vault),
        house.get(CustomerVault),
        switches,
    )
    rails = house.get(Rails)
    sender = Sender(
        house.db, house.clock, house.settings, rails, house.get(CustomerVault), switches, settlement
    )
    listener = Listener(house.db, house.clock, house.settings, rails, settlement)
    house.get(Callbacks).subscribe(CallbackKind.COLLECTION, listener.on_callback)
    house.get(Proof).add_door(
        COLLECTION_DOOR,
        Purpose.MPESA_COLLECTION,
        "debit",
        "SELECT group_id, amount FROM deposits.mpesa_receipt",
    )
    house.get(Recovery).register("deposits", RecoverDeposits())
    rail = house.get(ReceiptRail)  # type: ignore[type-abstract]
    numbers = AccountNumbers(house.get(Customers), house.get(Vault), rail)
    Tasks(house.db, house.clock, house.get(Jobs), sender, listener, settlement, numbers)
    house.put(PaybillCodes(rail, house.clock))
    arrivals = Arrivals(settlement, house.get(Outbox))
    for part in (purposes, settlement, deposits, listener, numbers, arrivals):
        house.put(part)


FOLDER = Path(__file__).parent
MANIFEST = Manifest(
    "deposits",
    build,
    migrations=FOLDER / "migrations",
    templates=FOLDER / "templates",
    routes=(router,),
    pages=(pages.router,),
    console=(console.router,),
    wallet_nav=(NavItem("Deposit", "/deposits/new", "in", order=10),),
    console_nav=(NavItem("Deposits", "/deposits", "in", order=10),),
)
