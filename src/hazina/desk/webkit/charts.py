"""Charts as SVG, drawn on the server from exact figures, with those figures as a table underneath.

Pure functions. The picture is as wide as its place: horizontal positions are percentages and
heights are pixels, so text keeps its size on a phone and on a desk without any script. No float:
positions are whole numbers, figures are ``Decimal``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal

from markupsafe import Markup

Number = Decimal | int
Tone = Literal["green", "gold", "grey"]

HEIGHT, TOP, BOTTOM = 232, 12, 28
PLOT = HEIGHT - TOP - BOTTOM
WIDE = 10_000  # horizontal units of the stretched plot; one is a hundredth of a percent
MAX_X_LABELS = 4
_CHARACTER, _GAP = 7, 10  # pixels: a digit of the axis, and the space beside it
_EDGE = 500  # a label nearer than this to an edge is written inwards


@dataclass(frozen=True, slots=True)
class Series:
    """One line or set of bars; None leaves a gap."""

    name: str
    values: Sequence[Number | None]
    tone: Tone = "green"


@dataclass(frozen=True, slots=True)
class Chart:
    """What the ``chart`` macro shows."""

    title: str
    unit: str
    svg: Markup
    legend: tuple[tuple[str, Tone], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """A vertical axis with round marks from ``low`` to ``high``."""

    low: Decimal
    high: Decimal
    ticks: tuple[Decimal, ...]

    def y(self, value: Number) -> int:
        """Tenths of a pixel from the top of the picture."""
        share = (Decimal(value) - self.low) / (self.high - self.low)
        return TOP * 10 + int((1 - share) * PLOT * 10)


def scale_for(values: Sequence[Number], *, from_zero: bool = False, marks: int = 4) -> Scale:
    """This will choose an axis whose marks are 1, 2, 2.5 or 5 times a power of ten."""
    low = min((Decimal(v) for v in values), default=Decimal(0))
    high = max((Decimal(v) for v in values), default=Decimal(0))
    if from_zero:
        low, high = min(low, Decimal(0)), max(high, Decimal(0))
    if low == high == 0:
        high = Decimal(marks)  # a month of nothing is a line on the ground, not one in mid-air
    elif low == high:
        pad = abs(low) / 10 or Decimal(1)
        low, high = (Decimal(0) if from_zero and low >= 0 else low - pad), high + pad
    step = _round_step((high - low) / marks)
    first = (low / step).to_integral_value(ROUND_FLOOR) * step
    last = (high / step).to_integral_value(ROUND_CEILING) * step
    count = int((last - first) / step)
    return Scale(first, last, tuple(first + step * i for i in range(count + 1)))


def line_chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    unit: str,
    area: bool = False,
    first_column: str = "When",
) -> Chart:
    """Lines over evenly spaced ``labels``; ``area`` fills under the first of them."""
    scale = scale_for(_known(series))
    spot = [_spot(i, len(labels)) for i in range(len(labels))]
    marks = [_line(one, spot, scale, area=area and i == 0) for i, one in enumerate(series)]
    return _chart(title, labels, series, unit, first_column, scale, spot, Markup("").join(marks))


def bar_chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    unit: str,
    first_column: str = "When",
) -> Chart:
    """Bars from zero, side by side where there are several series."""
    scale = scale_for(_known(series), from_zero=True)
    room = WIDE // max(len(labels), 1)
    spot = [room * i + room // 2 for i in range(len(labels))]
    marks = [_bars(one, i, len(series), room, scale) for i, one in enumerate(series)]
    return _chart(title, labels, series, unit, first_column, scale, spot, Markup("").join(marks))


def figure_text(value: Number | None) -> str:
    """A figure with thousands separators; a gap is a dash."""
    if value is None:
        return "–"
    text = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
    return text.replace("-", "−")


def _round_step(rough: Decimal) -> Decimal:
    power = Decimal(1).scaleb(rough.adjusted())
    for factor in ("1", "2", "2.5", "5"):
        if power * Decimal(factor) >= rough:
            return power * Decimal(factor)
    return power * 10


def _known(series: Sequence[Series]) -> list[Number]:
    return [value for one in series for value in one.values if value is not None]


def _spot(index: int, count: int) -> int:
    """Horizontal place of a point, a little away from both edges."""
    edge = 150
    return WIDE // 2 if count < 2 else edge + (WIDE - 2 * edge) * index // (count - 1)


def _line(one: Series, spot: Sequence[int], scale: Scale, *, area: bool) -> Markup:
    pairs = zip(spot, one.values, strict=True)
    runs = _runs([(x, scale.y(v)) if v is not None else None for x, v in pairs])
    path = " ".join("M" + " L".join(f"{x} {y - TOP * 10}" for x, y in run) for run in runs)
    shape = Markup("")
    if area:
        floor = PLOT * 10
        closed = " ".join(
            f"M{run[0][0]} {floor} "
            + " ".join(f"L{x} {y - TOP * 10}" for x, y in run)
            + f" L{run[-1][0]} {floor}Z"
            for run in runs
        )
        shape = Markup('<path class="area {}" d="{}"/>').format(one.tone, closed)
    plot = Markup(
        '<svg y="{}" width="100%" height="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">'
        '{}<path class="line {}" d="{}" vector-effect="non-scaling-stroke"/></svg>'
    ).format(TOP, PLOT, WIDE, PLOT * 10, shape, one.tone, path)
    return plot + (_dot(one.tone, *runs[-1][-1]) if runs else Markup(""))


def _runs(points: Sequence[tuple[int, int] | None]) -> list[list[tuple[int, int]]]:
    """Stretches without a gap."""
    runs: list[list[tuple[int, int]]] = [[]]
    for point in points:
        if point is not None:
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _dot(tone: Tone, x: int, y: int) -> Markup:
    return Markup('<circle class="dot {}" cx="{}" cy="{}" r="4"/>').format(
        tone, _percent(x), _tenths(y)
    )


def _bars(one: Series, place: int, of: int, room: int, scale: Scale) -> Markup:
    wide = room * 6 // 10 // of
    zero = scale.y(0)
    shapes = []
    for i, value in enumerate(one.values):
        if value is None:
            continue
        y = scale.y(value)
        left = room * i + room * 2 // 10 + wide * place
        shapes.append(
            Markup('<rect class="bar {}" x="{}" y="{}" width="{}" height="{}" rx="2"/>').format(
                one.tone,
                _percent(left),
                _tenths(min(y, zero)),
                _percent(wide * 9 // 10),
                _tenths(abs(zero - y)),
            )
        )
    return Markup("").join(shapes)


def _chart(
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    unit: str,
    first_column: str,
    scale: Scale,
    spot: Sequence[int],
    marks: Markup,
) -> Chart:
    svg = _axis(scale) + Markup(
        '<svg class="plot" width="100%" height="{}" role="img" aria-label="{}">{}{}{}</svg>'
    ).format(HEIGHT, f"{title}, {unit}", _grid(scale), marks, _labels(labels, spot))
    rows = [
        (label, *(figure_text(one.values[i]) for one in series)) for i, label in enumerate(labels)
    ]
    return Chart(
        title=title,
        unit=unit,
        svg=svg,
        legend=tuple((one.name, one.tone) for one in series),
        columns=(first_column, *(f"{one.name} ({unit})" for one in series)),
        rows=tuple(rows),
    )


def _grid(scale: Scale) -> Markup:
    return Markup("").join(
        Markup('<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(
            _tenths(scale.y(tick))
        )
        for tick in scale.ticks
    )


def _axis(scale: Scale) -> Markup:
    """The marks of the vertical axis: a picture of fixed width beside the stretching one."""
    places = max(0, *(-int(t.normalize().as_tuple().exponent) for t in scale.ticks))
    words = [figure_text(tick.quantize(Decimal(1).scaleb(-places))) for tick in scale.ticks]
    width = max(len(word) for word in words) * _CHARACTER + _GAP
    texts = [
        Markup('<text class="tick" x="{}" y="{}" text-anchor="end">{}</text>').format(
            width - _GAP, _tenths(scale.y(tick) + 40), word
        )
        for tick, word in zip(scale.ticks, words, strict=True)
    ]
    return Markup('<svg class="axis" width="{}" height="{}" aria-hidden="true">{}</svg>').format(
        width, HEIGHT, Markup("").join(texts)
    )


def _labels(labels: Sequence[str], spot: Sequence[int]) -> Markup:
    texts = []
    for i in _shown(len(labels)):
        anchor = "start" if spot[i] < _EDGE else "end" if spot[i] > WIDE - _EDGE else "middle"
        x = {"start": "0", "end": "100%"}.get(anchor, _percent(spot[i]))
        texts.append(
            Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>').format(
                x, HEIGHT - 8, anchor, labels[i]
            )
        )
    return Markup("").join(texts)


def _shown(count: int) -> list[int]:
    """Which labels fit: the first, the last, and evenly between."""
    if count <= MAX_X_LABELS:
        return list(range(count))
    return sorted({(count - 1) * i // (MAX_X_LABELS - 1) for i in range(MAX_X_LABELS)})


def _percent(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}%"


def _tenths(value: int) -> str:
    return f"{value // 10}.{value % 10}"
