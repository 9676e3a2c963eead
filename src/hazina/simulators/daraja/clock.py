"""Time at M-Pesa's door: East Africa Time, in the spellings Daraja uses, and a clock one can move.

The one place that reads the machine's clock; everything else takes milliseconds as an argument.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

EAT = timezone(timedelta(hours=3), "EAT")

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """This will return the present moment, aware, in UTC."""
    return datetime.now(UTC)


class MovableClock:
    """A clock that runs on, some distance ahead of (or behind) the one it follows."""

    def __init__(self, followed: Clock) -> None:
        self.followed = followed
        self.offset_ms = 0

    def __call__(self) -> datetime:
        """This will return the moved moment, aware, in UTC."""
        return self.followed() + timedelta(milliseconds=self.offset_ms)


def to_ms(moment: datetime) -> int:
    """This will return whole milliseconds since the epoch."""
    return int(moment.timestamp() * 1000)


def in_eat(at_ms: int) -> datetime:
    """This will return the moment as East Africa Time."""
    seconds, millis = divmod(at_ms, 1000)
    return datetime.fromtimestamp(seconds, EAT) + timedelta(milliseconds=millis)


def compact(at_ms: int) -> str:
    """This will print YYYYMMDDHHmmss, the spelling of requests and STK callbacks."""
    return in_eat(at_ms).strftime("%Y%m%d%H%M%S")


def dotted(at_ms: int) -> str:
    """This will print DD.MM.YYYY HH:mm:ss, the spelling only B2C results use."""
    return in_eat(at_ms).strftime("%d.%m.%Y %H:%M:%S")


def spaced(at_ms: int) -> str:
    """This will print YYYY-MM-DD HH:mm:ss, the spelling of the pull request."""
    return in_eat(at_ms).strftime("%Y-%m-%d %H:%M:%S")


def zulu(at_ms: int) -> str:
    """This will print YYYY-MM-DDTHH:mm:ssZ in UTC, the spelling of the pull answer."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def dashed(at_ms: int) -> str:
    """This will print DD-MM-YYYY HH:mm:ss, the spelling of the portal's statement."""
    return in_eat(at_ms).strftime("%d-%m-%Y %H:%M:%S")


def read_eat(text: str) -> int | None:
    """This will read an ISO date or moment, in EAT unless it names a zone; None when it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return to_ms(moment.replace(tzinfo=EAT) if moment.tzinfo is None else moment)


def day_start_ms(at_ms: int) -> int:
    """This will return midnight in Nairobi before the moment: daily limits count from there."""
    return to_ms(in_eat(at_ms).replace(hour=0, minute=0, second=0, microsecond=0))


def is_compact(text: str) -> bool:
    """This will tell whether the text is 14 digits that name a real moment (skew is no concern)."""
    if not re.fullmatch(r"\d{14}", text, re.ASCII):
        return False
    try:
        datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=EAT)
    except ValueError:
        return False
    return True
