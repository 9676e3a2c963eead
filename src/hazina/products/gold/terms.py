"""What a trade comes to: prices, grams and shillings, each rounding named. Pure.

Grams to a buyer round down to the microgram, shillings to pay round up, payouts round down; the
worth at a price is half-even to the cent, and what a rounding leaves over is posted, not lost.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from hazina.kernel.errors import Invalid, Kind, Refusal
from hazina.kernel.money import KES, XAU, AmountInvalid, Money, Rounding, divide
from hazina.kernel.price import PRICE_DIGITS, Price

MAX_NOTE = 500
SHILLING = 10**KES.scale
PRICE_STEP = 10 ** (PRICE_DIGITS - KES.scale)


class Side(StrEnum):
    """Which way a trade goes, as the customer sees it."""

    BUY = "buy"  # shillings for grams
    SELL = "sell"  # grams for shillings


class Via(StrEnum):
    """Where the shillings come from or go to."""

    MPESA = "mpesa"  # a prompt on a phone, or a payout to one: whole shillings
    WALLET = "wallet"  # the customer's own shillings here


class TradeTooSmall(Refusal):
    """So little that it rounds to nothing, or is below the least that is traded."""

    code = "trade_too_small"
    kind = Kind.INVALID
    message = "That is too little to trade."


class TradeTooLarge(Refusal):
    """More than is traded at once."""

    code = "trade_too_large"
    kind = Kind.INVALID
    message = "That is more than can be traded at once."


@dataclass(frozen=True, slots=True)
class Prices:
    """What a gram costs (``buy``) and brings (``sell``), in shillings; ``buy`` ≥ ``sell``."""

    buy: Price
    sell: Price

    @property
    def mid(self) -> Price:
        return self.buy.mid(self.sell)

    def of(self, side: Side) -> Price:
        return self.buy if side is Side.BUY else self.sell


@dataclass(frozen=True, slots=True)
class Terms:
    """One trade in numbers. ``total`` is what the customer pays or is paid.

    Invariant: a buyer's total ≥ worth ≥ at_mid; a seller's total ≤ worth ≤ at_mid.
    """

    side: Side
    grams: Money
    total: Money
    worth: Money  # the grams at the customer's price, half-even to the cent
    at_mid: Money  # the grams at mid price, half-even to the cent

    @property
    def spread(self) -> Money:
        """What the house earns on the trade."""
        buying = self.side is Side.BUY
        return self.worth - self.at_mid if buying else self.at_mid - self.worth

    @property
    def rounding(self) -> Money:
        """What rounding the total leaves over."""
        return self.total - self.worth if self.side is Side.BUY else self.worth - self.total


def price_of(units: int) -> Price:
    """This will read a stored price: ten-thousandths of a shilling for a gram."""
    return Price(XAU, KES, Fraction(units, PRICE_STEP))


def price_units(price: Price) -> int:
    """The stored form of a price. Prices never have more than four decimals."""
    scaled = price.ratio * PRICE_STEP
    assert scaled.denominator == 1
    return int(scaled)


def whole_shillings(amount: Money) -> Money:
    """Raises: AmountInvalid when there are cents, or nothing."""
    if amount.units <= 0:
        raise AmountInvalid("The amount must be more than zero.", details={"field": "amount_kes"})
    if amount.units % SHILLING:
        raise AmountInvalid(
            "M-Pesa moves whole shillings only.",
            action="Leave out the cents.",
            details={"field": "amount_kes"},
        )
    return amount


def some_grams(grams: Money) -> Money:
    """Raises: AmountInvalid when it is nothing."""
    if grams.units <= 0:
        raise AmountInvalid("The grams must be more than zero.", details={"field": "grams"})
    return grams


def buy_for(amount: Money, prices: Prices) -> Terms:
    """This will spend whole shillings; the grams round down, so the house never gives too much.

    Raises: AmountInvalid, TradeTooSmall.
    """
    grams = prices.buy.quantity(whole_shillings(amount), Rounding.DOWN)
    if not grams:
        raise TradeTooSmall("That buys less than a microgram.", action="Buy for more shillings.")
    return _terms(Side.BUY, grams, amount, prices)


def buy_grams(grams: Money, prices: Prices) -> Terms:
    """This will buy exactly ``grams``; the shillings to pay round up. Raises: AmountInvalid."""
    exact = prices.buy.cost(some_grams(grams), Rounding.UP)
    return _terms(Side.BUY, grams, _to_shillings(exact, Rounding.UP), prices)


def sell_grams(grams: Money, prices: Prices, via: Via) -> Terms:
    """This will sell ``grams``; the payout rounds down, to the shilling by M-Pesa, else the cent.

    Raises: AmountInvalid, TradeTooSmall.
    """
    total = prices.sell.cost(some_grams(grams), Rounding.DOWN)
    if via is Via.MPESA:
        total = _to_shillings(total, Rounding.DOWN)
    if not total:
        raise TradeTooSmall("That brings less than can be paid out.", action="Sell more grams.")
    return _terms(Side.SELL, grams, total, prices)


def sell_for(amount: Money, prices: Prices, via: Via) -> Terms:
    """This will sell the least gold that brings ``amount``. Raises: AmountInvalid."""
    if via is Via.MPESA:
        whole_shillings(amount)
    elif amount.units <= 0:
        raise AmountInvalid("The amount must be more than zero.", details={"field": "amount_kes"})
    return sell_grams(prices.sell.quantity(amount, Rounding.UP), prices, via)


def most_for(available: Money, prices: Prices) -> Terms | None:
    """The largest buy in whole shillings that ``available`` grams allow; None if there is none."""
    spent = _to_shillings(prices.buy.cost(available, Rounding.DOWN), Rounding.DOWN)
    if not spent or not prices.buy.quantity(spent, Rounding.DOWN):
        return None
    return buy_for(spent, prices)


def _terms(side: Side, grams: Money, total: Money, prices: Prices) -> Terms:
    worth = prices.of(side).cost(grams, Rounding.HALF_EVEN)
    return Terms(side, grams, total, worth, prices.mid.cost(grams, Rounding.HALF_EVEN))


def _to_shillings(amount: Money, rounding: Rounding) -> Money:
    return KES.units(divide(amount.units, SHILLING, rounding) * SHILLING)


def note_of(text: str) -> str:
    """An operator's words about a lot or a price, fit to be kept and shown. Raises: Invalid."""
    note = text.strip()
    if len(note) > MAX_NOTE:
        raise Invalid.field("note", f"Use at most {MAX_NOTE} characters.")
    if any(not (mark.isprintable() or mark in "\r\n\t") for mark in note):
        raise Invalid.field("note", "Leave out what cannot be seen.")
    return note
