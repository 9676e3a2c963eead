"""kill -9, in the middle of a purchase and a sale at once: of the worker, the web process and
PostgreSQL, one after the other. Nobody but the supervisor mends anything."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hazina.bootstrap.demo import figures
from hazina.bootstrap.demo.checks import Chapter
from hazina.bootstrap.demo.people import Customer
from hazina.bootstrap.demo.stack import Stack
from hazina.bootstrap.demo.story import taken, told, told_by
from hazina.kernel.ids import new_id

RESULT_LATE_S = 5  # the payout's result falls into the time when somebody is dead
VICTIMS = ("worker", "web", "PostgreSQL")


@dataclass(frozen=True, slots=True)
class Kills:
    """``buyer`` has gold; every round they buy for KES 2,000 and sell 0.05 g to the phone."""

    stack: Stack
    chapter: Chapter
    buyer: Customer

    async def play(self) -> None:
        for number, victim in enumerate(VICTIMS):
            await self.round(number, victim)

    async def round(self, number: int, victim: str) -> None:
        buyer, note = self.buyer, self.chapter
        await buyer.handset.fault("callback_late", "b2c", delay_s=RESULT_LATE_S)
        key, wish = new_id().hex, {"amount_kes": "2000"}
        bought = await buyer.post("/gold/trade/buy", wish, key)
        sold = await buyer.post("/gold/trade/sell", {"grams": "0.05"})
        note.equal(
            f"a purchase and a sale, before {victim} dies",
            f"202 requested {told(figures.BUY_2000)}; 202 requested {told(figures.SELL_645)}",
            f"{taken(bought)} {told_by(bought.body)}; {taken(sold)} {told_by(sold.body)}",
        )
        await note.reaches("M-Pesa has taken both", "prompted, sent", self._payments)
        old = self.stack.kill(victim)
        await buyer.handset.answer("pay")
        again = await buyer.insist("/gold/trade/buy", wish, key)
        note.equal(
            f"{victim} is killed; the app repeats its request: the same purchase",
            f"202 {bought.body.get('trade_id')}",
            f"{again.short} {again.body.get('trade_id')}",
        )
        await note.reaches(f"{victim} is back", "another process", self._reborn(victim, old))
        for name, trade in (("purchase", bought), ("sale", sold)):
            state = buyer.state_of(str(trade.body.get("trade_id")))
            await note.reaches(f"the {name} ends", "completed", state, within_s=60)
        await note.reaches(
            "gold, wallet, phone: once each",
            f"{figures.GRAMS_AFTER_KILL[number]}, {figures.SHILLINGS_AFTER_WITHDRAWAL}, "
            f"{figures.HANDSET_AFTER_KILL[number]}",
            self._everything,
        )

    async def _payments(self) -> str:
        deposit, payout = await self.buyer.deposit(), await self.buyer.withdrawal()
        return f"{deposit.get('state')}, {payout.get('state')}"

    def _reborn(self, victim: str, old: int) -> Callable[[], Awaitable[str]]:
        async def look() -> str:
            now = self.stack.pid(victim)
            return "another process" if now not in (None, old) else f"process {now}"

        return look

    async def _everything(self) -> str:
        buyer = self.buyer
        return ", ".join(
            [await buyer.balance("XAU"), await buyer.balance("KES"), await buyer.handset.balance()]
        )
