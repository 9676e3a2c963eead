"""Shillings that are nobody's: two persons give them to somebody or have them sent back."""

from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from hazina.desk.approvals import (
    Approval,
    ApprovalDecided,
    ApprovalOpen,
    Approvals,
    MayNotApprove,
    SamePerson,
)
from hazina.flows.receipts.suspense import Suspense
from hazina.identity.operators import Operators
from hazina.identity.people import Operator, Role
from hazina.infra.db import Row
from hazina.kernel.actor import SYSTEM
from hazina.kernel.errors import Refusal
from hazina.kernel.machine import StateMoved
from tests.journeys.paying import pay, payment, registered
from tests.journeys.test_deposits import deposit, state
from tests.journeys.world import PASSWORD, Person, World, one
from tests.web.money import words as read


@dataclass
class Desk:
    """Two persons and what they can do."""

    world: World
    first: Operator
    second: Operator
    clerk: Operator

    async def allocate(self, payment_id: UUID, username: str, by: Operator) -> Approval:
        house = self.world.house
        return await house.db.run(
            lambda tx: house.get(Suspense).ask_allocate(
                tx,
                payment_id,
                username,
                reason="they showed the message",
                operator=by,
                actor=by.as_actor(SYSTEM),
                now=house.clock.now(),
            )
        )

    async def send_back(self, payment_id: UUID, by: Operator) -> Approval:
        house = self.world.house
        return await house.db.run(
            lambda tx: house.get(Suspense).ask_return(
                tx,
                payment_id,
                reason="they asked for it",
                operator=by,
                actor=by.as_actor(SYSTEM),
                now=house.clock.now(),
            )
        )

    async def ended(self, payment_id: UUID, by: Operator, *, went_back: bool) -> Approval:
        house = self.world.house
        return await house.db.run(
            lambda tx: house.get(Suspense).ask_return_ended(
                tx,
                payment_id,
                went_back=went_back,
                reason="seen in the portal",
                operator=by,
                actor=by.as_actor(SYSTEM),
                now=house.clock.now(),
            )
        )

    async def approve(self, approval: Approval, by: Operator) -> None:
        house = self.world.house
        await house.db.run(
            lambda tx: house.get(Approvals).approve(
                tx,
                approval.id,
                operator=by,
                actor=by.as_actor(SYSTEM),
                now=house.clock.now(),
            )
        )


@pytest_asyncio.fixture(loop_scope="session")
async def desk(world: World) -> Desk:
    await registered(world)
    await world.sim.put("/sim/settings", json={"c2b_external_validation": False})
    operators, now = world.house.get(Operators), world.clock.now()
    made = [
        await operators.create(f"desk{role.value[:4]}{n}", PASSWORD, role, SYSTEM, now)
        for n, role in enumerate((Role.MANAGER, Role.ADMINISTRATOR, Role.OPERATOR))
    ]
    return Desk(world, *made)


async def nobodys(world: World, phone: str) -> dict[str, object]:
    paid = await pay(world, phone, "SHOP RENT")
    return dict(await payment(world, paid["receipt"]))


class TestTwoPersons:
    async def test_give_it_to_a_customer(self, world: World, desk: Desk) -> None:
        person = await world.customer()
        found = await nobodys(world, person.phone)
        asked = await desk.allocate(found["id"], person.username, desk.first)
        assert await world.balances(person) == {}
        await desk.approve(asked, desk.second)
        assert await world.balances(person) == {"KES": ("750.00", "0.00")}
        assert (await payment(world, found["receipt"]))["state"] == "credited"

    async def test_are_two(self, world: World, desk: Desk) -> None:
        person = await world.customer()
        found = await nobodys(world, person.phone)
        asked = await desk.allocate(found["id"], person.username, desk.first)
        refused: list[tuple[Operator, type[Refusal]]] = [
            (desk.first, SamePerson),
            (desk.clerk, MayNotApprove),
        ]
        for who, why in refused:
            with pytest.raises(why):
                await desk.approve(asked, who)
        with pytest.raises(ApprovalOpen):
            await desk.send_back(found["id"], desk.second)
        await desk.approve(asked, desk.second)
        with pytest.raises(ApprovalDecided):
            await desk.approve(asked, desk.second)
        with pytest.raises(StateMoved):
            await desk.send_back(found["id"], desk.first)

    async def test_send_it_back_and_m_pesas_result_books_it(self, world: World, desk: Desk) -> None:
        person = await world.customer(balance="1000.00")
        found = await nobodys(world, person.phone)
        asked = await desk.send_back(found["id"], desk.second)
        await desk.approve(asked, desk.first)
        assert (await payment(world, found["receipt"]))["state"] == "returning"
        await world.settle()
        assert (await payment(world, found["receipt"]))["state"] == "returned"
        assert (await world.handset(person.phone))["balance"] == "1000.00"
        assert await left_in_suspense(world) == 0


