"""Killed at every step: each transition in three phases, each outside call before and after.

The points are not listed here. Journeys are played once unharmed, which tells the transitions and
calls that they pass; then a life is armed for each point, a journey begun, and the process killed
there. The next life is armed for the next point while it mends what the one before it left. What no
journey passes must stand in ``NOT_HERE`` with its reason, so that a new edge of a table is missed
loudly.
"""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from hazina.infra.points import Phase
from hazina.kernel.ids import new_id
from tests.process.rig import AWAY, OPENING, Person, Rig, rigged
from tests.tidy.house import machines

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="a child dies with its parent on Linux"),
]
MACHINES = tuple(machines())
TABLES = {
    "deposit": "deposits.deposit",
    "withdrawal": "withdrawals.withdrawal",
    "payment": "receipts.payment",
    "trade": "gold.trade",
}
BY_PERSONS = "an act of two persons, whose transaction is one: tests/journeys/test_suspense.py"
RESTORED = "only after a restore: tests/backup/test_an_hour_back.py"
AGED = "after an hour, or in an order that a race decides: tests/rails/matrix/test_matrix.py"
REVERSED = "found in a list, and booked in one transaction: tests/journeys/test_claw_back.py"
CLOSED = "the account was closed meanwhile: tests/journeys/test_closed_accounts.py"
CONTRADICTED = "M-Pesa contradicts itself, asked: tests/journeys/test_paid_late.py"
ELSEWHERE = {
    "return": BY_PERSONS,
    "reversal": REVERSED,
    "debt": REVERSED,
    "message": "words, no money: tests/notifications/test_messages.py",
}
NOT_HERE = {
    "deposit.requested.recovered": RESTORED,
    "deposit.sending.recovered": RESTORED,
    "withdrawal.held.recovered": RESTORED,
    "withdrawal.sending.recovered": RESTORED,
    "deposit.prompted.lost": AGED,
    "deposit.unknown.confirmed": AGED,
    "deposit.failed.mispaid": AGED,
    "deposit.suspended.resolved": BY_PERSONS,
    "deposit.unknown.absent": BY_PERSONS,
    "deposit.confirmed.absent": BY_PERSONS,
    "deposit.confirmed.mispaid": CLOSED,
    "withdrawal.unknown.absent": BY_PERSONS,
    "withdrawal.failed.told_paid": CONTRADICTED,
    "withdrawal.contradicted.paid_late": CONTRADICTED,
    "withdrawal.contradicted.absent": BY_PERSONS,
    "withdrawal.unknown.accepted": BY_PERSONS,
    "payment.incoming.dismissed": AGED,
    "payment.dismissed.credited": AGED,
    "payment.dismissed.bound": AGED,
    "payment.dismissed.suspended": AGED,
    "payment.suspended.allocated": BY_PERSONS,
    "payment.suspended.returning": BY_PERSONS,
    "payment.returning.returned": BY_PERSONS,
    "payment.returning.kept": BY_PERSONS,
    "payment.credited.reversed": REVERSED,
    "payment.bound.reversed": REVERSED,
    "payment.suspended.reversed": REVERSED,
    "trade.requested.booking_refused": "a refusal of the ledger: tests/gold/test_buy.py",
    "trade.releasing.released": "a refusal of the ledger: tests/gold/test_buy.py",
    "trade.cancelled.gold_gone": "needs an empty lot: tests/gold/test_buy.py",
    **{
        f"{machine.name}.{state.value}.{event.value}": ELSEWHERE[machine.name]
        for machine in MACHINES
        if machine.name in ELSEWHERE
        for state, event in machine.table
    },
}
AMOUNT, SOLD = "1000", "0.05"
WORST_S = 10.0
# Nobody can ask about a prompt of which M-Pesa never told an id: a person ends it.
AT_REST = {
    "deposit": {"paid", "failed", "suspended", "unknown"},
    "withdrawal": {"paid", "failed"},
    "payment": {"credited", "bound", "suspended"},
    "trade": {"completed", "cancelled", "failed", "kept_as_shillings", "requested"},
}


@dataclass(frozen=True, slots=True)
class Journey:
    """One way a trade can go; ``begin`` returns once it is asked for, or nobody answered."""

    name: str
    begin: Callable[[Rig, Person], Awaitable[object]]
    funded: bool = False
    dies_first: str = ""  # a worker was killed there, and what the outside said meanwhile waits


