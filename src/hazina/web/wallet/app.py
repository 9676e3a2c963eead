"""The customers' app: one port for pages, JSON, callbacks, description and vital signs."""

from collections.abc import Sequence, Set
from pathlib import Path

from fastapi import FastAPI

from hazina.identity.people import WALLET
from hazina.infra.house import House, Manifest, NavItem
from hazina.infra.settings import Mode
from hazina.web import reference
from hazina.web.api.app import ABOUT, install_api
from hazina.web.description import install_description
from hazina.web.shell import ShellPlan, include, include_pages, make_app
from hazina.web.wallet import activity, components, door, guards, home, recovery, security

OWN_NAV = (
    NavItem("Home", "/", "home", order=0),
    NavItem("Activity", "/activity", "activity", order=800),
    NavItem("Security", "/security", "shield", order=900),
)


def create_wallet_app(
    house: House, manifests: Sequence[Manifest], *, heads: Set[str] = frozenset()
) -> FastAPI:
    """This will mount what the manifests offer to customers; the house is built already.

    ``heads`` are the schema revisions that ``/readyz`` wants to see in the database.
    """
    plan = ShellPlan(
        name="wallet",
        layout="wallet_base.html",
        session_cookie=WALLET.cookie,
        nav=[*OWN_NAV, *(item for one in manifests for item in one.wallet_nav)],
        templates=Path(__file__).parent / "templates",
    )
    app = make_app(house, plan, manifests, heads)
    install_api(app, manifests)
    install_description(app, ABOUT)
    for manifest in manifests:
        for router in manifest.callbacks:
            include(app, router)
        include_pages(app, *manifest.pages)
    include_pages(
        app,
        home.router,
        activity.router,
        door.router,
        security.router,
        guards.router,
        recovery.router,
        reference.router,
    )
    if house.settings.mode is Mode.DEVELOPMENT:
        include_pages(app, components.router)
    return app
