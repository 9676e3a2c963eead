"""Both shells over ASGI, with a slice of the tests' own that says no in every way."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import HTMLResponse, Response
from structlog.testing import capture_logs

from hazina.bootstrap.registry import manifests
from hazina.desk.webkit.current import CurrentCustomer
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.sse import Look, live
from hazina.desk.webkit.templates import render
from hazina.infra.house import House, Manifest
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.ids import new_id
from hazina.web.console.app import create_console_app
from hazina.web.wallet.app import create_wallet_app
from tests.web import acts

routes = APIRouter(prefix="/sample", tags=["sample"])
pages = APIRouter(prefix="/sample")
hooks = APIRouter()
SECRET = "correct horse battery staple"


class SampleRefused(Refusal):
    """Says no in the kind it is told to."""

    code = "sample_refused"

    def __init__(self, kind: Kind) -> None:
        super().__init__("No.", action="Ask otherwise.", details={"retry_after_s": 7})
        self.kind = kind  # type: ignore[misc] # one class for the whole table


class SampleIn(BaseModel):
    """A body with a secret and a number."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"password": "…", "count": 2}]})
    password: str
    count: int


@routes.get("/refuse/{kind}")
@pages.get("/refuse/{kind}")
async def refuse(kind: Kind) -> None:
    raise SampleRefused(kind)


@routes.get("/bug")
@pages.get("/bug")
async def bug() -> None:
    raise RuntimeError(SECRET)


@routes.post("/body")
async def take(body: SampleIn) -> SampleIn:
    return body


@pages.get("/form")
async def show(request: Request) -> HTMLResponse:
    return render(request, "error.html", **ERROR_PAGE)


@pages.post("/form")
async def send(request: Request) -> Response:
    return redirect(request, "/sample/form", "It is <b>done</b>.", Tone.GOOD)


@pages.get("/mine")
async def mine(customer: CurrentCustomer) -> HTMLResponse:
    return HTMLResponse(customer.username)


@pages.get("/live")
async def stream(request: Request) -> Response:
    looks = iter(["first", "first", "second\nline", "last"])

    async def look() -> Look:
        html = next(looks)
        return Look(html, final=html == "last")

    return live(request, look, every_s=0)


@hooks.post("/hooks/sample")
async def hook() -> None:
    raise SampleRefused(Kind.INVALID)


ERROR_PAGE: dict[str, Any] = {
    "title": "T",
    "eyebrow": "E",
    "message": "M",
    "action": None,
    "code": "c",
    "link": {"label": "L", "href": "/"},
}
SAMPLE = Manifest(
    name="sample",
    build=lambda house: house.put(acts.Acts()),
    routes=(routes,),
    templates=Path(__file__).parent / "templates",
    pages=(pages, acts.router),
    console=(pages,),
    callbacks=(hooks,),
)


@dataclass(frozen=True, slots=True)
class Browser:
    """A client that keeps cookies and takes the CSRF token out of the page it is on."""

    http: httpx.AsyncClient

    async def send(
        self, path: str, form: dict[str, str], *, page: str | None = None
    ) -> httpx.Response:
        shown = await self.http.get(page or path)
        token = shown.text.split('name="csrf" value="', 1)[1].split('"', 1)[0]
        return await self.http.post(path, data={"csrf": token, **form})

    async def register(self) -> str:
        """This will make a new customer, who is signed in afterwards; returns the username."""
        name = f"u{new_id().hex[-20:]}"
        form = {
            "username": name,
            "phone": f"07{int(name[-8:], 16) % 10**8:08d}",
            "email": f"{name}@example.com",
            "password": SECRET,
        }
        answer = await self.send("/register", form)
        assert answer.status_code == 303, answer.text
        return name


@asynccontextmanager
async def browsing(app: FastAPI) -> AsyncIterator[Browser]:
    transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://wallet.test") as http:
        yield Browser(http)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What the house logs, instead of a picture of every bug on the terminal."""
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def wallet_app(house: House) -> FastAPI:
    SAMPLE.build(house)
    return create_wallet_app(house, (*manifests(), SAMPLE))


@pytest.fixture
async def wallet(wallet_app: FastAPI) -> AsyncIterator[Browser]:
    async with browsing(wallet_app) as browser:
        yield browser


@pytest.fixture
async def console(house: House) -> AsyncIterator[Browser]:
    async with browsing(create_console_app(house, (*manifests(), SAMPLE))) as browser:
        yield browser
