"""Values that pages hand to macros: what a step, a figure or a review line is. No markup here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hazina.desk.webkit.flash import Tone
from hazina.kernel.money import Money
from hazina.kernel.price import Price

Value = Money | Price | datetime | str | int | None


class StepState(StrEnum):
    """Where one step of a timeline stands."""

    DONE = "done"  # it happened, and when is known
    NOW = "now"  # this is what is being waited for
    NEXT = "next"  # it has not begun
    FAILED = "failed"  # it ended here


@dataclass(frozen=True, slots=True)
class Step:
    """One honest sentence of a timeline: ``label`` short, ``note`` what it means for the reader."""

    label: str
    state: StepState
    at: datetime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One key figure."""

    label: str
    value: Value
    note: str = ""
    tone: Tone = Tone.NEUTRAL
    href: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a review or a receipt. ``strong`` marks what leaves and what arrives."""

    label: str
    value: Value
    note: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Activity:
    """One event in a list of them; ``amount`` is signed as its reader sees it."""

    title: str
    at: datetime
    amount: Money | None = None
    note: str = ""
    href: str = ""
    icon: str = "dot"
    chip: str = ""
    tone: Tone = Tone.NEUTRAL


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column; numeric ones are right-aligned with tabular figures."""

    label: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A way on: the one action of an empty state, a callout or an error page, or a shortcut."""

    label: str
    href: str
    icon: str = "right"
    gold: bool = False


def progress(labels: Sequence[tuple[str, str]], done: int, *, failed: bool = False) -> list[Step]:
    """This will make a plain timeline: ``done`` steps behind, one now (or failed), the rest next.

    ``labels`` are (label, note) pairs; for times per step build the ``Step`` values yourself.
    """
    states = [StepState.DONE] * done
    states += [StepState.FAILED if failed else StepState.NOW]
    states += [StepState.NEXT] * len(labels)
    return [
        Step(label, state, note=note) for (label, note), state in zip(labels, states, strict=False)
    ]
