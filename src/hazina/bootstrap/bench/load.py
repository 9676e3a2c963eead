"""Many clients at once, each doing one thing after the other, and what that took.

What they send is made beforehand. How much of the time this process itself computed is measured
too: near one, the figure is Python's and not the server's.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hazina.bootstrap.bench.report import percentile


class Spent(Exception):
    """What was made beforehand is used up: the measurement ends here."""


@dataclass(slots=True)
class Measured:
    """``done`` counts what was acknowledged; ``waits_s`` holds one wait for each act, sorted."""

    done: int
    seconds: float
    cpu_s: float
    waits_s: list[float] = field(repr=False)

    @property
    def rate(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def python_share(self) -> float:
        return self.cpu_s / self.seconds if self.seconds else 0.0

    def wait_ms(self, share: float) -> float:
        return percentile(self.waits_s, share) * 1000

    @property
    def note(self) -> str:
        return f"Python computed {self.python_share:.0%} of the time"


async def drive(clients: int, seconds: float, act: Callable[[], Awaitable[int]]) -> Measured:
    """This will let ``clients`` repeat ``act``, which says how much it did, for ``seconds``."""
    waits: list[float] = []
    done = 0
    gc.collect()
    gc.freeze()
    began, cpu = time.perf_counter(), time.process_time()
    until = began + seconds

    async def client() -> None:
        nonlocal done
        while (started := time.perf_counter()) < until:
            try:
                did = await act()
            except Spent:
                return
            done += did
            waits.append(time.perf_counter() - started)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    measured = Measured(done, time.perf_counter() - began, time.process_time() - cpu, sorted(waits))
    gc.unfreeze()
    return measured
