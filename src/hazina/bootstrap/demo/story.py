"""The story: an operator sets the price and fills the lots; somebody new buys gold with a phone,
sells half of it to the phone and a bit to the wallet, and withdraws."""

from dataclasses import dataclass
from typing import Any

from hazina.bootstrap.demo import figures
from hazina.bootstrap.demo.checks import Chapter
from hazina.bootstrap.demo.figures import Deal
from hazina.bootstrap.demo.people import Answer, Customer, Person, Town

BUYER = 200


@dataclass(frozen=True, slots=True)
class Story:
    """The good way through; ``tell`` gives the buyer to the chapters after it."""

    town: Town
    operator: Person
    chapter: Chapter

    async def tell(self) -> Customer:
        await self.price()
        await self.lots()
        buyer = await self.town.customer("buyer", BUYER)
        me = await buyer.get("/user/me")
        self.chapter.equal("somebody new registers and signs in", "demo-buyer", name_of(me))
        await self.buy(buyer)
        await self.sell_half(buyer)
        await self.sell_a_bit(buyer)
        await self.withdraw(buyer)
        return buyer

    async def price(self) -> None:
        body = {
            "buy_price_per_gram": figures.BUY,
            "sell_price_per_gram": figures.SELL,
            "note": "set in the demonstration",
        }
        answer = await self.operator.post("/gold/prices", body)
        self.chapter.equal("the operator sets the price", "201", answer.short)
        now = (await self.town.wallet.call("GET", "/api/v1/gold/prices/current")).body
        self.chapter.equal(
            "everybody sees it",
            "buy 13480.0000, sell 12900.0000",
            f"buy {now.get('buy_price_per_gram')}, sell {now.get('sell_price_per_gram')}",
        )

    async def lots(self) -> None:
        """A small lot first, so that the first purchase needs two."""
        known = {lot["name"]: lot["pool_id"] for lot in await self._pools()}
        later = await self.operator.patch(f"/gold/pools/{known['Lot A 1 kg']}", {"priority": 2})
        small = {"name": "Scrap 0.2 g", "total_grams": "0.2", "purity": "999", "priority": 1}
        made = await self.operator.post("/gold/pools", small)
        body = {"added_grams": "50", "note": "one bar of 50 g"}
        filled = await self.operator.post(f"/gold/pools/{known['Lot B 100 g']}/topup", body)
        self.chapter.equal(
            "the operator puts a small lot first and tops one up",
            "200, 201, 200",
            f"{later.short}, {made.short}, {filled.short}",
        )
        seen = [f"{lot['name']}: {lot['available_grams']}" for lot in await self._pools()]
        self.chapter.equal(
            "the lots in the order in which they are sold",
            "Scrap 0.2 g: 0.200000; Lot A 1 kg: 1000.000000; Lot B 100 g: 150.000000",
            "; ".join(seen),
        )

    async def buy(self, buyer: Customer) -> None:
        deal, note = figures.BUY_5000, self.chapter
        asked = {"side": "buy", "amount_kes": "5000"}
        quote = (await buyer.post("/gold/quotes", asked)).body
        note.equal("a quote for KES 5,000", told(deal), told_by(quote))
        trade = await buyer.post("/gold/trade/buy", {"quote_id": quote.get("quote_id")})
        note.equal("the purchase is taken on", "202 requested", taken(trade))
        held = [f"{lot['name']}: {lot['held_grams']}" for lot in await self._pools()]
        note.equal(
            "its gold is set aside, from two lots",
            "Scrap 0.2 g: 0.200000; Lot A 1 kg: 0.170919; Lot B 100 g: 0.000000",
            "; ".join(held),
        )
        await note.reaches("the phone rings", "5000.00", buyer.handset.prompt)
        await buyer.handset.answer("pay")
        trade_id = str(trade.body.get("trade_id"))
        await note.reaches("paid, the gold is booked", "completed", buyer.state_of(trade_id))
        note.equal("the buyer's gold", deal.grams, await buyer.balance("XAU"))
        note.equal("the buyer's shillings", "0.00", await buyer.balance("KES"))
        note.equal("the phone's balance", figures.HANDSET_AFTER_BUY, await buyer.handset.balance())
        await self._why(buyer, trade_id)

    async def sell_half(self, buyer: Customer) -> None:
        deal, note = figures.SELL_HALF, self.chapter
        trade = await buyer.post("/gold/trade/sell", {"grams": deal.grams})
        note.equal("half of it is sold to the phone", told(deal), told_by(trade.body))
        state = buyer.state_of(str(trade.body.get("trade_id")))
        await note.reaches("M-Pesa pays it out", "completed", state)
        note.equal("the gold left", figures.GRAMS_AFTER_HALF, await buyer.balance("XAU"))
        note.equal(
            "the phone's balance has risen",
            figures.HANDSET_AFTER_SALE,
            await buyer.handset.balance(),
        )

    async def sell_a_bit(self, buyer: Customer) -> None:
        deal, note = figures.SELL_BIT, self.chapter
        body = {"grams": deal.grams, "payout_to": "wallet"}
        trade = await buyer.post("/gold/trade/sell", body)
        note.equal("a bit is sold to the wallet", told(deal), told_by(trade.body))
        note.equal("at once", "202 completed", taken(trade))
        note.equal("the gold left", figures.GRAMS_AFTER_BIT, await buyer.balance("XAU"))
        note.equal("the shillings", figures.SHILLINGS_AFTER_BIT, await buyer.balance("KES"))

    async def withdraw(self, buyer: Customer) -> None:
        note = self.chapter
        asked = await buyer.post("/wallet/withdrawals", {"amount_kes": "600"})
        note.equal(
            "KES 600 are withdrawn, without a fee",
            f"202 held {figures.WITHDRAWN} fee 0.00",
            f"{taken(asked)} {asked.body.get('amount')} fee {asked.body.get('fee')}",
        )

        async def state() -> str:
            return str((await buyer.withdrawal()).get("state"))

        await note.reaches("M-Pesa pays it out", "paid", state)
        left = figures.SHILLINGS_AFTER_WITHDRAWAL
        note.equal("the shillings left", left, await buyer.balance("KES"))
        note.equal(
            "the phone's balance has risen",
            figures.HANDSET_AFTER_WITHDRAWAL,
            await buyer.handset.balance(),
        )

    async def _why(self, buyer: Customer, trade_id: str) -> None:
        """The buyer sees why: lots, steps, and a receipt that M-Pesa's books know."""
        trade = await buyer.trade(trade_id)
        parts = [f"{part['lot']}: {part['grams']}" for part in trade.get("lots", [])]
        self.chapter.equal(
            "where the gold came from",
            "Scrap 0.2 g: 0.200000; Lot A 1 kg: 0.170919",
            "; ".join(parts),
        )
        open_steps = [s["label"] for s in trade.get("timeline", []) if s["state"] != "done"]
        counted = f"{len(trade.get('timeline', [])) > 2}, open: {open_steps}"
        self.chapter.equal("every step of its story is done", "True, open: []", counted)
        known = await self.town.sim.call("GET", f"/sim/books/{trade.get('receipt')}")
        self.chapter.equal(
            "M-Pesa's books know its receipt", "5000.00", str(known.body.get("amount"))
        )

    async def _pools(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.operator.get("/gold/pools")).body["items"]
        return found


def told(deal: Deal) -> str:
    """A deal in one line."""
    return f"{deal.grams} g, KES {deal.total}, spread {deal.spread}, rounding {deal.rounding}"


def told_by(body: dict[str, Any]) -> str:
    """The same line, from what the house says of a quote or a trade."""
    if "grams" not in body:
        return str(body)
    return told(Deal(body["grams"], body["total"], body["spread"], body["rounding"]))


def taken(answer: Answer) -> str:
    """``202 requested``, or the refusal."""
    return f"{answer.short} {answer.body.get('state', '')}".rstrip()


def name_of(answer: Answer) -> str:
    return str(answer.body.get("username", answer.short))
