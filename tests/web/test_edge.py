"""What happens to every request around its route, and how its route is found."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from hazina.desk.webkit.templates import Shell
from hazina.infra.house import House
from hazina.infra.observability import REGISTRY, render_metrics, request_id
from hazina.kernel.ids import new_id
from hazina.web.edge import EdgePlan, HouseApp
from hazina.web.errors import install_errors
from hazina.web.table import RouteTable, mounted

router = APIRouter(prefix="/things")


@router.get("/{thing}")
async def look_at(thing: str) -> dict[str, str | None]:
    return {"thing": thing, "id": request_id()}


@router.get("/{thing}/parts/{part}")
async def look_into(thing: str, part: str) -> dict[str, str]:
    return {"thing": thing, "part": part}


@router.get("/all")
async def look_at_all() -> dict[str, str]:
    return {"thing": "all of them"}


@router.post("/all")
async def make_one() -> Response:
    return PlainTextResponse("made")


@router.get("/long/{length}")
async def write(length: int) -> Response:
    return PlainTextResponse("x" * length)


@router.get("/broken/{after}")
async def begin_and_break(after: int) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(after):
            yield b"piece"
        raise RuntimeError("a bug in the middle")

    return StreamingResponse(pieces(), media_type="text/event-stream" if after else "text/plain")


def made(house: House, plan: EdgePlan) -> FastAPI:
    app = HouseApp(plan)
    app.state.house = house
    app.state.only_json = True
    app.state.shell = Shell(name="test", layout="", nav=(), practice=False)
    install_errors(app)
    app.router.routes.extend(mounted(router, prefix="/api"))
    return app


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/api/things")


@pytest.fixture
def app(house: House) -> FastAPI:
    return made(house, EdgePlan(headers={b"x-frame-options": b"DENY"}))


@pytest.fixture
def client(app: FastAPI) -> httpx.AsyncClient:
    return client_of(app)


class TestRequestId:
    async def test_a_request_has_an_id_inside_and_in_its_answer(
        self, client: httpx.AsyncClient
    ) -> None:
        answer = await client.get("/1")
        assert answer.headers["x-request-id"] == answer.json()["id"]
        assert request_id() is None

    async def test_a_callers_id_is_taken_when_it_is_well_formed(
        self, client: httpx.AsyncClient
    ) -> None:
        given = new_id().hex
        answer = await client.get("/1", headers={"X-Request-ID": given})
        assert answer.headers["x-request-id"] == given
        for bad in ("short", "a" * 65, "with space in it", 'quote"quote"'):
            answer = await client.get("/1", headers={"X-Request-ID": bad})
            assert answer.headers["x-request-id"] != bad


class TestMetrics:
    async def test_requests_are_counted_by_template_not_by_path(
        self, client: httpx.AsyncClient
    ) -> None:
        secret = new_id().hex
        await client.get(f"/{secret}")
        await client.get(f"/nothing/{secret}")
        labels = {"method": "GET", "route": "/api/things/{thing}", "status": "200"}
        counted = REGISTRY.get_sample_value("hazina_http_request_seconds_count", labels)
        assert counted is not None
        assert b'route="unmatched"' in render_metrics()
        assert secret.encode() not in render_metrics()


class TestRoutes:
    async def test_a_fixed_path_wins_over_a_parameter(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/all")).json() == {"thing": "all of them"}
        assert (await client.post("/all")).text == "made"

    @pytest.mark.parametrize(
        ("path", "found"),
        [
            ("/7", {"thing": "7"}),
            ("/7/parts/8", {"thing": "7", "part": "8"}),
            ("/all/parts/long", {"thing": "all", "part": "long"}),
            ("/a%20b", {"thing": "a b"}),
        ],
    )
    async def test_parameters_are_read(
        self, client: httpx.AsyncClient, path: str, found: dict[str, str]
    ) -> None:
        assert found.items() <= (await client.get(path)).json().items()

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/7/parts", 404),
            ("GET", "/7/parts/8/9", 404),
            ("DELETE", "/all", 405),
            ("POST", "/7", 405),
            ("GET", "/all/", 307),
        ],
    )
    async def test_what_is_not_there_is_said_by_the_framework(
        self, client: httpx.AsyncClient, method: str, path: str, status: int
    ) -> None:
        answer = await client.request(method, path)
        assert answer.status_code == status
        assert "x-request-id" in answer.headers

    def test_the_table_knows_only_what_is_there(self, app: FastAPI) -> None:
        table = RouteTable(app.routes)
        for method, path in (("GET", "/"), ("GET", ""), ("PUT", "/api/things/1"), ("GET", "/api")):
            assert table.find(method, path) is None


class TestAnswers:
    async def test_long_ones_are_packed_for_those_who_can_unpack(
        self, client: httpx.AsyncClient
    ) -> None:
        async with client.stream("GET", "/long/5000") as answer:
            packed = b"".join([piece async for piece in answer.aiter_raw()])
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert int(answer.headers["content-length"]) == len(packed) < 600
        assert gzip.decompress(packed) == b"x" * 5000
        plain = await client.get("/long/5000", headers={"Accept-Encoding": "identity"})
        assert (plain.text, plain.headers["vary"]) == ("x" * 5000, "Accept-Encoding")
        short = await client.get("/long/599")
        assert "content-encoding" not in short.headers

    async def test_machines_get_theirs_as_they_are(self, house: House) -> None:
        answer = await client_of(made(house, EdgePlan())).get("/long/5000")
        assert "content-encoding" not in answer.headers
        assert "x-frame-options" not in answer.headers

    async def test_a_bug_before_anything_left_is_answered(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/broken/0")
        assert answer.status_code == 500
        assert answer.json()["error"]["code"] == "internal_error"
        assert answer.headers["x-frame-options"] == "DENY"

    async def test_half_an_answer_is_not_ended_as_if_it_were_whole(
        self, client: httpx.AsyncClient
    ) -> None:
        with pytest.raises(RuntimeError, match="a bug in the middle"):
            await client.get("/broken/1")


async def test_a_handler_says_whether_its_answer_may_be_kept(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    @app.get("/api/things/kept/for/ever")
    async def kept() -> Response:
        return PlainTextResponse(
            "", headers={"Cache-Control": "max-age=1", "X-Frame-Options": "ALLOW"}
        )

    answer: Any = await client.get("/kept/for/ever")
    assert answer.headers.get_list("cache-control") == ["max-age=1"]
    assert answer.headers.get_list("x-frame-options") == ["DENY"]
    assert (await client.get("/1")).headers["cache-control"] == "no-store"
