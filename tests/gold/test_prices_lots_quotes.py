"""Prices in force, lots in the vault, quotes with a lifetime."""

from datetime import timedelta

import pytest

from hazina.infra.audit import Audit
from hazina.infra.jobs import Jobs
from hazina.infra.observability import REGISTRY
from hazina.kernel.errors import Invalid, NotFound, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import AmountInvalid
from hazina.products.gold.lots import LotNameTaken, Lots, NewLot
from hazina.products.gold.prices import GoldPrices, NoPrice, PriceJump, PricesCrossed
from hazina.products.gold.quotes import QuoteExpired, Quotes, QuoteUsed
from hazina.products.gold.shortage import SWEEP
from hazina.products.gold.states import TradeState
from hazina.products.gold.terms import Side, TradeTooLarge, TradeTooSmall, Via
from tests.gold.desk import GoldDesk, grams, kes, wish


class TestTheGauges:
    async def test_tell_what_is_left_and_whether_it_is_short(self, desk: GoldDesk) -> None:
        async def measured() -> tuple[float | None, float | None]:
            await desk.house.get(Jobs).sweep(SWEEP)
            names = ("hazina_gold_for_sale_grams", "hazina_gold_short")
            return (REGISTRY.get_sample_value(names[0]), REGISTRY.get_sample_value(names[1]))

        await desk.price("13333.33", "12900")
        assert await measured() == (0, 1)
        await desk.lot("First", "60.9")
        assert await measured() == (60, 1)
        await desk.lot("Second", "60")
        assert await measured() == (120, 0)
        await desk.buy(await desk.customer("300000"), wish(gold="21"), via=Via.WALLET)
        assert await measured() == (99, 1)


NONSENSE_PRICES: list[tuple[str, str, type[Refusal]]] = [
    ("12900", "13333.33", PricesCrossed),
    ("0", "0", AmountInvalid),
    ("-1", "-2", AmountInvalid),
    ("13333.33333", "12900", AmountInvalid),
    ("1e5", "1", AmountInvalid),
    ("abc", "1", AmountInvalid),
    ("", "", AmountInvalid),
    ("1000000001", "1", Invalid),
    ("9" * 60, "1", AmountInvalid),
]
NONSENSE_LOTS: list[dict[str, object]] = [
    {"name": ""},
    {"name": "x" * 81},
    {"purity": "gold"},
    {"purity": "25k"},
    {"grams": grams("0")},
    {"grams": grams("-1")},
    {"grams": grams("100000000.000001")},
    {"priority": 0},
    {"note": "x" * 501},
]


