"""Terms and postings against an oracle of their own: exact fractions, nothing of the house's."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, XAU, AmountInvalid, Money
from hazina.kernel.price import Price
from hazina.ledger.chart import AccountRef, Purpose
from hazina.ledger.core import Transfer, TransferKind
from hazina.products.gold import postings
from hazina.products.gold.allocation import Supply, fill
from hazina.products.gold.postings import Deal, Part
from hazina.products.gold.terms import (
    Prices,
    Terms,
    TradeTooSmall,
    Via,
    buy_for,
    buy_grams,
    most_for,
    price_of,
    price_units,
    sell_for,
    sell_grams,
)

PRICE_UNITS = st.integers(1, 10**12)  # up to 100 million shillings a gram
SHILLINGS = st.integers(1, 5_000_000)
MICROGRAMS = st.integers(1, 10**12)


def prices(buy: str, sell: str) -> Prices:
    return Prices(Price.per_unit(buy, XAU, KES), Price.per_unit(sell, XAU, KES))


@st.composite
def any_prices(draw: st.DrawFn) -> Prices:
    one, two = draw(PRICE_UNITS), draw(PRICE_UNITS)
    return Prices(price_of(max(one, two)), price_of(min(one, two)))


def cents(price: Price, grams: Money) -> Fraction:
    return Fraction(price_units(price), 100) * grams.units / 10**6


def half_even(exact: Fraction) -> int:
    return round(exact)  # Fraction rounds half to even


class TestTheSpecificationsPrice:
    @pytest.mark.parametrize(
        ("pay", "grams", "worth", "rounding"),
        [
            ("5000", "0.375000", "5000.00", "0.00"),
            ("13333", "0.999975", "13333.00", "0.00"),
            ("13334", "1.000050", "13334.00", "0.00"),
            ("1", "0.000075", "1.00", "0.00"),
            ("7", "0.000525", "7.00", "0.00"),
            ("250000", "18.750004", "249999.99", "0.01"),
        ],
    )
    def test_for_whole_shillings(self, pay: str, grams: str, worth: str, rounding: str) -> None:
        terms = buy_for(KES.money(pay), prices("13333.33", "12900"))
        got = terms.grams.decimal, terms.worth.decimal, terms.rounding.decimal
        assert got == (grams, worth, rounding)

    @pytest.mark.parametrize(
        ("grams", "total", "worth"),
        [
            ("1", "13334.00", "13333.33"),
            ("0.375", "5000.00", "5000.00"),
            ("0.000001", "1.00", "0.01"),
            ("3", "40000.00", "39999.99"),
        ],
    )
    def test_for_grams_rounds_the_shillings_up(self, grams: str, total: str, worth: str) -> None:
        terms = buy_grams(XAU.money(grams), prices("13333.33", "12900"))
        assert (terms.total.decimal, terms.worth.decimal) == (total, worth)

    @pytest.mark.parametrize(
        ("grams", "via", "total"),
        [
            ("1", Via.MPESA, "13333.00"),
            ("1", Via.WALLET, "13333.33"),
            ("0.375", Via.MPESA, "4999.00"),
            ("0.375", Via.WALLET, "4999.99"),
        ],
    )
    def test_when_selling_rounds_down(self, grams: str, via: Via, total: str) -> None:
        terms = sell_grams(XAU.money(grams), prices("14000", "13333.33"), via)
        assert terms.total.decimal == total

    def test_a_spread_is_half_the_difference_each_way(self) -> None:
        both = prices("11000", "9000")
        assert buy_grams(XAU.money("2"), both).spread.decimal == "2000.00"
        assert sell_grams(XAU.money("2"), both, Via.WALLET).spread.decimal == "2000.00"


class TestWhatIsRefused:
    @pytest.mark.parametrize("amount", ["0", "-5", "10.50", "0.99"])
    def test_shillings(self, amount: str) -> None:
        with pytest.raises(AmountInvalid):
            buy_for(KES.money(amount), prices("13333.33", "12900"))

    @pytest.mark.parametrize("grams", ["0", "-1"])
    def test_grams(self, grams: str) -> None:
        for trade in (
            lambda g, p: buy_grams(g, p),
            lambda g, p: sell_grams(g, p, Via.MPESA),
        ):
            with pytest.raises(AmountInvalid):
                trade(XAU.money(grams), prices("13333.33", "12900"))

    def test_less_than_a_microgram(self) -> None:
        with pytest.raises(TradeTooSmall):
            buy_for(KES.money("1"), prices("100000000", "1"))

    def test_a_payout_of_nothing(self) -> None:
        with pytest.raises(TradeTooSmall):
            sell_grams(XAU.money("0.000001"), prices("13333.33", "12900"), Via.MPESA)


class TestAnyPurchase:
    @given(any_prices(), SHILLINGS)
    def test_for_shillings_never_gives_more_than_was_paid(self, both: Prices, pay: int) -> None:
        exact = Fraction(pay * 100) / (Fraction(price_units(both.buy), 100) / 10**6)
        assume(exact >= 1)
        terms = buy_for(KES.units(pay * 100), both)
        assert terms.grams.units == floor(exact)
        assert cents(both.buy, terms.grams) <= pay * 100
        _check(terms, both)

    @given(any_prices(), MICROGRAMS)
    def test_for_grams_pays_at_least_their_worth(self, both: Prices, units: int) -> None:
        terms = buy_grams(XAU.units(units), both)
        exact = cents(both.buy, terms.grams)
        assert terms.total.units == ceil(exact / 100) * 100
        assert terms.total.units >= exact
        _check(terms, both)

    @given(any_prices(), st.integers(0, 10**12))
    def test_the_most_that_gold_allows_fits_into_it(self, both: Prices, units: int) -> None:
        most = most_for(XAU.units(units), both)
        if most is not None:
            assert most.grams.units <= units
            assert most.total.units % 100 == 0


class TestAnySale:
    @given(any_prices(), MICROGRAMS, st.sampled_from(Via))
    def test_never_pays_more_than_the_grams_are_worth(
        self, both: Prices, units: int, via: Via
    ) -> None:
        exact = cents(both.sell, XAU.units(units))
        step = 100 if via is Via.MPESA else 1
        assume(exact >= step)
        terms = sell_grams(XAU.units(units), both, via)
        assert terms.total.units == floor(exact / step) * step
        _check(terms, both)

    @given(any_prices(), SHILLINGS, st.sampled_from(Via))
    def test_for_shillings_brings_at_least_those(self, both: Prices, want: int, via: Via) -> None:
        terms = sell_for(KES.units(want * 100), both, via)
        assert terms.total.units >= want * 100
        less = XAU.units(terms.grams.units - 1)
        assert cents(both.sell, less) < want * 100


class TestAnyGroup:
    @given(any_prices(), MICROGRAMS, st.lists(MICROGRAMS, min_size=1, max_size=5))
    def test_of_a_purchase_moves_the_total_and_the_grams(
        self, both: Prices, units: int, lots: list[int]
    ) -> None:
        grams = XAU.units(min(units, sum(lots)))
        deal = Deal(new_id(), new_id(), buy_grams(grams, both))
        parts = [s.part for s in fill([Supply(new_id(), XAU.units(g)) for g in lots], grams)]
        assert _net(postings.buy_at_once(deal, parts), deal.shillings) == -deal.terms.total.units
        assert _net(postings.buy_at_once(deal, parts), deal.gold) == grams.units
        assert _net(postings.buy_paid(deal, parts), deal.shillings) == -deal.terms.total.units
        held = postings.buy_asked(deal, parts)
        assert {t.kind for t in held} == {TransferKind.PENDING}
        assert all(t.expires_at is None for t in held)
        ended = {t.pending_id for t in postings.buy_paid(deal, parts) if t.pending_id}
        assert (
            ended == {t.id for t in held} == {t.pending_id for t in postings.buy_ended(deal, parts)}
        )

    @given(any_prices(), MICROGRAMS, st.sampled_from(Via))
    def test_of_a_sale_leaves_exactly_the_payout(self, both: Prices, units: int, via: Via) -> None:
        grams = XAU.units(units)
        assume(cents(both.sell, grams) >= 100)
        deal = Deal(new_id(), new_id(), sell_grams(grams, both, via))
        parts = [Part(new_id(), new_id(), grams)]
        proceeds_id = new_id()
        at_once = postings.sale_at_once(deal, parts, proceeds_id)
        assert _net(at_once, deal.shillings) == deal.terms.total.units
        assert _net(at_once, deal.gold) == -grams.units
        held = postings.sale_asked(deal, parts, proceeds_id)
        paid = postings.sale_paid(deal, parts, proceeds_id)
        incoming = _net(held, deal.shillings, TransferKind.PENDING)
        assert incoming + _net(paid, deal.shillings) == deal.terms.total.units
        assert {t.id for t in held} == {t.pending_id for t in paid if t.pending_id}
        assert {t.id for t in held} == {
            t.pending_id for t in postings.sale_failed(deal, parts, proceeds_id)
        }

    @given(any_prices(), MICROGRAMS)
    def test_what_the_house_earns_is_spread_and_rounding_and_nothing_else(
        self, both: Prices, units: int
    ) -> None:
        deal = Deal(new_id(), new_id(), buy_grams(XAU.units(units), both))
        group = postings.buy_at_once(deal, [Part(new_id(), new_id(), deal.terms.grams)])
        to = {t.credit.purpose: t.amount for t in group if t.credit and t.amount}
        assert to.get(Purpose.INCOME_GOLD_SPREAD, KES.units(0)) == deal.terms.spread
        assert to.get(Purpose.ROUNDING, KES.units(0)) == deal.terms.rounding
        assert all(t.amount and t.amount.units > 0 for t in group)


def _check(terms: Terms, both: Prices) -> None:
    """What holds of all terms: figures by the oracle, spread and rounding never negative."""
    assert terms.worth.units == half_even(cents(both.of(terms.side), terms.grams))
    middle = (cents(both.buy, terms.grams) + cents(both.sell, terms.grams)) / 2
    assert terms.at_mid.units == half_even(middle)
    assert terms.spread.units >= 0
    assert terms.rounding.units >= 0


def _net(group: list[Transfer], account: AccountRef, kind: TransferKind = TransferKind.POST) -> int:
    """What ``group`` adds to ``account`` by transfers of one kind."""
    net = 0
    for one in group:
        if one.kind is kind and one.amount is not None:
            net += one.amount.units * ((one.credit == account) - (one.debit == account))
    return net
