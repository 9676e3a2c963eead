"""Killed at every step: each transition in three phases, each outside call before and after.

The points are derived (``derived``), and one death is ordered at each. Journeys are played until
every order was carried out, always by the process that really got there. The dead have heirs; in
the end everything has come to its end or waits by name, and all books agree. What no journey can
reach stands in ``NOT_HERE`` with its reason: a new edge of a table is missed loudly.
"""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from hazina.infra.points import Phase
from tests.notifications.smtp_sink import mail_server
from tests.process import derived
from tests.process.journey import HOUR, REST, Batch, Journey, Steps
from tests.process.journeys import JOURNEYS
from tests.process.reckoning import MISTOLD, come_to_rest, outside, reckon, restless, totals
from tests.process.rig import Person, Rig, rigged

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="a child dies with its parent on Linux"),
]
IN_VAIN = 2
NOT_HERE: dict[str, str] = {}  # the name, and why nobody can get there
# These wait for one death at one point, which others may take from them: not at random.
TIMED, HALTED = (Batch.INTERRUPTED, Batch.RECOVERED), "return.unknown.accepted"
DATABASE_TOO = {
    f"{name}:{phase.value}"
    for journey in JOURNEYS
    if journey.name in ("bought", "withdrawn", "sold", "paid to an account")
    for name in journey.passes
    for phase in (Phase.ENTERED, Phase.AFTER)
} & derived.points()


# M-Pesa's list was read past whatever was asked for.
READ_SINCE = """
SELECT FROM receipts.pulled
WHERE read_to > (SELECT max(requested_at) + interval '1 hour' FROM deposits.deposit)
"""


def name_of(point: str) -> str:
    return point.partition(":")[0]


@dataclass(slots=True)
class Play:
    """The rig, and who takes part in which journey."""

    rig: Rig
    people: dict[str, Person] = field(default_factory=dict)

    async def invite(self, journeys: Sequence[Journey]) -> None:
        """Each journey has a person of its own, whoever is paid out has something."""
        rich = []
        for journey in journeys:
            if journey.name not in self.people:
                self.people[journey.name] = await self.rig.customer(journey.name)
                rich += [self.people[journey.name].username] if journey.rich else []
        if rich:
            await self.rig.act("fund", usernames=rich, kes="90000", gold="20000")

    async def through(self, batch: Batch) -> None:
        """A batch is played until nobody has to die in it any more, or nobody did."""
        journeys = [one for one in JOURNEYS if one.batch is batch]
        await self.prepare(batch)
        in_vain, left = 0, self.rig.ordered()
        while in_vain < IN_VAIN:
            names = {name_of(point) for point in left}
            if not (chosen := [one for one in journeys if one.passes & names]):
                break
            await self.play(chosen)
            in_vain = in_vain + 1 if self.rig.ordered() == left else 0
            left = self.rig.ordered()
        await self.decide()
        assert await totals(self.rig) == await outside(self.rig), batch.name

    async def decide(self) -> None:
        """Two persons end what M-Pesa called paid and has under another amount."""
        if not (mistold := await self.rig.run(MISTOLD)):
            return
        await self.rig.passes(49 * HOUR)
        while not await self.rig.run(READ_SINCE):
            await self.rig.passes(HOUR / 4)
            await self.rig.drained()
        await self.rig.statement()
        for row in mistold:
            await self.rig.act(
                "prompt_absent", deposit=str(row["id"]), refused="prompt_may_be_paid"
            )
        await come_to_rest(self.rig)

    async def prepare(self, batch: Batch) -> None:
        """Messages leave the house only where a batch is about them."""
        if batch not in (Batch.TOLD, Batch.RECOVERED):
            return
        told = {"SMS_MODE": "simulated", "SMTP_HOST": "127.0.0.1", "SMTP_SECURITY": "none",
                "SMTP_PORT": str(self.rig.mail.port)}  # fmt: skip
        self.rig.more = {f"HAZINA_{name}": value for name, value in told.items()}
        await self.rig.passes()

    async def play(self, journeys: Iterable[Journey]) -> None:
        """Side by side: who waits for a time goes on when it has passed, who waits for rest when
        everything rests."""
        waiting: dict[Steps, float] = {}
        for journey in journeys:
            steps = journey.play(self.rig, self.people[journey.name])
            await go_on(steps, waiting)
        while waiting:
            if timed := {one: left for one, left in waiting.items() if left != REST}:
                step = min(timed.values())
                await self.rig.drained()
                await self.rig.passes(step)
                await self.rig.drained()
                due = [one for one, left in timed.items() if left == step]
                waiting |= {one: left - step for one, left in timed.items() if left > step}
                if not await restless(self.rig):
                    due += [one for one in waiting if one not in timed]
            else:
                await come_to_rest(self.rig)
                due = list(waiting)
            for steps in due:
                del waiting[steps]
                await go_on(steps, waiting)
        await come_to_rest(self.rig)


