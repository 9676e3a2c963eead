"""What every shell has: state, its edge, assets, preferences, vital signs.

What happens around each request is in ``web.edge``. Page routers come in through
``include_pages``, which puts the CSRF guard before each.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Form, Request
from starlette.responses import RedirectResponse, Response

import hazina
from hazina.desk.webkit import assets
from hazina.desk.webkit.current import current_actor
from hazina.desk.webkit.links import safe_next
from hazina.desk.webkit.security import safety_headers
from hazina.desk.webkit.signing import Signer
from hazina.desk.webkit.templates import (
    AMOUNTS_COOKIE,
    THEME_COOKIE,
    Shell,
    make_environment,
    set_preference,
)
from hazina.infra.house import House, Manifest, NavItem
from hazina.infra.settings import MpesaMode, Settings
from hazina.infra.tracing import FRAMEWORKS_OWN
from hazina.infra.vault import Vault
from hazina.kernel.errors import Refusal
from hazina.web import vitals
from hazina.web.body import LIMIT_BYTES
from hazina.web.edge import EdgePlan, HouseApp
from hazina.web.errors import install_errors
from hazina.web.table import mounted

MEGABYTE = 1024 * 1024
_NEXT_THEME = {"": "dark", "dark": "light", "light": "dark"}

preferences = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class ShellPlan:
    """What makes one shell differ from the other."""

    name: str
    layout: str
    session_cookie: str
    nav: Sequence[NavItem]
    templates: Path


def make_app(
    house: House, plan: ShellPlan, manifests: Sequence[Manifest], heads: Set[str]
) -> FastAPI:
    """This will make a shell without routes of its own; ``heads`` is what ``/readyz`` expects."""
    headers = safety_headers(https=house.settings.cookie_secure)
    larger = _larger(house.settings, manifests)
    app = HouseApp(
        EdgePlan(headers=headers, larger=larger, knows=_is_signed_in),
        title="Hazina",
        version=hazina.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=FRAMEWORKS_OWN,
    )
    signer = Signer(house.get(Vault).derive(f"web.{plan.name}"))
    install_shell(app, house, signer, plan, manifests)
    app.state.schema_heads = heads
    include(app, vitals.router)
    return app


def install_shell(
    app: FastAPI, house: House, signer: Signer, plan: ShellPlan, manifests: Sequence[Manifest]
) -> None:
    """This will turn a bare app into a shell; routes are included afterwards."""
    settings, files = house.settings, assets.own()
    folders = {one.name: one.templates for one in manifests if one.templates is not None}
    app.state.house = house
    app.state.signer = signer
    app.state.session_cookie = plan.session_cookie
    app.state.cookie_secure = settings.cookie_secure
    app.state.assets = files
    app.state.shell = Shell(
        name=plan.name,
        layout=plan.layout,
        nav=sorted(plan.nav, key=lambda item: (item.order, item.label)),
        practice=settings.mpesa_mode is MpesaMode.SIMULATED,
    )
    app.state.templates = make_environment(_with_own(folders, plan), files)
    install_errors(app)
    app.add_route(f"{assets.PREFIX}/{{name}}", assets.serve, include_in_schema=False)
    include_pages(app, preferences)


def include(app: FastAPI, router: APIRouter, *, prefix: str = "", shown: bool = False) -> None:
    """This will mount a router of callbacks or JSON; ``shown``: in the description."""
    app.router.routes.extend(mounted(router, prefix=prefix, shown=shown))


def include_pages(app: FastAPI, *routers: APIRouter) -> None:
    """This will mount page routers, none of them without the CSRF guard."""
    for router in routers:
        app.router.routes.extend(mounted(router, guarded=True))


@preferences.post("/preferences")
async def prefer(
    request: Request,
    theme: Annotated[str, Form(max_length=16)] = "",
    amounts: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """The two looks of a page, for browsers without our script; back to where it was asked."""
    back = urlsplit(request.headers.get("referer", ""))
    response = RedirectResponse(safe_next(back.path or "/"), status_code=303)
    if theme == "toggle":
        now = request.cookies.get(THEME_COOKIE, "")
        set_preference(response, THEME_COOKIE, _NEXT_THEME.get(now, "dark"))
    if amounts == "toggle":
        hidden = request.cookies.get(AMOUNTS_COOKIE) == "hidden"
        set_preference(response, AMOUNTS_COOKIE, "shown" if hidden else "hidden")
    return response


async def _is_signed_in(request: Request) -> bool:
    try:
        await current_actor(request)
    except Refusal:
        return False
    return True


def _larger(settings: Settings, manifests: Sequence[Manifest]) -> dict[str, int]:
    """At what paths slices take files, and how long those may be; the form around has room."""
    return {
        path: getattr(settings, setting) * MEGABYTE + LIMIT_BYTES
        for one in manifests
        for path, setting in one.uploads.items()
    }


def _with_own(folders: Mapping[str, Path], plan: ShellPlan) -> dict[str, Path]:
    if plan.name in folders:
        raise ValueError(f"a slice may not be called {plan.name}: that is the shell")
    return {**folders, plan.name: plan.templates}
