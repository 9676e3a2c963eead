"""A house of real processes whose web, worker and PostgreSQL a test kills hundreds of times.

Not `hazina up`: its supervisor would wait longer after each death. PostgreSQL and the simulated
M-Pesa are those of `up`; web and worker come from the nursery.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from hazina.bootstrap import demo_seed
from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.household import Household, SimulatedMpesa
from hazina.bootstrap.migrate import upgrade
from hazina.bootstrap.ports import Ports
from hazina.bootstrap.wiring import assemble
from hazina.infra.db import Database
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import Settings
from hazina.kernel.clock import SystemClock
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES
from hazina.ledger.history import History
from hazina.ledger.proof import Proof
from tests.loopback import NO_CERTIFICATES
from tests.process.running import ROOT, environment, is_gone

PASSWORD = "correct horse battery"
OPENING = Decimal("100000.00")
AWAY_S = 30
QUICK = {
    "HAZINA_MPESA_QUERY_AFTER_S": "1",
    "HAZINA_MPESA_STATUS_AFTER_S": "1",
    "HAZINA_MPESA_PROMPT_WINDOW_S": "1",
    "HAZINA_MPESA_TIMEOUT_S": "3",
    "HAZINA_LOGIN_LIMIT": "1000000/minute",
    "HAZINA_STK_LIMIT": "1000000/minute",
    "HAZINA_PASSWORD_MEMORY_KIB": "8",
    "HAZINA_TRUSTED_PROXIES": "127.0.0.1",
    "HAZINA_DATABASE_POOL_SIZE": "8",
}
# The database is dead, dying or being born.
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
# What waits for a time to pass waits no longer: leases end, questions fall due, a dead worker's
# jobs are given up, and every sweeper may run again.
HURRY = (
    "UPDATE deposits.deposit SET next_attempt_at = now() WHERE next_attempt_at > now()",
    "UPDATE withdrawals.withdrawal SET next_attempt_at = now() WHERE next_attempt_at > now()",
    "UPDATE receipts.payment SET next_attempt_at = now() WHERE next_attempt_at > now()",
    """
    UPDATE infra.inbox SET received_at = received_at - interval '3 minutes'
    WHERE state IN ('new', 'waiting') AND received_at > now() - interval '3 minutes'
    """,
    "UPDATE pgqueuer.pgqueuer SET execute_after = now() WHERE execute_after > now()",
    """
    UPDATE pgqueuer.pgqueuer SET heartbeat = now() - interval '1 minute' WHERE status = 'picked'
    AND queue_manager_id <> (SELECT worker FROM infra.worker_seen ORDER BY seen_at DESC LIMIT 1)
    """,
    "UPDATE infra.sweep SET started_at = '-infinity' WHERE name <> 'payment.pull'",
)
READ_LIST = "UPDATE infra.sweep SET started_at = '-infinity' WHERE name = 'payment.pull'"


@dataclass(slots=True)
class Person:
    """A customer and a phone of their own."""

    username: str
    phone: str
    id: Any
    token: str
    receipts: list[str] = field(default_factory=list)


class Rig:
    """What a test can do to the house, and see of it."""

    def __init__(self, server: EmbeddedPostgres, household: Household, log: Path) -> None:
        self.server, self.household = server, household
        given = household.settings() | QUICK
        self.env = environment(**given)
        told = {name.removeprefix("HAZINA_").lower(): value for name, value in given.items()}
        self.settings = Settings.model_validate(told)
        self._log = log.open("a")
        self._nursery = self._process(["tests.process.nursery"], self.env, talks=True)
        simulator = household.simulator()
        assert simulator is not None
        self._sim = subprocess.Popen(
            simulator.command, env=dict(simulator.environment), stdout=self._log, stderr=self._log
        )
        self.api = httpx.AsyncClient(
            base_url=household.wallet_url, timeout=20, verify=NO_CERTIFICATES
        )
        self.sim = httpx.AsyncClient(
            base_url=household.daraja_url, timeout=40, verify=NO_CERTIFICATES
        )
        self.pids: dict[str, int] = {}
        self._count = 0
        self._db: asyncpg.Connection | None = None

    def _process(
        self, module: list[str], env: dict[str, str], *, talks: bool
    ) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE if talks else None
        return subprocess.Popen(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            env=env | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stdin=pipe,
            stdout=pipe,
            stderr=self._log,
            text=True,
        )

    # -- lives and deaths

    def bear(self, name: str, kill_at: str = "") -> int:
        """This will start one process; it has not begun to work when this returns."""
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(json.dumps({"name": name, "kill_at": kill_at}) + "\n")
        self._nursery.stdin.flush()
        self.pids[name] = int(self._nursery.stdout.readline())
        return self.pids[name]

    def kill(self, name: str) -> None:
        """SIGKILL, at whatever it is doing."""
        with suppress(ProcessLookupError):
            os.kill(self.pids[name], signal.SIGKILL)

    async def has_died(self, name: str, within_s: float) -> bool:
        """Whether it ends by itself, sooner or later."""
        return await seen(is_gone(self.pids[name]), within_s)

    async def ended(self, name: str) -> None:
        assert await self.has_died(name, AWAY_S), f"{name} lives on"

    async def has_worker_died(self, within_s: float) -> bool:
        return await self.has_died("worker", within_s)

    async def outside_is_idle(self) -> None:
        """What M-Pesa has to say by now is said."""
        how = {"timeout": 10, "prompts": False, "late": False}
        await self.sim.get("/sim/wait-idle", params=how)

    async def database_died(self, within_s: float) -> bool:
        return await seen(lambda: self.server.pid is None, within_s)

    async def answers(self) -> None:
        """This will return once the wallet answers."""

        async def ready() -> bool:
            try:
                return (await self.api.get("/api/v1/gold/prices/current")).status_code == 200
            except httpx.TransportError:
                return False

        end = asyncio.get_running_loop().time() + AWAY_S
        while not await ready():
            assert asyncio.get_running_loop().time() < end, "the wallet does not answer"
            await asyncio.sleep(0.02)

    # -- what people do

    async def customer(self) -> Person:
        self._count += 1
        username, phone = f"soul{self._count}", f"2547{self._count:08d}"
        who = {"username": username, "password": PASSWORD}
        fresh = {**who, "email": f"{username}@example.com", "phone": f"+{phone}"}
        answer = await self.api.post("/api/v1/auth/register", json=fresh)
        assert answer.status_code == 201, answer.text
        token = (await self.api.post("/api/v1/auth/login", json=who)).json()["access_token"]
        handset = {"balance": str(OPENING), "auto": "pay"}
        await self.sim.put(f"/sim/handsets/{phone}", json=handset)
        sql = "SELECT id FROM identity.customer WHERE username = $1"
        return Person(username, phone, await self.one(sql, username), token)

    async def order(self, who: Person, path: str, body: object, key: str = "") -> bool:
        """One money command; False where no answer came, and nobody knows."""
        headers = {
            "Authorization": f"Bearer {who.token}", "Idempotency-Key": key or new_id().hex,
        }  # fmt: skip
        try:
            answer = await self.api.post(f"/api/v1{path}", json=body, headers=headers)
        except httpx.TransportError:
            return False
        if answer.status_code == 503:
            return False
        assert answer.status_code == 202, answer.text
        return True

    async def pay_bill(self, who: Person, account: str, amount: str) -> None:
        """From the phone's menu; what was paid is remembered for the reckoning."""
        order = {"account_number": account, "amount": amount, "pin": "1234"}
        answer = await self.sim.post(f"/sim/handsets/{who.phone}/paybill", json=order)
        assert answer.status_code == 200, answer.text
        who.receipts.append(answer.json()["receipt"])

    async def account(self, who: Person) -> str:
        headers = {"Authorization": f"Bearer {who.token}"}
        answer = await self.api.get("/api/v1/wallet/deposits/paybill", headers=headers)
        found: str = answer.json()["account_number"]
        return found

    async def fault(self, who: Person, name: str, operation: str, **how: object) -> None:
        phone = {} if operation == "query" else {"phone": who.phone}
        order = {"fault": name, "operation": operation, **phone, **how}
        answer = await self.sim.put("/sim/faults", json=order)
        assert answer.status_code == 200, answer.text

    async def purse(self, who: Person) -> Decimal:
        found = (await self.sim.get(f"/sim/handsets/{who.phone}")).json()["balance"]
        return Decimal(found)

    # -- time, and what is seen

    async def hurry(self, *, outside: bool) -> None:
        """A while passes here and, if wanted, a minute outside."""
        with suppress(*AWAY):
            for sql in HURRY:
                await self.run(sql)
            if outside:
                await self.run(READ_LIST)
        if outside:
            await self.sim.put("/sim/clock", json={"advance_s": 61})

    async def run(self, sql: str, *args: object) -> list[Any]:
        if self._db is None or self._db.is_closed():
            self._db = await asyncpg.connect(self.server.urls.owner)
        return list(await self._db.fetch(sql, *args))

    async def trial_balance(self) -> dict[str, Decimal]:
        """Our balances in shillings, by purpose; and the proof holds."""
        db = await Database.connect(self.server.urls.app, size=2)
        try:
            house = assemble(self.settings, db, SystemClock())
            async with db.transaction(readonly=True) as tx:
                verdicts = await house.get(Proof).verify(tx)
                lines = await History(tx).trial_balance()
            await house.close()
        finally:
            await db.close()
        assert {v.claim: v.faults for v in verdicts if not v.holds} == {}
        shillings = [line for line in lines if line.asset is KES]
        return {line.purpose.value: Decimal(line.balance.units) / 100 for line in shillings}

    async def one(self, sql: str, *args: object) -> Any:
        rows = await self.run(sql, *args)
        return rows[0][0] if rows else None

    async def close(self) -> None:
        for client in (self.api, self.sim):
            await client.aclose()
        if self._db is not None:
            await self._db.close()
        for name in self.pids:
            self.kill(name)
        for process in (self._nursery, self._sim):
            process.kill()
            process.wait()
        if self._nursery.stdin and self._nursery.stdout:
            with suppress(BrokenPipeError):
                self._nursery.stdin.close()
            self._nursery.stdout.close()
        self._log.close()


async def seen(is_true: Any, within_s: float) -> bool:
    end = asyncio.get_running_loop().time() + within_s
    while not is_true():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.01)
    return True


@asynccontextmanager
async def rigged(room: Path, first_port: int) -> AsyncIterator[Rig]:
    """A house with gold and a price, its web serving; no worker lives yet."""
    data_dir = room / "data"
    server = EmbeddedPostgres(data_dir)
    urls = server.start()
    rig: Rig | None = None
    try:
        await upgrade(urls.owner)
        LocalKeyProvider.generate(data_dir / "keys.json", SystemClock().now())
        mpesa = SimulatedMpesa.of(data_dir)
        household = Household(data_dir, Ports.from_first(first_port), urls, mpesa)
        rig = Rig(server, household, room / "said.txt")
        await seen(household.key_pair.with_name("daraja.key.pem.cert.pem").exists, AWAY_S)
        await demo_seed.ensure(rig.settings)
        rig.bear("register")
        await rig.ended("register")
        rig.bear("web")
        await rig.answers()
        yield rig
    finally:
        if rig is not None:
            await rig.close()
        server.discard()