async def go_on(steps: Steps, waiting: dict[Steps, float]) -> None:
    """Its next step, if it has one."""
    seconds = await anext(steps, None)
    if seconds is not None:
        waiting[steps] = seconds


@pytest_asyncio.fixture(loop_scope="session")
async def play(house_data: Path, free_port: int) -> AsyncIterator[Play]:
    async with AsyncExitStack() as last:
        rig = await last.enter_async_context(rigged(house_data, free_port))
        rig.mail = await last.enter_async_context(mail_server())
        yield Play(rig)


async def to_the_last_death(play: Play, points: Iterable[str], of: str = "") -> None:
    """One death at each of ``points``: of whoever gets there, or of the process of a pid file."""
    for point in points:
        play.rig.order_death(point, of)
    for batch in Batch:
        await play.through(batch)
    missed = {name_of(point) for point in play.rig.ordered()}
    assert missed == set(NOT_HERE), f"nobody died at {sorted(missed - set(NOT_HERE))}"


async def test_a_process_killed_at_any_point_leaves_every_book_exact(play: Play) -> None:
    """And PostgreSQL where money moves: by whoever is there, who goes on and sees the loss."""
    rig = play.rig
    await play.invite(JOURNEYS)
    await to_the_last_death(play, derived.points())
    await to_the_last_death(play, DATABASE_TOO, rig.postmaster_file)
    await rig.statement()
    await come_to_rest(rig)
    await reckon(rig)


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_postgresql_killed_at_every_point_leaves_every_book_exact(play: Play) -> None:
    """`./hazina test tests/process/test_points.py -m soak -k postgresql -n 0`: a database that
    starts again takes longer than a process."""
    await play.invite(JOURNEYS)
    await to_the_last_death(play, derived.points(), play.rig.postmaster_file)
    await play.rig.statement()
    await come_to_rest(play.rig)
    await reckon(play.rig)


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_deaths_at_random_for_an_hour(play: Play) -> None:
    """`HAZINA_SOAK_MINUTES=60 HAZINA_SOAK_SEED=1 ./hazina test tests/process/test_points.py -m soak
    -k random -n 0`."""
    rig, chance = play.rig, random.Random(os.environ.get("HAZINA_SOAK_SEED", "1"))
    minutes = float(os.environ.get("HAZINA_SOAK_MINUTES", "60"))
    points, end = sorted(derived.points()), asyncio.get_running_loop().time() + minutes * 60
    while asyncio.get_running_loop().time() < end:
        batch = chance.choice([one for one in Batch if one not in TIMED])
        for point in chance.sample(points, 40):
            rig.order_death(point, chance.choice(("", "", rig.postmaster_file)))
        await play.prepare(batch)
        journeys = [one for one in JOURNEYS if one.batch is batch and HALTED not in one.passes]
        chosen = chance.sample(journeys, min(len(journeys), 8))
        play.people.clear()  # whoever owes something since the last time plays nothing else
        await play.invite(chosen)
        await play.play(chosen)
    await rig.statement()
    await come_to_rest(rig)
    await reckon(rig)
