"""A trade's story: only what has happened is said to have happened."""

from hazina.products.gold.repository import Trade
from hazina.products.gold.terms import Via
from hazina.products.gold.timeline import Timeline
from tests.gold.desk import GoldDesk, wish


async def told(desk: GoldDesk, trade: Trade) -> list[tuple[str, str]]:
    """Labels and states of the steps."""
    timeline = desk.house.get(Timeline)
    async with desk.db.transaction(readonly=True) as tx:
        payment = await timeline.payment(tx, trade)
        steps = await timeline.steps(tx, trade, payment)
    return [(step.label, step.state.value) for step in steps]


class TestTheStory:
    async def test_of_a_declined_purchase_ends_where_it_ended(self, market: GoldDesk) -> None:
        trade = await market.decline(await market.buy(await market.customer(), wish("5000")))
        assert await told(market, trade) == [
            ("Requested", "done"),
            ("Accepted by M-Pesa", "failed"),
            ("Paid", "next"),
            ("Booked", "next"),
        ]

    async def test_of_a_late_payment_without_gold_was_paid_but_not_booked(
        self, market: GoldDesk
    ) -> None:
        trade = await market.decline(await market.buy(await market.customer(), wish(gold="1")))
        await market.bought(await market.customer(), wish(gold="9.5"))
        late = await market.pay(trade)
        assert await told(market, late) == [
            ("Requested", "done"),
            ("Accepted by M-Pesa", "done"),
            ("Paid", "done"),
            ("Booked", "failed"),
        ]

    async def test_of_a_purchase_from_the_wallet_has_two_steps(self, market: GoldDesk) -> None:
        who = await market.customer("5000")
        trade = await market.buy(who, wish("5000"), via=Via.WALLET)
        assert await told(market, trade) == [("Requested", "done"), ("Booked", "done")]

    async def test_of_a_sale_waits_and_then_ends(self, market: GoldDesk) -> None:
        who = await market.customer()
        await market.bought(who, wish(gold="2"))
        sale = await market.sell(who, wish(gold="1"))
        assert await told(market, sale) == [
            ("Requested", "done"),
            ("Accepted by M-Pesa", "now"),
            ("Paid out", "next"),
            ("Booked", "next"),
        ]
        paid = await market.pay_out(sale)
        assert {state for _, state in await told(market, paid)} == {"done"}
        failed = await market.refuse_payout(await market.sell(who, wish(gold="1")))
        assert ("Accepted by M-Pesa", "failed") in await told(market, failed)
