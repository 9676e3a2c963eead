"""A house in recovery: what of payments sent back and of the treasury's movements it knows."""

from datetime import timedelta
from uuid import UUID

from hazina.desk.recovery import Moved, Recovery
from hazina.flows.receipts.waiting import list_waiting
from hazina.flows.treasury.movements import Movements
from hazina.flows.treasury.postings import Movement
from hazina.identity.people import Role
from hazina.kernel.actor import SYSTEM
from hazina.kernel.money import KES
from tests.journeys.paying import in_step, pay, payment
from tests.journeys.test_claw_back import paid_in, reverse
from tests.journeys.test_suspense import Desk, desk, left_in_suspense, nobodys
from tests.journeys.world import World, one

__all__ = ["desk"]


async def entered(world: World) -> int:
    house, now = world.house, world.clock.now()
    found = await house.db.run(
        lambda tx: house.get(Recovery).enter(tx, copied_at=now, actor=SYSTEM, now=now)
    )
    return found.asked


async def test_an_order_to_send_a_payment_back_is_not_given_again(world: World, desk: Desk) -> None:
    """It was waiting in the copy, and may have been carried out an hour ago."""
    person = await world.customer(balance="1000.00")
    found = await nobodys(world, person.phone)
    payment_id = UUID(str(found["id"]))
    await desk.approve(await desk.send_back(payment_id, desk.first), desk.second)
    assert await entered(world) == 1
    house, recovery = world.house, world.house.get(Recovery)
    [question] = await recovery.questions(house.db)
    assert (question.kind, question.state) == ("return", "unknown")
    left = await house.db.run(
        lambda tx: recovery.release(
            tx, operator=desk.second, actor=SYSTEM, accept_open="the portal tells",
            now=world.clock.now(),
        )
    )  # fmt: skip
    assert (left, desk.second.role) == (1, Role.ADMINISTRATOR)
    for _ in range(3):
        world.clock.advance(timedelta(hours=1))
        await in_step(world)
        await world.sweep()
        await world.settle()
    assert (await world.handset(person.phone))["balance"] == "250.00"
    assert await one(house.db, "SELECT count(*) FROM receipts.attempt") == 0
    [waiting] = await list_waiting(house.db)
    assert "two persons" in waiting.next_step
    ended = await desk.ended(payment_id, desk.first, went_back=False)
    await desk.approve(ended, desk.second)
    assert (await payment(world, str(found["receipt"])))["state"] == "suspended"
    assert await left_in_suspense(world) == 75_000


async def test_a_statement_is_explained_by_whatever_moved_the_money(
    world: World, desk: Desk
) -> None:
    house, now = world.house, world.clock.now()
    _, taken = await paid_in(world)
    person = await world.customer()
    kept = (await pay(world, person.phone, "SHOP RENT"))["receipt"]
    await reverse(world, taken)
    by = await one(house.db, "SELECT by_receipt FROM receipts.reversal")
    asked = await house.db.run(
        lambda tx: house.get(Movements).ask(
            tx, Movement.COLLECTION_SWEPT, KES.money("500"), "UKB0000001", reason="to the bank",
            operator=desk.first, actor=desk.first.as_actor(SYSTEM), now=now,
        )
    )  # fmt: skip
    await desk.approve(asked, desk.second)

    def line(receipt: str, *, inward: bool = False, original: str | None = None) -> Moved:
        return Moved(receipt, KES.money("500"), inward, now, original=original)

    statement = [
        line(taken, inward=True),
        line(kept, inward=True),
        line(by, original=taken),
        line("UKB0000001"),
        line("UKX0000001"),
        line("UKX0000002", inward=True),
    ]
    strange = await house.get(Recovery).compare(house.db, statement)
    assert [one.receipt for one in strange] == ["UKX0000001", "UKX0000002"]
