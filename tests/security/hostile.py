"""What somebody might type where a name, a number or an id is expected, and the forms for it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TypeVar

T = TypeVar("T")

SCRIPT = "<script>alert(1)</script>"
# Everywhere: what databases, encoders and pages choke on. The rest takes turns over the fields.
TEXTS = ("\x00", "\ud800", "ä" * 20_000, f"'\"--{SCRIPT}")
RARER = (
    "\u202e\u2028\ufeff", "-1", "0", "1e400", "NaN", "\u0663", "9" * 60, "../../etc/passwd",
    "%s{0}{{7*7}}", "\r\nX: y",
)  # fmt: skip
NO_TEXTS: tuple[object, ...] = (None, True, 10**40, -1, 0.1, [], {}, [[{}]], {"$ref": "#"})
TURN = len(RARER + NO_TEXTS) if os.environ.get("HAZINA_FUZZ_EXAMPLES") else 1


def texts(turn: int) -> tuple[str, ...]:
    """Nonsense for one field; ``turn`` is its number."""
    return (*TEXTS, *_taking_turns(RARER, turn))


def few(turn: int) -> tuple[str, ...]:
    """What also reaches a form or an address: bytes that are no text never get that far."""
    return (TEXTS[0], TEXTS[-1], *_taking_turns(RARER, turn))


def values(turn: int) -> tuple[object, ...]:
    """The same for JSON, where a field may be anything."""
    return (*texts(turn), *_taking_turns(NO_TEXTS, turn))


def _taking_turns(of: tuple[T, ...], turn: int) -> tuple[T, ...]:
    return tuple(of[(turn * TURN + step) % len(of)] for step in range(min(TURN, len(of))))


@dataclass(slots=True)
class FoundForm:
    """A form of a page: where it goes, and every field it has with what stands in it."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[FoundForm] = []
        self._open: FoundForm | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = FoundForm(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._open)
        elif tag in ("input", "textarea", "select", "button") and self._open and "name" in given:
            self._open.fields.setdefault(given["name"], given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


def forms_in(page: str) -> Iterator[FoundForm]:
    """Every form that posts."""
    parser = _Forms()
    parser.feed(page)
    yield from (form for form in parser.forms if form.method == "post")
