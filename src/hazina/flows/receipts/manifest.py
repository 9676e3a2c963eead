"""What the slice of unasked payments offers the house."""

from pathlib import Path

from hazina.desk.approvals import Approvals
from hazina.desk.debts.service import Debts
from hazina.desk.recovery import Recovery
from hazina.desk.switches import Switches
from hazina.flows.deposits.accounts import AccountNumbers
from hazina.flows.deposits.arrivals import Arrivals
from hazina.flows.deposits.settle import Settlement as DepositSettlement
from hazina.flows.receipts import console, statements_console
from hazina.flows.receipts.again import AskAgain
from hazina.flows.receipts.hear import Listener
from hazina.flows.receipts.late import LatePayouts
from hazina.flows.receipts.listed import Listed
from hazina.flows.receipts.pull import Puller
from hazina.flows.receipts.recover import RecoverReturns
from hazina.flows.receipts.returns import Returner
from hazina.flows.receipts.reversals import Reversals
from hazina.flows.receipts.settle import Settlement
from hazina.flows.receipts.statements import Statements
from hazina.flows.receipts.suspense import Suspense
from hazina.flows.receipts.tasks import Tasks
from hazina.flows.receipts.unanswered import Unanswered
from hazina.flows.receipts.unmatched import Unmatched
from hazina.flows.receipts.waiting import Alarms
from hazina.flows.withdrawals.absence import Absence
from hazina.flows.withdrawals.doubt import Doubt
from hazina.identity.customers import Customers
from hazina.infra.audit import Audit
from hazina.infra.house import House, Manifest, NavItem
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Outbox
from hazina.infra.vault import CustomerVault
from hazina.ledger.service import Ledger
from hazina.rails.callbacks import Callbacks
from hazina.rails.ports import CallbackKind
from hazina.rails.receipts import ReceiptRail


def build(house: House) -> None:
    """This will listen to notices and answers, and read M-Pesa's list."""
    rail = house.get(ReceiptRail)  # type: ignore[type-abstract]
    arrivals, accounts = house.get(Arrivals), house.get(AccountNumbers)
    ledger = house.get(Ledger)
    settlement = Settlement(ledger, arrivals, accounts, house.get(Outbox))
    clock, jobs = house.clock, house.get(Jobs)
    listener = Listener(house.db, clock, jobs, rail, accounts, arrivals, settlement, ledger)
    suspense = Suspense(
        house.get(Approvals),
        house.get(Customers),
        house.get(Ledger),
        house.get(Jobs),
        house.get(Outbox),
        arrivals,
    )
    reversals = Reversals(
        house.db,
        house.clock,
        house.get(Jobs),
        rail,
        arrivals,
        listener,
        suspense,
        house.get(Debts),
    )
    puller = Puller(house.db, house.clock, rail, listener, reversals)
    returner = Returner(
        house.db,
        house.clock,
        house.settings,
        rail,
        house.get(CustomerVault),
        house.get(Switches),
        house.get(Jobs),
        suspense,
        reversals,
    )
    house.get(Recovery).register("returns", RecoverReturns())
    Tasks(house.db, house.clock, house.get(Jobs), listener, puller)
    listed = Listed(house.db, house.clock, house.get(Doubt), house.get(Outbox))
    unmatched = Unmatched(house.db, house.clock, house.get(Approvals))
    statements = Statements(
        house.db,
        house.clock,
        rail,
        listener,
        reversals,
        arrivals,
        house.get(Absence),
        listed,
        unmatched,
        house.get(Approvals),
        house.get(Audit),
    )
    unanswered = Unanswered(rail, house.get(Approvals), house.get(DepositSettlement))
    house.put(unanswered)
    house.put(LatePayouts(house.get(Approvals), house.get(Absence)))
    again = AskAgain(house.db, house.get(Jobs), house.get(Audit), puller)
    Alarms(house.db, house.clock, house.get(Jobs), unmatched)
    callbacks = house.get(Callbacks)
    callbacks.subscribe(CallbackKind.VALIDATION, listener.on_validation)
    callbacks.subscribe(CallbackKind.NOTICE, listener.on_notice)
    callbacks.subscribe(CallbackKind.PAYMENT_STATUS, reversals.on_status)
    callbacks.subscribe(CallbackKind.PAYMENT_STATUS_TIMEOUT, reversals.on_status)
    callbacks.subscribe(CallbackKind.RETURN, returner.on_result)
    callbacks.subscribe(CallbackKind.RETURN_TIMEOUT, returner.on_result)
    callbacks.validate_with(listener.may_pay)
    for part in (settlement, listener, puller, suspense, statements, again, reversals, unmatched):
        house.put(part)


FOLDER = Path(__file__).parent
MANIFEST = Manifest(
    "receipts",
    build,
    migrations=FOLDER / "migrations",
    templates=FOLDER / "templates",
    console=(console.router, statements_console.router),
    uploads={"/statements": "statement_max_mb"},
    console_nav=(
        NavItem("Questions", "/open-questions", "alert", order=12),
        NavItem("Suspense", "/suspense", "tag", order=13),
        NavItem("Statements", "/statements", "file", order=15),
    ),
)