def buys(name: str, *faults: tuple[str, str, dict[str, object]], dies: str = "") -> Journey:
    async def begin(rig: Rig, who: Person) -> None:
        for fault, operation, how in faults:
            await rig.fault(who, fault, operation, **how)
        await rig.order(who, "/gold/trade/buy", {"amount_kes": AMOUNT})

    return Journey(name, begin, dies_first=dies)


def pays_out(
    name: str, *faults: tuple[str, str, dict[str, object]], gold: bool = False, dies: str = ""
) -> Journey:
    async def begin(rig: Rig, who: Person) -> None:
        for fault, operation, how in faults:
            await rig.fault(who, fault, operation, **how)
        if gold:
            await rig.order(who, "/gold/trade/sell", {"grams": SOLD})
        else:
            await rig.order(who, "/wallet/withdrawals", {"amount_kes": "100"})

    return Journey(name, begin, funded=True, dies_first=dies)


def pays_in(name: str, known: bool) -> Journey:
    async def begin(rig: Rig, who: Person) -> None:
        await rig.pay_bill(who, await rig.account(who) if known else "SHOP RENT", "70")

    return Journey(name, begin)


REFUSED = {
    "status": 400,
    "body": {
        "requestId": "1",
        "errorCode": "400.002.02",
        "errorMessage": "Bad Request - Invalid Amount",
    },
}
NOTHING: dict[str, object] = {}
LATE: dict[str, object] = {"delay_s": 60}
ODD: dict[str, object] = {"amount": "999"}
ASKED, TOLD = "call.mpesa.collect:after", "call.mpesa.pay:after"
LOST_OUT = ("drop_after_accept", "b2c", NOTHING)
FAILS: tuple[str, str, dict[str, object]] = ("b2c_fail", "b2c", {"result_code": "2040"})
LOST = ("drop_after_accept", "stk", NOTHING)
CONTRADICTED: tuple[str, str, dict[str, object]] = ("query_contradicts", "query", {"count": 2})
JOURNEYS = (
    buys("bought"),
    buys("declined", ("cancel", "stk", {})),
    buys("told late", ("callback_late", "stk", LATE)),
    buys("confirmed first", ("callback_late", "stk", {"delay_s": 150})),
    buys("refused for now", ("http_500", "stk", {})),
    buys("refused for good", ("answer", "stk", REFUSED)),
    buys("response lost", ("drop_after_accept", "stk", {})),
    buys("paid while nobody lived", dies=ASKED),
    buys("declined while nobody lived", ("cancel", "stk", {}), dies=ASKED),
    buys("declined, response lost", ("cancel", "stk", {}), LOST),
    buys("another amount", ("wrong_amount", "stk", ODD)),
    buys("another amount while nobody lived", ("wrong_amount", "stk", ODD), dies=ASKED),
    buys("another amount, response lost", ("wrong_amount", "stk", ODD), LOST),
    buys("contradicted", ("callback_late", "stk", LATE), CONTRADICTED),
    buys("told as a payment", ("callback_never", "stk", {}), ("stk_and_c2b", "stk", {})),
    pays_out("withdrawn"),
    pays_out("sold", gold=True),
    pays_out("not paid", ("b2c_fail", "b2c", {"result_code": "2040"}), gold=True),
    pays_out("payout refused for now", ("http_500", "b2c", {})),
    pays_out("payout refused for good", ("answer", "b2c", REFUSED)),
    pays_out("payout's response lost", ("drop_after_accept", "b2c", {})),
    pays_out("paid out while nobody lived", dies=TOLD),
    pays_out("not paid while nobody lived", FAILS, dies=TOLD),
    pays_out("not paid, response lost", FAILS, LOST_OUT),
    pays_out("queue notice", ("b2c_timeout_notice", "b2c", LATE)),
    pays_out("never told", ("callback_never", "b2c", {})),
    pays_in("paid to an account", known=True),
    pays_in("paid to nobody", known=False),
)  # fmt: skip

