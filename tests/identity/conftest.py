"""A small shell around identity's routes: the real routers, and pages that ask who is there."""

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
import pytest_asyncio
from fastapi import Depends, FastAPI, Request, Response

from hazina.desk.webkit.cookies import clear_session_cookie, set_session_cookie
from hazina.desk.webkit.current import (
    ActorDep,
    CurrentCustomer,
    CurrentOperator,
    CustomerActor,
    OperatorActor,
    OptionalCustomer,
    require_role,
)
from hazina.identity.login import CustomerLogin, OperatorLogin
from hazina.identity.manifest import MANIFEST
from hazina.identity.people import CONSOLE, WALLET, Operator, Role
from hazina.infra.house import House
from hazina.kernel.actor import Actor, ActorKind
from hazina.web.errors import install_errors
from tests.identity.people import Person, new_person

Manager = Annotated[Operator, Depends(require_role(Role.MANAGER))]


def make_app(house: House) -> FastAPI:
    app = FastAPI()
    app.state.house = house
    for router in MANIFEST.routes:
        app.include_router(router, prefix="/api/v1")
    install_errors(app)
    _add_pages(app)
    return app


def _add_pages(app: FastAPI) -> None:
    def show(actor: Actor) -> dict[str, str | None]:
        return {"actor": str(actor), "ip": actor.ip, "user_agent": actor.user_agent}

    @app.get("/page/home")
    async def home(me: CurrentCustomer, actor: CustomerActor) -> dict[str, str | None]:
        return {"username": me.username, **show(actor)}

    @app.post("/page/act")
    async def act(me: CurrentCustomer) -> dict[str, str]:
        return {"username": me.username}

    @app.get("/page/front")
    async def front(me: OptionalCustomer) -> dict[str, str | None]:
        return {"username": me.username if me else None}

    @app.post("/page/login")
    async def login(request: Request, response: Response, username: str, password: str) -> None:
        house: House = request.app.state.house
        origin, now = Actor(ActorKind.SYSTEM), house.clock.now()
        opened = await house.get(CustomerLogin).for_page(username, password, origin, now)
        set_session_cookie(response, WALLET, opened, house.settings, now)

    @app.post("/page/logout")
    async def logout(request: Request, response: Response) -> None:
        clear_session_cookie(response, WALLET, request.app.state.house.settings)

    @app.post("/desk/login")
    async def desk_login(
        request: Request, response: Response, username: str, password: str
    ) -> None:
        house: House = request.app.state.house
        origin, now = Actor(ActorKind.SYSTEM), house.clock.now()
        opened = await house.get(OperatorLogin).for_page(username, password, origin, now)
        set_session_cookie(response, CONSOLE, opened, house.settings, now)

    @app.get("/desk/home")
    async def desk_home(me: CurrentOperator, actor: OperatorActor) -> dict[str, str | None]:
        return {"username": me.username, **show(actor)}

    @app.get("/api/v1/desk/prices")
    async def desk_prices(me: Manager) -> dict[str, str]:
        return {"username": me.username}

    @app.get("/api/v1/either")
    async def either(actor: ActorDep) -> dict[str, str | None]:
        return show(actor)

    @app.get("/api/v1/mine")
    async def mine(me: CurrentCustomer) -> dict[str, str]:
        return {"username": me.username}


@pytest_asyncio.fixture(loop_scope="session")
async def web(house: House) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(house))
    async with httpx.AsyncClient(transport=transport, base_url="http://wallet.test") as client:
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def person(web: httpx.AsyncClient) -> Person:
    """Somebody registered, not signed in."""
    made = new_person()
    answer = await web.post("/api/v1/auth/register", json=made.form())
    assert answer.status_code == 201, answer.text
    return made


@pytest.fixture
def origin() -> Actor:
    return Actor(ActorKind.SYSTEM, ip="192.0.2.7", user_agent="test")
