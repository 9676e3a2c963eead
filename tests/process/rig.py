"""A house of real processes whose web, worker and PostgreSQL die hundreds of times.

Not `hazina up`: its supervisor would wait longer after each death. PostgreSQL and the simulated
M-Pesa are those of `up`; web and worker come from the nursery. Whoever dies has an heir at once,
before time goes on: what M-Pesa had to say meanwhile was said to nobody, or waits in the inbox.
Time is not waited for. It passes, here and outside, while no worker lives.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import httpx

from hazina.bootstrap import demo_seed
from hazina.bootstrap.embedded import EmbeddedPostgres, StartFailed
from hazina.bootstrap.household import Household, SimulatedMpesa
from hazina.bootstrap.ports import Ports
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.points import TAKEN
from hazina.infra.settings import Settings
from hazina.kernel.clock import SystemClock
from hazina.kernel.ids import new_id
from tests.loopback import NO_CERTIFICATES
from tests.notifications.smtp_sink import SmtpSink
from tests.process.acts import PASSWORD
from tests.process.moving import SharedClock
from tests.process.running import ROOT, environment

T = TypeVar("T")
OPENING = Decimal("200000.00")  # above 500,000 M-Pesa lets nobody be paid
AWAY_S = 30.0
LOOK_S = 0.01
PATIENCE_S, LEASE_S = 1.5, 15.0
STEP_S = 61.0
TOKEN = "call.mpesa.token:"
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
    "HAZINA_ACCESS_TOKEN_MINUTES": "120",
    "HAZINA_DEPOSIT_DAILY_LIMIT_KES": "100000000",
    "HAZINA_WITHDRAWAL_DAILY_LIMIT_KES": "100000000",
    "HAZINA_SMS_MODE": "null",
    "HAZINA_LOG_LEVEL": "warning",
    # One after the other: who dies takes nobody along.
    "HAZINA_WORKER_JOBS": "1",
}
# The database is dead, dying or being born.
AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
# A dead worker's jobs are given up and what it was sweeping is swept again: nobody waits for a
# heartbeat that does not come.
MOURN = """
UPDATE pgqueuer.pgqueuer SET heartbeat = now() - interval '1 day' WHERE status = 'picked';
UPDATE infra.sweep SET started_at = '-infinity' WHERE ended_at IS NULL
"""
# The same for what the server still did for a worker that was dead already.
MOURN_AGAIN = """
UPDATE pgqueuer.pgqueuer SET heartbeat = now() - interval '1 day' WHERE status = 'picked'
AND queue_manager_id <> (SELECT worker FROM infra.worker_seen ORDER BY started_at DESC LIMIT 1);
UPDATE infra.sweep SET started_at = '-infinity' WHERE ended_at IS NULL
"""
SWEEPS = (
    "deposit.sweep", "withdrawal.sweep", "payment.sweep", "return.sweep", "reversal.sweep",
    "payment.pull", "mpesa.callback_sweep", "outbox.sweep", "trade.sweep", "message.sweep",
    "balance.sweep",
)  # fmt: skip
# The queue and the sweepers go by the database's clock, which nobody moves.
AT_ONCE = "UPDATE pgqueuer.pgqueuer SET execute_after = now() WHERE execute_after > now()"
LATER = f"""
{AT_ONCE};
UPDATE infra.sweep SET started_at = '-infinity'
WHERE name IN ({", ".join(f"'{name}'" for name in SWEEPS)})
"""
BUSY = """
SELECT EXISTS (SELECT FROM pgqueuer.pgqueuer
               WHERE status = 'picked' OR status = 'queued' AND execute_after <= now())
    OR EXISTS (SELECT FROM infra.sweep WHERE started_at = '-infinity' OR ended_at IS NULL)
