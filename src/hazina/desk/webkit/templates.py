"""The one template environment, and ``render``: what every page handler ends with.

Templates of the webkit are named as they lie (``base.html``, ``macros/…``), those of a slice after
it (``gold/buy.html``). Everything is escaped, a name that does not exist is an error, and ``ui``
holds every macro without an import.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

from jinja2 import (
    BytecodeCache,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
)
from jinja2.bccache import Bucket
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from hazina.desk.webkit import csrf, flash
from hazina.desk.webkit.assets import Assets
from hazina.desk.webkit.filters import FILTERS
from hazina.desk.webkit.qr import qr_svg
from hazina.infra.house import NavItem

FOLDER = Path(__file__).parent / "templates"
THEME_COOKIE = "hz_theme"
AMOUNTS_COOKIE = "hz_amounts"
THEMES = ("light", "dark")
_YEAR_S = 31_536_000


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is looking, for the frame of a page: nothing is decided on it."""

    name: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Shell:
    """What the frame of one shell shows around every page; ``practice``: M-Pesa is simulated."""

    name: str
    layout: str
    nav: Sequence[NavItem]
    practice: bool

    def nav_for(self, viewer: Viewer | None) -> list[NavItem]:
        if viewer is None:
            return []
        return [item for item in self.nav if not item.roles or viewer.role in item.roles]


class Compiled(BytecodeCache):
    """Templates that this process has compiled, for every application that it makes."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._code[bucket.key, bucket.checksum] = bucket.code


COMPILED = Compiled()


def make_environment(folders: Mapping[str, Path], assets: Assets) -> Environment:
    """The environment over our templates and each slice's folder by its name: the same for every
    application of a process that has the same folders."""
    return _environment(tuple(folders.items()), assets)


@cache
def _environment(folders: tuple[tuple[str, Path], ...], assets: Assets) -> Environment:
    slices = {name: FileSystemLoader(folder) for name, folder in folders}
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(FOLDER), PrefixLoader(slices)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=COMPILED,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(asset=assets.url, qr_svg=qr_svg)
    environment.globals["ui"] = environment.get_template("ui.html").module
    return environment


def render(
    request: Request,
    name: str,
    /,
    *,
    status: int = 200,
    **context: Any,  # noqa: ANN401
) -> HTMLResponse:
    """This will answer with a page: the template's context plus what every frame needs.

    A first visit gets its CSRF cookie here; a flash message is shown and forgotten.
    """
    message = flash.read_flash(request)
    html = _render(request, name, {"flash": message, **context})
    response = HTMLResponse(html, status_code=status)
    if csrf.COOKIE not in request.cookies:
        response.set_cookie(
            csrf.COOKIE,
            csrf.browser_secret(request),
            httponly=True,
            samesite="lax",
            secure=request.app.state.cookie_secure,
        )
    if flash.COOKIE in request.cookies:
        response.delete_cookie(flash.COOKIE)
    return response


def render_fragment(request: Request, name: str, /, **context: Any) -> str:  # noqa: ANN401
    """This will render a part of a page, such as a live timeline, as text."""
    return _render(request, name, {"flash": None, **context})


def set_preference(response: Response, cookie: str, value: str) -> None:
    """A look of the pages that the browser keeps: readable by our script, worth nothing else."""
    response.set_cookie(cookie, value, max_age=_YEAR_S, samesite="lax")


def viewer_of(request: Request) -> Viewer | None:
    """Whoever signed in, as the identity dependencies noted it on the request."""
    viewer = getattr(request.state, "viewer", None)
    return viewer if isinstance(viewer, Viewer) else None


def _render(request: Request, name: str, context: dict[str, Any]) -> str:
    environment: Environment = request.app.state.templates
    shell: Shell = request.app.state.shell
    viewer = viewer_of(request)
    theme = request.cookies.get(THEME_COOKIE, "")
    frame = {
        "request": request,
        "path": request.url.path,
        "shell": shell,
        "layout": shell.layout,
        "viewer": viewer,
        "nav": shell.nav_for(viewer),
        "csrf": csrf.make_token(request),
        "theme": theme if theme in THEMES else "",
        "amounts_hidden": request.cookies.get(AMOUNTS_COOKIE) == "hidden",
        "badges": getattr(request.state, "badges", {}),
        "band": getattr(request.state, "band", ""),
        "request_id": getattr(request.state, "request_id", ""),
    }
    return environment.get_template(name).render({**frame, **context})
