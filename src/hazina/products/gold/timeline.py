"""A trade's timeline in honest words, out of its own events and those of its payment.

Requested → accepted by M-Pesa → paid → booked; what has not happened is not claimed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hazina.desk.webkit.filters import plain
from hazina.desk.webkit.view import Step, StepState
from hazina.flows.deposits.request import Deposits
from hazina.flows.deposits.states import DepositState
from hazina.flows.withdrawals.request import Withdrawals
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.infra.db import Row, Tx
from hazina.kernel.price import Price
from hazina.products.gold.repository import TRADES, Trade
from hazina.products.gold.states import TradeState
from hazina.products.gold.terms import Side, Via

ENDED_BADLY = (TradeState.CANCELLED, TradeState.KEPT_AS_SHILLINGS, TradeState.FAILED)


def per_gram(price: Price) -> str:
    """``KES 13,333.33 per gram`` as text: two decimals, or all four where they say something."""
    number = price.decimal.removesuffix("00")
    whole, _, fraction = number.partition(".")
    return f"KES {int(whole):,}.{fraction} per gram"


@dataclass(frozen=True, slots=True)
class Payment:
    """What M-Pesa's side of a trade says, the same shape for both directions."""

    phone: str
    receipt: str | None
    unsure: bool
    accepted_at: datetime | None
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class Mark:
    """One step: when it happened, and what to say before, during and after."""

    label: str
    at: datetime | None
    waiting: str
    done: str


class Timeline:
    """Reads a trade's story; one use for JSON and pages."""

    def __init__(self, deposits: Deposits, withdrawals: Withdrawals) -> None:
        self._deposits = deposits
        self._withdrawals = withdrawals

    async def payment(self, tx: Tx, trade: Trade) -> Payment | None:
        """What M-Pesa's side of it says; None where the wallet paid or was paid."""
        if trade.deposit_id is not None:
            view = await self._deposits.get(tx, trade.deposit_id, trade.customer_id)
            events = await self._deposits.timeline(tx, trade.deposit_id, trade.customer_id)
            return Payment(
                view.phone_masked,
                view.receipt,
                view.state is DepositState.UNKNOWN,
                _first(events, DepositState.PROMPTED),
                _first(events, DepositState.CONFIRMED, DepositState.PAID),
            )
        if trade.payout_id is not None:
            payout = await self._withdrawals.get(tx, trade.payout_id, trade.customer_id)
            events = await self._withdrawals.timeline(tx, trade.payout_id, trade.customer_id)
            return Payment(
                payout.phone_masked,
                payout.receipt,
                payout.state is WithdrawalState.UNKNOWN,
                _first(events, WithdrawalState.SENT),
                _first(events, WithdrawalState.PAID),
            )
        return None

    async def steps(self, tx: Tx, trade: Trade, payment: Payment | None) -> list[Step]:
        """Every step with where it stands, oldest first."""
        events = await TRADES.events(tx, trade.id)
        booked_at = _first(events, TradeState.COMPLETED)
        if payment is None:
            marks = [_requested(trade), _booked(trade, booked_at)]
        elif trade.side is Side.BUY:
            marks = [_requested(trade), *_asked(trade, payment), _booked(trade, booked_at)]
        else:
            marks = [_requested(trade), *_sent(trade, payment), _booked(trade, booked_at)]
        return _placed(marks, trade)


def _placed(marks: Sequence[Mark], trade: Trade) -> list[Step]:
    """Where the steps stand: whatever lies before one that happened has happened too."""
    reached = max(i for i, mark in enumerate(marks) if mark.at is not None)
    steps = []
    for i, mark in enumerate(marks):
        if i <= reached:
            steps.append(Step(mark.label, StepState.DONE, mark.at, mark.done))
        elif i > reached + 1:
            steps.append(Step(mark.label, StepState.NEXT))
        elif trade.state in ENDED_BADLY:
            words = trade.words or "It ended here."
            steps.append(Step(mark.label, StepState.FAILED, trade.state_since, words))
        else:
            steps.append(Step(mark.label, StepState.NOW, note=mark.waiting))
    return steps


def _requested(trade: Trade) -> Mark:
    gold = plain(trade.terms.grams)
    held = ", set aside until M-Pesa has answered" if trade.via is Via.MPESA else ""
    at_price = f"{gold} at {per_gram(trade.prices.of(trade.side))}"
    return Mark("Requested", trade.created_at, "", f"{at_price}{held}.")


def _asked(trade: Trade, payment: Payment) -> list[Mark]:
    total = plain(trade.terms.total)
    ask = f"Answer the prompt on {payment.phone} with your M-Pesa PIN: {total}."
    if payment.unsure:
        ask = "M-Pesa has not told us how this ended. We are asking; the gold stays set aside."
    receipt = f"M-Pesa receipt {payment.receipt}." if payment.receipt else "M-Pesa says it is paid."
    return [
        Mark(
            "Accepted by M-Pesa",
            payment.accepted_at,
            f"A prompt is on its way to {payment.phone}.",
            f"A prompt for {total} went to {payment.phone}.",
        ),
        Mark("Paid", payment.paid_at, ask, receipt),
    ]


def _sent(trade: Trade, payment: Payment) -> list[Mark]:
    total = plain(trade.terms.total)
    wait = f"M-Pesa is paying {total} to {payment.phone}."
    if payment.unsure:
        wait = "M-Pesa has not told us how this ended. We are asking; nothing is paid twice."
    return [
        Mark(
            "Accepted by M-Pesa",
            payment.accepted_at,
            "M-Pesa is being asked to pay.",
            f"M-Pesa took the order to pay {payment.phone}.",
        ),
        Mark("Paid out", payment.paid_at, wait, f"{total} to {payment.phone}. {_receipt(payment)}"),
    ]


def _receipt(payment: Payment) -> str:
    return f"M-Pesa receipt {payment.receipt}." if payment.receipt else ""


def _booked(trade: Trade, at: datetime | None) -> Mark:
    gold, total = plain(trade.terms.grams), plain(trade.terms.total)
    if trade.side is Side.BUY:
        done = f"{gold} are yours."
    elif trade.via is Via.WALLET:
        done = f"{total} are in your wallet."
    else:
        done = f"{gold} went back to the vault's lots."
    waiting = "It is being booked."
    if trade.state is TradeState.RELEASING:
        waiting = trade.words or waiting
    return Mark("Booked", at, waiting, done)


def _first(events: Sequence[Row], *states: str) -> datetime | None:
    """When one of ``states`` was first reached."""
    found: datetime | None = next((e["at"] for e in events if e["state_to"] in states), None)
    return found
