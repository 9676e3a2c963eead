"""Time: read at the edges only, handed inwards as ``now``, always aware and in UTC."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Protocol

# East Africa Time has no daylight saving; heard only at M-Pesa's door and on screens.
EAT = timezone(timedelta(hours=3), "EAT")


class Clock(Protocol):
    def now(self) -> datetime: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # the one door of time


class SettableClock:
    """A clock that moves only when told to, for tests and simulators."""

    def __init__(self, at: datetime) -> None:
        self.at = require_aware(at)

    def now(self) -> datetime:
        return self.at

    def advance(self, by: timedelta) -> None:
        self.at += by


def require_aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time without a zone is not a time")
    return value
