"""Selling gold, through the services: to M-Pesa and to the wallet, and back when it fails."""

import asyncio

import pytest

from hazina.kernel.errors import Refusal
from hazina.products.gold.sell import InsufficientGrams, PayoutOutOfRange
from hazina.products.gold.states import TradeState
from hazina.products.gold.terms import Via
from hazina.products.gold.trades import Trades
from tests.gold.desk import GoldDesk, wish


class TestASaleByMpesa:
    async def test_holds_the_grams_until_it_is_paid_out(self, market: GoldDesk) -> None:
        who = await market.customer()
        await market.bought(who, wish(gold="2"))
        sale = await market.sell(who, wish(gold="0.75"))
        assert sale.state is TradeState.REQUESTED
        assert sale.terms.total.decimal == "9675.00"
        assert await market.gold_of(who) == ("2.000000", "0.750000")
        paid = await market.pay_out(sale, "SALE777777")
        assert (paid.state, paid.receipt) == (TradeState.COMPLETED, "SALE777777")
        assert await market.gold_of(who) == ("1.250000", "0.000000")
        assert await market.shillings_of(who) == ("0.00", "0.00")

    async def test_that_is_not_paid_gives_the_grams_back(self, market: GoldDesk) -> None:
        who = await market.customer()
        await market.bought(who, wish(gold="2"))
        sale = await market.refuse_payout(await market.sell(who, wish(gold="2")), "Wrong number.")
        assert (sale.state, sale.words) == (TradeState.FAILED, "Wrong number.")
        assert await market.gold_of(who) == ("2.000000", "0.000000")
        again = await market.pay_out(await market.sell(who, wish(gold="2")))
        assert again.state is TradeState.COMPLETED

    async def test_that_is_paid_to_a_frozen_customer_is_booked_around_their_wallet(
        self, market: GoldDesk
    ) -> None:
        """What M-Pesa paid could not be booked: nothing can be taken out of a frozen wallet."""
        who = await market.customer()
        await market.bought(who, wish(gold="2"))
        sale = await market.sell(who, wish(gold="0.75"))
        await market.freeze(who)
        assert (await market.pay_out(sale)).state is TradeState.COMPLETED
        assert await market.gold_of(who) == ("1.250000", "0.000000")
        assert await market.shillings_of(who) == ("0.00", "0.00")

    @pytest.mark.parametrize("gold", ["0.0007", "19.5"])
    async def test_outside_what_mpesa_pays_is_refused_with_advice(
        self, desk: GoldDesk, gold: str
    ) -> None:
        await desk.price("13333.33", "12900")
        await desk.lot("Big", "100")
        who = await desk.customer("300000")
        await desk.buy(who, wish(gold="20"), via=Via.WALLET)
        with pytest.raises(Refusal) as refused:
            await desk.sell(who, wish(gold=gold))
        assert refused.value.code in ("payout_out_of_range", "trade_too_small")
        if refused.value.code == "payout_out_of_range":
            assert isinstance(refused.value, PayoutOutOfRange)
            assert "wallet" in (refused.value.action or "")
            sold = await desk.sell(who, wish(gold=gold), via=Via.WALLET)
            assert sold.state is TradeState.COMPLETED


class TestASaleToTheWallet:
    async def test_is_booked_at_once_to_the_cent(self, market: GoldDesk) -> None:
        await market.price("13333.33", "12900.1111")
        who = await market.customer()
        await market.bought(who, wish(gold="1"))
        sale = await market.sell(who, wish(gold="0.333333"), via=Via.WALLET)
        assert sale.state is TradeState.COMPLETED
        assert (await market.shillings_of(who))[0] == "4300.03"
        assert await market.gold_of(who) == ("0.666667", "0.000000")

    async def test_for_shillings_brings_them(self, market: GoldDesk) -> None:
        who = await market.customer()
        await market.bought(who, wish(gold="1"))
        await market.sell(who, wish("5000"), via=Via.WALLET)
        assert (await market.shillings_of(who))[0] == "5000.00"


class TestMoreThanIsOwned:
    async def test_is_refused_with_what_is_free(self, market: GoldDesk) -> None:
        who = await market.customer()
        await market.bought(who, wish(gold="1"))
        await market.sell(who, wish(gold="0.4"))
        with pytest.raises(InsufficientGrams) as refused:
            await market.sell(who, wish(gold="0.7"))
        assert refused.value.details == {"available_grams": "0.600000"}

    async def test_sold_many_times_at_once_sells_once(self, market: GoldDesk) -> None:
        who = await market.customer()
        await market.bought(who, wish(gold="1"))
        sales = await asyncio.gather(
            *(market.sell(who, wish(gold="0.6"), via=Via.WALLET) for _ in range(5)),
            return_exceptions=True,
        )
        assert sum(not isinstance(one, BaseException) for one in sales) == 1
        assert await market.gold_of(who) == ("0.400000", "0.000000")


class TestTheGoldGoesBack:
    async def test_to_the_lots_it_came_from_oldest_first(self, desk: GoldDesk) -> None:
        await desk.price("10000", "9000")
        first = await desk.lot("First", "3", priority=1)
        second = await desk.lot("Second", "9", priority=2)
        who = await desk.customer()
        await desk.bought(who, wish(gold="2"))
        await desk.bought(who, wish(gold="2"))
        sale = await desk.pay_out(await desk.sell(who, wish(gold="3.5")))
        lots = await desk.house.get(Trades).lots_of(desk.db, sale.id)
        assert [(name, gold.decimal) for name, gold in lots] == [
            ("First", "2.000000"),
            ("First", "1.000000"),
            ("Second", "0.500000"),
        ]
        assert await desk.left_in(first) == ("3.000000", "0.000000")
        assert await desk.left_in(second) == ("8.500000", "0.000000")

    async def test_to_the_first_lot_where_it_was_not_bought_here(self, desk: GoldDesk) -> None:
        await desk.price("10000", "9000")
        await desk.lot("Second", "1", priority=5)
        first = await desk.lot("First", "1", priority=1)
        giver, taker = await desk.customer(), await desk.customer()
        await desk.bought(giver, wish(gold="1.5"))
        await desk.give_gold(giver, taker, "0.7")
        await desk.sell(taker, wish(gold="0.7"), via=Via.WALLET)
        assert await desk.left_in(first) == ("0.700000", "0.000000")

    async def test_and_what_was_kept_is_counted_at_its_own_cost(self, desk: GoldDesk) -> None:
        await desk.price("10000", "9000")
        await desk.lot("Lot", "10")
        who = await desk.customer()
        await desk.bought(who, wish(gold="1"))
        await desk.price("12000", "10500")
        await desk.bought(who, wish(gold="1"))
        trades = desk.house.get(Trades)
        both = await trades.holding(desk.db, who)
        assert both.average is not None
        assert (both.average.decimal, both.cost.decimal) == ("11000.0000", "22000.00")
        await desk.sell(who, wish(gold="1"), via=Via.WALLET)
        kept = await trades.holding(desk.db, who)
        assert kept.average is not None
        assert kept.average.decimal == "12000.0000"