class TestThePriceInForce:
    async def test_is_missing_until_somebody_sets_one(self, desk: GoldDesk) -> None:
        with pytest.raises(NoPrice):
            await desk.quote(await desk.customer(), Side.BUY, wish("5000"))

    async def test_is_not_tomorrows(self, desk: GoldDesk) -> None:
        today = await desk.price("13333.33", "12900")
        tomorrow = await desk.price("14000", "13500", effective_from=desk.now + timedelta(days=1))
        prices = desk.house.get(GoldPrices)
        assert (await prices.in_force(desk.db, desk.now)).id == today.id
        desk.pass_time(days=1)
        assert (await prices.in_force(desk.db, desk.now)).id == tomorrow.id

    async def test_of_two_that_begin_together_is_the_later_written(self, desk: GoldDesk) -> None:
        start = desk.now + timedelta(hours=1)
        await desk.price("13333.33", "12900", effective_from=start)
        mended = await desk.price("13333", "12900", effective_from=start)
        desk.pass_time(hours=2)
        assert (await desk.house.get(GoldPrices).in_force(desk.db, desk.now)).id == mended.id

    async def test_is_audited_with_what_was_before(self, desk: GoldDesk) -> None:
        await desk.price("13333.33", "12900")
        row = await desk.price("13400", "12950", note="London fix")
        page = await desk.house.get(Audit).list_of_object(desk.db, "gold_price", row.id)
        event = page.items[0]
        assert (event.action, event.actor_id) == ("gold_price.set", desk.operator.id)
        assert event.before is not None
        assert event.before["buy"] == "13333.3300"
        assert event.after is not None
        assert event.after["note"] == "London fix"

    async def test_is_never_nonsense(self, desk: GoldDesk) -> None:
        for buy, sell, refusal in NONSENSE_PRICES:
            with pytest.raises(refusal):
                await desk.price(buy, sell)
        assert not (await desk.house.get(GoldPrices).list_all(desk.db)).items

    async def test_never_began_in_the_past(self, desk: GoldDesk) -> None:
        with pytest.raises(Invalid):
            await desk.price("2", "1", effective_from=desk.now - timedelta(seconds=1))

    async def test_jumps_only_when_confirmed(self, desk: GoldDesk) -> None:
        await desk.price("10000", "9500")
        with pytest.raises(PriceJump) as refused:
            await desk.price("12000.01", "9500")
        assert refused.value.details["previous"] == "10000.0000"
        await desk.price("12000", "9500")
        with pytest.raises(PriceJump):
            await desk.price("12000", "7599")
        await desk.price("120000", "95000", confirm=True)

    async def test_lists_newest_beginning_first_and_by_page(self, desk: GoldDesk) -> None:
        for cents in range(5):
            await desk.price(f"10000.{cents:02d}", "9500")
        prices = desk.house.get(GoldPrices)
        first = await prices.list_all(desk.db, limit=3)
        rest = await prices.list_all(desk.db, limit=3, cursor=first.next_cursor)
        found = [row.prices.buy.decimal for row in (*first.items, *rest.items)]
        assert found == [f"10000.0{cents}00" for cents in reversed(range(5))]
        assert rest.next_cursor is None


class TestALot:
    async def test_has_what_came_in(self, desk: GoldDesk) -> None:
        lot = await desk.lot("Lot 1", "1000")
        lots = desk.house.get(Lots)
        await desk.db.run(
            lambda tx: lots.top_up(
                tx, lot.id, grams("500.5"), "Second bar", desk.operator, desk.now
            )
        )
        (stock,) = await lots.stock(desk.db)
        assert (stock.total.decimal, stock.available.decimal) == ("1500.500000", "1500.500000")
        page = await desk.house.get(Audit).list_of_object(desk.db, "lot", lot.id)
        assert [event.action for event in page.items] == ["lot.topped_up", "lot.created"]

    async def test_shows_what_is_held_and_sold(self, desk: GoldDesk) -> None:
        await desk.price("10000", "9000")
        await desk.lot("Lot 1", "10")
        await desk.bought(await desk.customer(), wish(gold="2"))
        await desk.buy(await desk.customer(), wish(gold="3"))
        (stock,) = await desk.house.get(Lots).stock(desk.db)
        assert (stock.available.decimal, stock.held.decimal, stock.sold.decimal) == (
            "5.000000",
            "3.000000",
            "2.000000",
        )

    async def test_has_a_name_of_its_own(self, desk: GoldDesk) -> None:
        await desk.lot("Lot 1", "1")
        with pytest.raises(LotNameTaken):
            await desk.lot("lot 1", "1")

    async def test_is_never_nonsense(self, desk: GoldDesk) -> None:
        lots = desk.house.get(Lots)
        for change in NONSENSE_LOTS:
            wanted = NewLot(**{"name": "Lot", "purity": "24k", "grams": grams("1"), **change})  # type: ignore[arg-type] # NewLot checks by name
            with pytest.raises((Invalid, AmountInvalid)):
                await desk.db.run(lambda tx, w=wanted: lots.create(tx, w, desk.operator, desk.now))  # type: ignore[misc]
        assert await lots.stock(desk.db) == []

    async def test_nobody_knows_is_not_topped_up(self, desk: GoldDesk) -> None:
        lots = desk.house.get(Lots)
        with pytest.raises(NotFound):
            await desk.db.run(
                lambda tx: lots.top_up(tx, new_id(), grams("1"), "why", desk.operator, desk.now)
            )

    async def test_can_be_described_anew_but_not_changed(self, desk: GoldDesk) -> None:
        lot = await desk.lot("Lot 1", "7")
        lots = desk.house.get(Lots)
        changed = await desk.db.run(
            lambda tx: lots.change(
                tx, lot.id, priority=7, note="Bay 2", actor=desk.operator, now=desk.now
            )
        )
        assert (changed.priority, changed.note, changed.purity) == (7, "Bay 2", "24k")


