"""Charts: exact figures in, a picture and the same figures as a table out."""

import re
from decimal import Decimal

import pytest

from hazina.desk.webkit.charts import Number, Series, bar_chart, figure_text, line_chart, scale_for


class TestScale:
    @pytest.mark.parametrize(
        ("values", "ticks"),
        [
            ([0, 100], ["0", "25", "50", "75", "100"]),
            ([13_050, 13_400], ["13000", "13100", "13200", "13300", "13400"]),
            ([Decimal("0.001"), Decimal("0.004")], ["0.001", "0.002", "0.003", "0.004"]),
        ],
    )
    def test_marks_are_round_and_hold_every_figure(
        self, values: list[Number], ticks: list[str]
    ) -> None:
        scale = scale_for(values)
        assert list(scale.ticks) == [Decimal(t) for t in ticks]
        assert scale.low <= min(values)
        assert scale.high >= max(values)

    @pytest.mark.parametrize("values", [[], [0], [5], [-5], [0, 0], [10**30]])
    def test_flat_and_empty_series_still_have_an_axis(self, values: list[Number]) -> None:
        scale = scale_for(values)
        assert scale.high > scale.low
        assert len(scale.ticks) >= 2

    @pytest.mark.parametrize("values", [[], [0], [0, 0, Decimal("0.00")]])
    def test_nothing_at_all_lies_on_the_ground_of_whole_marks(self, values: list[Number]) -> None:
        """A home page whose month had no shilling drew a line in the middle of -1 … 1."""
        assert list(scale_for(values).ticks) == [0, 1, 2, 3, 4]

    def test_bars_stand_on_zero(self) -> None:
        assert scale_for([500, 900], from_zero=True).low == 0
        assert scale_for([-500, -900], from_zero=True).high == 0


class TestCharts:
    def test_the_table_holds_the_very_figures(self) -> None:
        chart = line_chart(
            "Gold", ["1 Nov", "2 Nov"], [Series("Buy", [13_000, None])], unit="KES per gram"
        )
        assert chart.columns == ("When", "Buy (KES per gram)")
        assert chart.rows == (("1 Nov", "13,000"), ("2 Nov", "–"))

    def test_a_gap_breaks_the_line(self) -> None:
        chart = line_chart("x", list("abcde"), [Series("s", [1, 2, None, 4, 5])], unit="u")
        path = re.search(r'class="line[^"]*" d="([^"]*)"', chart.svg)
        assert path is not None
        assert path[1].count("M") == 2

    def test_a_series_of_nothing_draws_nothing(self) -> None:
        chart = line_chart("x", ["a", "b"], [Series("s", [None, None])], unit="u")
        assert "circle" not in chart.svg

    def test_hostile_words_are_escaped(self) -> None:
        evil = '"><script>alert(1)</script>'
        chart = bar_chart(evil, [evil], [Series(evil, [1])], unit=evil)
        assert "<script" not in chart.svg

    def test_there_is_no_style_attribute_for_the_policy_to_refuse(self) -> None:
        chart = bar_chart("x", ["a"], [Series("s", [1]), Series("t", [-2], "gold")], unit="u")
        assert "style" not in chart.svg

    def test_series_and_labels_of_different_length_are_a_bug(self) -> None:
        with pytest.raises(ValueError, match="zip"):
            line_chart("x", ["a", "b"], [Series("s", [1])], unit="u")

    def test_losses_hang_below_the_zero_line(self) -> None:
        chart = bar_chart("x", ["a", "b"], [Series("s", [10, -10])], unit="u")
        tops = [float(y) for y in re.findall(r'class="bar green" x="[^"]*" y="([^"]*)"', chart.svg)]
        assert tops[0] < tops[1]

    def test_figures_keep_their_digits(self) -> None:
        assert figure_text(Decimal("-1234.50")) == "−1,234.50"
