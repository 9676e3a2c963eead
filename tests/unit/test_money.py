"""Money against ``decimal`` and ``fractions``, which were written by other people."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hazina.kernel.money import KES, MAX_UNITS, XAU, AmountInvalid, Asset, Money, Rounding, divide

YEN = Asset("JPY", 0)
ETH = Asset("ETH", 18)
assets = st.sampled_from([KES, XAU, YEN, ETH])
units = st.integers(-MAX_UNITS, MAX_UNITS) | st.sampled_from([-1, 0, 1, 99, 100, MAX_UNITS])


def exactly(units: int, scale: int) -> Decimal:
    with localcontext() as context:
        context.prec = 80
        return Decimal(units).scaleb(-scale)


class TestAnAmountAsText:
    @given(units, assets)
    def test_comes_back_as_it_was(self, units: int, asset: Asset) -> None:
        assert asset.money(Money(units, asset).decimal) == Money(units, asset)

    @given(units, assets)
    def test_means_what_a_decimal_means(self, units: int, asset: Asset) -> None:
        text = Money(units, asset).decimal
        assert Decimal(text) == exactly(units, asset.scale)
        assert len(text.partition(".")[2]) == asset.scale

    @given(st.decimals(allow_nan=False, allow_infinity=False, places=3), assets)
    def test_is_read_exactly_or_refused(self, value: Decimal, asset: Asset) -> None:
        wanted = Fraction(value) * 10**asset.scale
        expressible = wanted.denominator == 1 and abs(wanted) <= MAX_UNITS
        try:
            read = asset.money(f"{value:f}")
        except AmountInvalid:
            assert not expressible or len(f"{abs(value):f}".partition(".")[0]) > 38
        else:
            assert read.units == wanted

    @given(st.text(max_size=12))
    @example("1e3")
    @example("٣")
    @example("１")
    @example("1_000")
    @example("0x10")
    @example("NaN")
    @example("Infinity")
    def test_is_read_only_where_decimal_reads_the_same(self, text: str) -> None:
        try:
            read = KES.money(text)
        except AmountInvalid:
            return
        assert text.isascii()
        assert set(text) <= set("-.0123456789")
        assert Fraction(Decimal(text)) == Fraction(read.units, 100)

    @pytest.mark.parametrize(
        "text",
        ["", " ", "1 ", " 1", "+1", "01", "00", ".5", "5.", "1,5", "1.", "--1", "-", "1e3", "1\n",
         "٣", "１", "1_000", "0x10", "NaN", "inf", "1.005", "0.001", "1" + "0" * 38,
         "9" * 36 + "9.999", "1.0.0"],
    )  # fmt: skip
    def test_is_refused_where_it_is_not_plain_and_exact(self, text: str) -> None:
        with pytest.raises(AmountInvalid):
            KES.money(text)

    @pytest.mark.parametrize(
        ("text", "units"),
        [("0", 0), ("-0", 0), ("0.00", 0), ("5", 500), ("5.5", 550), ("5.500000", 550),
         ("-0.01", -1), ("9" * 36 + ".99", MAX_UNITS)],
    )  # fmt: skip
    def test_may_be_short_or_end_in_zeros(self, text: str, units: int) -> None:
        assert KES.money(text) == KES.units(units)

    def test_says_how_many_decimals_there_are(self) -> None:
        with pytest.raises(AmountInvalid, match="KES has 2 decimal places"):
            KES.money("1.005")


class TestArithmetic:
    @given(units, units)
    def test_is_that_of_whole_numbers(self, a: int, b: int) -> None:
        left, right = KES.units(a), KES.units(b)
        assert (left + right).units == a + b
        assert (left - right).units == a - b
        assert (-left).units == -a
        assert left + right - right == left
        assert bool(left) == (a != 0)

    @given(units, units)
    def test_orders_like_whole_numbers(self, a: int, b: int) -> None:
        left, right = KES.units(a), KES.units(b)
        assert (left < right, left <= right) == (a < b, a <= b)
        assert (left > right, left >= right) == (a > b, a >= b)
        assert (left == right) == (a == b)

    @pytest.mark.parametrize("operation", ["__add__", "__sub__", "__lt__", "__le__", "__gt__"])
    def test_between_two_assets_is_a_bug(self, operation: str) -> None:
        with pytest.raises(TypeError, match="do not mix"):
            getattr(KES.units(1), operation)(XAU.units(1))

    def test_of_equal_numbers_of_two_assets_is_not_equal(self) -> None:
        assert KES.units(1) != XAU.units(1)

    @pytest.mark.parametrize("units", [1.0, True, "1", Decimal(1), None])
    def test_counts_only_whole_units(self, units: object) -> None:
        with pytest.raises(TypeError, match="whole units"):
            Money(units, KES)  # type: ignore[arg-type]


class TestDivision:
    @given(st.integers(-(10**40), 10**40), st.integers(1, 10**40), st.sampled_from(Rounding))
    @example(5, 2, Rounding.HALF_EVEN)
    @example(-5, 2, Rounding.HALF_EVEN)
    @example(7, 2, Rounding.HALF_EVEN)
    @example(-7, 2, Rounding.DOWN)
    @example(-7, 2, Rounding.UP)
    def test_rounds_as_decimal_does(self, a: int, b: int, rounding: Rounding) -> None:
        names = {
            Rounding.DOWN: ROUND_FLOOR,
            Rounding.UP: ROUND_CEILING,
            Rounding.HALF_EVEN: ROUND_HALF_EVEN,
        }
        exact = Fraction(a, b)
        with localcontext() as context:
            # Enough digits that no quotient of these numbers can look like another's half.
            context.prec = 200
            wanted = (Decimal(a) / Decimal(b)).to_integral_value(names[rounding])
        got = divide(a, b, rounding)
        assert got == wanted
        assert abs(got - exact) < 1

    @given(st.integers(), st.integers(1, 10**20))
    def test_down_and_up_stand_on_either_side(self, a: int, b: int) -> None:
        down, up = divide(a, b, Rounding.DOWN), divide(a, b, Rounding.UP)
        assert Fraction(down) <= Fraction(a, b) <= Fraction(up)
        assert up - down == (a % b != 0)

    @given(st.integers())
    def test_by_two_gives_halves_to_the_even_side(self, a: int) -> None:
        assert divide(a, 2, Rounding.HALF_EVEN) == round(Fraction(a, 2))

    @pytest.mark.parametrize("denominator", [0, -1])
    def test_by_nothing_or_less_is_a_bug(self, denominator: int) -> None:
        with pytest.raises(ValueError, match="positive"):
            divide(1, denominator, Rounding.DOWN)
