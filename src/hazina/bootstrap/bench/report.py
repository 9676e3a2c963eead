"""A row of a benchmark: what was measured, beside what, and whether that is what we aim at.

Ratios from one run on one machine decide. An absolute limit fails only when its ratio fails too:
a slow or busy machine is not a slow ledger.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Aim:
    """What a row should reach. ``limit`` is absolute, in the row's unit."""

    at_least: float | None = None
    at_most: float | None = None
    limit: float | None = None

    @property
    def words(self) -> str:
        said = []
        if self.limit is not None:
            said.append(f"≤ {self.limit:g}")
        if self.at_least is not None:
            said.append(f"ratio ≥ {self.at_least:g}")
        if self.at_most is not None:
            said.append(f"ratio ≤ {self.at_most:g}")
        return " or ".join(said)

    def met(self, figure: float, ratio: float | None) -> bool:
        if self.limit is not None and figure <= self.limit:
            return True
        if ratio is None:
            return False
        if self.at_least is not None and ratio >= self.at_least:
            return True
        return self.at_most is not None and ratio <= self.at_most


@dataclass(frozen=True, slots=True)
class Row:
    """``met`` is None where there is no aim; a row with an aim that could not be measured has no
    figure and is not met."""

    name: str
    figure: float | None
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    aim: str = ""
    met: bool | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        figure: float,
        unit: str,
        *,
        baseline: float | None = None,
        aim: Aim | None = None,
        note: str = "",
    ) -> "Row":
        """This will judge a figure by its aim; the ratio is figure ÷ baseline."""
        ratio = figure / baseline if baseline else None
        met = None if aim is None else aim.met(figure, ratio)
        return cls(name, figure, unit, baseline, ratio, aim.words if aim else "", met, note)

    @classmethod
    def missing(cls, name: str, unit: str, aim: Aim | None, why: str) -> "Row":
        """This will say that something with an aim was not measured, and why."""
        met = None if aim is None else False
        return cls(name, None, unit, aim=aim.words if aim else "", met=met, note=why)


@dataclass(frozen=True, slots=True)
class Report:
    """One run: where and how it was measured, and its rows."""

    machine: dict[str, Any]
    how: dict[str, Any]
    rows: Sequence[Row]

    @property
    def met(self) -> bool:
        return all(row.met is not False for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        rows = [
            {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(row).items()}
            for row in self.rows
        ]
        return {"machine": self.machine, "how": self.how, "rows": rows, "met": self.met}


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of them lie; 0 of nothing."""
    if not sorted_values:
        return 0.0
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]
