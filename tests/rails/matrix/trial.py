"""One case being played: a customer of its own, and what is compared when it is over."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from uuid import UUID

import pytest
from tests.conftest import START
from tests.journeys.paying import account_of
from tests.journeys.world import Person, World, one
from tests.rails.matrix.case import Books, Capability, Case, Driver, Lie, Outcome, Trouble
from tests.rails.matrix.desk import Pair

from hazina.flows.receipts.statements import Imported, Statements
from hazina.flows.receipts.unanswered import PromptMayBePaid
from hazina.infra.db import Row
from hazina.infra.jobs import Jobs
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import parse_id
from hazina.kernel.money import KES
from hazina.ledger.history import History

OPENING = "200000"
ASKED, OUT, UNASKED = "500", "600", "750"
FLOWS = (
    "deposit.sweep", "withdrawal.sweep", "payment.sweep", "return.sweep", "reversal.sweep",
    "debt.collect",
)  # fmt: skip
LISTS = ("payment.pull",)
PURPOSES = {
    "collected": ("mpesa:collection", "mpesa:in_transit"),
    "payable": ("mpesa:utility",),
    "charges": ("mpesa:charges",),
    "suspense": ("suspense:mpesa",),
}
OWED = "SELECT id, outstanding FROM desk.debt WHERE customer_id = $1 AND state = 'open'"
CUSTOMER = "SELECT id FROM identity.customer WHERE username = $1"
WALLET = """
SELECT coalesce(sum(a.credits_posted - a.debits_posted - a.debits_pending), 0) AS free,
       coalesce(sum(a.debits_pending), 0) AS held
FROM identity.customer c LEFT JOIN ledger.account a
    ON a.owner_id = c.id AND a.purpose = 'wallet' AND a.asset = 'KES'
WHERE c.username = $1
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Both books at one moment, in shillings."""

    outside: Books
    inside: Books
    suspense: Decimal


@dataclass(frozen=True, slots=True)
class Thief:
    """Somebody with an account number who hopes for somebody else's money."""

    username: str
    account: str


