"""The app behind ``HAZINA_INTERNAL_PORT``: the door for services on an address of its own.

It is never mounted in the customers' app: where no port is set, ``/internal`` does not exist. All
it answers is JSON; there are no pages, cookies or sessions here.
"""

from collections.abc import Set

from fastapi import FastAPI

import hazina
from hazina.desk.webkit.templates import Shell
from hazina.infra.house import House
from hazina.infra.tracing import FRAMEWORKS_OWN
from hazina.web import vitals
from hazina.web.description import install_description
from hazina.web.edge import EdgePlan, HouseApp
from hazina.web.errors import install_errors
from hazina.web.internal import description, routes
from hazina.web.shell import include

BODY_LIMIT_BYTES = 8 * 1024 * 1024  # ten thousand transfers with all they may have


def create_internal_app(house: House, *, heads: Set[str] = frozenset()) -> FastAPI:
    """This will make the door for services; ``heads`` is what ``/readyz`` expects."""
    app = HouseApp(
        EdgePlan(limit_bytes=BODY_LIMIT_BYTES),
        title="Hazina, for services",
        version=hazina.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=FRAMEWORKS_OWN,
    )
    app.state.house = house
    app.state.schema_heads = heads
    app.state.only_json = True
    app.state.shell = Shell(name="internal", layout="", nav=(), practice=False)
    install_errors(app)
    include(app, vitals.router)
    include(app, description.router)
    include(app, routes.router, shown=True)
    install_description(app, description.ABOUT, description.complete)
    return app
