"""What the house's own money offers the house."""

from pathlib import Path

from hazina.desk.approvals import Approvals
from hazina.desk.recovery import Recovery
from hazina.flows.treasury import console
from hazina.flows.treasury.balances import Balances
from hazina.flows.treasury.movements import (
    COLLECTION_BACK,
    COLLECTION_DOOR,
    SETTLED_GROUPS,
    UTILITY_DOOR,
    Movements,
)
from hazina.flows.treasury.recover import RecoverMovements
from hazina.flows.treasury.tariffs import Tariffs
from hazina.infra.audit import Audit
from hazina.infra.house import House, Manifest, NavItem
from hazina.infra.jobs import Jobs
from hazina.ledger.chart import Purpose
from hazina.ledger.proof import Proof
from hazina.ledger.service import Ledger
from hazina.rails.balances import BalanceRail
from hazina.rails.callbacks import Callbacks
from hazina.rails.ports import CallbackKind


def build(house: House) -> None:
    """This will put tariffs, balances and movements into the house."""
    rail = house.get(BalanceRail)  # type: ignore[type-abstract]
    balances = Balances(house.db, house.clock, house.get(Jobs), house.settings, rail)
    callbacks = house.get(Callbacks)
    callbacks.subscribe(CallbackKind.BALANCE, balances.on_result)
    callbacks.subscribe(CallbackKind.BALANCE_TIMEOUT, balances.on_result)
    house.get(Proof).add_door(UTILITY_DOOR, Purpose.MPESA_UTILITY, "credit", SETTLED_GROUPS)
    house.get(Proof).add_door(COLLECTION_DOOR, Purpose.MPESA_COLLECTION, "debit", COLLECTION_BACK)
    house.get(Recovery).register("treasury", RecoverMovements())
    house.put(balances)
    house.put(Tariffs(house.settings, house.get(Audit)))
    house.put(Movements(house.get(Approvals), house.get(Ledger)))


FOLDER = Path(__file__).parent
MANIFEST = Manifest(
    "treasury",
    build,
    migrations=FOLDER / "migrations",
    templates=FOLDER / "templates",
    console=(console.router,),
    console_nav=(NavItem("Treasury", "/treasury", "home", order=15),),
)