@dataclass(slots=True)
class Trial:
    """``subject`` is what the outcome's state speaks of: a table of the house and a row's id."""

    world: World
    driver: Driver
    person: Person
    before: Standing
    purse: Decimal
    wallet: Decimal = Decimal(0)
    subject: tuple[str, UUID] | None = field(default=None)

    @classmethod
    async def begin(cls, world: World, driver: Driver, case: Case) -> "Trial":
        """A new customer, who has paid a thousand in where the case pays out."""
        await driver.calm()
        await driver.in_step()
        person = await world.customer(balance=OPENING, auto="pay")
        trial = cls(world, driver, person, await standing(world, driver), Decimal(OPENING))
        if Capability.PAY in case.needs:
            await trial.collect("1000")
            await trial.settle()
            await trial.restart()
        return trial

    async def restart(self) -> None:
        """What has happened so far is not what the case is about."""
        self.before = await standing(self.world, self.driver)
        self.purse = await self.driver.purse(self.person.phone)
        self.wallet, _ = await self.money()

    # -- what people do

    async def asks(
        self,
        on: Capability,
        *troubles: Trouble,
        shillings: str | None = None,
        rings: bool = False,
        **how: object,
    ) -> None:
        """The customer asks to pay in, or to be paid, while the outside is in ``troubles``; then
        all is worked off. ``rings``: the phone asks a person, who has not answered yet."""
        for trouble in troubles:
            await self.trouble(trouble, on, **how)
        if rings:
            await self.holds_phone()
        if on is Capability.COLLECT:
            await self.collect(shillings or ASKED)
        else:
            await self.pay_out(shillings or OUT)
        await (self.work() if rings else self.settle())

    async def collect(self, amount: str = ASKED) -> None:
        """The customer asks to pay in."""
        answer = await self.person.post("/wallet/deposits", amount_kes=amount)
        assert answer.status_code == 202, answer.text
        self.subject = ("deposits.deposit", parse_id("dep", answer.json()["deposit_id"]))

    async def pay_out(self, amount: str = OUT) -> None:
        """The customer asks for a payout."""
        answer = await self.person.post("/wallet/withdrawals", amount_kes=amount)
        assert answer.status_code == 202, answer.text
        found = parse_id("wdr", answer.json()["withdrawal_id"])
        self.subject = ("withdrawals.withdrawal", found)

    async def pay_bill(self, account: str | None = None, amount: str = UNASKED) -> str:
        """The customer pays from the phone's menu; the receipt."""
        number = await account_of(self.person) if account is None else account
        receipt = await self.driver.pay_unasked(self.person.phone, number, amount)
        await self.watch_payment(receipt)
        return receipt

    async def watch_payment(self, receipt: str) -> None:
        sql = "SELECT id FROM receipts.payment WHERE receipt = $1"
        found = await one(self.world.house.db, sql, receipt)
        self.subject = None if found is None else ("receipts.payment", found)

    async def holds_phone(self) -> None:
        """Prompts wait for the person from now on."""
        await self.world.handset(self.person.phone, auto="none")

    async def answers(self, *, pay: bool = True) -> None:
        """The person holding the phone pays or declines, and all is worked off."""
        await self.driver.answer(self.person.phone, pay=pay)
        await self.settle()

    async def send_again(self) -> None:
        """An operator has the same bytes sent once more."""
        assert self.subject is not None
        await (await Pair.of(self.world.house)).send_again(self.subject[1])

    async def two_call_it_absent(self, refused: str = "") -> None:
        """Two persons end a prompt; or are ``refused``, with a reason that says so."""
        assert self.subject is not None
        pair = await Pair.of(self.world.house)
        if not refused:
            await pair.call_prompt_absent(self.subject[1])
            return
        with pytest.raises(PromptMayBePaid, match=refused):
            await pair.call_prompt_absent(self.subject[1])

    async def send_back(self) -> None:
        """Two persons have nobody's shillings sent back to who paid."""
        assert self.subject is not None
        await (await Pair.of(self.world.house)).send_back(self.subject[1])
        await self.settle()

    async def two_say(self, *, went_back: bool) -> None:
        """Two persons say how sending a payment back ended."""
        assert self.subject is not None
        pair = await Pair.of(self.world.house)
        await pair.return_ended(self.subject[1], went_back=went_back)

    async def two_give_it(self) -> None:
        """Two persons give nobody's shillings to the customer."""
        assert self.subject is not None
        await (await Pair.of(self.world.house)).give(self.subject[1], self.person.username)

    async def two_give_up_the_debt(self) -> None:
        [debt] = await self._debts()
        await (await Pair.of(self.world.house)).give_up(debt["id"])

    async def bring_statement(self, forged: Callable[[bytes], bytes] = bytes) -> Imported:
        """A person exports all that moved so far and brings it."""
        house, since = self.world.house, START
        await self.later(seconds=30)
        until = self.world.clock.now()
        body = forged(await self.driver.statement(since, until))
        taken = await house.get(Statements).take(
            BytesIO(body), since, until, by="clerk", actor=SYSTEM
        )
        await self.settle()
        return taken

    async def bring_statement_without(self, receipt: str) -> None:
        """As before, of somebody who has lost the lines of ``receipt``."""
        taken = await self.bring_statement(lambda body: self.driver.cut(body, receipt))
        assert taken.unlisted == 1

    async def two_call_payout_absent(self) -> None:
        """Two persons say that a payout was never made."""
        assert self.subject is not None
        await (await Pair.of(self.world.house)).call_payout_absent(self.subject[1])

    async def is_taken_back(self, receipt: str) -> None:
        """The outside takes a payment back, and a person brings the statement that shows it."""
        await self.driver.take_back(receipt)
        assert receipt in (await self.bring_statement()).returns

    async def somebody_else(self) -> "Thief":
        """Another customer, who should get nothing."""
        other = await self.world.customer()
        return Thief(other.username, await account_of(other))

    async def has_nothing(self, thief: "Thief") -> None:
        row = await self.world.house.db.fetchrow(WALLET, thief.username)
        assert row is not None
        assert row["free"] + row["held"] == 0

    # -- what the outside does

    async def trouble(self, what: Trouble, on: Capability, **how: object) -> None:
        await self.driver.trouble(what, on, self.person.phone, **how)

    async def lie_about_collection(self, lie: Lie) -> None:
        row = await self.row()
        await self.driver.lie_about_collection(lie, row["token"], row["checkout_request_id"] or "")
        await self.settle()

    async def lie_about_payout(self, lie: Lie) -> None:
        row = await self.row()
        await self.driver.lie_about_payout(lie, row["token"], str(row["id"]))
        await self.settle()

    async def lie_unasked(self, lie: Lie, account: str | None = None) -> None:
        number = await account_of(self.person) if account is None else account
        await self.driver.lie_unasked(lie, self.person.phone, number)

    async def invents(self, lie: Lie) -> None:
        """A notice of nothing, and two hours in which nothing comes of it."""
        await self.lie_unasked(lie)
        await self.watch_payment(lie.receipt)
        await self.sees("incoming", wallet="0")
        for _ in range(6):
            await self.later(minutes=20)
            await self.read_list()

    # -- time

    async def work(self) -> None:
        await self.world.work()

    async def settle(self) -> None:
        """All is worked off that both sides have to do by now."""
        await self.world.settle(late=False)

    async def later(self, **by: float) -> None:
        """Time passes on both sides; the house looks at what is due, but reads no list."""
        self.world.clock.advance(timedelta(**by))
        await self.driver.in_step()
        await self._sweep(*FLOWS)

    async def read_list(self) -> None:
        """The house reads the outside's own list of payments."""
        await self._sweep(*LISTS)

    async def _sweep(self, *names: str) -> None:
        jobs = self.world.house.get(Jobs)
        for name in names:
            await jobs.sweep(name)
        await self.settle()

    # -- what is seen

    async def row(self) -> Row:
        """The subject's row, as the house has it."""
        assert self.subject is not None
        table, found = self.subject
        row = await self.world.house.db.fetchrow(f"SELECT * FROM {table} WHERE id = $1", found)
        assert row is not None
        return row

    async def sees(self, state: str, *, wallet: str | None = None) -> None:
        """What is true on the way."""
        seen = await self.state()
        assert seen == state, f"{seen}, expected {state}"
        if wallet is not None:
            free, _ = await self.money()
            assert free == Decimal(wallet), f"{free} in the wallet, expected {wallet}"

    async def state(self) -> str:
        if self.subject is None:
            return "unheard of"
        table, found = self.subject
        sql = f"SELECT state FROM {table} WHERE id = $1"
        state: str = await one(self.world.house.db, sql, found)
        return state

    async def receipt(self) -> str:
        """The outside's name of the payment that the case is about."""
        found: str = (await self.row())["receipt"]
        return found

    async def owed(self) -> Decimal:
        return sum((row["outstanding"] for row in await self._debts()), Decimal(0)) / 100

    async def _debts(self) -> list[Row]:
        owner = await one(self.world.house.db, CUSTOMER, self.person.username)
        return list(await self.world.house.db.fetch(OWED, owner))

    async def money(self) -> tuple[Decimal, Decimal]:
        """The customer's free and held shillings."""
        row = await self.world.house.db.fetchrow(WALLET, self.person.username)
        assert row is not None
        return row["free"] / 100, row["held"] / 100

    async def ends(self, outcome: Outcome) -> None:
        """All that must be true afterwards, and the ledger's proof."""
        now = await standing(self.world, self.driver)
        free, held = await self.money()
        seen = Outcome(
            await self.state(),
            wallet=_text(free - self.wallet),
            purse=_text(await self.driver.purse(self.person.phone) - self.purse),
            held=_text(held),
            owed=_text(await self.owed()),
            suspense=_text(now.suspense - self.before.suspense),
            unbooked=_text(
                (now.outside.collected - self.before.outside.collected)
                - (now.inside.collected - self.before.inside.collected)
            ),
        )
        assert seen == outcome, f"seen {seen}, expected {outcome}"
        for ours, theirs in (("payable", "utility"), ("charges", "charges paid")):
            booked = getattr(now.inside, ours) - getattr(self.before.inside, ours)
            done = getattr(now.outside, ours) - getattr(self.before.outside, ours)
            assert booked == done, f"{theirs}: {done} outside, {booked} booked"
        await self.world.prove()


async def standing(world: World, driver: Driver) -> Standing:
    async with world.house.db.transaction(readonly=True) as tx:
        lines = await History(tx).trial_balance()
    found = {
        line.purpose.value: Decimal(line.balance.units) / 100 for line in lines if line.asset is KES
    }
    ours = {
        name: sum((found.get(purpose, Decimal(0)) for purpose in purposes), Decimal(0))
        for name, purposes in PURPOSES.items()
    }
    suspense = ours.pop("suspense")
    return Standing(await driver.books(), Books(**ours), suspense)


def _text(amount: Decimal) -> str:
    return f"{amount.normalize():f}" if amount else "0"