"""


@dataclass(slots=True)
class Person:
    """A customer and a phone of their own."""

    username: str
    phone: str
    id: UUID
    token: str
    receipts: list[str] = field(default_factory=list)  # paid from the phone's own menu


@dataclass(slots=True)
class Life:
    """One process, and whether it has ended, however that was."""

    pid: int
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(cls, pid: int) -> "Life":
        life, loop = cls(pid), asyncio.get_running_loop()
        try:
            seen = os.pidfd_open(pid)
        except ProcessLookupError:
            life.ended.set()
            return life

        def end() -> None:
            loop.remove_reader(seen)
            os.close(seen)
            life.ended.set()

        loop.add_reader(seen, end)
        return life

    def kill(self) -> None:
        if not self.ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class Rig:
    """What a test can do to the house, and see of it."""

    def __init__(self, server: EmbeddedPostgres, household: Household, room: Path) -> None:
        self.server, self.household, self.room = server, household, room
        self.clock = SharedClock(room / "clock")
        self.orders = room / "orders"
        (self.orders / TAKEN).mkdir(parents=True)
        given = household.settings() | QUICK
        # Nobody listens there; it is a call that leaves the house all the same.
        given["HAZINA_LEDGER_HEAD_WEBHOOK"] = f"{household.daraja_url}/healthz"
        self.environment = given
        told = {name.removeprefix("HAZINA_").lower(): value for name, value in given.items()}
        self.settings = Settings.model_validate(told)
        self.more: dict[str, str] = {}  # settings of those born from now on
        self.mail = SmtpSink()
        self._log = (room / "said.txt").open("a")
        self._simulators = [
            subprocess.Popen(
                child.command, env=dict(child.environment), stdout=self._log, stderr=self._log
            )
            for child in household.simulators()
        ]
        outside = {"timeout": 40, "verify": NO_CERTIFICATES}
        self.api = httpx.AsyncClient(base_url=household.wallet_url, **outside)
        self.sim = httpx.AsyncClient(base_url=household.daraja_url, **outside)
        self.sms = httpx.AsyncClient(base_url=household.sms_url, **outside)
        self._nursery: subprocess.Popen[str] | None = None
        self.lives: dict[str, Life] = {}
        self.may_live = asyncio.Event()
        self.may_live.set()
        self.began = self.clock.now()
        self._passes_s = 0.0
        self._tokens: set[str] = set()
        self._numbers = count(1)
        self.people: list[Person] = []
        self._db: asyncpg.Connection | None = None
        self._tending: list[asyncio.Task[None]] = []

    # -- lives and deaths

    def open_nursery(self) -> None:
        """The certificate of M-Pesa must be there: a house is opened once, to learn how."""
        more = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "HAZINA_KILL_AT": str(self.orders)}
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "tests.process.nursery", str(self.room / "clock")],
            cwd=ROOT,
            env=environment(**self.environment) | more,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def bear(self, name: str, place: str = "", **more: object) -> Life:
        """This will start one process in its ``place``, which is called as it is itself unless said
        otherwise; it has not begun to work when this returns."""
        assert self._nursery is not None
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        order = {"name": name, "more": self.more, **more}
        self._nursery.stdin.write(json.dumps(order) + "\n")
        self._nursery.stdin.flush()
        life = Life.of(int(self._nursery.stdout.readline()))
        if name != "act":
            self.lives[place or name] = life
        return life

    async def overtaken(self) -> Life:
        """The worker stands still: its leases end, another finishes its job and goes; then it comes
        back to life."""
        still = self.lives["worker"]
        await self._advance(STEP_S)
        await self.run(MOURN)
        await self.run(LATER)
        other = self.bear("worker", place="another")
        await self.drained()
        other.kill()
        await other.ended.wait()
        os.kill(still.pid, signal.SIGCONT)
        return still

    def tend(self) -> None:
        """From now on who dies has an heir."""
        for name in ("web", "worker"):
            self.bear(name)
            self._tending.append(asyncio.create_task(self._heirs(name)))
        self._tending.append(asyncio.create_task(self._nurse_database()))

    async def _heirs(self, name: str) -> None:
        while True:
            await self.lives[name].ended.wait()
            if name == "worker":
                await self.may_live.wait()
                await self._mourn()
            self.bear(name)

    async def _mourn(self) -> None:
        """What M-Pesa has to say by now is said; then, if it is to, time passes."""
        await self.outside_is_idle()
        await self.run(MOURN)
        if (left := self._token_orders()) != self._tokens:
            # Who fetches M-Pesa's token has it leased: the others wait for the lease to end.
            self._tokens, self._passes_s = left, self._passes_s + LEASE_S
        if self._passes_s:
            passes_s, self._passes_s = self._passes_s, 0.0
            await self._advance(passes_s)
            await self.run(LATER)

    def _token_orders(self) -> set[str]:
        return {point for point in self.ordered() if point.startswith(TOKEN)}

    async def _advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.sim.put("/sim/clock", json={"advance_s": seconds})

    async def _nurse_database(self) -> None:
        while True:
            assert self.server.process is not None
            life = Life.of(self.server.process.pid)  # even if it is dead again
            with suppress(*AWAY):  # it may die again at once
                db = await asyncpg.connect(self.server.urls.owner)
                try:
                    await db.execute(AT_ONCE)
                finally:
                    db.terminate()
            await life.ended.wait()
            with suppress(StartFailed):  # killed while it starts
                self.server.restart()

    def order_death(self, point: str, of: str = "") -> None:
        """Whoever passes ``point`` next dies there, or has the process of the file ``of`` die."""
        beside = self.orders / TAKEN / f"{point}.new"
        beside.write_text(of)
        beside.replace(self.orders / point)

    def ordered(self) -> set[str]:
        """The deaths that nobody has died yet."""
        return {one.name for one in self.orders.iterdir() if one.is_file()}

    async def died_at(self, point: str) -> None:
        await self.until(f"a death at {point}", lambda: point not in self.ordered())

    @property
    def postmaster_file(self) -> str:
        return str(self.server.place / "cluster" / "postmaster.pid")

    # -- time

    async def until(self, what: str, is_true: Callable[[], bool]) -> None:
        end = asyncio.get_running_loop().time() + AWAY_S
        while not is_true():
            self.check_tending()
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"not within {AWAY_S} s: {what}")
            await asyncio.sleep(LOOK_S)

    def check_tending(self) -> None:
        """Raises what ended the tending of the dead."""
        for task in self._tending:
            if task.done():
                task.result()

    async def outside_is_idle(self) -> None:
        """What M-Pesa has to say by now is said."""
        how = {"timeout": 10, "prompts": False, "late": False}
        await self.sim.get("/sim/wait-idle", params=how)

    async def drained(self) -> None:
        """Nobody has anything left to do before more time passes."""
        turn, left = 0, self.ordered()
        while turn < int(AWAY_S / LOOK_S):
            # As long as somebody dies there is more to do.
            turn, left = 1 if self.ordered() != left else turn + 1, self.ordered()
            if not await self.one(BUSY):
                await self.outside_is_idle()
                if not await self.one(BUSY):
                    return
            self.check_tending()
            if turn % int(PATIENCE_S / LOOK_S) == 0:
                await self.run(MOURN_AGAIN)
            await asyncio.sleep(LOOK_S)
        raise AssertionError(f"there is no end of work: {await self.busy()}")

    async def busy(self) -> list[str]:
        """What there is to do, for who reads a failure."""
        jobs = await self.run("SELECT entrypoint, status, attempts FROM pgqueuer.pgqueuer")
        sweeps = await self.run(
            "SELECT name FROM infra.sweep WHERE started_at = '-infinity' OR ended_at IS NULL"
        )
        return [str(tuple(row)) for row in (*jobs, *sweeps)]

    async def passes(self, seconds: float = STEP_S) -> None:
        """So much time passes while no worker lives."""
        self._passes_s += seconds
        while self._passes_s:
            life = self.lives["worker"]
            life.kill()
            await self.until("an heir", lambda life=life: self.lives["worker"] is not life)

    # -- what people do

    async def customer(self, name: str) -> Person:
        """Somebody new, who pays whatever is asked of their phone."""
        number = next(self._numbers)
        username, phone = f"soul{number}", f"2547{number:08d}"
        who = {"username": username, "password": PASSWORD}
        fresh = {**who, "email": f"{username}@example.com", "phone": f"+{phone}"}
        answer = await self._insist(lambda: self.api.post("/api/v1/auth/register", json=fresh))
        # Asked again, since the answer was lost, they are there already.
        assert answer.status_code in (201, 409), f"{name}: {answer.text}"
        answer = await self._insist(lambda: self.api.post("/api/v1/auth/login", json=who))
        token = answer.json()["access_token"]
        handset = {"balance": str(OPENING), "auto": "pay"}
        await self.sim.put(f"/sim/handsets/{phone}", json=handset)
        sql = "SELECT id FROM identity.customer WHERE username = $1"
        self.people.append(Person(username, phone, await self.one(sql, username), token))
        return self.people[-1]

    async def order(self, who: Person, path: str, **body: object) -> dict[str, Any]:
        """One money command, under its key until it is answered; its answer."""
        key = new_id().hex
        return await self._asked(who, lambda headers: self.api.post(
            f"/api/v1{path}", json=body, headers={**headers, "Idempotency-Key": key}
        ))  # fmt: skip

    async def account(self, who: Person) -> str:
        answer = await self._asked(
            who,
            lambda headers: self.api.get("/api/v1/wallet/deposits/paybill", headers=headers),
        )
        return str(answer["account_number"])

    async def _insist(self, ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """Asked until somebody answers."""
        for _ in range(int(AWAY_S / LOOK_S)):
            with suppress(httpx.TransportError):
                answer = await ask()
                if answer.status_code != 503:
                    return answer
            await asyncio.sleep(LOOK_S)
        raise AssertionError("the wallet does not answer")

    async def _asked(
        self, who: Person, ask: Callable[[Mapping[str, str]], Awaitable[httpx.Response]]
    ) -> dict[str, Any]:
        end = asyncio.get_running_loop().time() + AWAY_S
        while asyncio.get_running_loop().time() < end:
            try:
                answer = await ask({"Authorization": f"Bearer {who.token}"})
                if answer.status_code == 401:
                    login = {"username": who.username, "password": PASSWORD}
                    answer = await self.api.post("/api/v1/auth/login", json=login)
                    who.token = answer.json()["access_token"]
                    continue
            except (httpx.TransportError, KeyError):
                await asyncio.sleep(LOOK_S)
                continue
            if answer.status_code == 503:
                await asyncio.sleep(LOOK_S)
                continue
            assert answer.status_code in (200, 202), f"{who.username}: {answer.text}"
            found: dict[str, Any] = answer.json()
            return found
        raise AssertionError("the wallet does not answer")

    async def act(self, name: str, *, refused: str = "", **facts: object) -> None:
        """An act at the desk, begun again by whoever finds it undone; ``refused``: or one
        of these."""
        answer = self.room / f"answer-{new_id().hex}"
        for _ in range(50):
            await self.run("SELECT")  # nobody begins while the database is away
            life = self.bear("act", act=name, facts=facts, answer=str(answer))
            await asyncio.wait_for(life.ended.wait(), AWAY_S)
            said = answer.read_text() if answer.exists() else ""
            if said and said != "database_unavailable":
                assert said in ("done", *refused.split()), f"{name}: {said}"
                return
        raise AssertionError(f"{name} is never done; see {self.room / 'said.txt'}")

    async def handset(self, who: Person, **change: str) -> None:
        answer = await self.sim.put(f"/sim/handsets/{who.phone}", json=change)
        assert answer.status_code == 200, answer.text

    async def show_code(self, who: Person) -> None:
        """A page of the wallet that has M-Pesa draw a code; loaded again until it comes."""
        end = asyncio.get_running_loop().time() + AWAY_S
        while asyncio.get_running_loop().time() < end:
            with suppress(httpx.TransportError, IndexError):  # a page that is none yet
                async with httpx.AsyncClient(
                    base_url=self.household.wallet_url, verify=NO_CERTIFICATES
                ) as browser:
                    page = (await browser.get("/login")).text
                    form = {"username": who.username, "password": PASSWORD}
                    form["csrf"] = page.split('name="csrf" value="')[1].split('"')[0]
                    await browser.post("/login", data=form)
                    picture = await browser.get("/deposits/paybill.png?amount=77")
                    if picture.status_code == 200:
                        return
            await asyncio.sleep(LOOK_S)
        raise AssertionError("no code is shown")

    async def pay_bill(self, who: Person, account: str, amount: str) -> str:
        """From the phone's menu; what was paid is remembered for the reckoning."""
        order = {"account_number": account, "amount": amount, "pin": "1234"}
        answer = await self.sim.post(f"/sim/handsets/{who.phone}/paybill", json=order)
        assert answer.status_code == 200, answer.text
        who.receipts.append(answer.json()["receipt"])
        return who.receipts[-1]

    # -- what the outside does

    async def fault(self, name: str, operation: str, phone: str = "", **how: object) -> int:
        """This will spoil the next such request, of one phone where it names one; its number."""
        order = {"fault": name, "operation": operation, **({"phone": phone} if phone else {})}
        answer = await self.sim.put("/sim/faults", json={**order, **how})
        assert answer.status_code == 200, answer.text
        return int(answer.json()["faults"][-1]["id"])

    async def mend(self, *faults: int) -> None:
        for one in faults:
            await self.sim.delete(f"/sim/faults/{one}")

    async def take_back(self, receipt: str) -> None:
        """M-Pesa reverses a payment as after a complaint, and says nothing."""
        answer = await self.sim.post(f"/sim/books/{receipt}/reverse")
        assert answer.status_code in (200, 409), answer.text

    async def statement(self) -> None:
        """Somebody brings M-Pesa's statement of all that was since the beginning."""
        # With the moment in its head: the same file twice is one statement, of the first's time.
        span = {"from": "2026-01-01", "to": self.clock.now().isoformat()}
        body = (await self.sim.get("/sim/statement.csv", params=span)).content
        file = self.room / f"statement-{new_id().hex}.csv"
        file.write_bytes(body)
        await self.act("statement", file=str(file), since="2026-01-01T00:00:00+00:00")

    # -- what is seen

    async def run(self, sql: str, *args: object) -> list[Any]:
        """Rows; asked again while the database is away. Without arguments, several statements."""
        end = asyncio.get_running_loop().time() + AWAY_S
        while True:
            try:
                if self._db is None or self._db.is_closed():
                    self._db = await asyncpg.connect(self.server.urls.owner)
                if args or not sql.lstrip().startswith("UPDATE"):
                    return list(await self._db.fetch(sql, *args))
                await self._db.execute(sql)
            except AWAY:
                self.check_tending()
                if asyncio.get_running_loop().time() > end:
                    raise
                await asyncio.sleep(LOOK_S)
            else:
                return []

    async def one(self, sql: str, *args: object) -> Any:
        rows = await self.run(sql, *args)
        return rows[0][0] if rows else None

    async def close(self) -> None:
        for task in self._tending:
            task.cancel()
        await asyncio.gather(*self._tending, return_exceptions=True)
        for client in (self.api, self.sim, self.sms):
            await client.aclose()
        if self._db is not None:
            with suppress(*AWAY):
                await self._db.close()
        for life in self.lives.values():
            life.kill()
        for simulator in self._simulators:
            simulator.kill()
            simulator.wait()
        if self._nursery is not None:
            self._nursery.kill()
            self._nursery.communicate()
        self._log.close()


