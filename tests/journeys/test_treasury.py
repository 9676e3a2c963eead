"""The house's own money: what M-Pesa holds and takes, and what two persons move."""

from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from hazina.desk.approvals import SamePerson
from hazina.flows.treasury.balances import Balances
from hazina.flows.treasury.movements import MovementKnown, Movements, MovementTakenBack
from hazina.flows.treasury.postings import Movement
from hazina.flows.treasury.tariffs import TariffInThePast, Tariffs
from hazina.flows.treasury.terms import TariffInvalid, TariffKind, charge_for, read_bands
from hazina.infra.db import Tx
from hazina.infra.observability import REGISTRY
from hazina.kernel.actor import SYSTEM
from hazina.kernel.money import KES
from hazina.ledger.history import History
from tests.journeys.paying import account_of, in_step, pay
from tests.journeys.test_claw_back import signed_in
from tests.journeys.test_suspense import Desk, desk
from tests.journeys.test_withdrawals import later, state, withdraw
from tests.journeys.world import World

__all__ = ["desk"]
AUGUST_2023 = "100:0,1500:5,5000:9,20000:11,150000:13,250000:13"


async def moved(world: World, purpose: str) -> int:
    """Debits less credits of one of the house's own accounts, in cents."""
    async with world.house.db.transaction(readonly=True) as tx:
        lines = await History(tx).trial_balance()
    return sum(
        (line.debits - line.credits).units
        for line in lines
        if line.purpose.value == purpose and line.asset == KES
    )


class TestATariff:
    @pytest.mark.parametrize(
        ("amount", "charge"),
        [("1.00", 0), ("100.00", 0), ("100.01", 5), ("101.00", 5), ("1500.00", 5), ("1501.00", 9)],
    )
    def test_is_read_by_band(self, amount: str, charge: int) -> None:
        assert charge_for(KES.money(amount), read_bands(AUGUST_2023)) == KES.units(charge * 100)

    @pytest.mark.parametrize("bands", ["", "100:0", "100:0,50:1,250000:2", "x", "250000:-1"])
    def test_that_does_not_say_what_everything_costs_is_refused(self, bands: str) -> None:
        with pytest.raises(TariffInvalid):
            read_bands(bands)

    async def test_begins_in_the_future_and_then_counts_for_both_directions(
        self, world: World, desk: Desk
    ) -> None:
        house, now = world.house, world.clock.now()

        def add(kind: TariffKind, bands: str, when: timedelta) -> object:
            async def act(tx: Tx) -> None:
                await house.get(Tariffs).add(
                    tx, kind, now + when, bands, "", by="clerk", actor=SYSTEM, now=now
                )

            return house.db.run(act)

        with pytest.raises(TariffInThePast):
            await add(TariffKind.PAYOUT, "250000:20", timedelta(0))
        await add(TariffKind.PAYOUT, "250000:20", timedelta(minutes=10))
        await add(TariffKind.PAYMENT, "250000:4", timedelta(minutes=10))
        person = await world.customer()
        account = await account_of(person)
        await pay(world, person.phone, account, "2000")
        await withdraw(person, "600")
        await world.settle()
        assert await moved(world, "expense:mpesa") == 500
        world.clock.advance(timedelta(minutes=10))
        await in_step(world)
        await pay(world, person.phone, account, "300")
        assert await world.balances(person) == {"KES": ("1700.00", "0.00")}
        assert await moved(world, "expense:mpesa") == 500 + 400
        await withdraw(person, "500")
        await world.settle()
        assert await moved(world, "expense:mpesa") == 500 + 400 + 2000
        assert await moved(world, "mpesa:collection") == 230_000 - 400
        assert await moved(world, "mpesa:charges") == -2500


