"""Selling: the grams are reserved first, then M-Pesa pays; or the wallet is credited at once.

Gold goes back to the lots it came from, the oldest purchase first; gold the customer did not buy
here goes to the lot of the highest priority. Order of locks: quote, purchases, the day's limit,
accounts.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from hazina.flows.withdrawals.request import AccountStopped, Withdrawals
from hazina.infra.audit import Audit
from hazina.infra.db import RetryTransaction, Tx
from hazina.infra.settings import Settings
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, XAU, Money
from hazina.ledger.chart import customer
from hazina.ledger.core import ResultCode, Transfer, first_fault, linked
from hazina.ledger.service import Ledger
from hazina.products.gold import postings
from hazina.products.gold import repository as sql
from hazina.products.gold.allocation import Share, Supply, fill
from hazina.products.gold.lots import Lots
from hazina.products.gold.news import TradeNews
from hazina.products.gold.postings import Deal
from hazina.products.gold.quotes import Offer, Quotes, Wish
from hazina.products.gold.repository import TRADES, Trade, grams_of
from hazina.products.gold.states import TradeEvent, TradeState
from hazina.products.gold.terms import SHILLING, Side, Via
from hazina.products.gold.trades import NewTrade, Trades

PURPOSE = "gold.sell"
BATCH = 200


class InsufficientGrams(Refusal):
    """The customer has less gold free than they want to sell."""

    code = "insufficient_grams"
    kind = Kind.INSUFFICIENT
    message = "You do not have that much gold free to sell."


class PayoutOutOfRange(Refusal):
    """M-Pesa does not pay out so little or so much at once; the wallet takes any amount."""

    code = "payout_out_of_range"
    kind = Kind.INVALID
    message = "M-Pesa does not pay out that amount at once."
    action = "Have it paid to your wallet, or sell another amount."


@dataclass(frozen=True, slots=True)
class SellOrder:
    """What a customer asks: a quote of theirs, or a wish at the price in force.

    ``phone`` is who M-Pesa pays, empty for the customer's own.
    """

    customer_id: UUID
    wish: Wish | None = None
    quote_id: UUID | None = None
    via: Via = Via.MPESA
    phone: str | None = None


class Selling:
    """The use case of a sale up to the point where M-Pesa takes over."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        audit: Audit,
        lots: Lots,
        quotes: Quotes,
        trades: Trades,
        withdrawals: Withdrawals,
        news: TradeNews,
    ) -> None:
        self._least = KES.units(settings.withdrawal_min_kes * SHILLING)
        self._most = KES.units(settings.withdrawal_max_kes * SHILLING)
        self._ledger = ledger
        self._audit = audit
        self._lots = lots
        self._quotes = quotes
        self._trades = trades
        self._withdrawals = withdrawals
        self._news = news

    async def request(self, tx: Tx, order: SellOrder, actor: Actor, now: datetime) -> Trade:
        """This will reserve the grams and have them paid for. Posts.

        Raises: NotFound, QuoteUsed, QuoteExpired, NoPrice, AmountInvalid, TradeTooSmall,
        TradeTooLarge, PayoutOutOfRange, InsufficientGrams, AccountStopped, and what
        ``Withdrawals.request_funded`` does.
        """
        offer = await self._offer(tx, order, now)
        terms = offer.terms
        if order.via is Via.MPESA and not self._least <= terms.total <= self._most:
            raise self._out_of_range(terms.total)
        deal = Deal(new_id(), order.customer_id, terms)
        await self._record(tx, deal, order, actor, now)
        await self._check_owned(tx, deal)
        shares = await self._give_back(tx, deal)
        new = NewTrade(deal, order.via, offer, shares, proceeds_id=new_id())
        if order.via is Via.WALLET:
            await self._pay_at_once(tx, new, actor, now)
        else:
            await self._ask_mpesa(tx, new, order.phone, actor, now)
        return await self._trades.get(tx, deal.id, order.customer_id)

    async def _offer(self, tx: Tx, order: SellOrder, now: datetime) -> Offer:
        if order.quote_id is not None:
            return await self._quotes.take(
                tx, order.quote_id, customer_id=order.customer_id, side=Side.SELL, via=order.via,
                now=now,
            )  # fmt: skip
        wish = order.wish or Wish()
        return await self._quotes.offer(tx, side=Side.SELL, wish=wish, via=order.via, now=now)

    async def _check_owned(self, tx: Tx, deal: Deal) -> None:
        free = (await self._ledger.balance(tx, customer(deal.customer_id, XAU))).available
        if free < deal.terms.grams:
            raise _short(deal.terms.grams, free)

    async def _give_back(self, tx: Tx, deal: Deal) -> list[Share]:
        """Which lots the grams go to; locks the purchases they belong to and counts them back."""
        supplies, left, after = [], deal.terms.grams.units, None
        while left > 0:
            rows = await tx.fetch(sql.LOCK_KEPT, deal.customer_id, after, BATCH)
            if not rows:
                break
            for row in rows:
                supplies.append(Supply(row["lot_id"], grams_of(row, "kept"), row["id"]))
                left -= int(row["kept"])
            after = rows[-1]["id"]
        if left > 0:
            supplies.append(Supply(await self._lots.first(tx), XAU.units(left)))
        shares = fill(supplies, deal.terms.grams)
        back = [(s.source_id, s.part.grams.units) for s in shares if s.source_id is not None]
        await tx.executemany(sql.RETURN, back)
        return shares

    async def _ask_mpesa(
        self, tx: Tx, new: NewTrade, phone: str | None, actor: Actor, now: datetime
    ) -> None:
        deal = new.deal
        payout = await self._withdrawals.request_funded(
            tx, customer_id=deal.customer_id, amount=deal.terms.total, phone=phone,
            purpose=PURPOSE, purpose_id=deal.id, actor=actor, now=now,
        )  # fmt: skip
        new = replace(new, payout_id=payout.id)
        await self._trades.write(tx, new, actor, now)
        await self._post(tx, postings.sale_asked(deal, new.parts, _proceeds(new)), actor)

    async def _pay_at_once(self, tx: Tx, new: NewTrade, actor: Actor, now: datetime) -> None:
        await self._trades.write(tx, new, actor, now)
        row = await TRADES.lock(tx, new.deal.id)
        await self._post(tx, postings.sale_at_once(new.deal, new.parts, _proceeds(new)), actor)
        await TRADES.move(tx, row, TradeEvent.BOOK, now=now, actor=actor)
        await self._news.tell(tx, row, TradeState.COMPLETED, now)

    async def _post(self, tx: Tx, transfers: list[Transfer], actor: Actor) -> None:
        fault = first_fault(await self._ledger.post(tx, linked(transfers), actor))
        if fault is None:
            return
        if fault.code is not ResultCode.INSUFFICIENT_FUNDS:
            raise AccountStopped(details={"reason": fault.code.value})
        # Another act of the customer's has taken the grams since we looked: look again.
        raise RetryTransaction(fault.code.value)

    async def _record(
        self, tx: Tx, deal: Deal, order: SellOrder, actor: Actor, now: datetime
    ) -> None:
        facts = {
            "side": Side.SELL.value,
            "via": order.via.value,
            "grams": deal.terms.grams.decimal,
            "total": deal.terms.total.decimal,
        }
        await self._audit.record(
            tx, actor, "trade.requested", "trade", deal.id, after=facts, now=now
        )

    def _out_of_range(self, total: Money) -> PayoutOutOfRange:
        smaller = "a smaller part" if total > self._most else "more"
        return PayoutOutOfRange(
            f"M-Pesa pays out {self._least} to {self._most} at once; this comes to {total}.",
            action=f"Have it paid to your wallet, or sell {smaller}.",
            details={
                "total": total.decimal,
                "least": self._least.decimal,
                "most": self._most.decimal,
                "asset": KES.code,
            },
        )


def _proceeds(new: NewTrade) -> UUID:
    assert new.proceeds_id is not None
    return new.proceeds_id


def _short(asked: Money, free: Money) -> InsufficientGrams:
    return InsufficientGrams(
        f"You have {free.decimal} g free to sell, not {asked.decimal} g.",
        action=f"Sell at most {free.decimal} g." if free else "Buy gold first.",
        details={"available_grams": free.decimal},
    )
