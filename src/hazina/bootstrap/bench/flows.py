"""`hazina bench flows`: what people wait for through the service, beside ``pgbench -N``.

Thirty-two clients on kept connections against the house's real processes. Requests have phones of
their own, since a phone can show one prompt at a time. What belongs to a later part says so.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from hazina.bootstrap.bench import machine
from hazina.bootstrap.bench.baseline import Pgbench
from hazina.bootstrap.bench.house import BenchHouse
from hazina.bootstrap.bench.load import Measured, drive
from hazina.bootstrap.bench.report import Aim, Report, Row, percentile
from hazina.bootstrap.bench.wire import Answer, Line
from hazina.infra.db import Database, Tx
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import SystemClock
from hazina.kernel.ids import new_id, parse_id
from hazina.kernel.money import KES
from hazina.ledger.chart import Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, first_fault, move
from hazina.ledger.service import Ledger

CLIENTS = 32
LATER = "belongs to the marketplace, a later part"
PASSWORD = "a benchmark signs in"  # noqa: S105 - of customers who live for a minute
READ = Aim(at_most=1.5)
AMOUNT_KES = 100
FUNDED = KES.money("1000000")
CALLBACKS = 400  # at most: each needs a prompt first
SETTLED_S = 60
POLL_S = 0.02
PROMPTED = """
SELECT token, merchant_request_id, checkout_request_id FROM deposits.deposit
WHERE state = 'prompted' AND requested_at > $1 ORDER BY id
"""
COUNT = "SELECT count(*) FROM deposits.deposit WHERE token = ANY($1) AND state = 'paid'"
SETTLED = """
SELECT i.received_at, d.state_since FROM deposits.deposit d
JOIN infra.inbox i ON i.source = 'mpesa' AND i.kind = $2
     AND i.external_id = d.token || ':' || d.checkout_request_id
