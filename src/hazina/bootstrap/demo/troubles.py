"""The bad ways: payments and payouts that go wrong, each in its own way and all at once, and people
who ask for what they cannot have. Every customer here is new, so that each balance speaks of one
trouble alone."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from hazina.bootstrap.demo import figures
from hazina.bootstrap.demo.books import Claim, forged_state, get_claim
from hazina.bootstrap.demo.checks import Chapter, seen_by
from hazina.bootstrap.demo.figures import Deal
from hazina.bootstrap.demo.people import Customer, Town
from hazina.bootstrap.demo.story import taken, told, told_by
from hazina.kernel.clock import SystemClock
from hazina.kernel.ids import new_id

FIRST = 300  # the last digits of the first unlucky phone
LATE_S = 15  # time enough for us to have asked, and for a reservation to have ended
SHORT_PROMPT_S, LONG_PROMPT_S = 4, 60
FORGER = "203.0.113.9"
NOTHING = "nothing"  # an account that was never opened
ZERO_GRAMS = "0.000000"

Trouble = Callable[[], Awaitable[None]]
Fault = tuple[str, Mapping[str, object]]  # its name, and what it needs to know


@dataclass(frozen=True, slots=True)
class Troubles:
    """``buyer`` has gold and a trade that others would like to see."""

    town: Town
    chapter: Chapter
    database_url: str
    buyer: Customer

    async def play(self, more: Sequence[Trouble]) -> None:
        """This will play them all, and ``more`` beside them. One that breaks off is a finding and
        stops no other."""
        await self._lists_are_silent()
        await self.too_much_gold()
        await self.unanswered()
        await together(
            self.chapter,
            [
                self.cancelled, self.told_twice, self.told_late, self.paid_after_the_end,
                self.wrong_amount, self.response_lost, self.never_told, self.forged,
                self.payout_fails, self.payout_response_lost, self.payout_never_told,
                self.expired_quote, self.one_key_twice, self.foreign_ids, *more,
            ],
        )  # fmt: skip
        await self.town.sim.call("DELETE", "/sim/faults")

    # -- payments

    async def unanswered(self) -> None:
        """By itself: how long a prompt stands is one setting of the simulator for all."""
        await self._prompts_stand(SHORT_PROMPT_S)
        who, trade_id = await self._buys("unanswered", 1, ring=True)
        await self._prompts_stand(LONG_PROMPT_S)
        state = who.state_of(trade_id)
        await self.chapter.reaches("unanswered: the purchase ends", "cancelled", state)
        await self._has("unanswered", who, ZERO_GRAMS, NOTHING, figures.HANDSET_UNTOUCHED)

    async def cancelled(self) -> None:
        who, trade_id = await self._buys("cancelled", 2, ring=True)
        await who.handset.answer("cancel")
        state = who.state_of(trade_id)
        await self.chapter.reaches("cancelled on the phone: the purchase ends", "cancelled", state)
        await self._has("cancelled", who, ZERO_GRAMS, NOTHING, figures.HANDSET_UNTOUCHED)

    async def told_twice(self) -> None:
        who, trade_id = await self._buys("twice", 3, fault=("callback_twice", {}))
        state = who.state_of(trade_id)
        await self.chapter.reaches("the callback comes twice: completed", "completed", state)
        told_us = partial(self._deliveries, who)
        await self.chapter.reaches("M-Pesa has told it twice", "2 delivered", told_us)
        await self._has("told twice, booked once", who, *PAID_ONCE)

    async def told_late(self) -> None:
        """Found by asking long before the callback; the callback then brings the receipt."""
        late = ("callback_late", {"delay_s": LATE_S})
        who, trade_id = await self._buys("late", 4, fault=late)
        note, state = self.chapter, who.state_of(trade_id)
        await note.reaches("the callback is late: found by asking", "completed", state)
        note.equal("… booked without a receipt", "confirmed None", await self._deposit(who))

        async def receipted() -> str:
            found = await who.deposit()
            return f"{found.get('state')}, receipt: {found.get('receipt') is not None}"

        await note.reaches("… which comes later", "paid, receipt: True", receipted)
        await self._has("told late, booked once", who, *PAID_ONCE)

    async def paid_after_the_end(self) -> None:
        """Queries say it failed, so the gold is let go; then the payment is told after all."""
        late = ("callback_late", {"delay_s": LATE_S})
        who = await self.town.customer("after-the-end", FIRST + 5, auto="pay")
        await who.handset.fault("query_contradicts", "query", count=None)
        trade_id = await self._asks(who, late)
        note, state = self.chapter, who.state_of(trade_id)
        await note.reaches("M-Pesa says it failed: the purchase ends", "cancelled", state)
        note.equal("… without gold", ZERO_GRAMS, await who.balance("XAU"))
        await note.reaches("… the payment is told after the end: booked", "completed", state)
        await self._has("paid after the end", who, *PAID_ONCE)

    async def wrong_amount(self) -> None:
        fault = ("wrong_amount", {"amount": "999"})
        who, trade_id = await self._buys("wrong", 6, fault=fault)
        note, state = self.chapter, who.state_of(trade_id)
        await note.reaches("999 is paid for 1000: the purchase ends", "cancelled", state)
        note.equal("… the 999 wait for a person", "suspended", (await who.deposit())["state"])
        await self._has("wrong amount", who, ZERO_GRAMS, NOTHING, figures.HANDSET_MISPAID)

    async def response_lost(self) -> None:
        """M-Pesa took the request and the line went dead: nobody knows, until the callback."""
        who = await self.town.customer("response-lost", FIRST + 7)
        trade_id = await self._asks(who, ("drop_after_accept", {}))
        note = self.chapter

        async def deposit() -> str:
            return str((await who.deposit()).get("state"))

        await note.reaches("the response is lost: nobody knows", "unknown", deposit)
        await seen_by(who.handset.prompt, "1000.00")
        await who.handset.answer("pay")
        state = who.state_of(trade_id)
        await note.reaches("… paid all the same: completed", "completed", state)
        await self._has("response lost", who, *PAID_ONCE)

    async def never_told(self) -> None:
        who, trade_id = await self._buys("never", 8, fault=("callback_never", {}))
        state = who.state_of(trade_id)
        await self.chapter.reaches("no callback ever: found by asking", "completed", state)
        seen = await self._deposit(who)
        self.chapter.equal("… booked without a receipt", "confirmed None", seen)
        await self._has("never told", who, *PAID_ONCE)

    async def forged(self) -> None:
        """A stranger who knows even the secret address, and M-Pesa's id, invents a payment."""
        who, trade_id = await self._buys("forged", 9, ring=True)
        await seen_by(partial(self._deposit, who), "prompted None")
        claim = await get_claim(self.database_url, (await who.deposit())["deposit_id"])
        note = self.chapter
        answers = [await self._forge(claim, token) for token in (claim.token, "ab" * 16)]
        note.equal("forged callbacks are taken in like any", "200, 200", ", ".join(answers))
        token_known = partial(self._inbox, claim.token)
        await note.reaches("… and refused", "refused", token_known)
        state = who.state_of(trade_id)
        note.equal("… the purchase still waits", "requested", await state())
        note.equal("… and no gold has come", ZERO_GRAMS, await who.balance("XAU"))
        await who.handset.answer("pay")
        await note.reaches("… the true payment counts", "completed", state)
        # Asking may have found it paid before the callback brings its receipt.
        known = partial(self._known_to_mpesa, who)
        await note.reaches("… with a receipt that M-Pesa knows", "1000.00", known)
        await self._has("forged", who, *PAID_ONCE)

    # -- payouts

    async def payout_fails(self) -> None:
        who = await self._owns_gold("payout-fails", 10)
        trade_id = await self._sells(who, "b2c_fail", result_code="2040")
        state = who.state_of(trade_id)
        await self.chapter.reaches("the payout fails: the sale ends", "failed", state)
        await self._has("payout failed, the gold is there", who, *PAID_ONCE)

    async def payout_response_lost(self) -> None:
        who = await self._owns_gold("payout-lost", 11)
        trade_id = await self._sells(who, "drop_after_accept")
        state = who.state_of(trade_id)
        await self.chapter.reaches("the payout's response is lost: paid once", "completed", state)
        await self._has("payout's response lost", who, *PAID_AND_SOLD)

    async def payout_never_told(self) -> None:
        who = await self._owns_gold("payout-never", 12)
        trade_id = await self._sells(who, "callback_never")
        state = who.state_of(trade_id)
        await self.chapter.reaches("the payout is never told: found by asking", "completed", state)
        await self._has("payout never told", who, *PAID_AND_SOLD)

    # -- refusals

    async def too_much_gold(self) -> None:
        """Before anybody else has gold set aside: what is left is known to the microgram."""
        answer = await self.buyer.post("/gold/trade/buy", {"grams": "1200"})
        error = answer.body.get("error", {})
        self.chapter.equal(
            "more gold than there is: refused with what is there",
            f"409 insufficient_gold {figures.GRAMS_FOR_SALE}",
            f"{answer.short} {error.get('details', {}).get('available_grams')}",
        )

    async def expired_quote(self) -> None:
        asked = {"side": "buy", "amount_kes": "1000"}
        quote = (await self.buyer.post("/gold/quotes", asked)).body
        ends = datetime.fromisoformat(quote["expires_at"])

        async def over() -> str:
            return "over" if SystemClock().now() > ends else f"until {ends}"

        await seen_by(over, "over")
        answer = await self.buyer.post("/gold/trade/buy", {"quote_id": quote["quote_id"]})
        self.chapter.equal("a quote after its time", "409 quote_expired", answer.short)

    async def one_key_twice(self) -> None:
        who = await self.town.customer("one-key", FIRST + 13, auto="pay")
        key, body = new_id().hex, {"amount_kes": "1000"}
        answers = [await who.post("/gold/trade/buy", body, key) for _ in range(2)]
        self._taken_on(who, "buys", figures.BUY_1000, answers[0].body, taken(answers[0]))
        first, again = [answer.body.get("trade_id") for answer in answers]
        self.chapter.equal("one key twice: one purchase", f"202 {first}", f"202 {again}")
        other = await who.post("/gold/trade/buy", {"amount_kes": "2000"}, key)
        self.chapter.equal("one key for another purchase", "409 idempotency_conflict", other.short)
        await seen_by(who.state_of(str(first)), "completed")
        await self._has("one key, paid once", who, *PAID_ONCE)

    async def foreign_ids(self) -> None:
        stranger = await self.town.customer("stranger", FIRST + 14)
        theirs = (await self.buyer.get("/gold/trades")).body["items"][0]["trade_id"]
        payment = (await self.buyer.deposit())["deposit_id"]
        paths = [f"/gold/trade/{theirs}", f"/wallet/deposits/{payment}", "/gold/trade/trd_x"]
        seen = [(await stranger.get(path)).short for path in paths]
        self.chapter.equal(
            "somebody else's trade and payment, and no id at all",
            "404 not_found, 404 not_found, 404 not_found",
            ", ".join(seen),
        )
        refused = await stranger.post("/gold/prices", {})
        # The operators' doors do not know a customer's token, whatever is asked of them.
        self.chapter.equal("a customer at the operators' door", "401", refused.short[:3])

    # -- what they have in common

    async def _buys(
        self,
        name: str,
        number: int,
        *,
        ring: bool = False,
        fault: Fault | None = None,
    ) -> tuple[Customer, str]:
        """Somebody new buys for KES 1,000: their phone pays by itself, or shows the prompt."""
        who = await self.town.customer(name, FIRST + number, auto="none" if ring else "pay")
        trade_id = await self._asks(who, fault)
        if ring:
            await self.chapter.reaches(f"{name}: the phone rings", "1000.00", who.handset.prompt)
        return who, trade_id

    async def _asks(self, who: Customer, fault: Fault | None) -> str:
        if fault is not None:
            await who.handset.fault(fault[0], "stk", **fault[1])
        answer = await who.post("/gold/trade/buy", {"amount_kes": "1000"})
        self._taken_on(who, "buys", figures.BUY_1000, answer.body, taken(answer))
        return str(answer.body.get("trade_id"))

    async def _owns_gold(self, name: str, number: int) -> Customer:
        who, trade_id = await self._buys(name, number)
        await seen_by(who.state_of(trade_id), "completed")
        return who

    async def _sells(self, who: Customer, fault: str, **how: object) -> str:
        await who.handset.fault(fault, "b2c", **how)
        answer = await who.post("/gold/trade/sell", {"grams": "0.05"})
        self._taken_on(who, "sells", figures.SELL_645, answer.body, taken(answer))
        return str(answer.body.get("trade_id"))

    def _taken_on(
        self, who: Customer, does: str, deal: Deal, body: dict[str, object], seen: str
    ) -> None:
        self.chapter.equal(
            f"{who.username} {does}", f"202 requested {told(deal)}", f"{seen} {told_by(body)}"
        )

    async def _has(self, step: str, who: Customer, gold: str, kes: str, handset: str) -> None:
        """Everything they own: gold and shillings here, shillings on the phone."""
        seen = [await who.balance("XAU"), await who.balance("KES"), await who.handset.balance()]
        self.chapter.equal(
            f"{step}: gold, wallet, phone", f"{gold}, {kes}, {handset}", ", ".join(seen)
        )

    async def _deposit(self, who: Customer) -> str:
        found = await who.deposit()
        return f"{found.get('state')} {found.get('receipt')}"

    async def _known_to_mpesa(self, who: Customer) -> str:
        """What M-Pesa's own books say was paid under our receipt."""
        receipt = (await who.deposit()).get("receipt")
        found = await self.town.sim.call("GET", f"/sim/books/{receipt}")
        return str(found.body.get("amount"))

    async def _deliveries(self, who: Customer) -> str:
        """How many of this payment's callbacks M-Pesa has delivered."""
        receipt = (await who.deposit()).get("receipt")
        found = (await self.town.sim.call("GET", "/sim/deliveries?kind=stk")).body["deliveries"]
        mine = [d for d in found if f"'{receipt}'" in str(d["body"]) and d["state"] == "delivered"]
        return f"{len(mine)} delivered"

    async def _forge(self, claim: Claim, token: str) -> str:
        answer = await self.town.wallet.call(
            "POST", f"/hooks/{token}/c", claim.invented(), x_forwarded_for=FORGER
        )
        return answer.short

    async def _inbox(self, token: str) -> str:
        return await forged_state(self.database_url, token, FORGER)

    async def _lists_are_silent(self) -> None:
        """Meanwhile neither M-Pesa's list nor its paybill tells of a payment, or either would mend
        half of these troubles before anybody saw them."""
        await self.town.sim.call("PUT", "/sim/settings", {"stk_confirms_c2b": False})
        empty = {"fault": "pull_empty", "operation": "pull", "count": None}
        await self.town.sim.call("PUT", "/sim/faults", empty)

    async def _prompts_stand(self, seconds: int) -> None:
        await self.town.sim.call("PUT", "/sim/settings", {"prompt_lifetime_s": seconds})


PAID_ONCE = (figures.BUY_1000.grams, "0.00", figures.HANDSET_PAID)
PAID_AND_SOLD = (figures.GRAMS_PAID_AND_SOLD, "0.00", figures.HANDSET_PAID_AND_SOLD)


async def together(chapter: Chapter, troubles: list[Trouble]) -> None:
    """This will play ``troubles`` at once."""
    endings = await asyncio.gather(*(one() for one in troubles), return_exceptions=True)
    for trouble, ending in zip(troubles, endings, strict=True):
        if isinstance(ending, BaseException):
            name = getattr(trouble, "__name__", str(trouble)).replace("_", " ")
            chapter.equal(f"{name}: played to its end", "yes", f"{type(ending).__name__}: {ending}")
