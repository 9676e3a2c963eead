"""What the tests of gold do over and over, through the services: a house with a price and lots."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from hazina.desk.debts.service import Debts
from hazina.desk.limits import Limits
from hazina.flows.deposits import settle as deposit_settle
from hazina.flows.deposits.purpose import DepositPurposes
from hazina.flows.deposits.request import TABLE as DEPOSITS
from hazina.flows.deposits.states import DepositEvent
from hazina.flows.treasury.tariffs import Tariffs
from hazina.flows.withdrawals import settle as payout_settle
from hazina.flows.withdrawals.purpose import PayoutPurposes
from hazina.flows.withdrawals.request import TABLE as WITHDRAWALS
from hazina.flows.withdrawals.states import WithdrawalEvent
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Outbox
from hazina.kernel.actor import Actor, ActorKind
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, XAU, Money
from hazina.ledger.chart import Purpose, customer, lot, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, first_fault, move
from hazina.ledger.proof import Proof
from hazina.ledger.service import Ledger
from hazina.products.gold.buy import Buying, BuyOrder
from hazina.products.gold.buy_settle import RELEASE
from hazina.products.gold.lots import Lots, NewLot
from hazina.products.gold.prices import GoldPrices, NewPrice
from hazina.products.gold.quotes import Quotes, Wish
from hazina.products.gold.repository import Lot, PriceRow, Quote, Trade
from hazina.products.gold.sell import Selling, SellOrder
from hazina.products.gold.terms import Side, Via
from hazina.products.gold.trades import Trades

PHONE = "0712000001"


def kes(text: str) -> Money:
    return KES.money(text)


def grams(text: str) -> Money:
    return XAU.money(text)


def wish(amount: str | None = None, gold: str | None = None) -> Wish:
    return Wish(kes(amount) if amount else None, grams(gold) if gold else None)


Owner = Callable[..., Awaitable[None]]


class GoldDesk:
    """A house whose operators have set a price and brought in gold, and its customers."""

    def __init__(self, house: House, owner: Owner) -> None:
        self.house = house
        self.owner = owner
        self.db = house.db
        assert isinstance(house.clock, SettableClock)
        self.clock = house.clock
        self.operator = Actor(ActorKind.OPERATOR, new_id())
        self._prompts = 0
        parts = house.get(Ledger), house.get(Limits), house.get(Outbox), house.get(Tariffs)
        self._deposits = deposit_settle.Settlement(
            house.settings, *parts, house.get(DepositPurposes), house.get(Debts)
        )
        self._payouts = payout_settle.Settlement(
            *parts, house.get(PayoutPurposes), house.get(Debts)
        )

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def pass_time(self, **by: int) -> None:
        self.clock.advance(timedelta(**by))

    async def price(self, buy: str, sell: str, **more: object) -> PriceRow:
        wanted = NewPrice(buy, sell, **more)  # type: ignore[arg-type] # NewPrice checks by name
        prices = self.house.get(GoldPrices)
        return await self.db.run(lambda tx: prices.set(tx, wanted, self.operator, self.now))

    async def lot(self, name: str, gold: str, priority: int = 100) -> Lot:
        wanted = NewLot(name, "24k", grams(gold), priority)
        lots = self.house.get(Lots)
        return await self.db.run(lambda tx: lots.create(tx, wanted, self.operator, self.now))

    async def customer(self, shillings: str | None = None) -> UUID:
        """Somebody with, perhaps, shillings in their wallet."""
        customer_id = new_id()
        if shillings:
            collection = system(Purpose.MPESA_UTILITY)
            gift = move(
                collection, customer(customer_id, KES), kes(shillings), Code.DEPOSIT,
                Reference("test", new_id()),
            )  # fmt: skip
            ledger = self.house.get(Ledger)
            results = await self.db.run(lambda tx: ledger.post(tx, [gift], self.operator))
            assert first_fault(results) is None
        return customer_id

    async def quote(self, who: UUID, side: Side, want: Wish, via: Via = Via.MPESA) -> Quote:
        quotes = self.house.get(Quotes)
        return await self.db.run(
            lambda tx: quotes.request(
                tx, customer_id=who, side=side, wish=want, via=via, now=self.now
            )
        )

    async def buy(self, who: UUID, want: Wish | None = None, **more: object) -> Trade:
        """A purchase asked for; by M-Pesa each one rings another phone."""
        self._prompts += 1
        more.setdefault("phone", f"07{self._prompts:08d}")
        order = BuyOrder(who, want, **more)  # type: ignore[arg-type] # as above
        buying, actor = self.house.get(Buying), Actor(ActorKind.CUSTOMER, who)
        return await self.db.run(lambda tx: buying.request(tx, order, actor, self.now))

    async def sell(self, who: UUID, want: Wish | None = None, **more: object) -> Trade:
        more.setdefault("phone", PHONE)
        order = SellOrder(who, want, **more)  # type: ignore[arg-type] # as above
        selling, actor = self.house.get(Selling), Actor(ActorKind.CUSTOMER, who)
        return await self.db.run(lambda tx: selling.request(tx, order, actor, self.now))

    async def pay(self, trade: Trade, amount: Money | None = None) -> Trade:
        """M-Pesa says that the prompt of ``trade`` was paid."""
        payment = deposit_settle.Payment(
            f"R{new_id().hex[-9:].upper()}", amount or trade.terms.total, self.now
        )

        async def settle(tx: Tx) -> None:
            row = await DEPOSITS.lock(tx, _some(trade.deposit_id))
            if row["state"] == "requested":
                await DEPOSITS.move(tx, row, DepositEvent.CLAIM, now=self.now, actor=self.operator)
                row = await DEPOSITS.lock(tx, row["id"])
            await self._deposits.pay(tx, row, payment, self.now)

        await self.db.run(settle)
        return await self.again(trade)

    async def decline(self, trade: Trade, words: str = "You cancelled it.") -> Trade:
        async def settle(tx: Tx) -> None:
            row = await DEPOSITS.lock(tx, _some(trade.deposit_id))
            await DEPOSITS.move(tx, row, DepositEvent.CLAIM, now=self.now, actor=self.operator)
            row = await DEPOSITS.lock(tx, row["id"])
            await self._deposits.fail(
                tx, row, DepositEvent.DECLINED, code="1032", words=words, now=self.now
            )

        await self.db.run(settle)
        return await self.again(trade)

    async def pay_out(self, trade: Trade, receipt: str = "SALE000001") -> Trade:
        async def settle(tx: Tx) -> None:
            row = await WITHDRAWALS.lock(tx, _some(trade.payout_id))
            await WITHDRAWALS.move(
                tx, row, WithdrawalEvent.CLAIM, now=self.now, actor=self.operator
            )
            row = await WITHDRAWALS.lock(tx, row["id"])
            await self._payouts.pay(tx, row, receipt, self.now)

        await self.db.run(settle)
        return await self.again(trade)

    async def refuse_payout(self, trade: Trade, words: str = "M-Pesa refused it.") -> Trade:
        async def settle(tx: Tx) -> None:
            row = await WITHDRAWALS.lock(tx, _some(trade.payout_id))
            await WITHDRAWALS.move(
                tx, row, WithdrawalEvent.CLAIM, now=self.now, actor=self.operator
            )
            row = await WITHDRAWALS.lock(tx, row["id"])
            await self._payouts.fail(
                tx, row, WithdrawalEvent.FAILED, code="2001", words=words, now=self.now
            )

        await self.db.run(settle)
        return await self.again(trade)

    async def give_gold(self, giver: UUID, taker: UUID, gold: str) -> None:
        """Grams change hands outside of any trade."""
        gift = move(
            customer(giver, XAU), customer(taker, XAU), grams(gold), Code.GOLD_BOUGHT,
            Reference("test", new_id()),
        )  # fmt: skip
        ledger = self.house.get(Ledger)
        results = await self.db.run(lambda tx: ledger.post(tx, [gift], self.operator))
        assert first_fault(results) is None

    async def freeze(self, who: UUID) -> None:
        """The customer's shillings may be paid in but not out. Done as the database's owner."""
        await self.owner(
            "UPDATE ledger.account SET state = 'frozen' WHERE owner_id = $1 AND asset = 'KES'", who
        )

    async def work(self) -> None:
        """Works off the product's own jobs; M-Pesa's are left alone."""
        for row in await self.db.fetch("SELECT id FROM gold.trade WHERE state = 'releasing'"):
            await self.house.get(Jobs).run_now(RELEASE, row["id"])

    async def bought(self, who: UUID, want: Wish) -> Trade:
        """A purchase that was paid."""
        return await self.pay(await self.buy(who, want))

    async def again(self, trade: Trade) -> Trade:
        return await self.house.get(Trades).get(self.db, trade.id, trade.customer_id)

    async def gold_of(self, who: UUID) -> tuple[str, str]:
        """Posted and held grams."""
        balance = await self.house.get(Ledger).balance(self.db, customer(who, XAU))
        return balance.posted.decimal, balance.held.decimal

    async def shillings_of(self, who: UUID) -> tuple[str, str]:
        balance = await self.house.get(Ledger).balance(self.db, customer(who, KES))
        return balance.posted.decimal, balance.held.decimal

    async def left_in(self, one: Lot) -> tuple[str, str]:
        """Available and held grams of a lot."""
        balance = await self.house.get(Ledger).balance(self.db, lot(one.id))
        return balance.available.decimal, balance.held.decimal

    async def faults(self) -> list[str]:
        """What the proof finds wrong; nothing, if the books are right."""
        proof = self.house.get(Proof)
        async with self.db.transaction(readonly=True) as tx:
            verdicts = await proof.verify(tx)
        return [f"{v.claim}: {line}" for v in verdicts for line in v.faults]


def _some(value: UUID | None) -> UUID:
    assert value is not None
    return value
