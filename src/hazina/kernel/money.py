"""Assets and money: whole numbers of an asset's smallest unit, never a float.

Inside the house money is ``Money(units, asset)``; on every wire it is a decimal string beside its
asset code. Parsing is strict: what cannot be said exactly in the asset's smallest unit is refused.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from hazina.kernel.errors import Kind, Refusal

# 38 digits is what NUMERIC(38,0) holds: the widest amount the ledger can keep.
MAX_UNITS = 10**38 - 1
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,37})(\.[0-9]{1,38})?", re.ASCII)


class AmountInvalid(Refusal):
    """An amount is not a plain decimal number that its asset can express."""

    code = "amount_invalid"
    kind = Kind.INVALID
    message = "That is not an amount we can use."
    action = "Write it as a plain number such as 250 or 0.5."


class AssetClass(StrEnum):
    """Real value and play money never mix in one group of transfers."""

    REAL = "real"  # somebody can ask for it
    PAPER = "paper"  # play money, worth nothing outside


@dataclass(frozen=True, slots=True)
class Asset:
    """What is counted. ``scale`` is the number of decimal digits of its unit of display."""

    code: str
    scale: int
    asset_class: AssetClass = AssetClass.REAL

    def money(self, text: str) -> "Money":
        """This will read a decimal string, such as ``"250.50"``, exactly.

        Raises: AmountInvalid when it is not a plain decimal or has more digits than the asset.
        """
        if not _DECIMAL.fullmatch(text):
            raise AmountInvalid(details={"asset": self.code})
        whole, _, fraction = text.partition(".")
        if len(fraction.rstrip("0")) > self.scale:
            raise AmountInvalid(
                f"{self.code} has {self.scale} decimal places; that amount has more.",
                action=f"Use at most {self.scale} decimal places.",
                details={"asset": self.code, "scale": self.scale},
            )
        units = int(whole.lstrip("-") + fraction.rstrip("0").ljust(self.scale, "0"))
        if units > MAX_UNITS:
            raise AmountInvalid("That amount is too large.", details={"asset": self.code})
        return Money(-units if text.startswith("-") else units, self)

    def units(self, units: int) -> "Money":
        return Money(units, self)


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """An exact amount of one asset; arithmetic between different assets is a bug."""

    units: int
    asset: Asset

    def __post_init__(self) -> None:
        if type(self.units) is not int:
            raise TypeError("money is counted in whole units")

    def _same(self, other: "Money") -> int:
        if other.asset != self.asset:
            raise TypeError(f"{self.asset.code} and {other.asset.code} do not mix")
        return other.units

    def __add__(self, other: "Money") -> Self:
        return type(self)(self.units + self._same(other), self.asset)

    def __sub__(self, other: "Money") -> Self:
        return type(self)(self.units - self._same(other), self.asset)

    def __neg__(self) -> Self:
        return type(self)(-self.units, self.asset)

    def __lt__(self, other: "Money") -> bool:
        return self.units < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.units <= self._same(other)

    def __gt__(self, other: "Money") -> bool:
        return self.units > self._same(other)

    def __ge__(self, other: "Money") -> bool:
        return self.units >= self._same(other)

    def __bool__(self) -> bool:
        return self.units != 0

    @property
    def decimal(self) -> str:
        """The wire form: ``"250.50"``, always with all of the asset's digits."""
        sign, digits = ("-" if self.units < 0 else ""), str(abs(self.units))
        if not self.asset.scale:
            return sign + digits
        digits = digits.rjust(self.asset.scale + 1, "0")
        return f"{sign}{digits[: -self.asset.scale]}.{digits[-self.asset.scale :]}"

    def __str__(self) -> str:
        return f"{self.asset.code} {self.decimal}"


KES = Asset("KES", 2)
XAU = Asset("XAU", 6)  # grams of fine gold; the unit is a microgram
ASSETS = {asset.code: asset for asset in (KES, XAU)}


def divide(numerator: int, denominator: int, rounding: "Rounding") -> int:
    """This will divide whole numbers and round the way the caller names."""
    if denominator <= 0:
        raise ValueError("a denominator is positive")
    quotient, remainder = divmod(numerator, denominator)
    match rounding:
        case Rounding.DOWN:
            return quotient
        case Rounding.UP:
            return quotient + (remainder > 0)
        case Rounding.HALF_EVEN:
            twice = 2 * remainder
            return quotient + (twice > denominator or (twice == denominator and quotient % 2 == 1))


class Rounding(StrEnum):
    """Who keeps the remainder is said where a rounding is named."""

    DOWN = "down"  # towards minus infinity: what we hand out
    UP = "up"  # towards plus infinity: what we ask for
    HALF_EVEN = "half_even"  # between our own books, where neither side should win
