"""Prices: an exact ratio between two assets, applied with a named rounding."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from hazina.kernel.money import AmountInvalid, Asset, Money, Rounding, divide

# Four decimals of a shilling per gram: finer than any quotation, and it keeps numbers small.
PRICE_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Price:
    """``ratio`` is quote units (cents) for one whole unit of base (a gram), exact."""

    base: Asset
    quote: Asset
    ratio: Fraction

    @classmethod
    def per_unit(cls, text: str, base: Asset, quote: Asset) -> Self:
        """This will read a price such as ``"13333.33"`` shillings per gram, at most 4 decimals.

        Raises: AmountInvalid when it is not a positive plain decimal of that precision.
        """
        fine = Asset(quote.code, PRICE_DIGITS)
        units = fine.money(text).units
        if units <= 0:
            raise AmountInvalid("A price is more than zero.")
        return cls(base, quote, units * Fraction(10) ** (quote.scale - PRICE_DIGITS))

    @property
    def decimal(self) -> str:
        """Quote per whole unit of base with four decimals, for people and the wire."""
        scaled = self.ratio * Fraction(10) ** (PRICE_DIGITS - self.quote.scale)
        units = divide(scaled.numerator, scaled.denominator, Rounding.HALF_EVEN)
        return Money(units, Asset(self.quote.code, PRICE_DIGITS)).decimal

    def cost(self, quantity: Money, rounding: Rounding) -> Money:
        """This will say what ``quantity`` of base costs, in whole quote units."""
        if quantity.asset != self.base:
            raise TypeError("a price applies to its own base asset")
        exact = self.ratio * quantity.units / 10**self.base.scale
        return Money(divide(exact.numerator, exact.denominator, rounding), self.quote)

    def quantity(self, cost: Money, rounding: Rounding) -> Money:
        """This will say how much base ``cost`` buys, in whole base units."""
        if cost.asset != self.quote:
            raise TypeError("a price applies to its own quote asset")
        exact = cost.units * 10**self.base.scale / self.ratio
        return Money(divide(exact.numerator, exact.denominator, rounding), self.base)

    def mid(self, other: "Price") -> "Price":
        """The price half-way between two, exactly."""
        if (other.base, other.quote) != (self.base, self.quote):
            raise TypeError("only prices of one pair have a middle")
        return Price(self.base, self.quote, (self.ratio + other.ratio) / 2)
