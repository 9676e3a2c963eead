"""What the demonstration expected and what it saw; one that cannot differ is no check.

Expected and seen are texts, compared letter by letter, so that the table shows exactly what was
compared. Waiting is for a condition, with a deadline; past it the last thing seen is the finding.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hazina.infra.http import HttpNotSent, HttpUnknown

POLL_S = 0.1
PATIENCE_S = 30.0

Read = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the table."""

    chapter: str
    step: str
    expected: str
    seen: str

    @property
    def held(self) -> bool:
        return self.expected == self.seen


@dataclass(slots=True)
class Findings:
    """All checks so far; ``watch`` hears of each as it is made."""

    watch: Callable[[Check], None]
    checks: list[Check] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return bool(self.checks) and all(check.held for check in self.checks)

    def add(self, check: Check) -> None:
        self.checks.append(check)
        self.watch(check)


@dataclass(frozen=True, slots=True)
class Chapter:
    """Where the checks of one part go."""

    title: str
    findings: Findings

    def equal(self, step: str, expected: str, seen: str) -> bool:
        """This will write one comparison down and say whether it held."""
        check = Check(self.title, step, expected, seen)
        self.findings.add(check)
        return check.held

    async def reaches(
        self, step: str, expected: str, read: Read, *, within_s: float = PATIENCE_S
    ) -> bool:
        """This will look until ``expected`` is seen, or write down what was seen last."""
        return self.equal(step, expected, await seen_by(read, expected, within_s=within_s))


async def seen_by(read: Read, expected: str, *, within_s: float = PATIENCE_S) -> str:
    """This will give ``expected`` as soon as it is seen, or what was seen at the deadline. While
    a killed process is away, no answer is something seen too."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            seen = await read()
        except (HttpNotSent, HttpUnknown) as away:
            seen = f"no answer: {away}"
        if seen == expected or time.monotonic() > deadline:
            return seen
        await asyncio.sleep(POLL_S)
