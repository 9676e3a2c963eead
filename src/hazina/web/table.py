"""Where a request goes: a shell's routes, found by their path instead of tried one after another.

FastAPI tries every route before the right one, and a router inside a router again at each level;
that cost more than the query of an authenticated read. What is not found here goes to its own
router, which alone says 404, 405, or "with a slash": the table never decides what is not there.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.convertors import Convertor
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from hazina.desk.webkit.csrf import csrf_guard

# By the router itself, which cannot be hashed and lives on in what was made of it.
_mounted: dict[tuple[int, str, bool, bool], APIRouter] = {}


@dataclass(frozen=True, slots=True)
class Way:
    """One route as it is reached in this shell: its template has the prefix it was mounted under,
    ``app`` its dependencies."""

    template: str
    methods: frozenset[str]
    app: ASGIApp
    route: RouteContext
    shape: re.Pattern[str]
    convertors: Mapping[str, Convertor[Any]]

    @property
    def is_fixed(self) -> bool:
        return not self.convertors

    @property
    def stem(self) -> str:
        """What the path begins with whatever its parameters are, up to a slash."""
        fixed = self.template.partition("{")[0]
        return fixed[: fixed.rfind("/") + 1]

    def read(self, path: str) -> dict[str, Any] | None:
        """The parameters in a path of this shape."""
        match = self.shape.match(path)
        if match is None:
            return None
        return {
            name: self.convertors[name].convert(text) for name, text in match.groupdict().items()
        }


class RouteTable:
    """Fixed paths by one look; of those with parameters the few that begin alike, in their order.
    A fixed path wins over a parameter."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        ways = list(_ways(routes))
        self._fixed: dict[tuple[str, str], Way] = {}
        self._open: dict[tuple[str, str], list[Way]] = {}
        shaped = [way for way in ways if not way.is_fixed]
        stems = {way.stem for way in shaped}
        for way in ways:
            for method in way.methods:
                if way.is_fixed:
                    self._fixed.setdefault((method, way.template), way)
                    continue
                for stem in stems:
                    if stem.startswith(way.stem):
                        self._open.setdefault((method, stem), []).append(way)

    def find(self, method: str, path: str) -> tuple[Way, dict[str, Any]] | None:
        """The route of a request and the parameters in its path, if there is one for both."""
        way = self._fixed.get((method, path))
        if way is not None:
            return way, {}
        end = path.rfind("/") + 1
        while end > 0:
            ways = self._open.get((method, path[:end]))
            if ways is not None:  # shorter stems are in there too
                return _first(ways, path)
            end = path.rfind("/", 0, end - 1) + 1
        return None


def mounted(
    router: APIRouter, *, prefix: str = "", guarded: bool = False, shown: bool = False
) -> Sequence[BaseRoute]:
    """A router's routes as an app takes them; ``guarded``: behind the CSRF guard; ``shown``: in the
    description. Made once in a process: FastAPI works out the dependencies and models of each."""
    known = _mounted.get((id(router), prefix, guarded, shown))
    if known is None:
        known = APIRouter()
        guards = [Depends(csrf_guard)] if guarded else None
        known.include_router(router, prefix=prefix, dependencies=guards, include_in_schema=shown)
        _mounted[id(router), prefix, guarded, shown] = known
    return known.routes


def _first(ways: Iterable[Way], path: str) -> tuple[Way, dict[str, Any]] | None:
    for way in ways:
        parameters = way.read(path)
        if parameters is not None:
            return way, parameters
    return None


def _ways(routes: Sequence[BaseRoute]) -> Iterator[Way]:
    for found in iter_route_contexts(routes):
        if found.path is not None and found.methods:
            yield Way(
                template=found.path,
                methods=frozenset(found.methods),
                app=found.app,
                route=found,
                shape=found.path_regex,
                convertors=found.param_convertors,
            )
