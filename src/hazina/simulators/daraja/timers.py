"""Alarms on the event loop and bells that wake whoever waits for a change.

Nothing here is durable: every alarm can be set again from the books (World.resume).
"""

import asyncio
from collections.abc import Callable

from hazina.simulators.daraja.clock import Clock, to_ms


class Timers:
    """Calls something at a moment of the simulator's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._alarms: dict[asyncio.TimerHandle, tuple[int, Callable[[], object]]] = {}

    def at(self, due_ms: int, act: Callable[[], object]) -> None:
        """This will call `act` on the running loop at the moment, or at once when it is past."""
        delay = max(0, due_ms - to_ms(self._clock())) / 1000
        handle: asyncio.TimerHandle

        def ring() -> None:
            self._alarms.pop(handle, None)
            act()

        handle = asyncio.get_running_loop().call_later(delay, ring)
        self._alarms[handle] = (due_ms, act)

    def rearm(self) -> None:
        """This will set every alarm anew after the clock was moved, in the order they are due."""
        alarms = sorted(self._alarms.values(), key=lambda alarm: alarm[0])
        self.cancel_all()
        for due_ms, act in alarms:
            self.at(due_ms, act)

    def cancel_all(self) -> None:
        """This will forget every alarm."""
        for handle in self._alarms:
            handle.cancel()
        self._alarms.clear()


class Bells:
    """One bell for everything that happens: cheap, and nobody misses a change."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.closing = False

    def ring(self) -> None:
        """This will wake every waiter."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    def close(self) -> None:
        """This will wake every waiter for the last time."""
        self.closing = True
        self.ring()

    async def wait_until(self, true: Callable[[], bool], timeout_s: float) -> bool:
        """This will wait for the condition, look again at each ring; False after the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                while not true():
                    if self.closing:
                        return False
                    await self._event.wait()
        except TimeoutError:
            return False
        return True
