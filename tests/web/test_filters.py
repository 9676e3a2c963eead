"""How values look on a page."""

from datetime import UTC, datetime

import pytest
from markupsafe import Markup

from hazina.desk.webkit.filters import grams, masked, money, plain, price, show, when
from hazina.kernel.money import KES, XAU
from hazina.kernel.price import Price


def text_of(markup: Markup) -> str:
    return markup.striptags().replace("\u00a0", " ")


class TestAmounts:
    @pytest.mark.parametrize(
        ("amount", "expected"),
        [
            ("0", "KES 0.00"),
            ("5000", "KES 5,000.00"),
            ("-1500.5", "−KES 1,500.50"),
            ("123456789012345678.90", "KES 123,456,789,012,345,678.90"),
        ],
    )
    def test_shillings_have_unit_groups_and_cents(self, amount: str, expected: str) -> None:
        assert text_of(money(KES.money(amount))) == expected

    def test_a_plus_is_shown_only_where_money_arrives(self) -> None:
        assert text_of(money(KES.money("1"), sign=True)) == "+KES 1.00"
        assert text_of(money(KES.money("0"), sign=True)) == "KES 0.00"

    @pytest.mark.parametrize(
        ("amount", "expected"),
        [("0.375999", "0.375 g"), ("12", "12.000 g"), ("-1.0009", "−1.000 g"), ("0", "0.000 g")],
    )
    def test_grams_are_cut_never_rounded_up(self, amount: str, expected: str) -> None:
        assert text_of(grams(XAU.money(amount))) == expected

    def test_a_speck_of_gold_never_reads_as_nothing(self) -> None:
        assert text_of(money(XAU.money("0.000412"))) == "0.000412 g"

    def test_the_title_holds_every_microgram(self) -> None:
        assert 'title="1,234.567891\u00a0g"' in grams(XAU.money("1234.567891"))

    def test_as_plain_text(self) -> None:
        assert plain(KES.money("-5000")) == "−KES\u00a05,000.00"
        assert plain(XAU.money("0.375")) == "0.375000\u00a0g"

    @pytest.mark.parametrize(
        ("quoted", "expected"),
        [("13333.3350", "KES 13,333.335 per g"), ("13000", "KES 13,000.00 per g")],
    )
    def test_a_price_says_per_what(self, quoted: str, expected: str) -> None:
        assert text_of(price(Price.per_unit(quoted, XAU, KES))) == expected


class TestTimes:
    at = datetime(2026, 11, 20, 21, 4, 5, tzinfo=UTC)

    def test_people_read_nairobi_machines_read_utc(self) -> None:
        shown = when(self.at)
        assert text_of(shown) == "21 Nov 2026, 00:04"
        assert 'datetime="2026-11-20T21:04:05Z"' in shown
        assert 'title="21 November 2026, 00:04:05 EAT"' in shown

    def test_a_time_without_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="zone"):
            when(self.at.replace(tzinfo=None))


class TestOthers:
    @pytest.mark.parametrize(
        ("number", "expected"),
        [
            ("+254712345678", "+254 ••• 678"),
            ("TKL4AB12CD", "••• 2CD"),
            ("1234", "•••"),
            ("", "•••"),
        ],
    )
    def test_masking_leaves_too_little_to_use(self, number: str, expected: str) -> None:
        assert masked(number) == expected

    def test_hostile_text_is_escaped(self) -> None:
        assert show("<script>x</script>") == "&lt;script&gt;x&lt;/script&gt;"

    def test_nothing_is_a_dash_and_counts_are_grouped(self) -> None:
        assert text_of(show(None)) == "–"
        assert text_of(show(1234567)) == "1,234,567"
