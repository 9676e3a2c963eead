"""Calls back: a durable queue of HTTP deliveries, each at least once, in the books' file.

A delivery is a row before anything is sent and pending until an answer was recorded; whatever was
pending at a kill is sent after the restart (so a client may see one twice, as with the real one).
Leaves out what the bodies mean.
"""

import asyncio
import sqlite3
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import httpx

from hazina.simulators.daraja.clock import Clock, to_ms
from hazina.simulators.daraja.config import Settings
from hazina.simulators.daraja.faults import Plan
from hazina.simulators.daraja.store import Store
from hazina.simulators.daraja.timers import Bells, Timers
from hazina.simulators.daraja.wire import Json, render

PARALLEL = 24
"""Open callback connections at once. The HTTP pool's work per request grows with their square:
at 64 it took more time than everything else here together."""


ELSEWHERE = "203.0.113.7"
"""Where the fault wrong_source says a callback comes from; nobody's address (RFC 5737)."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One callback to be sent: what kind, about which request, where to, with which body."""

    kind: str
    subject: str
    url: str
    body: Json
    source: str | None = None
    """X-Forwarded-For of this one; None takes the setting."""


Listener = Callable[[str, int | None, bytes], None]
"""Told (subject, HTTP status or None, body) of an answer, in the transaction that records it."""

ANSWER_BYTES = 65_536
"""No more of an answer is read."""


class Callbacks:
    """The postman."""

    def __init__(
        self,
        store: Store,
        timers: Timers,
        bells: Bells,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._store = store
        self._timers = timers
        self._bells = bells
        self._clock = clock
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._gate = asyncio.Semaphore(PARALLEL)
        self._running: dict[int, asyncio.Task[None]] = {}
        self.settings = Settings()
        self.listeners: dict[str, Listener] = {}
        """By kind of letter: whoever waits for the answer. Such letters are sent once."""

    def send(self, letter: Letter, plan: Plan, *, extra_delay_s: float = 0) -> None:
        """This will queue a callback inside the open transaction, bent by the request's faults."""
        now = to_ms(self._clock())
        wrong = plan.get("wrong_source")
        if wrong is not None:
            letter = replace(letter, source=wrong.source or ELSEWHERE)
        late = plan.get("callback_late")
        delay = self.settings.callback_delay_ms + int(extra_delay_s * 1000)
        if late is not None:
            delay += int((5 if late.delay_s is None else late.delay_s) * 1000)
        if plan.has("callback_never"):
            self._insert(letter, now, now, "withheld")
            return
        for _ in range(2 if plan.has("callback_twice") else 1):
            self.post(letter, now + delay)

    def post(self, letter: Letter, due_ms: int) -> None:
        """This will queue one delivery, faults aside."""
        delivery_id = self._insert(letter, to_ms(self._clock()), due_ms, "pending")
        self._store.after_commit(lambda: self._timers.at(due_ms, lambda: self._start(delivery_id)))

    def _insert(self, letter: Letter, now: int, due_ms: int, state: str) -> int:
        row = self._store.run(
            "INSERT INTO deliveries (kind, subject, url, body, created_ms, due_ms, state,"
            " finished_ms, forwarded_for) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            letter.kind, letter.subject, letter.url, render(letter.body), now, due_ms, state,
            now if state == "withheld" else None,
            letter.source or self.settings.callback_forwarded_for or None,
        )  # fmt: skip
        return int(row.lastrowid or 0)

    def resume(self) -> None:
        """This will schedule what an earlier process left pending."""
        for row in self._store.rows("SELECT id, due_ms FROM deliveries WHERE state = 'pending'"):
            self._resume_one(int(row["id"]), int(row["due_ms"]))

    def _resume_one(self, delivery_id: int, due_ms: int) -> None:
        self._timers.at(due_ms, lambda: self._start(delivery_id))

    async def flush(self, subject: str) -> None:
        """This will deliver what is pending about a request right now, and wait for it."""
        rows = self._store.rows(
            "SELECT id FROM deliveries WHERE subject = ? AND state = 'pending' ORDER BY id", subject
        )
        tasks = [task for row in rows if (task := self._start(int(row["id"]))) is not None]
        if tasks:
            await asyncio.wait(tasks)

    def _start(self, delivery_id: int) -> asyncio.Task[None] | None:
        running = self._running.get(delivery_id)
        if running is not None and not running.done():
            return running
        task = asyncio.get_running_loop().create_task(self._deliver(delivery_id))
        self._running[delivery_id] = task
        task.add_done_callback(lambda _: self._ended(delivery_id, task))
        return task

    def _ended(self, delivery_id: int, task: asyncio.Task[None]) -> None:
        if self._running.get(delivery_id) is task:  # a repetition may have taken its place
            del self._running[delivery_id]

    async def _deliver(self, delivery_id: int) -> None:
        async with self._gate:
            row = self._store.row(
                "SELECT * FROM deliveries WHERE id = ? AND state = 'pending'", delivery_id
            )
            if row is None:
                return
            status, answer = await self._post(row)
        with self._store.transaction():
            self._record(row, status, answer)
            self._store.after_commit(self._bells.ring)

    async def _post(self, row: sqlite3.Row) -> tuple[int | None, str | bytes]:
        """Status and body of the answer, or None and why there is none."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                transport=self._transport,
                verify=_trusted(),
                follow_redirects=False,
                trust_env=False,
                limits=httpx.Limits(max_connections=PARALLEL),
            )
        headers = {"content-type": "application/json"}
        if row["forwarded_for"]:
            headers["x-forwarded-for"] = row["forwarded_for"]
        try:
            answer = await self._client.post(
                row["url"],
                content=row["body"],
                headers=headers,
                timeout=self.settings.callback_timeout_s,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            return None, f"{type(problem).__name__}: {problem}"[:500]
        return answer.status_code, answer.content[:ANSWER_BYTES]

    def _record(self, delivery: sqlite3.Row, status: int | None, answer: str | bytes) -> None:
        delivery_id = int(delivery["id"])
        row = self._store.row(
            "UPDATE deliveries SET attempts = attempts + 1, status = ?, error = ? WHERE id = ?"
            " RETURNING attempts",
            status, answer if isinstance(answer, str) else None, delivery_id,
        )  # fmt: skip
        if row is None:  # a reset wiped it while it was under way
            return
        now = to_ms(self._clock())
        welcome = status is not None and 200 <= status < 300
        listener = self.listeners.get(delivery["kind"])
        again = listener is None and int(row["attempts"]) <= self.settings.callback_retries
        if again and not welcome:
            due = now + self.settings.callback_retry_delay_ms
            self._store.run("UPDATE deliveries SET due_ms = ? WHERE id = ?", due, delivery_id)
            self._store.after_commit(lambda: self._resume_one(delivery_id, due))
            return
        state = "delivered" if welcome else "unreachable" if status is None else "refused"
        self._store.run(
            "UPDATE deliveries SET state = ?, finished_ms = ? WHERE id = ?", state, now, delivery_id
        )
        if listener is not None:
            listener(delivery["subject"], status, answer if isinstance(answer, bytes) else b"")

    def forget(self) -> None:
        """This will cut what is under way, for a reset that empties the queue."""
        for task in self._running.values():
            task.cancel()

    async def stop(self) -> None:
        """This will cut what is under way; it stays pending and goes out after the restart."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are believed; reading them takes long."""
    return httpx.create_ssl_context(trust_env=False)
