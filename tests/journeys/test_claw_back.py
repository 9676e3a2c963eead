"""M-Pesa takes a payment back after it was booked: the shillings go with it, or are owed."""

import asyncio
from datetime import datetime, timedelta
from io import BytesIO
from uuid import UUID

import httpx

from hazina.desk.debts.repository import Debt
from hazina.desk.debts.service import Debts
from hazina.flows.deposits.purpose import DepositFact, DepositPurposes
from hazina.flows.deposits.request import Deposits
from hazina.flows.plan import Plan
from hazina.flows.receipts.pull import Puller
from hazina.flows.receipts.statements import Imported, Statements
from hazina.flows.receipts.waiting import list_waiting
from hazina.infra.db import Tx
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES
from hazina.ledger.chart import Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, Result, move
from hazina.ledger.service import Ledger
from tests.journeys.paying import account_of, in_step, pay, payment
from tests.journeys.test_deposits import deposit, state
from tests.journeys.test_gold import buy, stocked, trade
from tests.journeys.test_suspense import Desk, desk, left_in_suspense, signed_in
from tests.journeys.test_unknown import import_statement
from tests.journeys.test_withdrawals import withdraw
from tests.journeys.world import Person, World, one
from tests.web.money import words as read

__all__ = ["desk"]


async def paid_in(world: World, amount: str = "1000") -> tuple[Person, str]:
    """A customer who has paid to their account number, and the receipt."""
    person = await world.customer()
    return person, (await pay(world, person.phone, await account_of(person), amount))["receipt"]


async def reverse(world: World, receipt: str) -> Imported:
    """M-Pesa takes it back as after a complaint, and a person imports the statement."""
    answer = await world.sim.post(f"/sim/books/{receipt}/reverse")
    assert answer.status_code == 200, answer.text
    return await statement(world)


async def statement(world: World) -> Imported:
    since = world.clock.now() - timedelta(hours=1)
    world.clock.advance(timedelta(minutes=1))
    await in_step(world)
    taken = await import_statement(world, since, world.clock.now())
    await world.settle()
    return taken


async def owed(world: World, person: Person) -> list[Debt]:
    customer_id = await one(
        world.house.db, "SELECT id FROM identity.customer WHERE username = $1", person.username
    )
    return list(await world.house.get(Debts).list_of(world.house.db, customer_id))


def refused(answer: httpx.Response) -> str:
    code: str = answer.json()["error"]["code"]
    return code


async def in_debt(world: World) -> Person:
    """A customer whose 1000 came by M-Pesa, was spent on a payout of 600, and went back."""
    person, receipt = await paid_in(world)
    await withdraw(person, "600")
    await world.settle()
    await reverse(world, receipt)
    assert [str(debt.outstanding) for debt in await owed(world, person)] == ["KES 600.00"]
    return person


