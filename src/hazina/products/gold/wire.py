"""What gold reads and writes as JSON. Amounts are decimal strings; unknown fields are refused."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from hazina.desk.webkit.view import Step
from hazina.kernel.errors import Invalid
from hazina.kernel.ids import wire_id
from hazina.kernel.money import KES, XAU, Money
from hazina.products.gold.lots import LotStock
from hazina.products.gold.quotes import Wish
from hazina.products.gold.repository import Lot, PriceRow, Quote, Trade
from hazina.products.gold.terms import Side, Via

Amount = Annotated[str, Field(max_length=64)]
Id = Annotated[str, Field(max_length=64)]
Phone = Annotated[str, Field(max_length=32)]
Note = Annotated[str, Field(max_length=500)]
ViaIn = Literal["mpesa", "wallet"]
_TRADE = "trd_0199f1c2a7b47c3e9f7d5b8a6c4e2f10"
_QUOTE = "quo_0199f1c2a7b47c3e9f7d5b8a6c4e2f11"
_LOT = "lot_0199f1c2a7b47c3e9f7d5b8a6c4e2f12"
_AT = "2026-11-20T09:00:00Z"
_STEP = {"label": "Requested", "state": "done", "at": _AT, "note": "0.375000 g are set aside."}
_TRADE_EXAMPLE = {
    "trade_id": _TRADE,
    "side": "buy",
    "via": "mpesa",
    "state": "requested",
    "grams": "0.375000",
    "price_per_gram": "13333.3300",
    "total": "5000.00",
    "asset": "KES",
    "spread": "81.25",
    "rounding": "0.00",
    "partial": False,
    "receipt": None,
    "words": None,
    "created_at": _AT,
    "state_since": _AT,
}


def _config(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class WishIn(BaseModel):
    """Shillings or grams, exactly one of them."""

    amount_kes: Amount | None = None
    grams: Amount | None = None

    def wish(self) -> Wish:
        """Raises: AmountInvalid, Invalid."""
        return Wish(
            None if self.amount_kes is None else KES.money(self.amount_kes),
            None if self.grams is None else XAU.money(self.grams),
        )


class OrderIn(WishIn):
    """A wish at the price in force, or a quote."""

    quote_id: Id | None = None

    def wish_or_none(self) -> Wish | None:
        """Raises: AmountInvalid, Invalid."""
        if self.quote_id is None:
            return self.wish()
        if self.amount_kes is not None or self.grams is not None:
            raise Invalid.field("quote_id", "A quote says how much already: send it alone.")
        return None


class QuoteIn(WishIn):
    """What to promise a price for; ``via`` says how a sale would be paid."""

    model_config = _config({"side": "buy", "amount_kes": "5000"})
    side: Side
    via: ViaIn = "mpesa"


class BuyIn(OrderIn):
    """A purchase. ``partial`` takes what is there when the lots hold less."""

    model_config = _config({"amount_kes": "5000", "phone_for_stk": "0712345678"})
    phone_for_stk: Phone | None = None
    pay_from: ViaIn = "mpesa"
    partial: bool = False


class SellIn(OrderIn):
    """A sale, paid to a phone or to the wallet."""

    model_config = _config({"grams": "0.2", "payout_phone": "0712345678"})
    payout_phone: Phone | None = None
    payout_to: ViaIn = "mpesa"


class PriceIn(BaseModel):
    """Two prices, at most four decimals, from now or from a moment to come."""

    model_config = _config(
        {"buy_price_per_gram": "13333.33", "sell_price_per_gram": "12900", "note": "London fix"}
    )
    buy_price_per_gram: Amount
    sell_price_per_gram: Amount
    effective_from: AwareDatetime | None = None
    note: Note = ""
    confirm: bool = False


class PoolIn(BaseModel):
    """A new lot and the gold that comes with it."""

    model_config = _config(
        {"name": "Lot 1, 1 kg", "total_grams": "1000", "purity": "24k", "priority": 100}
    )
    name: Annotated[str, Field(max_length=200)]
    total_grams: Amount
    purity: Annotated[str, Field(max_length=16)] = "24k"
    priority: int = 100
    note: Note = ""


class PoolChangeIn(BaseModel):
    """What is written about a lot; what is left out stays."""

    model_config = _config({"priority": 10, "note": "Vault bay 2"})
    purity: Annotated[str, Field(max_length=16)] | None = None
    priority: int | None = None
    note: Note | None = None


class TopUpIn(BaseModel):
    """More gold for a lot, with what and why."""

    model_config = _config({"added_grams": "250", "note": "Bar 4711, delivered and weighed"})
    added_grams: Amount
    note: Note


class PriceOut(BaseModel):
    """Two prices in KES per gram of fine gold."""

    model_config = _config(
        {
            "price_id": "prc_0199f1c2a7b47c3e9f7d5b8a6c4e2f13",
            "buy_price_per_gram": "13333.3300",
            "sell_price_per_gram": "12900.0000",
            "asset": "KES",
            "effective_from": _AT,
            "note": "",
            "created_at": _AT,
        }
    )
    price_id: str
    buy_price_per_gram: str
    sell_price_per_gram: str
    asset: str
    effective_from: datetime
    note: str
    created_at: datetime

    @classmethod
    def of(cls, row: PriceRow) -> "PriceOut":
        return cls(
            price_id=wire_id("prc", row.id),
            buy_price_per_gram=row.prices.buy.decimal,
            sell_price_per_gram=row.prices.sell.decimal,
            asset=KES.code,
            effective_from=row.effective_from,
            note=row.note,
            created_at=row.created_at,
        )


class PricesOut(BaseModel):
    """The latest beginning first, scheduled ones included."""

    items: list[PriceOut]
    next_cursor: str | None


class LotOut(BaseModel):
    """A lot as it is described."""

    model_config = _config(
        {"pool_id": _LOT, "name": "Lot 1, 1 kg", "purity": "24k", "priority": 100, "note": ""}
    )
    pool_id: str
    name: str
    purity: str
    priority: int
    note: str
    created_at: datetime

    @classmethod
    def of(cls, lot: Lot) -> "LotOut":
        return cls(
            pool_id=wire_id("lot", lot.id),
            name=lot.name,
            purity=lot.purity,
            priority=lot.priority,
            note=lot.note,
            created_at=lot.created_at,
        )


class PoolOut(LotOut):
    """A lot with its grams: total = available + held + sold."""

    total_grams: str
    available_grams: str
    held_grams: str
    sold_grams: str

    @classmethod
    def of_stock(cls, stock: LotStock) -> "PoolOut":
        return cls(
            **LotOut.of(stock.lot).model_dump(),
            total_grams=stock.total.decimal,
            available_grams=stock.available.decimal,
            held_grams=stock.held.decimal,
            sold_grams=stock.sold.decimal,
        )


class PoolsOut(BaseModel):
    """In the order in which they are drawn on."""

    items: list[PoolOut]
    next_cursor: str | None = None


class QuoteOut(BaseModel):
    """Terms promised until ``expires_at``. ``total`` is what leaves a buyer or reaches a seller."""

    model_config = _config(
        {
            "quote_id": _QUOTE,
            "side": "buy",
            "via": "mpesa",
            "grams": "0.375000",
            "price_per_gram": "13333.3300",
            "total": "5000.00",
            "asset": "KES",
            "spread": "81.25",
            "rounding": "0.00",
            "expires_at": _AT,
        }
    )
    quote_id: str
    side: Side
    via: Via
    grams: str
    price_per_gram: str
    total: str
    asset: str
    spread: str
    rounding: str
    expires_at: datetime

    @classmethod
    def of(cls, quote: Quote) -> "QuoteOut":
        terms = quote.terms
        return cls(
            quote_id=wire_id("quo", quote.id),
            side=terms.side,
            via=quote.via,
            grams=terms.grams.decimal,
            price_per_gram=quote.prices.of(terms.side).decimal,
            total=terms.total.decimal,
            asset=KES.code,
            spread=terms.spread.decimal,
            rounding=terms.rounding.decimal,
            expires_at=quote.expires_at,
        )


class TradeOut(BaseModel):
    """A trade and where it stands."""

    model_config = _config(_TRADE_EXAMPLE)
    trade_id: str
    side: Side
    via: Via
    state: str
    grams: str
    price_per_gram: str
    total: str
    asset: str
    spread: str
    rounding: str
    partial: bool
    receipt: str | None
    words: str | None
    created_at: datetime
    state_since: datetime

    @classmethod
    def of(cls, trade: Trade) -> "TradeOut":
        return cls(**_trade(trade))


class BuyOut(TradeOut):
    """A purchase that was taken on; ``stk_push_initiated`` says whether a phone will ring."""

    model_config = _config({**_TRADE_EXAMPLE, "stk_push_initiated": True})
    stk_push_initiated: bool

    @classmethod
    def of(cls, trade: Trade) -> "BuyOut":
        return cls(**_trade(trade), stk_push_initiated=trade.via is Via.MPESA)


class SellOut(TradeOut):
    """A sale that was taken on; ``payout_initiated`` says whether M-Pesa is asked to pay."""

    model_config = _config({**_TRADE_EXAMPLE, "side": "sell", "payout_initiated": True})
    payout_initiated: bool

    @classmethod
    def of(cls, trade: Trade) -> "SellOut":
        return cls(**_trade(trade), payout_initiated=trade.via is Via.MPESA)


class StepOut(BaseModel):
    """One step: done, now, next or failed."""

    label: str
    state: str
    at: datetime | None
    note: str


class PartOut(BaseModel):
    """Grams of one lot."""

    lot: str
    grams: str


class TradeDetailOut(TradeOut):
    """A trade with its story and the lots its gold came from or went back to."""

    model_config = _config(
        {
            **_TRADE_EXAMPLE,
            "timeline": [_STEP],
            "lots": [{"lot": "Lot 1, 1 kg", "grams": "0.375000"}],
        }
    )
    timeline: list[StepOut]
    lots: list[PartOut]

    @classmethod
    def of_story(
        cls,
        trade: Trade,
        steps: Sequence[Step],
        lots: Sequence[tuple[str, Money]],
        receipt: str | None,
    ) -> "TradeDetailOut":
        told = [StepOut(label=s.label, state=s.state, at=s.at, note=s.note) for s in steps]
        parts = [PartOut(lot=name, grams=grams.decimal) for name, grams in lots]
        facts = {**_trade(trade), "receipt": trade.receipt or receipt}
        return cls(**facts, timeline=told, lots=parts)


class TradesOut(BaseModel):
    """Newest first."""

    items: list[TradeOut]
    next_cursor: str | None


def _trade(trade: Trade) -> dict[str, Any]:
    terms = trade.terms
    return {
        "trade_id": wire_id("trd", trade.id),
        "side": terms.side,
        "via": trade.via,
        "state": trade.state.value,
        "grams": terms.grams.decimal,
        "price_per_gram": trade.prices.of(terms.side).decimal,
        "total": terms.total.decimal,
        "asset": KES.code,
        "spread": terms.spread.decimal,
        "rounding": terms.rounding.decimal,
        "partial": trade.partial,
        "receipt": trade.receipt,
        "words": trade.words,
        "created_at": trade.created_at,
        "state_since": trade.state_since,
    }
