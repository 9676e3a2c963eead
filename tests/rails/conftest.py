"""A Daraja simulator behind a real socket, our client in front of it, and where it calls back."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from pydantic import SecretStr
from starlette.types import ASGIApp
from tests.loopback import NO_CERTIFICATES

from hazina.infra.http import Http
from hazina.infra.settings import Mode, MpesaMode, Settings
from hazina.kernel.clock import SettableClock
from hazina.rails.mpesa.manifest import make_rails
from hazina.rails.ports import Rails
from hazina.simulators.daraja import SimConfig, create_app

PHONE = "254711000111"


class LoopbackServer(uvicorn.Server):
    """Says when it is ready and leaves the test process's signals alone."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The app on a free loopback port; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    server = LoopbackServer(app)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait_for(server.ready.wait(), 5)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task
    listener.close()


@dataclass
class Postbox:
    """Where the simulator calls back: keeps (address, body) in order."""

    base: str = ""
    received: list[tuple[str, bytes]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, path: str) -> bytes:
        """The body that came to ``path``, as soon as it is there."""

        def found() -> list[bytes]:
            return [body for at, body in self.received if at == path]

        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(found)
        return found()[0]


@pytest.fixture(scope="session")
async def postbox() -> AsyncIterator[Postbox]:
    box, app = Postbox(), FastAPI()

    @app.post("/{path:path}")
    async def take(path: str, request: Request) -> dict[str, int]:
        body = await request.body()
        async with box.news:
            box.received.append((f"/{path}", body))
            box.news.notify_all()
        return {"ResultCode": 0}

    async with served(app) as box.base:
        yield box


@pytest.fixture(scope="session")
def sim_config(tmp_path_factory: pytest.TempPathFactory) -> SimConfig:
    folder = tmp_path_factory.mktemp("daraja")
    return SimConfig(key_pair=folder / "key.pem", b2c_shortcode="600999", seed=11)


@dataclass(frozen=True)
class Sim:
    """The simulator's control API and, in between, how many requests each path has had."""

    http: httpx.AsyncClient
    counts: dict[str, int]
    certificate: Path

    async def fault(self, name: str, **parameters: Any) -> None:
        answer = await self.http.put("/sim/faults", json={"fault": name, **parameters})
        assert answer.status_code == 200, answer.text

    async def settings(self, **changes: Any) -> None:
        answer = await self.http.put("/sim/settings", json=changes)
        assert answer.status_code == 200, answer.text

    async def press(self, action: str, pin: str = "1234") -> None:
        answer = await self.http.post(
            f"/sim/handsets/{PHONE}/prompt", json={"action": action, "pin": pin}
        )
        assert answer.status_code == 200, answer.text

    async def handset(self) -> Any:
        return (await self.http.get(f"/sim/handsets/{PHONE}")).json()


@pytest.fixture(scope="session")
async def running_sim(sim_config: SimConfig) -> AsyncIterator[Sim]:
    app = create_app(sim_config)
    counts: dict[str, int] = {}

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            counts[scope["path"]] = counts.get(scope["path"], 0) + 1
        await app(scope, receive, send)

    assert sim_config.key_pair is not None
    certificate = sim_config.key_pair.with_name(sim_config.key_pair.name + ".cert.pem")
    async with (
        served(counted) as base,
        httpx.AsyncClient(base_url=base, timeout=20, verify=NO_CERTIFICATES) as http,
    ):
        yield Sim(http, counts, certificate)


@pytest.fixture
async def sim(running_sim: Sim, postbox: Postbox) -> Sim:
    """The simulator as new, calling back at once."""
    await running_sim.http.post("/sim/reset")
    await running_sim.settings(callback_delay_ms=0)
    running_sim.counts.clear()
    postbox.received.clear()
    return running_sim


@pytest.fixture
def mpesa_settings(sim: Sim, sim_config: SimConfig, postbox: Postbox) -> Settings:
    return Settings(
        mpesa_mode=MpesaMode.SIMULATED,
        mpesa_base_url=str(sim.http.base_url),
        mpesa_consumer_key=SecretStr(sim_config.consumer_key),
        mpesa_consumer_secret=SecretStr(sim_config.consumer_secret),
        mpesa_shortcode=sim_config.shortcode,
        mpesa_passkey=SecretStr(sim_config.passkey),
        mpesa_b2c_shortcode=sim_config.payout_shortcode,
        mpesa_initiator_name=sim_config.initiator_name,
        mpesa_initiator_password=SecretStr(sim_config.initiator_password),
        mpesa_certificate=sim.certificate,
        mpesa_timeout_s=5,
        public_url=postbox.base,
    )


@pytest.fixture
def now() -> SettableClock:
    return SettableClock(datetime(2026, 11, 20, 9, tzinfo=UTC))


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    client = Http(Mode.DEVELOPMENT)
    yield client
    await client.close()


@pytest.fixture
def rails(mpesa_settings: Settings, http: Http, now: SettableClock) -> Rails:
    return make_rails(mpesa_settings, http, now)
