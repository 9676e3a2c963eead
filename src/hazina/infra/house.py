"""The assembled process: shared parts and, by type, the services that slices put in.

``bootstrap`` builds one House per process; a manifest's ``build`` takes what it needs from it and
puts its own services in. Nothing here knows a slice by name.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from fastapi import APIRouter

from hazina.infra.db import Database
from hazina.infra.settings import Settings
from hazina.kernel.clock import Clock

T = TypeVar("T")


class House:
    """``get(Kind)`` returns the one service of that class, or raises a plain LookupError."""

    def __init__(self, settings: Settings, db: Database, clock: Clock) -> None:
        self.settings = settings
        self.db = db
        self.clock = clock
        self._parts: dict[type, object] = {}
        self._closing: list[Callable[[], Awaitable[None]]] = []

    def put(self, part: object, *, kind: type | None = None) -> None:
        key = kind or type(part)
        if key in self._parts:
            raise ValueError(f"{key.__name__} was put twice")
        self._parts[key] = part

    def get(self, kind: type[T]) -> T:
        try:
            part = self._parts[kind]
        except KeyError:
            raise LookupError(f"nobody put a {kind.__name__} into the house") from None
        assert isinstance(part, kind)
        return part

    def on_close(self, callback: Callable[[], Awaitable[None]]) -> None:
        """This will call ``callback`` when the house closes, last one first."""
        self._closing.append(callback)

    async def close(self) -> None:
        """This will close what services opened; the database is its opener's to close."""
        while self._closing:
            await self._closing.pop()()


@dataclass(frozen=True, slots=True)
class NavItem:
    """A line of a shell's menu. ``order`` sorts; ``roles`` empty means everyone who is in."""

    label: str
    path: str
    icon: str = ""
    order: int = 100
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a slice offers; the one object the house reads of it.

    ``migrations`` and ``templates`` are folders beside the manifest. ``routes`` are JSON routers
    mounted under /api/v1, ``pages`` go to the customer shell, ``console`` to the operators',
    ``callbacks`` outside both (rails). All are made after ``build`` ran. ``uploads`` are the paths
    of pages to which people bring files, each with the setting that says how many megabytes.
    """

    name: str
    build: Callable[[House], None]
    migrations: Path | None = None
    templates: Path | None = None
    routes: Sequence[APIRouter] = ()
    pages: Sequence[APIRouter] = ()
    console: Sequence[APIRouter] = ()
    callbacks: Sequence[APIRouter] = ()
    wallet_nav: Sequence[NavItem] = ()
    console_nav: Sequence[NavItem] = field(default=())
    uploads: Mapping[str, str] = field(default_factory=dict)
