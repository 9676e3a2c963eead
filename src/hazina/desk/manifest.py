"""What the desk offers the house."""

from pathlib import Path

from hazina.desk import approvals_console, ledger_console, switches_console
from hazina.desk.approvals import Approvals
from hazina.desk.debts import console as debts_console
from hazina.desk.debts import setup as debts_setup
from hazina.desk.ledger_acts import LedgerActs
from hazina.desk.limits import Limits
from hazina.desk.notifications import console as messages_console
from hazina.desk.notifications import pages, routes, setup
from hazina.desk.recovery import Recovery
from hazina.desk.switches import Switches
from hazina.infra.audit import Audit
from hazina.infra.house import House, Manifest, NavItem
from hazina.infra.jobs import Jobs
from hazina.ledger.accounts import Accounts


def build(house: House) -> None:
    """This will put limits, switches, recovery and messages into the house; maintenance pauses
    its jobs."""
    audit = house.get(Audit)
    switches = Switches(house.db, audit)
    house.get(Jobs).pause_when(switches.is_paused)
    house.put(Approvals(audit))
    house.put(Limits())
    house.put(switches)
    house.put(Recovery(switches, audit))
    house.put(LedgerActs(house.get(Accounts), house.get(Approvals), audit))
    setup.build(house)
    debts_setup.build(house)


MANIFEST = Manifest(
    "desk",
    build,
    migrations=Path(__file__).parent / "migrations",
    templates=Path(__file__).parent / "templates",
    routes=(routes.router,),
    pages=(pages.router,),
    console=(
        approvals_console.router,
        messages_console.router,
        debts_console.router,
        ledger_console.router,
        switches_console.router,
    ),
    wallet_nav=(NavItem("Messages", "/messages", "info", order=850),),
    console_nav=(
        NavItem("Debts", "/debts", "alert", order=13),
        NavItem("Approvals", "/approvals", "check", order=14),
        NavItem("Ledger", "/ledger", "layers", order=18),
        NavItem("Switches", "/switches", "alert", order=900),
        NavItem("Messages", "/messages", "info", order=17),
    ),
)