@asynccontextmanager
async def rigged(data_dir: Path, first_port: int) -> AsyncIterator[Rig]:
    """A house with gold and a price on a migrated database, its web and worker tended."""
    server = EmbeddedPostgres(data_dir)
    urls = server.start()
    rig: Rig | None = None
    try:
        if not (data_dir / "keys.json").exists():
            LocalKeyProvider.generate(data_dir / "keys.json", SystemClock().now())
        mpesa = SimulatedMpesa.of(data_dir)
        household = Household(data_dir, Ports.from_first(first_port), urls, mpesa)
        rig = Rig(server, household, data_dir.parent)
        made = household.key_pair.with_name("daraja.key.pem.cert.pem")
        await rig.until("the simulator's key", made.exists)
        rig.open_nursery()
        await simulator_answers(rig)
        await demo_seed.ensure(rig.settings)
        rig.tend()
        await wallet_answers(rig)
        yield rig
    finally:
        if rig is not None:
            await rig.close()
        server.discard()


async def wallet_answers(rig: Rig) -> None:
    for _ in range(1000):
        with suppress(httpx.TransportError):
            await rig.api.get("/healthz")
            return
        await asyncio.sleep(LOOK_S)
    raise AssertionError("the wallet does not answer")


async def simulator_answers(rig: Rig) -> None:
    settings = {"stk_confirms_c2b": False, "c2b_external_validation": False}
    for _ in range(1000):
        with suppress(httpx.TransportError):
            await rig.sim.put("/sim/settings", json=settings | {"callback_delay_ms": 0})
            return
        await asyncio.sleep(LOOK_S)
    raise AssertionError("the simulated M-Pesa does not answer")