class TestAReturn:
    async def test_whose_answer_is_lost_is_unknown_and_ends_by_the_result(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer(balance="1000.00")
        found = await nobodys(world, person.phone)
        await world.fault("drop_after_accept", operation="reversal")
        await desk.approve(await desk.send_back(found["id"], desk.first), desk.second)
        await world.settle()
        assert (await payment(world, found["receipt"]))["state"] == "returned"

    async def test_that_m_pesa_refuses_waits_in_suspense_again(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer(balance="1000.00")
        found = await nobodys(world, person.phone)
        await world.fault("result_fail", operation="reversal", result_code="1")
        await desk.approve(await desk.send_back(found["id"], desk.first), desk.second)
        await world.settle()
        assert (await payment(world, found["receipt"]))["state"] == "suspended"
        assert await left_in_suspense(world) == 75_000

    async def test_called_done_before_proves_nothing_until_two_persons_have_looked(
        self, world: World, desk: Desk
    ) -> None:
        """The customer had complained at M-Pesa: R000001."""
        person = await world.customer(balance="1000.00")
        found = await nobodys(world, person.phone)
        await world.sim.post(f"/sim/books/{found['receipt']}/reverse")
        await desk.approve(await desk.send_back(found["id"], desk.first), desk.second)
        await world.settle()
        assert (await payment(world, found["receipt"]))["state"] == "returning"
        ended = await desk.ended(found["id"], desk.first, went_back=True)
        await desk.approve(ended, desk.second)
        assert (await payment(world, found["receipt"]))["state"] == "returned"
        assert await left_in_suspense(world) == 0


class TestAPromptPaidWithAnotherAmount:
    async def test_is_cleared_like_any_other(self, world: World, desk: Desk) -> None:
        person, deposit_id, found = await mispaid(world)
        await desk.approve(
            await desk.allocate(found["id"], person.username, desk.first), desk.second
        )
        await world.settle()
        assert await world.balances(person) == {"KES": ("499.00", "0.00")}
        assert await state(person, deposit_id) == "failed"
        assert await told(person) == ["payment_allocated", "deposit_suspended"]

    async def test_and_given_to_somebody_else_says_so_to_who_asked(
        self, world: World, desk: Desk
    ) -> None:
        person, deposit_id, found = await mispaid(world)
        other = await world.customer()
        await desk.approve(
            await desk.allocate(found["id"], other.username, desk.first), desk.second
        )
        await world.settle()
        assert await world.balances(other) == {"KES": ("499.00", "0.00")}
        assert await told(other) == ["payment_allocated"]
        assert await told(person) == ["deposit_given_away", "deposit_suspended"]
        words = (await person.get(f"/wallet/deposits/{deposit_id}"))["words"]
        assert words.endswith("Two persons decided that it is another customer's.")

    async def test_and_sent_back_says_so_to_who_asked(self, world: World, desk: Desk) -> None:
        person, deposit_id, found = await mispaid(world)
        await desk.approve(await desk.send_back(found["id"], desk.first), desk.second)
        await world.settle()
        assert await left_in_suspense(world) == 0
        deposit = await person.get(f"/wallet/deposits/{deposit_id}")
        assert deposit["state"] == "failed"
        words = (
            "KES 499.00 was paid where KES 500.00 was asked. M-Pesa sent it back to who paid it."
        )
        assert deposit["words"] == words
        assert await told(person) == ["deposit_sent_back", "deposit_suspended"]
        async with httpx.AsyncClient(base_url=world.wallet, follow_redirects=True) as web:
            await signed_in(web, person.username)
            page = (await web.get(f"/deposits/{deposit_id}")).text
        assert "Sent back" in page
        assert words in read(page)
        assert words not in page, "its amounts can be hidden"
        assert "Nothing was taken" not in page


async def mispaid(world: World) -> tuple[Person, str, Row]:
    """Somebody whose prompt of 500 was paid with 499, the deposit, and the payment in suspense."""
    person = await world.customer(auto="pay")
    await world.fault("wrong_amount", operation="stk", amount=499)
    deposit_id = await deposit(world, person)
    await world.settle()
    assert await state(person, deposit_id) == "suspended"
    found = await world.house.db.fetchrow("SELECT * FROM receipts.payment")
    assert found is not None
    assert found["state"] == "suspended"
    return person, deposit_id, found


async def told(person: Person) -> list[str]:
    """What they were told, newest first."""
    return [one["kind"] for one in (await person.get("/user/messages"))["items"]]


async def signed_in(web: httpx.AsyncClient, username: str) -> None:
    page = (await web.get("/login")).text
    token = page.split('name="csrf" value="')[1].split('"')[0]
    answer = await web.post(
        "/login", data={"csrf": token, "username": username, "password": PASSWORD}
    )
    assert answer.status_code == 200, answer.text


async def left_in_suspense(world: World) -> int:
    return int(
        await one(
            world.house.db,
            "SELECT coalesce(sum(e.credit - e.debit), 0) FROM ledger.entry_unbounded e"
            " JOIN ledger.account a ON a.key = e.account_key WHERE a.purpose = 'suspense:mpesa'",
        )
    )
