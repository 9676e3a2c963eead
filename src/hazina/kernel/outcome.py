"""What a call to the outside ended in. Unknown is never failed and never blindly retried."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Accepted(Generic[T]):
    """The outside took it; ``value`` is what it answered."""

    value: T


@dataclass(frozen=True, slots=True)
class Rejected:
    """Positive evidence that the outside did not and will not act on it."""

    code: str
    text: str
    retry: bool = False  # refused at the gate for a passing reason: the same act may be tried again


@dataclass(frozen=True, slots=True)
class Unknown:
    """Timeout, 5xx, lost connection, an answer that does not parse: hold the money and ask."""

    reason: str
    evidence: dict[str, str] = field(default_factory=dict)


Outcome = Accepted[T] | Rejected | Unknown