Point = tuple[str, Sequence[Journey]]
BY_NAME = {journey.name: journey for journey in JOURNEYS}
CALLS = {
    "token": BY_NAME["bought"],
    "collect": BY_NAME["bought"],
    "query": BY_NAME["confirmed first"],
    "pay": BY_NAME["withdrawn"],
    "status": BY_NAME["never told"],
    "pull": BY_NAME["bought"],
}


@dataclass(slots=True)
class Play:
    """The rig, everybody who took part, and which journey passes which transition."""

    rig: Rig
    people: list[Person] = field(default_factory=list)
    funded: dict[str, Person] = field(default_factory=dict)
    passes: dict[str, list[Journey]] = field(default_factory=dict)

    async def who(self, journey: Journey) -> Person:
        """Somebody new; whoever is paid out is the journey's own, since they need money."""
        if journey.name in self.funded:
            return self.funded[journey.name]
        person = await self.rig.customer()
        self.people.append(person)
        return person

    async def fund(self) -> None:
        """Money and gold for those who will be paid out."""
        rich = {journey.name: await self.who(journey) for journey in JOURNEYS if journey.funded}
        for path in ("/wallet/deposits", "/gold/trade/buy"):
            for person in rich.values():
                await self.rig.order(person, path, {"amount_kes": "30000"})
            await self.come_to_rest()
        self.funded = rich

    async def learn(self) -> None:
        """Every journey once, unharmed, side by side: what each passes is read from its events."""
        began = await self.rig.one("SELECT clock_timestamp()")
        dead = [journey for journey in JOURNEYS if journey.dies_first]
        played = {}
        for journey in [one for one in JOURNEYS if not one.dies_first]:
            played[journey.name] = await self.who(journey)
            await journey.begin(self.rig, played[journey.name])
        await self.come_to_rest()
        for journey in dead:
            played[journey.name] = await self.begin(journey, "")
        await self.come_to_rest()
        for journey in JOURNEYS:
            for edge in await self.passed(played[journey.name], began):
                self.passes.setdefault(edge, []).append(journey)

    async def passed(self, who: Person, since: object) -> list[str]:
        found = []
        for name, table in TABLES.items():
            mine = "t.receipt = ANY($3)" if name == "payment" else "$3::text[] IS NOT NULL"
            bound = (
                "OR t.deposit_id IN (SELECT id FROM deposits.deposit WHERE customer_id = $1)"
                if name == "payment"
                else ""
            )
            owner = "TRUE" if name == "payment" else "t.customer_id = $1"
            sql = (
                "SELECT DISTINCT coalesce(e.state_from || '.', '') || e.event"
                f" FROM {table}_event e JOIN {table} t ON t.id = e.subject_id"
                f" WHERE e.at >= $2 AND ({owner} AND {mine} {bound})"
            )
            rows = await self.rig.run(sql, who.id, since, who.receipts)
            found += [f"{name}.{row[0]}" for row in rows]
        return found

    async def open(self) -> dict[str, int]:
        """What has not come to rest, by machine and state."""
        found = {}
        for name, table in TABLES.items():
            sql = f"SELECT state, count(*) FROM {table} GROUP BY state"
            for state, count in await self.rig.run(sql):
                if state not in AT_REST[name]:
                    found[f"{name} {state}"] = count
        sql = (
            "SELECT count(*) FROM deposits.deposit WHERE state = 'unknown' AND"
            " (checkout_request_id IS NOT NULL OR token IN (SELECT split_part(external_id, ':', 1)"
            " FROM infra.inbox WHERE state IN ('new', 'waiting')))"
        )
        if count := await self.rig.one(sql):
            found["deposit unknown, and there is word of it"] = count
        sql = (
            "SELECT count(*) FROM gold.trade t JOIN deposits.deposit d ON d.purpose_id = t.id"
            " WHERE t.state = 'requested' AND d.state <> 'unknown'"
        )
        if count := await self.rig.one(sql):
            found["trade requested, and its payment has ended"] = count
        sql = "SELECT count(*) FROM pgqueuer.pgqueuer WHERE status IN ('queued', 'picked')"
        if count := await self.rig.one(sql):
            found["jobs"] = count
        return found

    async def come_to_rest(self, within_s: float = 60) -> None:
        """Time passes until nothing is left to do."""
        end = asyncio.get_running_loop().time() + within_s
        turn = 0
        await asyncio.sleep(0.1)
        while left := await self.open():
            assert asyncio.get_running_loop().time() < end, left
            await self.hasten(turn)
            turn += 1

    async def hasten(self, turn: int) -> None:
        """A while passes here, and now and then outside: what is asked comes first."""
        await self.rig.hurry(outside=turn % 5 == 4)
        await asyncio.sleep(0.3)

    async def begin(self, journey: Journey, kill_at: str) -> Person:
        """A journey, worked on by a new life that is armed for ``kill_at``."""
        rig = self.rig
        await self.end_life()
        who = await self.who(journey)
        if journey.dies_first:
            rig.bear("worker", journey.dies_first)
            await journey.begin(rig, who)
            await rig.ended("worker")
            await rig.outside_is_idle()
            rig.bear("worker", kill_at)
            await self.heard()
        else:
            rig.bear("worker", kill_at)
            await journey.begin(rig, who)
        return who

    async def heard(self) -> None:
        """What came in while nobody lived is read, or its reader has died of it."""
        sql = "SELECT EXISTS (SELECT FROM infra.inbox WHERE state = 'new')"
        for _ in range(100):
            with suppress(*AWAY):
                if not await self.rig.one(sql):
                    return
            if await self.rig.has_worker_died(0.03):
                return

    async def end_life(self) -> None:
        self.rig.kill("worker")
        await self.rig.ended("worker")

    async def die_at(self, point: str, ways: Sequence[Journey]) -> bool:
        """A worker is killed at ``point``, on the way of a journey; its heir is not born yet.

        Where a race may spare it, the next journey that passes there is tried.
        """
        for journey in [*ways, *ways][:4]:
            await self.begin(journey, point)
            if await self.until(self.rig.has_worker_died):
                return True
        return False

    async def until(self, it_died: Callable[[float], Awaitable[bool]]) -> bool:
        """Time passes until it is dead; False where it lives on."""
        turn, end = 0, asyncio.get_running_loop().time() + WORST_S
        while not await it_died(0.02 if turn else 0.6):
            if asyncio.get_running_loop().time() > end:
                return False
            await self.hasten(turn)
            turn += 1
        return True

    async def to_the_end(self) -> None:
        """A last life mends everything, and all books are compared."""
        await self.end_life()
        self.rig.bear("worker")
        await self.come_to_rest()
        await self.reckon()

    async def reckon(self) -> None:
        """Both books to the cent, each phone's too, and the ledger's proof."""
        rig = self.rig
        theirs = (await rig.sim.get("/sim/books", params={"limit": 1})).json()
        assert theirs["balanced"]
        ours = await rig.trial_balance()
        collected = ours["mpesa:collection"] + ours.get("mpesa:in_transit", Decimal(0))
        assert collected == Decimal(theirs["organisation"]["working"])
        assert ours["mpesa:utility"] == Decimal(theirs["organisation"]["utility"])
        charged = ours.get("mpesa:charges", Decimal(0))
        assert charged == Decimal(theirs["organisation"]["charges_paid"])
        for person in self.people:
            paid_in = await rig.one(PAID_IN, person.id, person.receipts)
            paid_out = await rig.one(PAID_OUT, person.id)
            purse = OPENING - (paid_in - paid_out) / 100
            assert await rig.purse(person) == purse, person.username


