"""The whole demonstration, from a house that is starting to the comparison of the books."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from hazina.bootstrap.demo.checks import Chapter, Findings
from hazina.bootstrap.demo.kills import Kills
from hazina.bootstrap.demo.people import Person, Town, Wire
from hazina.bootstrap.demo.reckoning import Reckoning
from hazina.bootstrap.demo.stack import HouseFailed, Stack
from hazina.bootstrap.demo.story import Story
from hazina.bootstrap.demo.troubles import Troubles, together
from hazina.bootstrap.demo.worst import Worst
from hazina.bootstrap.demo_seed import OPERATOR, Secrets
from hazina.bootstrap.pg_record import urls_of
from hazina.infra.http import Http
from hazina.infra.settings import Mode

START_S = 120
POLL_S = 0.1
TITLES = ("The story", "The bad ways", "Killed", "The books")


@dataclass(slots=True)
class Demonstration:
    """One play; ``now`` hears what is going on."""

    stack: Stack
    findings: Findings
    now: Callable[[str], None]
    trial_balance: list[dict[str, Any]] = field(default_factory=list)

    async def play(self) -> None:
        """This will start the house and play all chapters. What breaks off is a finding; the house
        is left running. Raises: HouseFailed, when it does not start."""
        http = Http(Mode.DEVELOPMENT)
        try:
            town = Town(Wire(http, self.stack.wallet_url), Wire(http, self.stack.daraja_url))
            self.now("The house starts")
            operator = await self._started(town)
            await self._chapters(town, operator)
        finally:
            await http.close()

    async def _chapters(self, town: Town, operator: Person) -> None:
        first, second, third, last = (Chapter(title, self.findings) for title in TITLES)
        url = self._database_url()
        try:
            self.now(first.title)
            buyer = await Story(town, operator, first).tell()
            self.now(second.title)
            worst = Worst(town, second, url, self.stack)
            await Troubles(town, second, url, buyer).play(worst.troubles)
            await together(second, [worst.taken_back])
            self.now(third.title)
            await Kills(self.stack, third, buyer).play()
        except Exception as broken:  # noqa: BLE001 - whatever it was, it is a finding
            last.equal("the play", "played to its end", f"{type(broken).__name__}: {broken}")
        self.now(last.title)
        reckoning = Reckoning(self.stack, town.sim, last, url)
        await reckoning.play()
        self.trial_balance = reckoning.trial_balance

    async def _started(self, town: Town) -> Person:
        """The operator, as soon as the house is ready and holds what it begins with."""
        self.stack.start()
        await self._until(lambda: asyncio.to_thread(self.stack.why_not_ready))
        operator: list[Person] = []

        async def why_not() -> str:
            self.stack.why_not_ready()
            passwords = Secrets.find(self.stack.data_dir)
            if passwords is None:
                return "no demo logins yet"
            try:
                who = await town.sign_in(OPERATOR, passwords.operator, realm="operator/auth")
            except PermissionError as why:
                return str(why)
            operator[:] = [who]
            lots = (await who.get("/gold/pools")).body.get("items", [])
            return "" if len(lots) == 2 else f"{len(lots)} lots"  # the last that is put in

        await self._until(why_not)
        return operator[0]

    async def _until(self, why_not: Callable[[], Awaitable[str]]) -> None:
        deadline = asyncio.get_running_loop().time() + START_S
        while why := await why_not():
            if asyncio.get_running_loop().time() > deadline:
                raise HouseFailed(f"not ready after {START_S} s: {why}\n{self.stack.said()}")
            await asyncio.sleep(POLL_S)

    def _database_url(self) -> str:
        urls = urls_of(self.stack.data_dir)
        if urls is None:
            raise HouseFailed(f"no database on {self.stack.data_dir}")
        return urls.app  # the forger knows a callback address, which the reader does not see