class TestAPaymentTakenBack:
    async def test_leaves_the_wallet_once_m_pesa_agrees(self, world: World, desk: Desk) -> None:
        person = await world.customer(auto="pay")
        deposit_id = await deposit(world, person, "1000")
        await world.settle()
        receipt = await one(world.house.db, "SELECT receipt FROM deposits.mpesa_receipt")
        await world.fault("callback_never", operation="status")
        taken = await reverse(world, receipt)
        assert taken.returns == (receipt,)
        assert await world.balances(person) == {"KES": ("1000.00", "0.00")}
        assert [w.kind for w in await list_waiting(world.house.db)] == ["reversal"]
        world.clock.advance(timedelta(minutes=5))
        await world.sweep()
        await world.settle()
        assert await world.balances(person) == {"KES": ("0.00", "0.00")}
        assert await owed(world, person) == []
        assert (await statement(world)).returns == ()
        assert await state(person, deposit_id) == "taken_back"
        async with httpx.AsyncClient(base_url=world.wallet, follow_redirects=True) as web:
            await signed_in(web, person.username)
            page = (await web.get(f"/deposits/{deposit_id}")).text
            listed = (await web.get("/deposits")).text
        assert "M-Pesa took KES 1,000.00 back and returned it to who paid." in read(page)
        assert '<span class="num">1,000.00</span>' in page, "the eye button hides it"
        assert "Taken back by M-Pesa" in page
        assert "Taken back by M-Pesa" in listed

    async def test_is_not_believed_of_a_file_that_m_pesa_contradicts(
        self, world: World, desk: Desk
    ) -> None:
        """The statement was edited: another customer's receipt stands beside the reversal."""
        person, receipt = await paid_in(world)
        victim, theirs = await paid_in(world, "400")
        await world.sim.post(f"/sim/books/{receipt}/reverse")
        world.clock.advance(timedelta(minutes=1))
        await in_step(world)
        body = (await world.sim.get("/sim/statement.csv")).text.splitlines()
        forged = [line.replace("-1000.00", "-400.00") for line in body if "Reversal" in line]
        forged = [line.replace(receipt, theirs) for line in forged]
        head = next(line for line in body if line.startswith("Receipt No."))
        now = world.clock.now()
        changed = BytesIO("\n".join([head, *forged]).encode())
        await world.house.get(Statements).take(
            changed, now - timedelta(hours=1), now, by="x", actor=SYSTEM
        )
        await world.settle()
        assert await world.balances(victim) == {"KES": ("400.00", "0.00")}
        [waiting] = await list_waiting(world.house.db)
        assert waiting.why == "M-Pesa tells it otherwise: a person"
        assert await world.balances(person) == {"KES": ("1000.00", "0.00")}
        # It does not stand in the way of the true one.
        assert (await statement(world)).returns == (receipt,)
        assert await world.balances(person) == {"KES": ("0.00", "0.00")}
        assert await world.balances(victim) == {"KES": ("400.00", "0.00")}
        assert await list_waiting(world.house.db) == []

    async def test_out_of_suspense_leaves_suspense_ours_or_not(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer()
        receipt = (await pay(world, person.phone, "SHOP RENT"))["receipt"]
        await reverse(world, receipt)
        assert (await payment(world, receipt))["state"] == "returned"
        assert await left_in_suspense(world) == 0

        # Ours to send back, and the result of it was lost.
        receipt = (await pay(world, person.phone, "SHOP RENT"))["receipt"]
        found = (await payment(world, receipt))["id"]
        await world.fault("callback_never", operation="reversal")
        await desk.approve(await desk.send_back(found, desk.first), desk.second)
        await world.settle()
        assert (await payment(world, receipt))["state"] == "returning"
        await statement(world)
        assert (await payment(world, receipt))["state"] == "returned"
        assert await left_in_suspense(world) == 0


class TestFoundInTheList:
    async def test_a_reversal_takes_the_payment_back_without_a_statement(
        self, world: World, desk: Desk
    ) -> None:
        """Nobody documents such lines; should M-Pesa's list have one it counts, once."""
        person, receipt = await paid_in(world)
        line = {
            "transactionId": "UKR0000001",
            "trxDate": "2026-11-20T12:05:00Z",
            "msisdn": 700000001,
            "sender": "MPESA",
            "transactiontype": "c2b-pay-bill-reversal",
            "billreference": receipt,
            "amount": "-1000.00",
            "organizationname": "EXAMPLE LTD",
        }
        body = {"ResponseRefID": "1", "ResponseCode": "1000", "Response": [[line]]}
        for _ in range(2):
            await world.fault("answer", operation="pull", status=200, body=body)
            await world.house.get(Puller).read(world.clock.now())
            await world.settle()
        assert await world.balances(person) == {"KES": ("0.00", "0.00")}
        assert await owed(world, person) == []
        rows = await world.house.db.fetch("SELECT * FROM receipts.reversal")
        told = [(row["state"], row["heard_from"], row["by_receipt"]) for row in rows]
        assert told == [("booked", "pull", "UKR0000001")]


class TestADebt:
    async def test_refuses_under_the_requests_key_for_good(self, world: World, desk: Desk) -> None:
        """The refusal is the key's answer, also once nothing is owed any more; no transfer of it
        has an id that anybody could send again."""
        person = await in_debt(world)
        first = await person.post("/wallet/withdrawals", "the-very-key", amount_kes="50")
        assert refused(first) == "debt_outstanding"
        await pay(world, person.phone, await account_of(person), "1000")
        assert await owed(world, person) == []
        again = await person.post("/wallet/withdrawals", "the-very-key", amount_kes="50")
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert await world.balances(person) == {"KES": ("400.00", "0.00")}
        anew = await person.post("/wallet/withdrawals", amount_kes="50")
        assert anew.status_code == 202

    async def test_stops_what_leaves_and_is_repaid_first_by_whatever_comes(
        self, world: World, desk: Desk
    ) -> None:
        await stocked(world, "100")
        person = await in_debt(world)
        answers = [
            await person.post("/wallet/withdrawals", amount_kes="50"),
            await person.post("/gold/trade/buy", amount_kes="2000"),
        ]
        assert [refused(one) for one in answers] == ["debt_outstanding"] * 2
        assert [one.status_code for one in answers] == [403, 403]

        await pay(world, person.phone, await account_of(person), "250")
        assert [str(debt.outstanding) for debt in await owed(world, person)] == ["KES 350.00"]
        assert await world.balances(person) == {"KES": ("0.00", "0.00")}
        await world.handset(person.phone, auto="pay")
        answer = await person.post("/wallet/deposits", amount_kes="500")
        assert answer.status_code == 202
        await world.settle()
        assert await owed(world, person) == []
        assert await world.balances(person) == {"KES": ("150.00", "0.00")}
        groups = await one(
            world.house.db,
            "SELECT count(DISTINCT r.group_id) FROM ledger.transfer r JOIN ledger.transfer p"
            " ON p.group_id = r.group_id AND p.code = 'deposit' WHERE r.code = 'debt_repaid'",
        )
        assert groups == 2
        await withdraw(person, "100")

    async def test_is_repaid_by_the_proceeds_of_a_sale_to_the_wallet(
        self, world: World, desk: Desk
    ) -> None:
        await stocked(world, "100")
        person, receipt = await paid_in(world, "10000")
        answer = await person.post("/gold/trade/buy", amount_kes="9000", pay_from="wallet")
        assert answer.status_code in (200, 201, 202), answer.text
        await world.settle()
        await reverse(world, receipt)
        assert [str(d.outstanding) for d in await owed(world, person)] == ["KES 9000.00"]
        sold = await person.post("/gold/trade/sell", grams="0.5", payout_to="wallet")
        assert sold.status_code in (200, 201, 202), sold.text
        # 0.5 g at 12900, less what the spread keeps; all of it repays
        assert await world.balances(person) == {
            "KES": ("0.00", "0.00"),
            "XAU": ("0.175000", "0.000000"),
        }
        assert [str(d.outstanding) for d in await owed(world, person)] == ["KES 2550.00"]
        out = await person.post("/gold/trade/sell", grams="0.1")
        assert refused(out) == "debt_outstanding"

    async def test_takes_what_comes_free_when_a_payout_fails(
        self, world: World, desk: Desk
    ) -> None:
        person, receipt = await paid_in(world)
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        await withdraw(person, "600")
        await reverse(world, receipt)
        await world.sweep()
        await world.settle()
        assert await owed(world, person) == []
        assert await world.balances(person) == {"KES": ("0.00", "0.00")}

    async def test_does_not_keep_what_m_pesa_has_paid_from_being_booked(
        self, world: World, desk: Desk
    ) -> None:
        """The sale was asked for, and paid by M-Pesa, while the debt came between."""
        await stocked(world, "100")
        person, receipt = await paid_in(world, "10000")
        await person.post("/gold/trade/buy", amount_kes="9000", pay_from="wallet")
        await world.fault("callback_never", operation="b2c")
        sold = await person.post("/gold/trade/sell", grams="0.5")
        await world.settle()
        await reverse(world, receipt)
        world.clock.advance(timedelta(minutes=5))
        await world.sweep()
        await world.settle()
        assert (await trade(person, sold.json()["trade_id"]))["state"] == "completed"
        assert [str(d.outstanding) for d in await owed(world, person)] == ["KES 9000.00"]

    async def test_of_a_purchase_under_way_takes_the_shillings_and_leaves_the_gold(
        self, world: World, desk: Desk
    ) -> None:
        await stocked(world, "100")
        person, receipt = await paid_in(world)
        trade_id = await buy(person, amount_kes="2000")
        await world.work()
        await withdraw(person, "900")
        await reverse(world, receipt)
        await world.answer_prompt(person.phone)
        await world.settle()
        assert await owed(world, person) == []
        assert (await trade(person, trade_id))["state"] != "completed"
        assert (await world.balances(person))["KES"] == ("1100.00", "0.00")

    async def test_is_shown_with_its_age_until_two_persons_give_it_up(
        self, world: World, desk: Desk
    ) -> None:
        person = await in_debt(world)
        account = await account_of(person)
        world.clock.advance(timedelta(days=3, hours=2))
        async with httpx.AsyncClient(base_url=world.wallet, follow_redirects=True) as web:
            await signed_in(web, person.username)
            home = (await web.get("/")).text
        assert "3 d 2 h ago" in home
        assert "600.00" in home
        async with httpx.AsyncClient(base_url=world.console, follow_redirects=True) as web:
            await signed_in(web, desk.second.username)
            page = await web.get("/debts")
        assert page.status_code == 200
        assert person.username in page.text
        assert "3 d" in page.text
        [debt] = await owed(world, person)
        house = world.house
        asked = await house.db.run(
            lambda tx: house.get(Debts).ask_write_off(
                tx, debt.id, reason="they are gone", operator=desk.first,
                actor=desk.first.as_actor(SYSTEM), now=house.clock.now(),
            )
        )  # fmt: skip
        await pay(world, person.phone, account, "100")
        await desk.approve(asked, desk.second)
        assert await owed(world, person) == []
        lost = await one(
            house.db, "SELECT amount FROM ledger.transfer WHERE code = 'debt_written_off'"
        )
        assert lost == 50_000


class Forgetful:
    """A product that could not plan when it was asked first; what it plans then is in the way of a
    debt."""

    def __init__(self) -> None:
        self.asked, self.refused_with = 0, ""

    async def paid(self, tx: Tx, deposit: DepositFact, now: datetime) -> Plan:
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("not today")
        taken = move(
            customer(deposit.customer_id, KES), system(Purpose.GOLD_POSITION), deposit.amount,
            Code.GOLD_PAID, Reference("test", deposit.purpose_id),
        )  # fmt: skip

        async def booked(tx: Tx) -> None:
            raise AssertionError("there is no money for it")

        async def refused(tx: Tx, why: Result) -> None:
            self.refused_with = why.code.value

        return Plan([taken], booked, refused)

    async def failed(self, tx: Tx, deposit: DepositFact, now: datetime) -> Plan:
        return Plan()


class TestAPlanThatComesTooLate:
    async def test_is_refused_where_a_debt_has_taken_its_money(
        self, world: World, desk: Desk
    ) -> None:
        """The refusal of the debt held the job for ever."""
        product, house = Forgetful(), world.house
        house.get(DepositPurposes).register("test.forgets", product)
        person, receipt = await paid_in(world)
        await withdraw(person, "1000")
        await world.settle()
        owner = await one(house.db, "SELECT id FROM identity.customer")
        await world.handset(person.phone, auto="pay")
        await house.db.run(
            lambda tx: house.get(Deposits).request(
                tx, customer_id=owner, amount=KES.money("500"), purpose="test.forgets",
                purpose_id=new_id(), actor=SYSTEM, now=house.clock.now(),
            )
        )  # fmt: skip
        await world.settle()
        assert await world.balances(person) == {"KES": ("500.00", "0.00")}
        await reverse(world, receipt)
        assert [str(debt.outstanding) for debt in await owed(world, person)] == ["KES 500.00"]
        await world.sweep()
        await world.settle()
        assert (product.asked, product.refused_with) == (2, "insufficient_funds")
        plan = await one(house.db, "SELECT plan FROM deposits.deposit WHERE purpose IS NOT NULL")
        assert plan == "refused"


class TestManyAtOnce:
    async def test_payments_and_claw_backs_leave_no_money_beside_a_debt(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer()
        house, ledger = world.house, world.house.get(Ledger)
        customer_id: UUID = await one(house.db, "SELECT id FROM identity.customer")
        about = Reference("test", customer_id)
        wallet, bank = customer(customer_id, KES), system(Purpose.BANK)

        async def paid(tx: Tx) -> None:
            transfer = move(bank, wallet, KES.money("10.00"), Code.CAPITAL_IN, about)
            await ledger.post(tx, [transfer], SYSTEM)

        async def taken(tx: Tx) -> None:
            await house.get(Debts).claw_back(
                tx, customer_id=customer_id, amount=KES.money("35.00"), to=bank, cause="UKK1",
                about=about, group=new_id(), actor=SYSTEM, now=house.clock.now(),
            )  # fmt: skip

        for done in range(1, 4):
            acts = [paid, paid, taken, paid, taken, paid, paid, taken, paid, paid]
            await asyncio.gather(*(house.db.run(act) for act in acts))
            debts, balance = await owed(world, person), await world.balances(person)
            left = sum(debt.outstanding.units for debt in debts)
            assert balance["KES"] == ("0.00", "0.00")
            assert left == (3 * 3500 - 7 * 1000) * done
