"""The operators' app: pages only, on a port and with a cookie of its own."""

from collections.abc import Sequence, Set
from pathlib import Path

from fastapi import FastAPI

from hazina.identity.people import CONSOLE
from hazina.infra.house import House, Manifest, NavItem
from hazina.web.console import customers, door
from hazina.web.shell import ShellPlan, include_pages, make_app

OWN_NAV = (
    NavItem("Control room", "/", "home", order=0),
    NavItem("Customers", "/customers", "user", order=16),
)


def create_console_app(
    house: House, manifests: Sequence[Manifest], *, heads: Set[str] = frozenset()
) -> FastAPI:
    """This will mount what the manifests offer to operators; the house is built already.

    ``heads`` are the schema revisions that ``/readyz`` wants to see in the database.
    """
    plan = ShellPlan(
        name="console",
        layout="console_base.html",
        session_cookie=CONSOLE.cookie,
        nav=[*OWN_NAV, *(item for one in manifests for item in one.console_nav)],
        templates=Path(__file__).parent / "templates",
    )
    app = make_app(house, plan, manifests, heads)
    for manifest in manifests:
        include_pages(app, *manifest.console)
    include_pages(app, door.router, customers.router)
    return app
