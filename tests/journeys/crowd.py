"""Many people at once, each with a wallet, a phone and some gold: the crowd of the traffic.

How somebody registers and signs in is tested elsewhere, so here it is done by the house's own
services; what people do with their money goes through HTTP like everybody's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import TypeVar

from hazina.identity.register import Application, Registration
from hazina.identity.sessions import CustomerSessions
from hazina.kernel.actor import SYSTEM
from tests.journeys.paying import account_of, in_step
from tests.journeys.world import PASSWORD, Person, World

T = TypeVar("T")

AT_ONCE = 12
PURSE = "400000.00"  # what a phone begins with
PAID_IN, GOLD = "5000", "3000"


async def side_by_side(
    people: Sequence[Person], act: Callable[[Person], Awaitable[T]], *, most: int = AT_ONCE
) -> list[T]:
    """This will do the same for each, ``most`` at a time."""
    room = asyncio.Semaphore(most)

    async def one(person: Person) -> T:
        async with room:
            return await act(person)

    return list(await asyncio.gather(*(one(person) for person in people)))


async def gathered(world: World, count: int, settle: Callable[[], Awaitable[None]]) -> list[Person]:
    """``count`` people with ``PAID_IN`` shillings, of which ``GOLD`` became gold.

    ``settle`` lets both sides work off what is to be done.
    """
    people = [
        Person(f"rush{number}", f"2541{number:08d}", "", world.shared_client())
        for number in range(count)
    ]
    await in_step(world)
    await side_by_side(people, lambda one: _join(world, one))
    await settle()
    bought = await side_by_side(
        people, lambda one: one.post("/gold/trade/buy", amount_kes=GOLD, pay_from="wallet")
    )
    assert {answer.status_code for answer in bought} == {202}, bought[0].text
    await settle()
    return people


async def signed_in(world: World, people: Sequence[Person]) -> None:
    """This will give everybody a new session: an hour is longer than a token lasts."""
    await side_by_side(people, lambda one: _sign_in(world, one))


async def _join(world: World, person: Person) -> None:
    """Registered, signed in, with a full phone that pays; the first shillings are on their way."""
    fresh = Application(
        person.username, f"{person.username}@example.com", f"+{person.phone}", PASSWORD
    )
    await world.house.get(Registration).register(fresh, SYSTEM, world.clock.now())
    await _sign_in(world, person)
    await world.handset(person.phone, auto="pay", balance=PURSE)
    await pay_bill(world, person, await account_of(person), Decimal(PAID_IN))


async def pay_bill(world: World, person: Person, account: str, amount: Decimal) -> None:
    """This will pay from the phone's menu; a purse that is empty or over its limit pays nothing."""
    order = {"account_number": account, "amount": f"{amount:f}", "pin": "1234"}
    answer = await world.sim.post(f"/sim/handsets/{person.phone}/paybill", json=order)
    assert answer.status_code in (200, 409), answer.text


async def _sign_in(world: World, person: Person) -> None:
    house = world.house
    sessions, now = house.get(CustomerSessions), house.clock.now()
    sql = "SELECT id FROM identity.customer WHERE username = $1"
    found = await house.db.fetchval(sql, person.username)
    tokens = await house.db.run(lambda tx: sessions.open_api(tx, found, SYSTEM, now))
    person.api.headers["Authorization"] = f"Bearer {tokens.access}"
