"""How values look on a page: money, grams, times, masked numbers. Pure; everything is escaped."""

from datetime import UTC, datetime

from markupsafe import Markup, escape

from hazina.desk.webkit.view import Value
from hazina.kernel.clock import EAT, require_aware
from hazina.kernel.money import XAU, Money
from hazina.kernel.price import Price

_NB = "\u00a0"
_MINUS = "\u2212"
_GRAM_DIGITS = 3
_WHEN = {
    "full": "%-d %b %Y, %H:%M",
    "exact": "%-d %B %Y, %H:%M:%S EAT",
    "date": "%-d %b %Y",
    "time": "%H:%M:%S",
    "short": "%-d %b, %H:%M",
}


def money(value: Money, *, sign: bool = False) -> Markup:
    """``KES 5,000.00``; gold goes to ``grams``. ``sign`` shows a plus where money arrives."""
    if value.asset == XAU:
        return grams(value, sign=sign)
    number = _grouped(value.decimal)
    return _amount(_sign(value, sign), number, value.asset.code, title=None, unit_first=True)


def grams(value: Money, *, sign: bool = False) -> Markup:
    """Grams with three decimals, cut and never rounded up; the title says all six.

    A speck below a milligram is shown whole: nothing that somebody owns reads as zero.
    """
    whole, _, fraction = value.decimal.lstrip("-").partition(".")
    shown = f"{whole}.{fraction[:_GRAM_DIGITS]}"
    if value and not shown.strip("0."):
        shown = f"{whole}.{fraction}"
    full = f"{_grouped(value.decimal)}{_NB}g"
    return _amount(_sign(value, sign), _grouped(shown), "g", title=full, unit_first=False)


def plain(value: Money) -> str:
    """The same as text for titles, labels and messages: ``KES 5,000.00``, ``0.375012 g``."""
    sign = _MINUS if value.units < 0 else ""
    number = _grouped(value.decimal)
    if value.asset == XAU:
        return f"{sign}{number}{_NB}g"
    return f"{sign}{value.asset.code}{_NB}{number}"


def price(value: Price) -> Markup:
    """``KES 13,333.33 per g``: two decimals, and those beyond that say something."""
    whole, _, fraction = value.decimal.partition(".")
    number = f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
    unit = "g" if value.base == XAU else value.base.code
    amount = _amount("", _grouped(number), value.quote.code, title=None, unit_first=True)
    return amount + Markup(' <span class="per">per{}{}</span>').format(_NB, unit)


def when(value: datetime, style: str = "full") -> Markup:
    """UTC in, East Africa Time out, with the exact moment for machines and in the title."""
    utc = require_aware(value).astimezone(UTC)
    here = utc.astimezone(EAT)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"),
        here.strftime(_WHEN["exact"]),
        here.strftime(_WHEN[style]),
    )


def masked(value: str) -> str:
    """``+254712345678`` → ``+254 ••• 678``: enough to recognise, too little to use."""
    head = value[:4] + " " if value.startswith("+") and len(value) > 8 else ""
    tail = value[-3:] if len(value) > 5 else ""
    return f"{head}••• {tail}".strip()


def show(value: Value) -> Markup:
    """Any value of ``view.Value`` in its own dress; text is escaped, nothing is a dash."""
    if isinstance(value, Money):
        return money(value)
    if isinstance(value, Price):
        return price(value)
    if isinstance(value, datetime):
        return when(value)
    if value is None or value == "":
        return Markup('<span class="quiet">–</span>')
    if isinstance(value, int):
        return Markup('<span class="num">{}</span>').format(f"{value:,}".replace("-", _MINUS))
    return escape(value)


def iso(value: datetime) -> str:
    """For ``data-`` attributes that scripts read."""
    return require_aware(value).astimezone(UTC).isoformat(timespec="milliseconds")


def age(since: datetime, now: datetime) -> str:
    """How long ago, in the two largest units that say something."""
    seconds = max(0, int((now - since).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


FILTERS = {
    "money": money,
    "grams": grams,
    "plain": plain,
    "price": price,
    "when": when,
    "masked": masked,
    "show": show,
    "iso": iso,
}


def _sign(value: Money, show_plus: bool) -> str:  # noqa: FBT001 - one flag of a private function
    if value.units < 0:
        return _MINUS
    return "+" if show_plus and value.units else ""


def _grouped(number: str) -> str:
    whole, dot, fraction = number.lstrip("-").partition(".")
    return f"{int(whole):,}{dot}{fraction}"


def _amount(sign: str, number: str, unit: str, *, title: str | None, unit_first: bool) -> Markup:
    unit_part = Markup('<span class="unit">{}</span>').format(unit)
    number_part = Markup('<span class="num">{}</span>').format(number)
    first, second = (unit_part, number_part) if unit_first else (number_part, unit_part)
    titled = Markup(' title="{}"').format(title) if title else Markup("")
    return Markup('<span class="money"{}>{}{}{}{}</span>').format(titled, sign, first, _NB, second)