WHERE d.token = ANY($1) AND d.state = 'paid'
"""


@dataclass(slots=True)
class Client:
    """A signed-in customer on a connection of their own."""

    line: Line
    person_id: UUID
    token: str

    async def call(self, method: str, path: str, body: object = None) -> Answer:
        return await self.line.call(
            method,
            f"/api/v1{path}",
            body,
            authorization=f"Bearer {self.token}",
            idempotency_key=new_id().hex,
        )


Act = Callable[[Client], Awaitable[Answer]]


@dataclass(slots=True)
class FlowsBench:
    """One run against running processes; ``now`` hears what is being measured."""

    house: BenchHouse
    db: Database
    pgbench: Pgbench
    seconds: float
    now: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    chance: random.Random = field(default_factory=random.Random)

    async def run(self) -> Report:
        """This will measure every row."""
        found = await machine.describe(self.house.server.urls.admin, self.house.server.data_dir)
        self.now("pgbench, and customers who sign in")
        await self.pgbench.prepare(min(self.seconds, 2))
        for number in range(CLIENTS):
            self.clients.append(await self._sign_in(number))
        await self._fund()
        await self._authenticated_read()
        await self._requests("gold buy request", "POST /gold/trade/buy", self._buy)
        await self._drained()
        await self._requests("withdrawal request", "POST /wallet/withdrawals", self._withdraw)
        await self._drained()
        await self._callbacks()
        self.rows.append(Row.missing("bid", "requests/s", None, LATER))
        for client in self.clients:
            client.line.close()
        people = await self.db.fetchval("SELECT count(*) FROM identity.customer")
        found["load_after"] = machine.load()
        how = {"clients": CLIENTS, "seconds": self.seconds, "customers": people}
        return Report(found, how, self.rows)

    # -- rows

    async def _authenticated_read(self) -> None:
        name = "an authenticated read, GET /user/me, beside a bare handler with one query"
        self.now(name)
        lines = [await Line.open(self.house.bare_port) for _ in self.clients]
        bare_of = dict(zip((id(client) for client in self.clients), lines, strict=True))

        async def bare(client: Client) -> Answer:
            return await bare_of[id(client)].call("GET", f"/person/{client.person_id}")

        async def read(client: Client) -> Answer:
            return await client.call("GET", "/user/me")

        pids = self.house.pids
        for act in (bare, read):
            await self._all(act, min(self.seconds, 1))
        before, least = await self._costing(bare, pids["bare"])
        ours, spent = await self._costing(read, pids["web"])
        after, less = await self._costing(bare, pids["bare"])
        base = (before.rate + after.rate) / 2
        cost, bare_cost = 1e6 / ours.rate, 1e6 / base
        note = f"{ours.rate:.0f} against {base:.0f} a second; {ours.note}"
        self.rows.append(Row.of(name, cost, "µs each", baseline=bare_cost, aim=READ, note=note))
        if spent:
            words = f"{name}: processor time of the web process"
            least = (least + less) / 2
            self.rows.append(Row.of(words, spent, "µs each", baseline=least, aim=READ))
        self._add_waits(name, ours)
        for line in lines:
            line.close()

    async def _costing(self, act: Act, pid: int) -> tuple[Measured, float]:
        """What was done, and the µs that the process computed for each: what others do on the
        machine shows in it least."""
        began = machine.processor_s(pid)
        found = await self._all(act, self.seconds)
        return found, (machine.processor_s(pid) - began) * 1e6 / max(1, found.done)

    async def _requests(self, name: str, words: str, act: Act) -> None:
        name = f"{name}, {words}"
        self.now(name)
        found, base = await self.pgbench.around(
            CLIENTS, self.seconds, lambda: self._all(act, self.seconds)
        )
        self.rows.append(Row.of(name, found.rate, "requests/s", baseline=base, note=found.note))
        self._add_waits(name, found)

    async def _callbacks(self) -> None:
        name = "callback settled: received, money booked"
        self.now(name)
        waiting = await self._prompts(min(CALLBACKS, int(self.seconds * 80)))
        if not waiting:
            self.rows.append(Row.missing(name, "callbacks/s", None, "no prompt was sent"))
            return

        async def fire_and_wait() -> tuple[float, float]:
            began = time.perf_counter()
            await self._fire(list(waiting))
            paid = await self._paid([row["token"] for row in waiting])
            return paid / (time.perf_counter() - began), paid

        (rate, paid), base = await self.pgbench.around(CLIENTS, self.seconds, fire_and_wait)
        note = f"{paid:.0f} of {len(waiting)} settled"
        self.rows.append(Row.of(name, rate, "callbacks/s", baseline=base, note=note))
        rows = await self.db.fetch(SETTLED, [row["token"] for row in waiting], "collection")
        tick = timedelta(milliseconds=1)
        waits = sorted((row["state_since"] - row["received_at"]) / tick for row in rows)
        for share, words in ((0.5, "p50"), (0.99, "p99")):
            self.rows.append(Row.of(f"{name}: {words}", percentile(waits, share), "ms"))

    # -- what clients do

    async def _buy(self, client: Client) -> Answer:
        body = {"amount_kes": str(AMOUNT_KES), "phone_for_stk": self._phone()}
        return await client.call("POST", "/gold/trade/buy", body)

    async def _withdraw(self, client: Client) -> Answer:
        body = {"amount_kes": str(AMOUNT_KES), "phone": self._phone()}
        return await client.call("POST", "/wallet/withdrawals", body)

    async def _deposit(self, client: Client) -> Answer:
        body = {"amount_kes": str(AMOUNT_KES), "phone": self._phone()}
        return await client.call("POST", "/wallet/deposits", body)

    def _phone(self) -> str:
        return f"07{self.chance.randint(10_000_000, 29_999_999)}"

    async def _all(self, act: Act, seconds: float) -> Measured:
        free = list(self.clients)

        async def one() -> int:
            client = free.pop()
            try:
                _require(await act(client))
            finally:
                free.append(client)
            return 1

        return await drive(CLIENTS, seconds, one)

    async def _prompts(self, count: int) -> list[Any]:
        """Deposits whose prompt is on its phone."""
        since = SystemClock().now()
        waiting = list(range(count))

        async def ask(client: Client) -> None:
            while waiting:
                waiting.pop()
                _require(await self._deposit(client))

        await asyncio.gather(*(ask(client) for client in self.clients))
        deadline = time.perf_counter() + SETTLED_S
        while True:
            found = await self.db.fetch(PROMPTED, since)
            if len(found) == count or time.perf_counter() > deadline:
                return list(found)
            await asyncio.sleep(POLL_S * 5)

    async def _fire(self, waiting: list[Any]) -> None:
        """M-Pesa's word that each was paid, over all connections at once."""

        async def send(client: Client) -> None:
            while waiting:
                row = waiting.pop()
                path = f"/hooks/{row['token']}/c"
                _require(await client.line.call("POST", path, _paid_body(row)))

        await asyncio.gather(*(send(client) for client in self.clients))

    async def _paid(self, tokens: list[str]) -> int:
        deadline = time.perf_counter() + SETTLED_S
        while True:
            paid: int = await self.db.fetchval(COUNT, tokens)
            if paid == len(tokens) or time.perf_counter() > deadline:
                return paid
            await asyncio.sleep(POLL_S)

    async def _drained(self) -> None:
        """What the last requests set in motion must not weigh on the next ones."""
        deadline = time.perf_counter() + SETTLED_S
        query = "SELECT count(*) FROM pgqueuer.pgqueuer WHERE status IN ('queued', 'picked')"
        self.now("the worker works off what was asked")
        while time.perf_counter() < deadline:
            if not await self.db.fetchval(query):
                return
            await asyncio.sleep(POLL_S * 5)

    # -- who the clients are

    async def _sign_in(self, number: int) -> Client:
        line = await Line.open(self.house.wallet_port)
        name = f"bench-{number:02d}"
        fresh = {
            "username": name,
            "email": f"{name}@example.com",
            "phone": f"0730{number:06d}",
            "password": PASSWORD,
        }
        await line.call("POST", "/api/v1/auth/register", fresh)  # there already on kept data
        login = {"username": name, "password": PASSWORD}
        tokens = _require(await line.call("POST", "/api/v1/auth/login", login)).json()
        client = Client(line, UUID(int=0), str(tokens["access_token"]))
        me = _require(await client.call("GET", "/user/me")).json()
        client.person_id = parse_id("cus", me["id"].rpartition("_")[2])
        return client

    async def _fund(self) -> None:
        """Money to withdraw, from the owner's bank account."""
        ledger = Ledger()

        async def book(tx: Tx) -> None:
            transfers = [
                move(
                    system(Purpose.BANK),
                    customer(client.person_id, KES),
                    FUNDED,
                    Code.DEPOSIT,
                    Reference("bench", new_id()),
                )
                for client in self.clients
            ]
            fault = first_fault(await ledger.post(tx, transfers, SYSTEM))
            assert fault is None

        await self.db.run(book)

    def _add_waits(self, name: str, found: Measured) -> None:
        for share, words in ((0.5, "p50"), (0.99, "p99")):
            self.rows.append(Row.of(f"{name}: {words}", found.wait_ms(share), "ms"))


def _require(answer: Answer) -> Answer:
    """A refusal is quick: none may count."""
    if answer.status >= 300:
        raise AssertionError(f"{answer.status}: {answer.body[:300].decode(errors='replace')}")
    return answer


def _paid_body(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row
    """As M-Pesa writes it."""
    items = [
        {"Name": "Amount", "Value": AMOUNT_KES},
        {"Name": "MpesaReceiptNumber", "Value": f"B{row['token'][-9:].upper()}"},
        {"Name": "TransactionDate", "Value": 20261120143021},
        {"Name": "PhoneNumber", "Value": 254711000111},
    ]
    told = {
        "MerchantRequestID": row["merchant_request_id"],
        "CheckoutRequestID": row["checkout_request_id"],
        "ResultCode": 0,
        "ResultDesc": "The service request is processed successfully.",
        "CallbackMetadata": {"Item": items},
    }
    return {"Body": {"stkCallback": told}}
