"""Prices against ``fractions``: no cent and no microgram is made or lost by a rounding."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hazina.kernel.money import KES, XAU, AmountInvalid, Asset, Money, Rounding
from hazina.kernel.price import Price

ten_thousandths = st.integers(1, 10**12)
cents = st.integers(0, 10**15)
micrograms = st.integers(0, 10**15)
ETH = Asset("ETH", 18)


def text_of(value: int) -> str:
    return f"{value // 10**4}.{value % 10**4:04d}"


def gold(value: int) -> Price:
    return Price.per_unit(text_of(value), XAU, KES)


class TestAPrice:
    @given(ten_thousandths)
    def test_is_read_exactly_and_written_back(self, value: int) -> None:
        assert gold(value).ratio == Fraction(value, 100)
        assert gold(value).decimal == text_of(value)

    @given(ten_thousandths)
    def test_is_read_in_any_two_assets(self, value: int) -> None:
        other = Price.per_unit(text_of(value), KES, ETH)
        assert other.ratio == Fraction(value, 10**4) * 10**ETH.scale
        assert other.decimal == text_of(value)

    @pytest.mark.parametrize("text", ["0", "-1", "0.00001", "1e5", "", "x", "-0.5", "0.0000"])
    def test_is_more_than_zero_with_four_decimals(self, text: str) -> None:
        with pytest.raises(AmountInvalid):
            Price.per_unit(text, XAU, KES)

    @given(ten_thousandths, micrograms, st.sampled_from(Rounding))
    def test_costs_the_exact_ratio_rounded_once(
        self, value: int, amount: int, rounding: Rounding
    ) -> None:
        exact = Fraction(value, 10**4) * Fraction(amount, 10**6) * 100
        cost = gold(value).cost(XAU.units(amount), rounding)
        assert cost == KES.units(rounded(exact, rounding))

    @given(ten_thousandths, cents, st.sampled_from(Rounding))
    def test_buys_the_exact_ratio_rounded_once(
        self, value: int, amount: int, rounding: Rounding
    ) -> None:
        exact = Fraction(amount, 100) / Fraction(value, 10**4) * 10**6
        quantity = gold(value).quantity(KES.units(amount), rounding)
        assert quantity == XAU.units(rounded(exact, rounding))

    @given(ten_thousandths, cents)
    def test_never_gives_more_gold_than_was_paid_for(self, value: int, amount: int) -> None:
        price = gold(value)
        grams = price.quantity(KES.units(amount), Rounding.DOWN)
        assert price.cost(grams, Rounding.UP) <= KES.units(amount)
        one_more = grams + XAU.units(1)
        assert price.ratio * one_more.units / 10**6 > amount

    @given(ten_thousandths, ten_thousandths)
    def test_has_a_middle_exactly_half_way(self, a: int, b: int) -> None:
        middle = gold(a).mid(gold(b))
        assert middle.ratio == Fraction(a + b, 200)
        assert middle == gold(b).mid(gold(a))

    def test_applies_to_its_own_assets_only(self) -> None:
        price = gold(10**4)
        with pytest.raises(TypeError, match="base"):
            price.cost(KES.units(1), Rounding.UP)
        with pytest.raises(TypeError, match="quote"):
            price.quantity(XAU.units(1), Rounding.UP)
        with pytest.raises(TypeError, match="middle"):
            price.mid(Price.per_unit("1", KES, XAU))

    def test_example_of_the_posting_manual(self) -> None:
        price = Price.per_unit("13333.33", XAU, KES)
        grams = price.quantity(Money(500_000, KES), Rounding.DOWN)
        assert grams.decimal == "0.375000"
        assert price.cost(grams, Rounding.UP).decimal == "5000.00"


def rounded(exact: Fraction, rounding: Rounding) -> int:
    """By the names' own words, without ``divide``."""
    below = exact.__floor__()
    match rounding:
        case Rounding.DOWN:
            return below
        case Rounding.UP:
            return exact.__ceil__()
        case Rounding.HALF_EVEN:
            return round(exact)