PAID_IN = """
SELECT coalesce(sum(r.amount), 0) FROM deposits.mpesa_receipt r
LEFT JOIN deposits.deposit d ON d.id = r.deposit_id
WHERE d.customer_id = $1 OR r.receipt = ANY($2)
"""
PAID_OUT = """
SELECT coalesce(sum(amount), 0) FROM withdrawals.withdrawal
WHERE customer_id = $1 AND state = 'paid'
"""


@pytest_asyncio.fixture(loop_scope="session")
async def play(room: Path, free_port: int) -> AsyncIterator[Play]:
    async with rigged(room, free_port) as rig:
        settings = {"stk_confirms_c2b": False, "c2b_external_validation": False}
        await rig.sim.put("/sim/settings", json=settings | {"callback_delay_ms": 0})
        rig.bear("worker")
        yield Play(rig)


def points(passes: Mapping[str, Sequence[Journey]], phases: Sequence[Phase]) -> list[Point]:
    """Every point of the transitions and calls that journeys pass in a worker."""
    found = [
        (f"{edge}:{phase.value}", ways)
        for edge, ways in sorted(passes.items())
        for phase in phases
        if edge not in NOT_HERE
        if not edge.endswith(".created") or (phase is not Phase.LEAVING and "payment" in edge)
    ]
    return found + [
        (f"call.mpesa.{name}:{phase.value}", [journey])
        for name, journey in CALLS.items()
        for phase in (Phase.BEFORE, Phase.AFTER)
    ]


