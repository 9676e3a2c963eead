"""What a house with simulators begins with: two logins, the owner's capital, a price, two lots,
and M-Pesa told where payments are heard of.

Each piece is a transaction of its own and recognised when it is there, so this can be killed at any
point and run again, and it never changes what people did since. It refuses to touch a house whose
M-Pesa is real.

The passwords are random and made once for each data directory, in a 0600 file, rather than one that
the documentation tells: the accounts stay in the data, and whoever points the data at a real M-Pesa
one day must not have an administrator there whose password everybody can read.
"""

import json
import os
import secrets
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from hazina.bootstrap.demo import postings
from hazina.bootstrap.household import DemoLogin
from hazina.bootstrap.wiring import open_house
from hazina.identity.operators import Operators
from hazina.identity.people import Role
from hazina.identity.register import Application, Registration
from hazina.identity.repository import EmailTaken, PhoneTaken, UsernameTaken
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.infra.settings import MpesaMode, Settings, UnsafeSettings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.money import XAU
from hazina.kernel.outcome import Accepted
from hazina.ledger.core import first_fault
from hazina.ledger.service import Ledger
from hazina.products.gold.lots import LotNameTaken, Lots, NewLot
from hazina.products.gold.prices import GoldPrices, NewPrice
from hazina.rails.receipts import ReceiptRail

log = structlog.stdlib.get_logger()

OPERATOR, CUSTOMER = "demo-admin", "demo"
EMAIL = "demo@example.com"
PHONE, MSISDN = "0711 000 111", "254711000111"
PULLER = "254722000000"  # the house's own number, for M-Pesa's list
BUY, SELL = "13333.33", "12900.00"  # shillings for a gram
LOTS = (
    NewLot("Lot A 1 kg", "999.9", XAU.money("1000"), priority=1),
    NewLot("Lot B 100 g", "999.9", XAU.money("100"), priority=2),
)
# Without the signs that are taken for one another: these are read off a terminal and typed.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
LOST = "(as it was: its file is gone)"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The two passwords, 59 bits each."""

    operator: str
    customer: str

    @classmethod
    def find(cls, data_dir: Path) -> "Secrets | None":
        """Those that were made, if they were."""
        path = _file(data_dir)
        return cls(**json.loads(path.read_text())) if path.exists() else None

    def save(self, data_dir: Path) -> None:
        """Whole or not at all, 0600 from the first byte."""
        path = _file(data_dir)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as out:
            json.dump(asdict(self), out)
        beside.replace(path)


async def ensure(settings: Settings) -> list[DemoLogin]:
    """This will put in what is missing and give the logins. Raises: UnsafeSettings."""
    if settings.mpesa_mode is not MpesaMode.SIMULATED:
        raise UnsafeSettings("demo logins exist only together with a simulated M-Pesa")
    kept = Secrets.find(settings.data_dir) or Secrets(LOST, LOST)
    tried = Secrets(_unless_lost(kept.operator), _unless_lost(kept.customer))
    tried.save(settings.data_dir)  # before the accounts: killed in between, they can still be used
    async with open_house(settings) as house:
        new_operator = await _is_new(_operator(house, tried.operator))
        new_customer = await _is_new(_customer(house, tried.customer))
        await _owners_money(house)
        await _gold(house)
        await _addresses(house)
    # An account that was there before has a password that we know only if it was kept.
    passwords = Secrets(
        tried.operator if new_operator else kept.operator,
        tried.customer if new_customer else kept.customer,
    )
    passwords.save(settings.data_dir)
    return [
        DemoLogin(
            "wallet",
            CUSTOMER,
            passwords.customer,
            f"phone {PHONE}, its PIN 1234",
            f"{settings.mpesa_base_url}/handset/{MSISDN}",
        ),
        DemoLogin(
            "console",
            OPERATOR,
            passwords.operator,
            "administrator: prices, lots",
        ),
    ]


async def _is_new(making: Awaitable[object]) -> bool:
    """Whether the account was made now; it was there before otherwise."""
    try:
        await making
    except (UsernameTaken, EmailTaken, PhoneTaken):
        return False
    return True


async def _operator(house: House, password: str) -> None:
    await house.get(Operators).create(
        OPERATOR, password, Role.ADMINISTRATOR, SYSTEM, house.clock.now()
    )


async def _customer(house: House, password: str) -> None:
    wanted = Application(username=CUSTOMER, email=EMAIL, phone=PHONE, password=password)
    await house.get(Registration).register(wanted, SYSTEM, house.clock.now())


async def _addresses(house: House) -> None:
    """The simulated M-Pesa learns where payments are told, so that the PayBill menu works at once.
    Without an answer the house is whole all the same: `hazina mpesa register` does it later."""
    rail: ReceiptRail = house.get(ReceiptRail)  # type: ignore[type-abstract]
    for outcome in (await rail.register_notices(), await rail.register_pull(PULLER)):
        if not isinstance(outcome, Accepted):
            log.warning("the simulated M-Pesa was not told our addresses", why=str(outcome))


async def _owners_money(house: House) -> None:
    ledger = house.get(Ledger)

    async def book(tx: Tx) -> None:
        transfers = [postings.capital_in(), postings.float_funded()]
        fault = first_fault(await ledger.post(tx, transfers, SYSTEM))
        if fault is not None:
            raise AssertionError(f"the owner's money was refused: {fault.code.value}")

    await house.db.run(book)


async def _gold(house: House) -> None:
    prices, lots = house.get(GoldPrices), house.get(Lots)

    async def price(tx: Tx) -> None:
        now = house.clock.now()
        if await prices.find_at(tx, now) is None:
            await prices.set(tx, NewPrice(BUY, SELL, note="demo price"), SYSTEM, now)

    await house.db.run(price)
    for lot in LOTS:
        await _lot(house, lots, lot)


async def _lot(house: House, lots: Lots, lot: NewLot) -> None:
    try:
        await house.db.run(lambda tx: lots.create(tx, lot, SYSTEM, house.clock.now()))
    except LotNameTaken:
        return


def _file(data_dir: Path) -> Path:
    return data_dir / "simulators" / "demo.json"


def _unless_lost(password: str) -> str:
    return _password() if password == LOST else password


def _password() -> str:
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(3))