class TestAMovement:
    async def test_is_asked_by_one_and_booked_by_another_once(
        self, world: World, desk: Desk
    ) -> None:
        house = world.house

        def ask(kind: Movement, reference: str = "SB1") -> object:
            return house.db.run(
                lambda tx: house.get(Movements).ask(
                    tx, kind, KES.money("900.00"), reference, reason="as in the portal",
                    operator=desk.first, actor=desk.first.as_actor(SYSTEM), now=house.clock.now(),
                )
            )  # fmt: skip

        asked = await ask(Movement.COLLECTION_TO_UTILITY)
        with pytest.raises(SamePerson):
            await desk.approve(asked, desk.first)
        assert await moved(world, "mpesa:utility") == 0
        await desk.approve(asked, desk.second)
        assert await moved(world, "mpesa:utility") == 90_000
        assert await moved(world, "mpesa:collection") == -90_000
        with pytest.raises(MovementKnown):
            await ask(Movement.COLLECTION_TO_UTILITY)
        for number, kind in enumerate(Movement):
            await desk.approve(await ask(kind, f"N{number}"), desk.second)
        totals = {
            "bank:kes": 0, "bank": 0, "owner:capital": 0, "mpesa:charges": 90_000,
            "mpesa:utility": 90_000 + 90_000 + 90_000 - 90_000,
            "mpesa:collection": -90_000 - 90_000 - 90_000,
        }  # fmt: skip
        assert {name: await moved(world, name) for name in totals} == totals

    async def test_that_was_booked_wrongly_is_taken_back_by_two_and_booked_anew(
        self, world: World, desk: Desk
    ) -> None:
        """Whatever it moved: the fixture's proof runs over all of it."""
        house, movements = world.house, world.house.get(Movements)

        def told() -> dict[str, object]:
            me = desk.first
            return {"operator": me, "actor": me.as_actor(SYSTEM), "now": house.clock.now()}

        async def book(kind: Movement, amount: str) -> UUID:
            asked = await house.db.run(
                lambda tx: movements.ask(
                    tx,
                    kind,
                    KES.money(amount),
                    f"SB-{kind}",
                    reason="as in the portal",
                    **told(),  # type: ignore[arg-type]
                )
            )
            await desk.approve(asked, desk.second)
            return asked.subject

        async def ask_back(movement: UUID) -> object:
            return await house.db.run(
                lambda tx: movements.ask_back(tx, movement, reason="a slip", **told())  # type: ignore[arg-type]
            )

        rows = [await book(kind, "900.00") for kind in Movement]
        names = ("bank", "owner:capital", "mpesa:charges", "mpesa:utility", "mpesa:collection")
        assert [await moved(world, name) for name in names[2:]] == [90_000, 90_000, -180_000]
        for movement in rows:
            asked = await ask_back(movement)
            with pytest.raises(SamePerson):
                await desk.approve(asked, desk.first)
            await desk.approve(asked, desk.second)
        assert [await moved(world, name) for name in names] == [0] * 5
        with pytest.raises(MovementTakenBack):
            await ask_back(rows[0])
        again = await book(Movement.COLLECTION_SWEPT, "90.00")
        group = (await movements.get(house.db, again))["group_id"]
        corrected = await house.db.fetchval(
            "SELECT o.amount FROM ledger.transfer t JOIN ledger.transfer o ON o.id = t.corrects"
            " WHERE t.group_id = $1",
            group,
        )
        assert int(corrected) == 90_000
        assert await moved(world, "bank") == 9_000
        async with httpx.AsyncClient(base_url=world.console, follow_redirects=True) as web:
            await signed_in(web, desk.second.username)
            page = (await web.get("/treasury")).text
            assert page.count("Taken back") == len(Movement)
            path = page.partition('href="/treasury/movements/')[2].partition('"')[0]
            looked = (await web.get(f"/treasury/movements/{path}")).text
            assert "KES" in looked
            assert "Ask a second person" in looked


class TestHeadroom:
    async def test_that_is_known_to_lack_holds_payouts_back_until_it_is_there(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer()
        await pay(world, person.phone, await account_of(person), "2000")
        await fund(world, utility="1000.00")
        await later(world, seconds=1)
        known = await world.house.get(Balances).find_known(world.house.db, world.clock.now())
        assert known is not None
        assert known.utility == KES.money("1000.00")
        assert REGISTRY.get_sample_value("hazina_mpesa_utility_low") == 1
        first = await withdraw(person, "600")
        await world.settle()
        assert await state(person, first) == "paid"
        held = await withdraw(person, "700")
        await world.settle()
        assert await state(person, held) == "held"
        row = await world.house.db.fetchrow(
            "SELECT held_back FROM withdrawals.withdrawal WHERE held_back IS NOT NULL"
        )
        assert row is not None
        assert "KES 400.00 left" in row["held_back"]
        assert await world.balances(person) == {"KES": ("700.00", "700.00")}
        async with httpx.AsyncClient(base_url=world.console, follow_redirects=True) as web:
            await signed_in(web, desk.second.username)
            page = await web.get("/treasury")
        assert page.status_code == 200
        assert "1,000.00" in page.text
        await fund(world, utility="5000.00")
        for _ in range(3):
            await later(world, seconds=61)
        assert await state(person, held) == "paid"

    async def test_that_is_not_known_any_more_holds_nothing_back(
        self, world: World, desk: Desk
    ) -> None:
        await fund(world, utility="100.00")
        await later(world, seconds=1)
        await fund(world, utility="5000.00")
        world.clock.advance(timedelta(minutes=31))
        await in_step(world)
        person = await world.customer()
        await pay(world, person.phone, await account_of(person), "2000")
        paid = await withdraw(person, "600")
        await world.settle()
        assert await state(person, paid) == "paid"


async def fund(world: World, *, utility: str) -> None:
    """M-Pesa's utility account holds so much."""
    answer = await world.sim.put("/sim/utility", json={"balance": utility})
    assert answer.status_code == 200, answer.text


class TestAPaybillCode:
    async def test_is_m_pesas_own_picture_asked_for_once_and_missed_honestly(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer()
        async with httpx.AsyncClient(base_url=world.wallet, follow_redirects=True) as web:
            await signed_in(web, person.username)
            assert "/deposits/paybill" in (await web.get("/deposits/new")).text
            assert "/deposits/paybill.png" not in (await web.get("/deposits/paybill")).text
            page = (await web.get("/deposits/paybill?amount=500")).text
            assert 'src="/deposits/paybill.png?amount=500"' in page
            await world.fault("http_500", operation="qr", count=None)
            picture = await web.get("/deposits/paybill.png?amount=500")
            assert picture.headers["content-type"] == "image/png"
            assert picture.content.startswith(b"\x89PNG")
            page = (await web.get("/deposits/paybill?amount=600")).text
            assert "gives no code at the moment" in page
            assert "Account number" in page
            assert (await web.get("/deposits/paybill?amount=0")).status_code == 400
