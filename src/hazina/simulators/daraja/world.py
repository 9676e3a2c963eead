"""The simulated M-Pesa as one object: books, faults, callbacks, time, handed to every room."""

import asyncio
import json
from collections import deque
from collections.abc import Callable

import httpx

from hazina.simulators.daraja.books import Books, Handset
from hazina.simulators.daraja.callbacks import Callbacks
from hazina.simulators.daraja.clock import Clock, MovableClock, to_ms
from hazina.simulators.daraja.config import Settings, SimConfig
from hazina.simulators.daraja.faults import Faults
from hazina.simulators.daraja.ids import Ids
from hazina.simulators.daraja.keys import KeyPair
from hazina.simulators.daraja.money import parse_cents
from hazina.simulators.daraja.store import Store
from hazina.simulators.daraja.timers import Bells, Timers


class World:
    """Everything one simulator owns."""

    def __init__(
        self, config: SimConfig, clock: Clock, transport: httpx.AsyncBaseTransport | None
    ) -> None:
        self.config = config
        self.clock = MovableClock(clock)
        self.store = Store(config.data)
        self.keys = KeyPair.load(config.key_pair)
        self.ids = Ids(self.store, config.seed)
        self.books = Books(self.store, self.ids)
        self.faults = Faults(self.store)
        self.timers = Timers(self.clock)
        self.bells = Bells()
        self.callbacks = Callbacks(self.store, self.timers, self.bells, self.clock, transport)
        self.resumers: list[Callable[[], None]] = [self.callbacks.resume]
        self._loop: asyncio.AbstractEventLoop | None = None
        self.settings = Settings()
        self.traffic: deque[int] = deque()
        """When the requests of the last second came, for the spike arrest."""
        self.open()

    def open(self) -> None:
        """This will load the settings and open the books; safe to call again."""
        self.clock.offset_ms = int(self.store.get("clock:offset_ms") or "0")
        self.use(Settings.model_validate_json(self.store.get("settings") or "{}"))
        with self.store.transaction():
            self.books.open(self.config.opening_utility_cents, self.now_ms())

    def use(self, settings: Settings) -> None:
        """This will put settings to work."""
        self.settings = settings
        self.callbacks.settings = settings
        seed = settings.fault_seed
        self.faults.dice.seed = str(self.store.get("seed") if seed is None else seed)

    def change_settings(self, changes: dict[str, object]) -> None:
        """This will change some settings and keep them. Raises: pydantic.ValidationError."""
        changed = Settings.model_validate({**self.settings.model_dump(), **changes})
        with self.store.transaction():
            self.store.put("settings", json.dumps(changed.model_dump()))
            if "fault_seed" in changes:
                self.faults.dice.begin_anew()
        self.use(changed)

    def now_ms(self) -> int:
        """This will return the present in milliseconds."""
        return to_ms(self.clock())

    def move_clock(self, offset_ms: int) -> None:
        """This will set how far this clock is from the one it follows; alarms move with it."""
        with self.store.transaction():
            self.store.put("clock:offset_ms", str(offset_ms))
        self.clock.offset_ms = offset_ms
        self.traffic.clear()
        self.timers.rearm()
        self.bells.ring()

    def handset(self, phone: str) -> Handset:
        """This will return a handset, created on first mention, inside the open transaction."""
        opening = parse_cents(self.settings.handset_opening_balance)
        return self.books.handset(phone, opening, self.now_ms())

    def changed(self) -> None:
        """This will wake pages and long polls once the open transaction is durable."""
        self.store.after_commit(self.bells.ring)

    def awake(self) -> None:
        """This will set the alarms the books ask for, once per event loop.

        Called by each request too, since an in-process transport sends no start-up event.
        """
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop = loop
        for resume in self.resumers:
            resume()

    def reset(self) -> None:
        """This will begin anew: empty books, no faults, default settings."""
        self.timers.cancel_all()
        self.callbacks.forget()
        seed = self.store.get("seed") or ""
        with self.store.transaction():
            self.store.wipe()
            self.store.put("seed", seed)
            self.changed()
        self.open()

    async def stop(self) -> None:
        """This will end everything under way and close the file."""
        self.bells.close()
        self.timers.cancel_all()
        await self.callbacks.stop()
        self.store.close()
