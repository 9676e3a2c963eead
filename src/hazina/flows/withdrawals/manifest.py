"""What withdrawals offer the house."""

from pathlib import Path

from hazina.desk.debts.service import Debts
from hazina.desk.limits import Limits
from hazina.desk.recovery import Recovery
from hazina.desk.switches import Switches
from hazina.flows.treasury.balances import Balances
from hazina.flows.treasury.movements import UTILITY_DOOR
from hazina.flows.treasury.tariffs import Tariffs
from hazina.flows.withdrawals import console, pages
from hazina.flows.withdrawals import repository as sql
from hazina.flows.withdrawals.absence import Absence
from hazina.flows.withdrawals.doubt import Doubt
from hazina.flows.withdrawals.listen import Listener
from hazina.flows.withdrawals.purpose import PayoutPurposes
from hazina.flows.withdrawals.recover import RecoverWithdrawals
from hazina.flows.withdrawals.request import Withdrawals
from hazina.flows.withdrawals.resend import Resend
from hazina.flows.withdrawals.routes import router
from hazina.flows.withdrawals.send import Sender
from hazina.flows.withdrawals.settle import Settlement
from hazina.flows.withdrawals.tasks import Tasks
from hazina.identity.customers import Customers
from hazina.identity.outward import OutwardGuard
from hazina.infra.audit import Audit
from hazina.infra.house import House, Manifest, NavItem
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Outbox
from hazina.infra.vault import CustomerVault
from hazina.ledger.chart import Purpose
from hazina.ledger.proof import Proof
from hazina.ledger.service import Ledger
from hazina.rails.callbacks import Callbacks
from hazina.rails.ports import CallbackKind, Rails


def build(house: House) -> None:
    """This will put withdrawals and their purposes into the house and listen to the rail."""
    purposes = PayoutPurposes()
    ledger, limits, jobs = house.get(Ledger), house.get(Limits), house.get(Jobs)
    sealed, rails, settings = house.get(CustomerVault), house.get(Rails), house.settings
    switches = house.get(Switches)
    settlement = Settlement(
        ledger, limits, house.get(Outbox), house.get(Tariffs), purposes, house.get(Debts)
    )
    sender = Sender(
        house.db, house.clock, settings, rails, sealed, switches, settlement, house.get(Balances)
    )
    listener = Listener(house.db, house.clock, settings, rails, settlement, switches)
    Tasks(house.db, house.clock, jobs, sender, listener)
    callbacks = house.get(Callbacks)
    callbacks.subscribe(CallbackKind.PAYOUT, listener.on_result)
    callbacks.subscribe(CallbackKind.PAYOUT_TIMEOUT, listener.on_timeout)
    callbacks.subscribe(CallbackKind.STATUS, listener.on_status)
    callbacks.subscribe(CallbackKind.STATUS_TIMEOUT, listener.on_status)
    proof = house.get(Proof)
    proof.add_owner("withdrawal", sql.LIVING)
    proof.add_door(
        UTILITY_DOOR,
        Purpose.MPESA_UTILITY,
        "credit",
        sql.PAID_GROUPS,
    )
    house.get(Recovery).register("withdrawals", RecoverWithdrawals())
    audit = house.get(Audit)
    house.put(Resend(house.db, house.clock, settings, rails, sealed, switches, audit))
    house.put(Absence(settlement))
    house.put(Doubt())
    house.put(purposes)
    customers, guard = house.get(Customers), house.get(OutwardGuard)
    house.put(Withdrawals(settings, jobs, ledger, limits, customers, sealed, switches, guard))


FOLDER = Path(__file__).parent
MANIFEST = Manifest(
    "withdrawals",
    build,
    migrations=FOLDER / "migrations",
    templates=FOLDER / "templates",
    routes=(router,),
    pages=(pages.router,),
    console=(console.router,),
    wallet_nav=(NavItem("Withdraw", "/withdrawals/new", "out", order=20),),
    console_nav=(NavItem("Withdrawals", "/withdrawals", "out", order=11),),
)
