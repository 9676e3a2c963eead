"""What `up` puts into a house with simulators: once, whatever happened to an earlier try."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from hazina.bootstrap import demo_seed
from hazina.bootstrap.wiring import open_house
from hazina.identity.operators import Operators
from hazina.identity.people import Role
from hazina.infra.house import House
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import MpesaMode, Settings, UnsafeSettings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import SystemClock
from hazina.kernel.money import XAU
from hazina.ledger.chart import Purpose
from hazina.ledger.history import History
from hazina.products.gold.lots import Lots, NewLot
from hazina.products.gold.prices import GoldPrices, NewPrice
from tests.conftest import START, Place


@pytest.fixture
def simulated(tmp_path: Path, fresh_place: Place) -> Settings:
    """A house of the test's own whose M-Pesa is simulated; nobody calls it here."""
    LocalKeyProvider.generate(tmp_path / "keys.json", START)
    return Settings(
        data_dir=tmp_path,
        database_url=SecretStr(fresh_place.app),
        mpesa_mode=MpesaMode.SIMULATED,
        mpesa_base_url="http://127.0.0.1:9",
        public_url="http://127.0.0.1:10",
        mpesa_consumer_key=SecretStr("key"),
        mpesa_consumer_secret=SecretStr("secret"),
        mpesa_shortcode="600123",
        mpesa_passkey=SecretStr("passkey"),
    )


@pytest_asyncio.fixture(loop_scope="session")
async def found(simulated: Settings) -> AsyncIterator[House]:
    """The house, to look at or to prepare."""
    async with open_house(simulated) as house:
        yield house


async def is_complete(house: House) -> None:
    stock = await house.get(Lots).stock(house.db)
    assert [(one.lot.name, one.total.decimal) for one in stock] == [
        ("Lot A 1 kg", "1000.000000"),
        ("Lot B 100 g", "100.000000"),
    ]
    operator = await house.get(Operators).get_by_username(house.db, "demo-admin")
    assert operator.role is Role.ADMINISTRATOR
    lines = await house.get(History).trial_balance()
    seen = {line.purpose: line.balance.decimal for line in lines if line.asset.code == "KES"}
    assert seen[Purpose.CAPITAL] == "6000000.00"
    assert seen[Purpose.BANK] == "1000000.00"
    assert seen[Purpose.MPESA_UTILITY] == "5000000.00"


class TestTheBeginning:
    async def test_is_put_in_once(self, simulated: Settings, found: House) -> None:
        first = await demo_seed.ensure(simulated)
        again = await demo_seed.ensure(simulated)
        assert again == first
        assert [login.username for login in first] == ["demo", "demo-admin"]
        assert first[0].handset == "http://127.0.0.1:9/handset/254711000111"
        await is_complete(found)
        prices = await found.get(GoldPrices).list_all(found.db)
        assert [price.prices.buy.decimal for price in prices.items] == ["13333.3300"]

    async def test_goes_on_where_an_earlier_try_was_killed(
        self, simulated: Settings, found: House
    ) -> None:
        """The passwords, the operator and one lot are there, nothing else."""
        passwords = demo_seed.Secrets("four random words", "four other words")
        passwords.save(simulated.data_dir)
        now = SystemClock().now()
        operators, lots = found.get(Operators), found.get(Lots)
        await operators.create("demo-admin", passwords.operator, Role.ADMINISTRATOR, SYSTEM, now)
        half = NewLot("Lot A 1 kg", "999.9", XAU.money("1000"), 1)
        await found.db.run(lambda tx: lots.create(tx, half, SYSTEM, now))
        logins = await demo_seed.ensure(simulated)
        assert [login.password for login in logins] == [passwords.customer, passwords.operator]
        await is_complete(found)

    async def test_leaves_a_price_of_an_operator_alone(
        self, simulated: Settings, found: House
    ) -> None:
        prices, now = found.get(GoldPrices), SystemClock().now()
        mine = NewPrice("15000", "14000")
        await found.db.run(lambda tx: prices.set(tx, mine, SYSTEM, now))
        await demo_seed.ensure(simulated)
        assert (await prices.in_force(found.db, SystemClock().now())).prices.buy.decimal == (
            "15000.0000"
        )


class TestItsPasswords:
    async def test_are_for_the_owner_of_the_data_alone(self, simulated: Settings) -> None:
        logins = await demo_seed.ensure(simulated)
        path = simulated.data_dir / "simulators" / "demo.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        kept = json.loads(path.read_text())
        assert {login.password for login in logins} == set(kept.values())
        assert len(set(kept.values())) == 2

    async def test_are_not_invented_for_accounts_that_have_others(
        self, simulated: Settings
    ) -> None:
        await demo_seed.ensure(simulated)
        (simulated.data_dir / "simulators" / "demo.json").unlink()
        for _ in range(2):
            logins = await demo_seed.ensure(simulated)
            assert {login.password for login in logins} == {demo_seed.LOST}

    async def test_that_are_lost_are_never_used_for_a_new_account(
        self, simulated: Settings
    ) -> None:
        """Data older than the database: what stands in for a password is no secret."""
        demo_seed.Secrets(demo_seed.LOST, demo_seed.LOST).save(simulated.data_dir)
        logins = await demo_seed.ensure(simulated)
        assert demo_seed.LOST not in {login.password for login in logins}


@pytest.mark.parametrize("mode", [mode for mode in MpesaMode if mode is not MpesaMode.SIMULATED])
async def test_a_house_whose_m_pesa_is_not_simulated_gets_none(
    simulated: Settings, found: House, mode: MpesaMode
) -> None:
    with pytest.raises(UnsafeSettings):
        await demo_seed.ensure(simulated.model_copy(update={"mpesa_mode": mode}))
    assert await found.get(Lots).stock(found.db) == []
    assert list(simulated.data_dir.glob("simulators/*")) == []
