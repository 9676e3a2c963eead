"""An hour of traffic, seeded: payments in and out under every fault, and two days to clear up.

People pay by prompt and from the PayBill menu, withdraw, buy gold and sell it to their phones.
Faults strike by seeded chance. When the hour is over M-Pesa is well again; time passes, the house
asks and reads, and two operators decide what only persons can.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hazina.flows.receipts.statements import NotProvenAbsent, Statements
from hazina.flows.receipts.unanswered import PromptMayBePaid
from hazina.flows.receipts.waiting import Waiting, list_waiting
from hazina.identity.register import Application, Registration
from hazina.identity.sessions import CustomerSessions
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id, parse_id
from tests.journeys.paying import in_step, registered
from tests.journeys.test_gold import stocked
from tests.journeys.world import PASSWORD, Person, World
from tests.rails.matrix.desk import Pair

FAR = {"source": "203.0.113.7"}
# Each with its operation (None: every one that it fits) and what it needs to know. A forger's
# messages come from afar, and M-Pesa's own status tells no lies about payouts: what it calls
# declined is declined (docs/rails/mpesa.md).
FAULTS: tuple[tuple[str, str | None, dict[str, object]], ...] = (
    ("callback_twice", None, {}),
    ("callback_never", None, {}),
    ("callback_late", None, {"delay_s": 420}),
    ("callback_before_response", None, {}),
    ("wrong_source", None, FAR),
    ("wrong_phone", None, {}),
    ("wrong_amount", "stk", {}),
    ("cancel", "stk", {}),
    ("no_answer", "stk", {}),
    ("stk_and_c2b", "stk", {}),
    ("receipt_twice", "stk", {}),
    ("forge", "stk", FAR),
    ("forge", "b2c", FAR),
    ("forge", "c2b", FAR),
    ("drop_after_accept", None, {}),
    ("drop_before_accept", None, {}),
    ("answer_after_accept", None, {"status": 502, "text": "<html>Bad gateway</html>"}),
    ("http_500", None, {}),
    ("quota_500", None, {}),
    ("html_403", None, {}),
    ("token_revoked", None, {}),
    ("query_contradicts", "query", {}),
    ("not_found", "status", {}),
    ("pull_empty", "pull", {}),
    ("timeout_notice", None, {"delay_s": 120}),
    ("result_object_shape", None, {}),
    ("b2c_fail", "b2c", {"result_code": "2040"}),
    ("result_fail", "reversal", {"result_code": "26"}),
)
KINDS, SHARES = ("prompt", "paybill", "payout", "buy", "sell"), (30, 20, 20, 15, 15)
CHANCE = 0.03
SESSION = timedelta(minutes=10)
SIDE_BY_SIDE = 20
CLEARING = (timedelta(minutes=10),) * 6 + (timedelta(hours=1),) * 11 + (timedelta(hours=6),) * 6


@dataclass(slots=True)
class Traffic:
    """``asked`` counts what was asked for and how it was answered."""

    world: World
    seed: int
    people: list[Person] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    decided: Counter[str] = field(default_factory=Counter)
    began: datetime | None = None
    renewed: datetime | None = None

    async def prepare(self, crowd: int) -> None:
        """A registered paybill, gold and a price, and people with money on their phones."""
        await registered(self.world)
        await stocked(self.world, "900000", "100000")
        self.began = self.world.clock.now()
        self.people = [await self._newcomer(number) for number in range(crowd)]
        self.renewed = self.world.clock.now()

    async def hour(self, payments: int) -> None:
        """``payments`` orders within an hour, every fault on."""
        chance = random.Random(self.seed)
        await self.world.sim.put("/sim/settings", json={"fault_seed": self.seed})
        for name, operation, how in FAULTS:
            named = {} if operation is None else {"operation": operation}
            await self.world.fault(name, probability=CHANCE, **named, **how)
        rounds = -(-payments // SIDE_BY_SIDE)
        pause = timedelta(hours=1) / rounds
        for number in range(rounds):
            some = min(SIDE_BY_SIDE, payments - number * SIDE_BY_SIDE)
            chosen = chance.sample(self.people, some)
            await asyncio.gather(*(self._order(one, chance) for one in chosen))
            await self.pass_time(pause)
        await self.world.sim.delete("/sim/faults")

    async def pass_time(self, by: timedelta) -> None:
        """Both clocks move, and the house does what is due."""
        self.world.clock.advance(by)
        await in_step(self.world)
        await self.world.settle(late=False)
        await self.world.sweep()
        await self.world.settle(late=False)
        assert self.renewed is not None
        if self.world.clock.now() - self.renewed > SESSION:
            for person in self.people:
                await self._sign_in(person)
            self.renewed = self.world.clock.now()

    async def clear_up(self) -> list[Waiting]:
        """Two days pass; persons decide what is theirs to decide. What is still open then."""
        for step in CLEARING:
            self.world.clock.advance(step)
            await in_step(self.world)
            await self.world.settle(late=False)
            await self.world.sweep()
            await self.world.settle(late=False)
        pair = await Pair.of(self.world.house)
        for _ in range(3):
            await self._import_statement()
            for one in await list_waiting(self.world.house.db):
                await self._decide(one, pair)
            await self.world.settle(late=False)
            await self.world.sweep()
            await self.world.settle(late=False)
        return list(await list_waiting(self.world.house.db))

    async def _decide(self, one: Waiting, pair: Pair) -> None:
        """Each by the way out that its page offers."""
        try:
            match one.kind, one.state:
                case "deposit", "unknown":
                    await pair.call_prompt_absent(parse_id("dep", one.wire))
                case "withdrawal", "unknown":
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
        if row["username"]:
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
        assert self.began is not None
        since = self.began - timedelta(minutes=1)
        until = self.world.clock.now() - timedelta(seconds=1)
        span = {"from": since.isoformat(), "to": until.isoformat()}
        body = (await self.world.sim.get("/sim/statement.csv", params=span)).content
        house = self.world.house
        await house.get(Statements).take(body, since, until, by="clerk", actor=SYSTEM)

    # -- people

    async def _newcomer(self, number: int) -> Person:
        house, now = self.world.house, self.world.clock.now()
        name, phone = f"rush{number}", f"2541{number:08d}"
        fresh = Application(name, f"{name}@example.com", f"+{phone}", PASSWORD)
        await house.get(Registration).register(fresh, SYSTEM, now)
        person = Person(name, phone, "", self.world.shared_client(""))
        await self._sign_in(person)
        await self.world.handset(phone, auto="pay", balance="400000.00")
        account = (await person.get("/wallet/deposits/paybill"))["account_number"]
        paid = {"account_number": account, "amount": "5000", "pin": "1234"}
        await self.world.sim.post(f"/sim/handsets/{phone}/paybill", json=paid)
        await self.world.settle()
        answer = await person.post("/gold/trade/buy", amount_kes="3000")
        assert answer.status_code == 202, answer.text
        await self.world.settle()
        return person

    async def _sign_in(self, person: Person) -> None:
        house = self.world.house
        sessions, now = house.get(CustomerSessions), house.clock.now()
        sql = "SELECT id FROM identity.customer WHERE username = $1"
        found = await house.db.fetchval(sql, person.username)
        tokens = await house.db.run(lambda tx: sessions.open_api(tx, found, SYSTEM, now))
        person.api.headers["Authorization"] = f"Bearer {tokens.access}"

    async def _order(self, who: Person, chance: random.Random) -> None:
        """One payment of somebody's, of a kind and amount that chance chose."""
        kind = chance.choices(("prompt", "paybill", "payout", "buy", "sell"), (30, 20, 20, 15, 15))[
            0
        ]
        amount = str(chance.randrange(50, 1500))
        match kind:
            case "prompt":
                answer = await who.post("/wallet/deposits", amount_kes=amount)
            case "payout":
                answer = await who.post("/wallet/withdrawals", amount_kes=amount)
            case "buy":
                answer = await who.post("/gold/trade/buy", amount_kes=amount)
            case "sell":
                grams = Decimal(chance.randrange(1000, 20000)) / 1_000_000
                answer = await who.post("/gold/trade/sell", grams=str(grams))
            case _:
                await self._pay_bill(who, amount, mistyped=chance.random() < 0.05)
                self.asked["paybill"] += 1
                return
        said: dict[str, Any] = answer.json()
        code = "" if answer.status_code == 202 else f" {said['error']['code']}"
        self.asked[f"{kind}{code}"] += 1
        assert answer.status_code < 500, answer.text

    async def _pay_bill(self, who: Person, amount: str, *, mistyped: bool) -> None:
        account = (await who.get("/wallet/deposits/paybill"))["account_number"]
        order = {
            "account_number": f"RENT {new_id().hex[:4]}" if mistyped else account,
            "amount": amount,
            "pin": "1234",
        }
        await self.world.sim.post(f"/sim/handsets/{who.phone}/paybill", json=order)