def edges() -> set[str]:
    return {
        f"{machine.name}.{state.value}.{event.value}"
        for machine in MACHINES
        for state, event in machine.table
    }


async def deaths_of_web(play: Play) -> list[str]:
    """Killed while an order is written down, and after: the order repeated is one order."""
    rig, alive = play.rig, []
    rich = play.funded["withdrawn"]
    orders: tuple[tuple[str, str, dict[str, str], Person | None], ...] = (
        ("deposit", "/wallet/deposits", {"amount_kes": AMOUNT}, None),
        ("trade", "/gold/trade/buy", {"amount_kes": AMOUNT}, None),
        ("withdrawal", "/wallet/withdrawals", {"amount_kes": "100"}, rich),
        ("trade", "/gold/trade/sell", {"grams": SOLD}, rich),
    )
    for machine, path, body, known in orders:
        for phase in (Phase.ENTERED, Phase.COMMITTED):
            who, key = known or await play.who(JOURNEYS[0]), new_id().hex
            rig.kill("web")
            await rig.ended("web")
            rig.bear("web", f"{machine}.created:{phase.value}")
            await rig.answers()
            if await rig.order(who, path, body, key):
                alive.append(f"{machine}.created:{phase.value}")
            rig.kill("web")
            await rig.ended("web")
            rig.bear("web")
            await rig.answers()
            assert await rig.order(who, path, body, key)
            sql = f"SELECT count(*) FROM {TABLES[machine]} WHERE customer_id = $1"
            assert known or await rig.one(sql, who.id) == 1
    return alive


async def deaths_of_the_database(play: Play) -> list[str]:
    """PostgreSQL is killed in the middle of the transaction of each transition."""
    rig, alive = play.rig, []
    for edge, ways in sorted(play.passes.items()):
        if edge.endswith(".created") or edge in NOT_HERE:
            continue
        point = f"{edge}:{Phase.ENTERED.value},1,{rig.server.pid}"
        for journey in [*ways, *ways][:4]:
            await play.begin(journey, point)
            if await play.until(rig.database_died):
                break
        else:
            alive.append(f"{edge}, the database")
            continue
        rig.server.restart()
        await rig.answers()
    return alive


@pytest.mark.soak
async def test_every_point(play: Play) -> None:
    """By name: `./hazina test tests/process/test_points.py -m soak -k every -n 0`."""
    await play.fund()
    await play.learn()
    missed = edges() - set(play.passes) - set(NOT_HERE)
    assert not missed, f"no journey passes {sorted(missed)}"

    # What dies before the commit is undone alike: there PostgreSQL itself is killed.
    wanted = points(play.passes, [Phase.COMMITTED])
    alive = [point for point, ways in wanted if not await play.die_at(point, ways)]
    await play.end_life()
    play.rig.bear("worker")
    alive += await deaths_of_web(play)
    alive += await deaths_of_the_database(play)
    assert alive == [], "nobody died there"
    await play.to_the_end()


@pytest.mark.soak
@pytest.mark.timeout(5400)
async def test_an_hour_of_deaths_anywhere(play: Play) -> None:
    """By name: `./hazina test tests/process/test_points.py -m soak -n 0`."""
    chance = random.Random(os.environ.get("HAZINA_SOAK_SEED", "1"))
    minutes = float(os.environ.get("HAZINA_SOAK_MINUTES", "60"))
    await play.fund()
    await play.learn()
    wanted = points(play.passes, [Phase.LEAVING, Phase.ENTERED, Phase.COMMITTED])
    end = asyncio.get_running_loop().time() + minutes * 60
    while asyncio.get_running_loop().time() < end:
        point, ways = chance.choice(wanted)
        await play.die_at(f"{point},{chance.choice((1, 1, 2))}", [chance.choice(ways)])
        if chance.random() < 0.05:
            await play.to_the_end()
    await play.to_the_end()