class TestAQuote:
    async def test_keeps_its_price_while_it_lives(self, market: GoldDesk) -> None:
        who = await market.customer()
        quote = await market.quote(who, Side.BUY, wish("5000"))
        assert quote.expires_at == market.now + timedelta(seconds=60)
        await market.price("15000", "14000")
        market.pass_time(seconds=59)
        trade = await market.pay(await market.buy(who, quote_id=quote.id))
        assert trade.terms == quote.terms
        assert trade.prices.buy.decimal == "13333.3300"

    async def test_is_over_when_its_time_is(self, market: GoldDesk) -> None:
        who = await market.customer()
        quote = await market.quote(who, Side.BUY, wish("5000"))
        market.pass_time(seconds=60)
        with pytest.raises(QuoteExpired):
            await market.buy(who, quote_id=quote.id)

    async def test_is_used_once(self, market: GoldDesk) -> None:
        who = await market.customer()
        quote = await market.quote(who, Side.BUY, wish("5000"))
        await market.buy(who, quote_id=quote.id)
        with pytest.raises(QuoteUsed):
            await market.buy(who, quote_id=quote.id)

    async def test_of_somebody_else_is_not_there(self, market: GoldDesk) -> None:
        quote = await market.quote(await market.customer(), Side.BUY, wish("5000"))
        with pytest.raises(NotFound):
            await market.buy(await market.customer(), quote_id=quote.id)

    async def test_to_sell_does_not_buy(self, market: GoldDesk) -> None:
        who = await market.customer()
        await market.bought(who, wish(gold="1"))
        quote = await market.quote(who, Side.SELL, wish(gold="1"))
        with pytest.raises(Invalid):
            await market.buy(who, quote_id=quote.id)

    async def test_survives_a_refused_trade(self, market: GoldDesk) -> None:
        who = await market.customer()
        quote = await market.quote(who, Side.BUY, wish("5000"), Via.WALLET)
        with pytest.raises(Refusal, match="is needed"):
            await market.buy(who, quote_id=quote.id, via=Via.WALLET)
        trade = await market.buy(who, quote_id=quote.id, via=Via.MPESA)
        assert trade.state is TradeState.REQUESTED

    async def test_to_sell_is_worked_out_again_for_another_destination(
        self, market: GoldDesk
    ) -> None:
        await market.price("13333.33", "12900.50")
        who = await market.customer()
        await market.bought(who, wish(gold="1"))
        quote = await market.quote(who, Side.SELL, wish(gold="1"), Via.MPESA)
        assert quote.terms.total == kes("12900")
        sale = await market.sell(who, quote_id=quote.id, via=Via.WALLET)
        assert sale.terms.total == kes("12900.50")

    async def test_is_bounded(self, market: GoldDesk) -> None:
        who = await market.customer()
        for want, refusal in (
            (wish("9"), TradeTooSmall),
            (wish("5000001"), TradeTooLarge),
            (wish(gold="99999999999"), TradeTooLarge),
            (wish("10.01"), AmountInvalid),
        ):
            with pytest.raises(refusal):
                await market.quote(who, Side.BUY, want)

    async def test_that_nobody_took_is_forgotten(self, market: GoldDesk) -> None:
        who = await market.customer()
        kept = await market.quote(who, Side.BUY, wish("5000"))
        await market.buy(who, quote_id=kept.id)
        gone = await market.quote(who, Side.BUY, wish("6000"))
        market.pass_time(days=2)
        quotes = market.house.get(Quotes)
        await quotes.prune(market.db, market.now)
        assert (await quotes.get(market.db, kept.id, who)).trade_id
        with pytest.raises(NotFound):
            await quotes.get(market.db, gone.id, who)
