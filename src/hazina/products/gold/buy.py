"""Buying: gold is reserved first, then M-Pesa is asked; or the wallet pays at once.

One transaction: the quote spent, the trade and its allocations written, the prompt queued, and one
posting last. Order of locks: quote, lots (where gold runs short), the day's limit, accounts.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from hazina.flows.deposits.request import Deposits
from hazina.flows.withdrawals.request import AccountStopped, InsufficientFunds
from hazina.infra.audit import Audit
from hazina.infra.db import RetryTransaction, Tx
from hazina.infra.settings import Settings
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, Money
from hazina.ledger.chart import customer
from hazina.ledger.core import ResultCode, Transfer, first_fault, linked
from hazina.ledger.service import Ledger
from hazina.products.gold import postings
from hazina.products.gold.allocation import Supply, fill, is_plenty, total_of
from hazina.products.gold.lots import Lots
from hazina.products.gold.news import TradeNews
from hazina.products.gold.postings import Deal
from hazina.products.gold.quotes import Offer, Quotes, Wish
from hazina.products.gold.repository import TRADES, Quote, Reader, Trade
from hazina.products.gold.states import TradeEvent, TradeState
from hazina.products.gold.terms import SHILLING, Prices, Side, Terms, Via, most_for
from hazina.products.gold.trades import NewTrade, Trades

PURPOSE = "gold.buy"


class InsufficientGold(Refusal):
    """The lots hold less than was asked for."""

    code = "insufficient_gold"
    kind = Kind.INSUFFICIENT
    message = "There is not that much gold for sale now."

    @classmethod
    def only(cls, available: Money, most: Terms | None) -> "InsufficientGold":
        details = {"available_grams": available.decimal}
        if most is None:
            return cls(
                "There is no gold for sale at the moment.",
                action="Try again later: more may be brought in or sold back.",
                details=details,
            )
        return cls(
            f"There are {available.decimal} g for sale now.",
            action=f"Buy for at most {most.total}, or ask for a partial purchase.",
            details={**details, "available_kes": most.total.decimal},
        )


@dataclass(frozen=True, slots=True)
class BuyOrder:
    """What a customer asks: a quote of theirs, or a wish at the price in force.

    ``phone`` is who M-Pesa prompts, empty for the customer's own. ``partial`` takes what is there.
    """

    customer_id: UUID
    wish: Wish | None = None
    quote_id: UUID | None = None
    via: Via = Via.MPESA
    phone: str | None = None
    partial: bool = False


class Buying:
    """The use case of a purchase up to the point where M-Pesa takes over."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        audit: Audit,
        lots: Lots,
        quotes: Quotes,
        trades: Trades,
        deposits: Deposits,
        news: TradeNews,
    ) -> None:
        self._least = KES.units(settings.gold_min_kes * SHILLING)
        self._ledger = ledger
        self._audit = audit
        self._lots = lots
        self._quotes = quotes
        self._trades = trades
        self._deposits = deposits
        self._news = news

    async def request(self, tx: Tx, order: BuyOrder, actor: Actor, now: datetime) -> Trade:
        """This will reserve gold and have it paid for. Posts.

        Raises: NotFound, QuoteUsed, QuoteExpired, NoPrice, AmountInvalid, TradeTooSmall,
        TradeTooLarge, InsufficientGold, InsufficientFunds, AccountStopped, and what
        ``Deposits.request`` does.
        """
        offer = await self._offer(tx, order, now)
        trade_id = new_id()
        await self._record(tx, trade_id, order, offer, actor, now)
        supplies, terms = await self._supplied(tx, offer, partial=order.partial)
        deal = Deal(trade_id, order.customer_id, terms)
        new = NewTrade(
            deal, order.via, offer, fill(supplies, terms.grams),
            partial=terms.grams < offer.terms.grams,
        )  # fmt: skip
        if order.via is Via.WALLET:
            await self._pay_at_once(tx, new, actor, now)
        else:
            await self._ask_mpesa(tx, new, order.phone, actor, now)
        return await self._trades.get(tx, trade_id, order.customer_id)

    async def preview(self, reader: Reader, quote: Quote, *, partial: bool) -> Terms:
        """What a quote would come to with the gold of this moment. Raises: InsufficientGold."""
        offer = Offer(quote.price_id, quote.prices, quote.terms, quote.id)
        return self._affordable(await self._lots.supplies(reader), offer, partial=partial)

    async def _offer(self, tx: Tx, order: BuyOrder, now: datetime) -> Offer:
        if order.quote_id is not None:
            return await self._quotes.take(
                tx, order.quote_id, customer_id=order.customer_id, side=Side.BUY, via=order.via,
                now=now,
            )  # fmt: skip
        wish = order.wish or Wish()
        return await self._quotes.offer(tx, side=Side.BUY, wish=wish, via=order.via, now=now)

    async def _supplied(self, tx: Tx, offer: Offer, *, partial: bool) -> tuple[list[Supply], Terms]:
        """What to take, and the terms it allows. Raises: InsufficientGold.

        Where there is plenty nobody waits; where it runs short buyers queue for the lots, so that
        the last gram is sold once and to somebody. Either way the ledger has the last word.
        """
        supplies = await self._lots.supplies(tx)
        if not is_plenty(supplies, offer.terms.grams):
            self._affordable(supplies, offer, partial=partial)
            supplies = await self._lots.lock_supplies(tx)
        return supplies, self._affordable(supplies, offer, partial=partial)

    def _affordable(self, supplies: list[Supply], offer: Offer, *, partial: bool) -> Terms:
        """The terms asked for, or the largest that the gold allows. Raises: InsufficientGold."""
        available = total_of(supplies)
        if offer.terms.grams <= available:
            return offer.terms
        most = self._most(available, offer.prices)
        if partial and most is not None:
            return most
        raise InsufficientGold.only(available, most)

    def _most(self, available: Money, prices: Prices) -> Terms | None:
        most = most_for(available, prices)
        return None if most is None or most.total < self._least else most

    async def _ask_mpesa(
        self, tx: Tx, new: NewTrade, phone: str | None, actor: Actor, now: datetime
    ) -> None:
        deal = new.deal
        deposit = await self._deposits.request(
            tx, customer_id=deal.customer_id, amount=deal.terms.total, phone=phone,
            purpose=PURPOSE, purpose_id=deal.id, actor=actor, now=now,
        )  # fmt: skip
        await self._trades.write(tx, replace(new, deposit_id=deposit.id), actor, now)
        await self._post(tx, postings.buy_asked(deal, new.parts), actor)

    async def _pay_at_once(self, tx: Tx, new: NewTrade, actor: Actor, now: datetime) -> None:
        deal = new.deal
        balance = await self._ledger.balance(tx, customer(deal.customer_id, KES))
        if balance.available < deal.terms.total:
            raise _short(deal.terms.total, balance.available)
        await self._trades.write(tx, new, actor, now)
        row = await TRADES.lock(tx, new.deal.id)
        await self._post(tx, postings.buy_at_once(deal, new.parts), actor)
        await TRADES.move(tx, row, TradeEvent.BOOK, now=now, actor=actor)
        await self._news.tell(tx, row, TradeState.COMPLETED, now)

    async def _post(self, tx: Tx, transfers: list[Transfer], actor: Actor) -> None:
        fault = first_fault(await self._ledger.post(tx, linked(transfers), actor))
        if fault is None:
            return
        if fault.code is not ResultCode.INSUFFICIENT_FUNDS:
            raise AccountStopped(details={"reason": fault.code.value})
        # Somebody was faster, with this customer's shillings or a lot's gold: look again.
        raise RetryTransaction(fault.code.value)

    async def _record(
        self, tx: Tx, trade_id: UUID, order: BuyOrder, offer: Offer, actor: Actor, now: datetime
    ) -> None:
        facts = {
            "side": Side.BUY.value,
            "via": order.via.value,
            "grams": offer.terms.grams.decimal,
            "total": offer.terms.total.decimal,
            "partial": order.partial,
        }
        await self._audit.record(
            tx, actor, "trade.requested", "trade", trade_id, after=facts, now=now
        )


def _short(needed: Money, available: Money) -> InsufficientFunds:
    return InsufficientFunds(
        f"{needed} is needed and {available} is there.",
        action="Deposit first, buy for less, or pay by M-Pesa.",
        details={
            "available": available.decimal,
            "needed": needed.decimal,
            "asset": KES.code,
        },
    )
