"""A whole small world on loopback: the house with its shells, and the Daraja simulator.

Everything speaks real HTTP over real sockets. Jobs are worked off when a test says so, by
``settle``, so that nothing sleeps and every step has a time that the test chose.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr
from starlette.types import ASGIApp

from hazina.bootstrap.registry import manifests
from hazina.bootstrap.schema import expected_heads
from hazina.bootstrap.wiring import assemble
from hazina.identity.people import Role
from hazina.infra.db import Database, Tx
from hazina.infra.house import House
from hazina.infra.jobs import Jobs
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import MpesaMode, Settings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock, SettableClock
from hazina.kernel.ids import new_id
from hazina.ledger.proof import Proof
from hazina.ledger.service import Ledger, prepare
from hazina.simulators.daraja import SimConfig, create_app
from hazina.web.console.app import create_console_app
from hazina.web.wallet.app import create_wallet_app
from tests.loopback import NO_CERTIFICATES

PASSWORD = "correct horse battery"
CROWD_CONNECTIONS = 16
PATIENCE = 200  # rounds of work before a world that never comes to rest is called a fault


class _Server(uvicorn.Server):
    """uvicorn that tells when it is ready and leaves the test process's signals alone."""

    def __init__(self, app: ASGIApp) -> None:
        quiet: dict[str, Any] = {
            "log_level": "critical", "access_log": False, "timeout_graceful_shutdown": 1,
            # A client that is about to use an idle connection must not find it being closed.
            "timeout_keep_alive": 600,
        }  # fmt: skip
        super().__init__(uvicorn.Config(app, lifespan="off", proxy_headers=False, **quiet))
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def listener() -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.bind(("127.0.0.1", 0))
    found.listen(1024)
    return found


def address(of: socket.socket) -> str:
    return f"http://127.0.0.1:{of.getsockname()[1]}"


@asynccontextmanager
async def serving(app: ASGIApp, on: socket.socket) -> AsyncIterator[None]:
    server = _Server(app)
    task = asyncio.create_task(server.serve(sockets=[on]))
    await asyncio.wait_for(server.ready.wait(), 10)
    try:
        yield
    finally:
        server.should_exit = True
        await task
        on.close()


class InTurn(httpx.AsyncHTTPTransport):
    """As many requests at once as there are connections: the work of a pool of connections grows
    with the square of those who wait in it."""

    def __init__(self) -> None:
        limits = httpx.Limits(max_connections=CROWD_CONNECTIONS)
        super().__init__(verify=NO_CERTIFICATES, limits=limits)
        self._turn = asyncio.Semaphore(CROWD_CONNECTIONS)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with self._turn:
            response = await super().handle_async_request(request)
            await response.aread()
            return response


@dataclass(slots=True)
class Person:
    """A customer of a journey, with a handset of their own."""

    username: str
    phone: str
    token: str
    api: httpx.AsyncClient

    async def post(self, path: str, key: str | None = None, **body: object) -> httpx.Response:
        """One money command, under a new key unless one is given."""
        headers = {"Idempotency-Key": key or new_id().hex}
        return await self.api.post(f"/api/v1{path}", json=body, headers=headers)

    async def get(self, path: str) -> Any:
        answer = await self.api.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()


