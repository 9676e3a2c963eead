"""Buying gold, through the services: reserved, paid, booked; and every way it can go otherwise."""

import asyncio
from uuid import UUID

import pytest

from hazina.flows.withdrawals.request import InsufficientFunds
from hazina.kernel.errors import Refusal
from hazina.products.gold.buy import InsufficientGold
from hazina.products.gold.states import TradeState
from hazina.products.gold.terms import Via
from hazina.products.gold.trades import Trades
from tests.gold.desk import GoldDesk, kes, wish


class TestAPurchaseByMpesa:
    async def test_holds_the_gold_until_it_is_paid(self, market: GoldDesk) -> None:
        who = await market.customer()
        trade = await market.buy(who, wish("5000"))
        assert trade.state is TradeState.REQUESTED
        assert trade.terms.grams.decimal == "0.375000"
        assert await market.gold_of(who) == ("0.000000", "0.000000")
        paid = await market.pay(trade)
        assert paid.state is TradeState.COMPLETED
        assert paid.receipt
        assert await market.gold_of(who) == ("0.375000", "0.000000")
        assert await market.shillings_of(who) == ("0.00", "0.00")

    async def test_that_is_declined_lets_the_gold_go_and_says_why(self, market: GoldDesk) -> None:
        lot = await market.lot("Lot 0", "1", priority=1)
        who = await market.customer()
        trade = await market.buy(who, wish(gold="1"))
        assert await market.left_in(lot) == ("0.000000", "1.000000")
        ended = await market.decline(trade, "You cancelled it.")
        assert (ended.state, ended.words) == (TradeState.CANCELLED, "You cancelled it.")
        assert await market.left_in(lot) == ("1.000000", "0.000000")

    async def test_paid_late_is_served_at_its_own_price_while_there_is_gold(
        self, market: GoldDesk
    ) -> None:
        who = await market.customer()
        trade = await market.decline(await market.buy(who, wish("5000")))
        await market.price("15000", "14000")
        late = await market.pay(trade)
        assert late.state is TradeState.COMPLETED
        assert await market.gold_of(who) == ("0.375000", "0.000000")

    async def test_paid_late_without_gold_keeps_the_shillings(self, market: GoldDesk) -> None:
        who, other = await market.customer(), await market.customer()
        trade = await market.decline(await market.buy(who, wish("5000")))
        await market.bought(other, wish(gold="9.9"))
        late = await market.pay(trade)
        assert late.state is TradeState.KEPT_AS_SHILLINGS
        assert "in your wallet" in (late.words or "")
        assert await market.shillings_of(who) == ("5000.00", "0.00")
        assert await market.gold_of(who) == ("0.000000", "0.000000")

    async def test_paid_with_another_amount_buys_nothing(self, market: GoldDesk) -> None:
        who = await market.customer()
        trade = await market.pay(await market.buy(who, wish("5000")), kes("4999"))
        assert trade.state is TradeState.CANCELLED
        assert await market.gold_of(who) == ("0.000000", "0.000000")

    async def test_paid_but_not_bookable_lets_the_gold_go(self, market: GoldDesk) -> None:
        who = await market.customer("1")
        trade = await market.buy(who, wish("5000"))
        await market.freeze(who)
        stuck = await market.pay(trade)
        assert stuck.state is TradeState.RELEASING
        await market.work()
        kept = await market.again(trade)
        assert kept.state is TradeState.KEPT_AS_SHILLINGS
        assert await market.shillings_of(who) == ("5001.00", "0.00")
        assert await market.gold_of(who) == ("0.000000", "0.000000")


class TestSeveralLots:
    async def test_are_drawn_on_in_order_of_priority(self, desk: GoldDesk) -> None:
        await desk.price("10000", "9000")
        second = await desk.lot("Second", "5", priority=20)
        first = await desk.lot("First", "5", priority=10)
        who = await desk.customer()
        trade = await desk.bought(who, wish(gold="8"))
        lots = await desk.house.get(Trades).lots_of(desk.db, trade.id)
        assert [(name, g.decimal) for name, g in lots] == [
            ("First", "5.000000"),
            ("Second", "3.000000"),
        ]
        assert await desk.left_in(first) == ("0.000000", "0.000000")
        assert await desk.left_in(second) == ("2.000000", "0.000000")


class TestTooLittleGold:
    async def test_is_refused_with_what_is_there(self, desk: GoldDesk) -> None:
        await desk.price("13333.33", "12900")
        await desk.lot("Small", "2.345")
        with pytest.raises(InsufficientGold) as refused:
            await desk.buy(await desk.customer(), wish(gold="3"))
        assert refused.value.details == {
            "available_grams": "2.345000",
            "available_kes": "31266.00",
        }
        assert "partial" in (refused.value.action or "")

    async def test_is_bought_in_part_if_asked_for(self, desk: GoldDesk) -> None:
        await desk.price("13333.33", "12900")
        await desk.lot("Small", "2.345")
        who = await desk.customer()
        trade = await desk.pay(await desk.buy(who, wish(gold="3"), partial=True))
        assert trade.partial
        assert trade.terms.total == kes("31266")
        assert (await desk.gold_of(who))[0] == "2.344950"

    async def test_at_all_is_refused_even_in_part(self, desk: GoldDesk) -> None:
        await desk.price("13333.33", "12900")
        await desk.lot("A speck", "0.0001")
        with pytest.raises(InsufficientGold, match="no gold for sale"):
            await desk.buy(await desk.customer(), wish("5000"), partial=True)


class TestAPurchaseFromTheWallet:
    async def test_is_booked_at_once(self, market: GoldDesk) -> None:
        who = await market.customer("5000.40")
        trade = await market.buy(who, wish("5000"), via=Via.WALLET)
        assert trade.state is TradeState.COMPLETED
        assert await market.gold_of(who) == ("0.375000", "0.000000")
        assert await market.shillings_of(who) == ("0.40", "0.00")

    async def test_beyond_the_wallet_is_refused(self, market: GoldDesk) -> None:
        who = await market.customer("4999.99")
        with pytest.raises(InsufficientFunds):
            await market.buy(who, wish("5000"), via=Via.WALLET)
        assert await market.shillings_of(who) == ("4999.99", "0.00")

    async def test_twice_at_once_spends_the_money_once(self, market: GoldDesk) -> None:
        who = await market.customer("5000")
        both = await asyncio.gather(
            *(market.buy(who, wish("5000"), via=Via.WALLET) for _ in range(4)),
            return_exceptions=True,
        )
        assert sum(not isinstance(one, BaseException) for one in both) == 1
        assert all(isinstance(one, InsufficientFunds) for one in both if isinstance(one, Refusal))
        assert await market.gold_of(who) == ("0.375000", "0.000000")


class TestFiftyAtOnce:
    async def test_exactly_those_are_served_that_the_gold_allows(self, desk: GoldDesk) -> None:
        await desk.price("10000", "9000")
        lots = [await desk.lot(f"Lot {i}", "5.5", priority=i + 1) for i in range(2)]
        people = [await desk.customer() for _ in range(50)]

        async def ask(who: UUID) -> bool:
            try:
                await desk.buy(who, wish(gold="1"))
            except InsufficientGold:
                return False
            return True

        served = await asyncio.gather(*(ask(who) for who in people))
        assert sum(served) == 11
        assert [await desk.left_in(one) for one in lots] == [("0.000000", "5.500000")] * 2
