"""Every pair of colours that carries words is readable: WCAG AA, in light and dark."""

import re

import pytest

from hazina.desk.webkit.assets import STATIC

CSS = (STATIC / "hazina.css").read_text()
TEXT = 4.5
GRAPHIC = 3.0
PAIRS = [
    *((ink, ground, TEXT) for ink in ("ink", "quiet") for ground in ("paper", "surface", "sunken")),
    *(("brand", ground, TEXT) for ground in ("paper", "surface", "sunken", "brand-soft")),
    ("quiet", "brand-soft", TEXT),
    ("ink", "brand-soft", TEXT),
    *(("gold-ink", ground, TEXT) for ground in ("paper", "surface", "gold-soft")),
    *((f"{tone}-ink", "surface", TEXT) for tone in ("good", "warn", "bad")),
    *((f"{tone}-ink", f"{tone}-soft", TEXT) for tone in ("good", "warn", "bad")),
    *(("ink", f"{tone}-soft", TEXT) for tone in ("gold", "good", "warn", "bad")),
    *(("brand", f"{tone}-soft", TEXT) for tone in ("gold", "good", "warn", "bad")),
    ("on-brand", "brand", TEXT),
    ("on-brand", "brand-hover", TEXT),
    *(
        (ink, ground, TEXT)
        for ink in ("on-hero", "on-hero-quiet")
        for ground in ("hero", "hero-deep")
    ),
    ("hero-deep", "on-hero", TEXT),
    ("line-strong", "surface", GRAPHIC),
    ("focus", "paper", GRAPHIC),
    ("focus", "surface", GRAPHIC),
]


def tokens(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", block))


LIGHT = tokens(CSS.split("@media", 1)[0])
DARK_BY_SYSTEM, DARK_BY_CHOICE = (
    tokens(found)
    for found in re.findall(
        r':root(?::not\(\[data-theme="light"\]\)|\[data-theme="dark"\]) \{([^}]*)\}', CSS
    )
)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_both_ways_to_dark_are_the_same_dark() -> None:
    assert DARK_BY_SYSTEM == DARK_BY_CHOICE
    assert set(DARK_BY_SYSTEM) == set(LIGHT)


@pytest.mark.parametrize(("theme", "palette"), [("light", LIGHT), ("dark", DARK_BY_CHOICE)])
@pytest.mark.parametrize(("ink", "ground", "least"), PAIRS)
def test_words_are_readable(
    theme: str, palette: dict[str, str], ink: str, ground: str, least: float
) -> None:
    found = contrast(palette[ink], palette[ground])
    assert found >= least, f"{theme}: {ink} on {ground} is {found:.2f}, needs {least}"
