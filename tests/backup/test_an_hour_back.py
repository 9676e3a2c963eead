"""A copy an hour old is restored while M-Pesa has gone on: nothing goes out twice.

M-Pesa's own books are never touched; the house forgets an hour and has to ask.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from hazina.bootstrap.backup.making import back_up
from hazina.bootstrap.backup.restoring import restore
from hazina.bootstrap.pg_record import Urls
from hazina.desk.recovery import Moved, QuestionsOpen, Recovery
from hazina.identity.operators import Operators
from hazina.infra.settings import Settings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import parse_id
from hazina.kernel.money import KES
from tests.backup.conftest import Reopen, managed, streaming
from tests.conftest import Place
from tests.journeys.world import PASSWORD, Person, World, one

HOUR = timedelta(hours=1)


async def rich(world: World, amount: str = "10000") -> Person:
    person = await world.customer(auto="pay")
    await person.post("/wallet/deposits", amount_kes=amount)
    await world.settle()
    await world.handset(person.phone, balance="5000.00")
    return person


async def withdraw(person: Person, amount: str = "600") -> str:
    answer = await person.post("/wallet/withdrawals", amount_kes=amount)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["withdrawal_id"])


async def again(world: World, person: Person) -> Person:
    """The same person at the restored house; signing in works while it is in recovery."""
    api = world.shared_client()
    answer = await api.post(
        "/api/v1/auth/login", json={"username": person.username, "password": PASSWORD}
    )
    token = answer.json()["access_token"]
    api.headers["Authorization"] = f"Bearer {token}"
    return Person(person.username, person.phone, token, api)


async def later(world: World, by: timedelta) -> None:
    world.clock.advance(by)
    await world.sweep()
    await world.settle()


async def on_phones(world: World, people: list[Person]) -> list[str]:
    return [(await world.handset(person.phone))["balance"] for person in people]


async def attempts(world: World) -> int:
    """How many calls that move money this house has ever begun."""
    paid = await one(world.house.db, "SELECT count(*) FROM withdrawals.attempt")
    asked = await one(world.house.db, "SELECT count(*) FROM deposits.attempt")
    return int(paid) + int(asked)


async def release(world: World, accept_open: str | None) -> int:
    house = world.house
    boss = await house.get(Operators).get_by_username(house.db, "boss")
    return await house.db.run(
        lambda tx: house.get(Recovery).release(
            tx, operator=boss, actor=SYSTEM, accept_open=accept_open, now=house.clock.now()
        )
    )


async def boss(world: World) -> None:
    from hazina.identity.people import Role

    now = world.house.clock.now()
    await world.house.get(Operators).create("boss", PASSWORD, Role.ADMINISTRATOR, SYSTEM, now)


@pytest.mark.process
@pytest.mark.timeout(300)
@pytest.mark.parametrize("server_of", [managed, streaming], ids=["dumped", "streamed"])
async def test_nothing_goes_out_twice(
    world: World, settings: Settings, fresh_place: Place, clock: SettableClock, room: Path,
    reopen: Reopen, server_of: type[Urls],
) -> None:  # fmt: skip
    """One payout in each state a copy can catch it in, one deposit not prompted yet, and one
    payout that only M-Pesa knows of afterwards."""
    await boss(world)
    held, sent, lost, payer, late = [await rich(world) for _ in range(5)]
    await world.fault("callback_never", operation="b2c", phone=sent.phone)
    await withdraw(sent)
    await world.settle()
    await world.fault("drop_after_accept", operation="b2c", phone=lost.phone)
    await world.fault("callback_never", operation="b2c", phone=lost.phone)
    await withdraw(lost)
    await world.work()
    waiting = await withdraw(held)
    asked = await payer.post("/wallet/deposits", amount_kes="250")

    copy = await back_up(settings, server_of(fresh_place), room / "copies", now=clock.now())

    await world.settle()
    await later(world, timedelta(minutes=2))
    late_again = await again(world, late)
    lost_row = await withdraw(late_again, "700")
    await later(world, HOUR - timedelta(minutes=2))
    people = [held, sent, lost, payer, late]
    moved = ["5600.00", "5600.00", "5600.00", "4750.00", "5700.00"]
    assert await on_phones(world, people) == moved
    late_again = await again(world, late)
    lost_receipt = (await late_again.get(f"/wallet/withdrawals/{lost_row}"))["receipt"]
    waiting_receipt = await one(
        world.house.db,
        "SELECT receipt FROM withdrawals.withdrawal WHERE id = $1",
        parse_id("wdr", waiting),
    )

    made = await restore(
        copy.path, room / "data", settings.data_dir / "keys.json",
        settings=settings, clock=clock, actor=SYSTEM,
    )  # fmt: skip
    assert made.recovery.copied_at == clock.now() - HOUR
    assert (made.recovery.asked, made.faults) == (4, [])
    back = await reopen(room / "data")
    begun = await attempts(back)

    refused = await (await again(back, held)).post("/wallet/withdrawals", amount_kes="100")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "recovering")
    for _ in range(3):
        await later(back, timedelta(minutes=11))
    assert await on_phones(back, people) == moved
    assert await attempts(back) == begun

    # The payouts are found by asking; the deposit has no id of M-Pesa's to ask by.
    open_ones = await back.house.get(Recovery).questions(back.house.db)
    assert [(q.kind, q.wire) for q in open_ones] == [("deposit", asked.json()["deposit_id"])]
    with pytest.raises(QuestionsOpen):
        await release(back, None)
    statement = [
        Moved(lost_receipt, KES.units(70_000), False, clock.now()),
        Moved(waiting_receipt, KES.units(60_000), False, clock.now(), parse_id("wdr", waiting)),
    ]
    assert await back.house.get(Recovery).compare(back.house.db, statement) == statement[:1]
    assert await release(back, "the statement shows that it was paid") == 1

    for _ in range(3):
        await later(back, HOUR)
    assert await on_phones(back, people) == moved
    assert await attempts(back) == begun
    await withdraw(await again(back, sent), "100")
    await back.settle()
    assert await on_phones(back, [sent]) == ["5700.00"]
    await back.prove()


@pytest.mark.process
@pytest.mark.timeout(300)
async def test_a_copy_that_dies_with_its_house_leaves_what_was_held_unsent(
    world: World, settings: Settings, fresh_place: Place, clock: SettableClock, room: Path,
    reopen: Reopen,
) -> None:  # fmt: skip
    """Nothing was sent after the copy. Nobody can know that: it is asked about, not sent."""
    await boss(world)
    person = await rich(world)
    withdrawal = await withdraw(person)
    copy = await back_up(settings, managed(fresh_place), room / "copies", now=clock.now())
    await restore(
        copy.path, room / "data", settings.data_dir / "keys.json",
        settings=settings, clock=clock, actor=SYSTEM,
    )  # fmt: skip
    back = await reopen(room / "data")
    await later(back, HOUR)
    me = await again(back, person)
    found = await me.get(f"/wallet/withdrawals/{withdrawal}")
    assert found["state"] == "unknown"
    assert await back.balances(me) == {"KES": ("9400.00", "600.00")}
    await release(back, "M-Pesa does not know it; two persons decide")
    await later(back, HOUR)
    assert await on_phones(back, [person]) == ["5000.00"]
    await back.prove()
