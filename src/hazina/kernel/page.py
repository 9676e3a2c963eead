"""Cursor pages: every list of the house is bounded and resumes after a stable key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
MAX_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``next_cursor`` is None on the last page."""

    items: Sequence[T]
    next_cursor: str | None

    @classmethod
    def of(cls, rows: Sequence[T], limit: int, cursor: Callable[[T], str]) -> "Page[T]":
        """This will cut ``rows``, read with ``limit + 1``, to a page."""
        more = len(rows) > limit
        items = rows[:limit]
        return cls(items, cursor(items[-1]) if more and items else None)