class World:
    """What a journey can do and look at."""

    def __init__(self, house: House, wallet: str, console: str, sim: httpx.AsyncClient) -> None:
        self.house = house
        self.wallet, self.console, self.sim = wallet, console, sim
        self._clients: list[httpx.AsyncClient] = []
        self._shared: httpx.AsyncHTTPTransport | None = None
        self._count = 0

    @property
    def clock(self) -> SettableClock:
        """The journey's own clock; a story in real time has none to set."""
        clock = self.house.clock
        assert isinstance(clock, SettableClock)
        return clock

    async def customer(self, *, balance: str = "100000.00", auto: str = "none") -> Person:
        """A registered customer whose handset has ``balance`` shillings."""
        self._count += 1
        username, phone = f"demo{self._count}", f"2547{self._count:08d}"
        api = self._client(self.wallet)
        fresh = {"username": username, "email": f"{username}@example.com", "phone": f"+{phone}"}
        answer = await api.post("/api/v1/auth/register", json={**fresh, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        answer = await api.post(
            "/api/v1/auth/login", json={"username": username, "password": PASSWORD}
        )
        token = answer.json()["access_token"]
        api.headers["Authorization"] = f"Bearer {token}"
        await self.handset(phone, balance=balance, auto=auto)
        return Person(username, phone, token, api)

    async def operator(self, role: Role = Role.ADMINISTRATOR) -> Person:
        """An operator with a token for the console's JSON."""
        from hazina.identity.login import OperatorLogin
        from hazina.identity.operators import Operators

        self._count += 1
        username = f"clerk{self._count}"
        now = self.house.clock.now()
        await self.house.get(Operators).create(username, PASSWORD, role, SYSTEM, now)
        opened = await self.house.get(OperatorLogin).for_tokens(username, PASSWORD, SYSTEM, now)
        api = self._client(self.wallet)
        api.headers["Authorization"] = f"Bearer {opened.access}"
        return Person(username, "", opened.access, api)

    async def handset(self, phone: str, **change: object) -> dict[str, Any]:
        """This will change the simulated handset, if asked to, and say how it is."""
        if change:
            answer = await self.sim.put(f"/sim/handsets/{phone}", json=change)
            assert answer.status_code == 200, answer.text
        found: dict[str, Any] = (await self.sim.get(f"/sim/handsets/{phone}")).json()
        return found

    async def answer_prompt(self, phone: str, action: str = "pay", pin: str = "1234") -> None:
        answer = await self.sim.post(
            f"/sim/handsets/{phone}/prompt", json={"action": action, "pin": pin}
        )
        assert answer.status_code == 200, answer.text

    async def fault(self, name: str, **how: object) -> None:
        answer = await self.sim.put("/sim/faults", json={"fault": name, **how})
        assert answer.status_code == 200, answer.text

    async def work(self) -> None:
        """This will work off the jobs that are due, as a worker would."""
        await self.house.get(Jobs).run_all_due()

    async def sweep(self) -> None:
        """This will run every sweeper once and then the jobs they queued."""
        jobs = self.house.get(Jobs)
        for name in list(jobs.sweepers):
            await jobs.sweep(name)
        await self.work()

    async def settle(self, *, late: bool = True) -> None:
        """This will let jobs and callbacks run until neither has anything left to do now.

        ``late`` False does not wait for what the outside will only say later.
        """
        jobs = self.house.get(Jobs)
        how = {"timeout": 10, "prompts": False, "late": late}
        for _ in range(PATIENCE):
            done = await jobs.run_all_due()
            idle = await self.sim.get("/sim/wait-idle", params=how)
            assert idle.status_code == 200, idle.text
            if not done and not await self.due():
                return
        raise AssertionError("the world does not come to rest")

    async def due(self) -> bool:
        """Whether a job waits that may run now."""
        return bool(
            await self.house.db.fetchval(
                "SELECT EXISTS (SELECT FROM pgqueuer.pgqueuer WHERE status = 'queued'"
                " AND execute_after <= now())"
            )
        )

    async def prove(self) -> None:
        """The ledger's proof, and the simulator's own books."""
        async with self.house.db.transaction(readonly=True) as tx:
            verdicts = await self.house.get(Proof).verify(tx)
        assert {v.claim: v.faults for v in verdicts if not v.holds} == {}
        books = (await self.sim.get("/sim/books", params={"limit": 1})).json()
        assert books["balanced"], books

    async def balances(self, person: Person) -> dict[str, tuple[str, str]]:
        """Available and held, by asset."""
        answer = await person.get("/user/balance")
        return {b["asset"]: (b["available"], b["held"]) for b in answer["balances"]}

    def _client(self, base: str) -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=base, timeout=30, verify=NO_CERTIFICATES)
        self._clients.append(client)
        return client

    def shared_client(self) -> httpx.AsyncClient:
        """A client of one of many people, who share a few connections: a crowd has none to spare
        for each."""
        if self._shared is None:
            self._shared = InTurn()
        return httpx.AsyncClient(base_url=self.wallet, timeout=60, transport=self._shared)

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()
        if self._shared is not None:
            await self._shared.aclose()


@asynccontextmanager
async def simulator(folder: Path) -> AsyncIterator[tuple[str, SimConfig]]:
    """One simulator on loopback."""
    config = SimConfig(key_pair=folder / "daraja.pem", seed=7)
    on, app = listener(), create_app(config)
    # Its lifespan closes the connections on which it calls back.
    async with app.router.lifespan_context(app), serving(app, on):
        yield address(on), config


def simulated(base: Settings, db_url: str, sim: str, config: SimConfig, public: str) -> Settings:
    """Settings of a house that talks to the simulator."""
    return base.model_copy(
        update={
            "database_url": SecretStr(db_url),
            "public_url": public,
            "mpesa_mode": MpesaMode.SIMULATED,
            "mpesa_base_url": sim,
            "mpesa_consumer_key": SecretStr(config.consumer_key),
            "mpesa_consumer_secret": SecretStr(config.consumer_secret),
            "mpesa_shortcode": config.shortcode,
            "mpesa_passkey": SecretStr(config.passkey),
            "mpesa_b2c_shortcode": config.payout_shortcode,
            "mpesa_initiator_name": config.initiator_name,
            "mpesa_initiator_password": SecretStr(config.initiator_password),
            "mpesa_certificate": Path(f"{config.key_pair}.cert.pem"),
            "mpesa_callback_sources": "127.0.0.1",
            "trusted_proxies": "127.0.0.1",
            # A journey moves its clock by hours between two clicks.
            "operator_idle_minutes": 720,
        }
    )


@asynccontextmanager
async def world_on(
    settings: Settings, db: Database, clock: Clock, sim: str, config: SimConfig, url: str
) -> AsyncIterator[World]:
    """A house on ``db`` with both shells served, beside a simulator that forgets what was."""
    wallet, console = listener(), listener()
    chosen = simulated(settings, url, sim, config, address(wallet))
    if not (settings.data_dir / "keys.json").exists():
        LocalKeyProvider.generate(settings.data_dir / "keys.json", clock.now())
    house = assemble(chosen, db, clock)
    await prepare(house.get(Ledger), db)
    client = httpx.AsyncClient(base_url=sim, timeout=30, verify=NO_CERTIFICATES)
    await client.post("/sim/reset")
    await client.put("/sim/settings", json={"callback_delay_ms": 0})
    heads = expected_heads()
    async with (
        serving(create_wallet_app(house, manifests(), heads=heads), wallet),
        serving(create_console_app(house, manifests(), heads=heads), console),
    ):
        world = World(house, address(wallet), address(console), client)
        try:
            yield world
        finally:
            await world.close()
            await house.close()
            await client.aclose()


async def one(db: Database, sql: str, *args: object) -> Any:
    """One value, read apart from the house."""

    async def read(tx: Tx) -> Any:
        return await tx.fetchval(sql, *args)

    return await db.run(read)
