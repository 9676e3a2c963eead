"""The worst of the bad ways: M-Pesa contradicts itself, takes back what it told, and people lie.

Everybody here begins with KES 1,000 that a prompt brought, so that each balance speaks of one
trouble alone.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from hazina.bootstrap.demo import figures
from hazina.bootstrap.demo.books import forged_state, get_claim, payment_state
from hazina.bootstrap.demo.checks import Chapter, seen_by
from hazina.bootstrap.demo.people import Customer, Town
from hazina.bootstrap.demo.stack import Stack
from hazina.bootstrap.demo.troubles import FORGER, LATE_S, NOTHING
from hazina.bootstrap.demo_seed import OPERATOR, Secrets
from hazina.bootstrap.ports import LOOPBACK
from hazina.kernel.clock import EAT, SystemClock

FIRST = 320
FORGED_RECEIPT = "UKDFORGED1"
WRITTEN = "%Y-%m-%dT%H:%M:%S"  # a moment as the command and the portal are told it, in Nairobi


@dataclass(frozen=True, slots=True)
class Worst:
    """``taken_back`` comes after all others: the statement it brings would mend them."""

    town: Town
    chapter: Chapter
    database_url: str
    stack: Stack

    @property
    def troubles(self) -> list[Callable[[], Awaitable[None]]]:
        """Those that may be played at once, beside others."""
        return [
            self.refused_at_the_gate, self.paid_from_the_menu, self.forged_notice,
            self.told_otherwise_again, self.queue_gave_up, self.declined_and_paid,
        ]  # fmt: skip

    async def refused_at_the_gate(self) -> None:
        """Too many requests, and the token has ended: nothing was taken, so it is asked again."""
        who = await self.town.customer("gate", FIRST + 1, auto="pay")
        await who.handset.fault("http_500", "stk")
        await who.handset.fault("token_revoked", "stk")
        await who.post("/wallet/deposits", {"amount_kes": "1000"})
        await self._reaches("refused for the rate, then for the token: paid", who, "1000.00")
        await self._owns("… asked again, paid once", who, "1000.00", "99000.00")

    async def paid_from_the_menu(self) -> None:
        """Nobody was asked: M-Pesa tells of it, and must agree when it is asked."""
        who = await self.town.customer("menu", FIRST + 2)
        order = {
            "account_number": await self._account(who), "amount": figures.UNASKED, "pin": "1234",
        }  # fmt: skip
        await self.town.sim.call("POST", f"/sim/handsets/{who.handset.phone}/paybill", order)
        await self._reaches("paid from the phone's menu: booked", who, "750.00")
        await self._owns("… once", who, "750.00", "99250.00")

    async def forged_notice(self) -> None:
        """A stranger tells of a payment to their own account number that M-Pesa never had."""
        who = await self.town.customer("thief", FIRST + 3)
        lie = {
            "phone": who.handset.phone, "amount": "9000", "receipt": FORGED_RECEIPT,
            "account_number": await self._account(who), "source": FORGER,
        }  # fmt: skip
        answer = await self.town.sim.call("POST", "/sim/c2b/forge", lie)
        self.chapter.equal("a confirmation is forged", "200", answer.short)
        state = partial(payment_state, self.database_url, FORGED_RECEIPT)
        await self.chapter.reaches("… it is a claim, of which nothing is booked", "incoming", state)
        self.chapter.equal("… nobody has its shillings", NOTHING, await who.balance("KES"))

    async def told_otherwise_again(self) -> None:
        """The message that was booked comes again, from M-Pesa's own address, with more money."""
        who = await self._paid_in("again", 4)
        deposit = await who.deposit()
        claim = await get_claim(self.database_url, deposit["deposit_id"])
        body = claim.invented(90_000, "UKDAGAIN01")
        await self.town.wallet.call("POST", f"/hooks/{claim.token}/c", body)
        inbox = partial(forged_state, self.database_url, claim.token, LOOPBACK)
        await self.chapter.reaches(
            "a booked message comes again with more money: refused", "done, refused", inbox
        )
        receipt = (await who.deposit())["receipt"]
        self.chapter.equal("… its receipt is as it was", deposit["receipt"], receipt)
        await self._owns("told otherwise, booked once", who, "1000.00", "99000.00")

    async def queue_gave_up(self) -> None:
        """M-Pesa says that a payout lay too long in its queue, and then that it paid."""
        who = await self._paid_in("queue", 5)
        await self._pays_out(who, "timeout_notice", delay_s=LATE_S)
        await self.chapter.reaches(
            "M-Pesa's queue gave a payout up, and it was paid", "paid", partial(_payout, who)
        )
        await self._owns("… paid once", who, "400.00", "99600.00")

    async def declined_and_paid(self) -> None:
        """Asked, M-Pesa calls a payout declined, so the money is free again; then it was paid."""
        who = await self._paid_in("declined", 6)
        lie = {"fault": "query_contradicts", "operation": "status", "phone": who.handset.phone}
        await self.town.sim.call("PUT", "/sim/faults", lie)
        await self._pays_out(who, "callback_late", delay_s=LATE_S)
        note = self.chapter
        await note.reaches("asked, M-Pesa calls a payout declined", "failed", partial(_payout, who))
        note.equal("… the shillings are free again", "1000.00", await who.balance("KES"))
        await note.reaches("… it was paid after all", "paid", partial(_payout, who))
        await self._owns("… and has left the wallet", who, "400.00", "99600.00")

    async def taken_back(self) -> None:
        """The payer has the payment back when most is spent; a person brings the statement."""
        note = self.chapter
        who = await self._paid_in("taken-back", 7)
        receipt = (await who.deposit())["receipt"]
        await self._pays_out(who)
        await seen_by(partial(_payout, who), "paid")
        await self.town.sim.call("POST", f"/sim/books/{receipt}/reverse")
        said = await self._bring_statement()
        seen = "yes" if f"{receipt} went back at M-Pesa" in said else said
        note.equal("M-Pesa's statement is brought: a payment went back", "yes", seen)

        async def state() -> str:
            return str((await who.deposit()).get("state"))

        await note.reaches("… M-Pesa agrees: it leaves the wallet", "taken_back", state)
        await self._owns("… with all that was left", who, "0.00", "100600.00")
        refused = await who.post("/wallet/withdrawals", {"amount_kes": "50"})
        note.equal("… the rest is owed: nothing leaves", "403 debt_outstanding", refused.short)
        await who.post("/wallet/deposits", {"amount_kes": figures.UNASKED})
        await self._reaches("… the next shillings repay it first", who, "150.00")
        await self._owns("taken back, owed and repaid", who, "150.00", "99850.00")

    # -- what they have in common

    async def _paid_in(self, name: str, number: int) -> Customer:
        """Somebody new with KES 1,000."""
        who = await self.town.customer(name, FIRST + number, auto="pay")
        await who.post("/wallet/deposits", {"amount_kes": "1000"})
        await self._reaches(f"{who.username} pays KES 1,000 in", who, "1000.00")
        return who

    async def _pays_out(self, who: Customer, fault: str = "", **how: object) -> None:
        if fault:
            await who.handset.fault(fault, "b2c", **how)
        answer = await who.post("/wallet/withdrawals", {"amount_kes": "600"})
        self.chapter.equal(f"{who.username} withdraws KES 600", "202", answer.short)

    async def _reaches(self, step: str, who: Customer, kes: str) -> None:
        await self.chapter.reaches(step, kes, partial(who.balance, "KES"))

    async def _owns(self, step: str, who: Customer, kes: str, handset: str) -> None:
        seen = f"{await who.balance('KES')}, {await who.handset.balance()}"
        self.chapter.equal(f"{step}: wallet, phone", f"{kes}, {handset}", seen)

    async def _account(self, who: Customer) -> str:
        return str((await who.get("/wallet/deposits/paybill")).body.get("account_number"))

    async def _bring_statement(self) -> str:
        """An operator exports it from M-Pesa's portal and brings it; what the command says."""
        now = SystemClock().now().astimezone(EAT)
        begin, end = ((now - timedelta(hours=1)).strftime(WRITTEN), now.strftime(WRITTEN))
        body = await self.town.sim.text(f"/sim/statement.csv?from={begin}&to={end}")
        passwords = Secrets.find(self.stack.data_dir)
        if passwords is None:
            return "no demo logins"
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write(body)
            file.flush()
            return await asyncio.to_thread(
                partial(
                    self.stack.run, "mpesa", "statement", str(Path(file.name)),
                    "--covers-from", begin, "--covers-to", end,
                    "--operator", OPERATOR, "--password-stdin",
                    typed=f"{passwords.operator}\n",
                )
            )  # fmt: skip


async def _payout(who: Customer) -> str:
    return str((await who.withdrawal()).get("state"))
