"""An hour of traffic, seeded: payments in and out under every fault, and two days to clear up.

People pay by prompt and from the PayBill menu, withdraw, buy gold and sell it to their phones.
Faults strike by seeded chance, people lie, payers have their money back. When the hour is over
M-Pesa is well again; time passes, the house asks and reads, and two operators decide what only
persons can.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

from hazina.flows.receipts.statements import NotProvenAbsent, Statements
from hazina.flows.receipts.unanswered import PromptMayBePaid
from hazina.flows.receipts.waiting import Waiting, list_waiting
from hazina.infra.jobs import Jobs
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id, parse_id
from tests.journeys.crowd import account_of, gathered, pay_bill, signed_in
from tests.journeys.mishaps import Mishaps
from tests.journeys.paying import in_step, registered
from tests.journeys.test_gold import stocked
from tests.journeys.world import PATIENCE, Person, World
from tests.rails.matrix.desk import Pair

KINDS, SHARES = ("prompt", "paybill", "payout", "buy", "sell"), (30, 20, 20, 15, 15)
MISTYPED = 0.05
SESSION = timedelta(minutes=10)
WORKERS = 6
MOST_ROUNDS, FEWEST_ROUNDS, IN_A_ROUND = 200, 6, 8
CLEARING = (timedelta(minutes=10),) * 6 + (timedelta(hours=1),) * 5 + (timedelta(hours=6),) * 7
DECISIONS = 8
NEVER = datetime(2000, 1, 1, tzinfo=UTC)
EVERYTHING = 100_000


@dataclass(slots=True)
class Traffic:
    """``asked`` counts what was taken on, ``refused`` what was not and why."""

    world: World
    seed: int
    people: list[Person] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    decided: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    _began: datetime = NEVER
    _renewed: datetime = NEVER
    _swept: dict[str, datetime] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    async def prepare(self, crowd: int) -> None:
        """A registered paybill, gold and a price, and people with money."""
        await registered(self.world)
        await stocked(self.world, "900000", "100000")
        self._began = self._renewed = self.world.clock.now()
        self.people = await gathered(self.world, crowd, self.settle)
        self.say(f"{crowd} people are there")

    async def hour(self, payments: int) -> None:
        """``payments`` that are taken on within an hour, every fault on."""
        chance = random.Random(self.seed)
        mishaps = Mishaps(self.world, chance, self.people)
        self.done = mishaps.done
        pair = await Pair.of(self.world.house)
        await mishaps.begin(self.seed)
        rounds = max(FEWEST_ROUNDS, min(MOST_ROUNDS, payments // IN_A_ROUND))
        pause = timedelta(hours=1) / rounds
        for left in range(rounds, 0, -1):
            if left == rounds // 2:
                await mishaps.turn()
            await self._validating(on=bool(left % 2))
            some = -(-(payments - self.asked.total()) // left)
            await self._orders(some, chance)
            await self.settle()
            await mishaps.strike()
            await self.pass_time(pause)
            if left in (rounds // 3, 2 * rounds // 3):
                await self.decide(pair)
            if left % 5 == 0:
                self.say(f"{self.asked.total()} payments, {self.world.clock.now():%H:%M:%S}")
        while (missing := payments - self.asked.total()) > 0:
            await self._orders(missing, chance)
            await self.settle()
        await mishaps.end()
        self.say(f"the hour is over: {dict(self.asked)}")

    async def clear_up(self, steps: Sequence[timedelta] = CLEARING) -> list[Waiting]:
        """Two days pass; persons decide what is theirs to decide. What is still open then."""
        for step in steps:
            await self.pass_time(step)
        self.say(f"{sum(steps, timedelta())} later {await self.kinds_open()} are open")
        pair = await Pair.of(self.world.house)
        for _ in range(DECISIONS):
            if not await self.decide(pair):
                break
            await self.pass_time(timedelta(minutes=20))
        self.say(f"decided: {dict(self.decided)}; open: {await self.kinds_open()}")
        return await self.open_questions()

    async def decide(self, pair: Pair) -> int:
        """Persons bring M-Pesa's statement and decide what they can. How many decisions."""
        before = self.decided.total()
        await self._import_statement()
        await self.settle()
        for one in await self.open_questions():
            await self._decide(one, pair)
        await self.settle()
        return self.decided.total() - before

    async def open_questions(self) -> list[Waiting]:
        return await list_waiting(self.world.house.db, limit=EVERYTHING)

    async def kinds_open(self) -> dict[str, int]:
        return dict(Counter(f"{one.kind} {one.state}" for one in await self.open_questions()))

    # -- time

    async def pass_time(self, by: timedelta) -> None:
        """Both clocks move, and the house does what is due, each sweeper at its own pace."""
        self.world.clock.advance(by)
        await in_step(self.world)
        await self.settle()
        now, jobs = self.world.clock.now(), self.world.house.get(Jobs)
        for name, sweeper in jobs.sweepers.items():
            if now - self._swept.get(name, self._began) >= timedelta(seconds=sweeper.seconds):
                self._swept[name] = now
                await jobs.sweep(name)
        await self.settle()
        if now - self._renewed > SESSION:
            await signed_in(self.world, self.people)
            self._renewed = now

    async def settle(self) -> None:
        """Several workers work off what is due, until neither side has anything left to do now."""
        jobs = self.world.house.get(Jobs)
        how = {"timeout": 25, "prompts": False, "late": False}
        for _ in range(PATIENCE):
            done = await asyncio.gather(*(jobs.run_all_due() for _ in range(WORKERS)))
            idle = (await self.world.sim.get("/sim/wait-idle", params=how)).json()
            assert idle["idle"]
            if not any(done) and not await self.world.due():
                return
        raise AssertionError("the world does not come to rest")

    def say(self, words: str) -> None:
        """Progress, for whoever waits an hour for it."""
        print(f"{time.monotonic() - self._started:7.1f} s  {words}", flush=True)

    # -- what people do

    async def _orders(self, some: int, chance: random.Random) -> None:
        """So many people order something, all at once."""
        chosen = chance.sample(self.people, min(some, len(self.people)))
        await asyncio.gather(*(self._order(one, chance) for one in chosen))

    async def _order(self, who: Person, chance: random.Random) -> None:
        """One payment of somebody's, of a kind and amount that chance chose."""
        [kind] = chance.choices(KINDS, SHARES)
        amount = str(chance.randrange(50, 1500))
        grams = Decimal(chance.randrange(1000, 20_000)) / 1_000_000
        match kind:
            case "prompt":
                answer = await who.post("/wallet/deposits", amount_kes=amount)
            case "payout":
                answer = await who.post("/wallet/withdrawals", amount_kes=amount)
            case "buy":
                answer = await who.post("/gold/trade/buy", amount_kes=amount)
            case "sell":
                answer = await who.post("/gold/trade/sell", grams=str(grams))
            case _:
                mistyped = chance.random() < MISTYPED
                account = f"RENT {new_id().hex[-4:]}" if mistyped else await account_of(who)
                await pay_bill(self.world, who, account, Decimal(amount))
                self.asked["paybill"] += 1
                return
        said: dict[str, Any] = answer.json()
        assert answer.status_code < 500, answer.text
        if answer.status_code == 202:
            self.asked[kind] += 1
        else:
            self.refused[f"{kind} {said['error']['code']}"] += 1

    async def _validating(self, *, on: bool) -> None:
        """Half of the time M-Pesa lets account numbers through that are nobody's."""
        await self.world.sim.put("/sim/settings", json={"c2b_external_validation": on})

    # -- what persons decide

    async def _decide(self, one: Waiting, pair: Pair) -> None:
        """Each by the way out that its page offers."""
        try:
            match one.kind, one.state:
                case "deposit", "unknown" | "confirmed":
                    await pair.call_prompt_absent(parse_id("dep", one.wire))
                case "withdrawal", "unknown" | "contradicted":
                    await pair.call_payout_absent(parse_id("wdr", one.wire))
                case "payment", "suspended":
                    await self._clear(one, pair)
                case "payment", "returning":
                    went = await self._went_back(one)
                    await pair.return_ended(parse_id("pay", one.wire), went_back=went)
                case _:
                    return
        except (NotProvenAbsent, PromptMayBePaid):
            return
        self.decided[f"{one.kind} {one.state}"] += 1

    async def _clear(self, one: Waiting, pair: Pair) -> None:
        """Nobody's shillings: to whom M-Pesa's hint points, or back to who paid."""
        payment_id = parse_id("pay", one.wire)
        row = await self.world.house.db.fetchrow(
            "SELECT c.username FROM receipts.payment p"
            " LEFT JOIN identity.customer c ON c.id = p.suggested_id WHERE p.id = $1",
            payment_id,
        )
        assert row is not None
        if row["username"] and payment_id.int % 2:
            await pair.give(payment_id, row["username"])
        else:
            await pair.send_back(payment_id)

    async def _went_back(self, one: Waiting) -> bool:
        """What the portal shows of a payment."""
        sql = "SELECT receipt FROM receipts.payment WHERE id = $1"
        receipt = await self.world.house.db.fetchval(sql, parse_id("pay", one.wire))
        found = (await self.world.sim.get(f"/sim/books/{receipt}")).json()
        return bool(found["reversed_by"])

    async def _import_statement(self) -> None:
        since = self._began - timedelta(minutes=1)
        until = self.world.clock.now() - timedelta(seconds=1)
        span = {"from": since.isoformat(), "to": until.isoformat()}
        body = (await self.world.sim.get("/sim/statement.csv", params=span)).content
        house = self.world.house
        await house.get(Statements).take(BytesIO(body), since, until, by="clerk", actor=SYSTEM)
