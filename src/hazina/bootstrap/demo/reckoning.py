"""The end: the ledger's proof, the trial balance to the cent, and our M-Pesa accounts beside the
books of M-Pesa itself, line by line."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hazina.bootstrap.demo import figures
from hazina.bootstrap.demo.books import our_lines, their_lines
from hazina.bootstrap.demo.checks import Chapter
from hazina.bootstrap.demo.people import Wire
from hazina.bootstrap.demo.stack import Stack, read_json

FEWEST_CLAIMS = 10
COLLECTED = ("mpesa:collection", "mpesa:in_transit")


@dataclass(slots=True)
class Reckoning:
    """``trial_balance`` is kept for the report."""

    stack: Stack
    sim: Wire
    chapter: Chapter
    database_url: str
    trial_balance: list[dict[str, Any]] = field(default_factory=list)

    async def play(self) -> None:
        await self.prove()
        await self.sum_up()
        await self.compare()

    async def prove(self) -> None:
        """`hazina ledger verify`, each claim a line."""
        said = await asyncio.to_thread(self.stack.run, "ledger", "verify", "--json")
        found = read_json(said)
        claims = found.get("claims", []) if isinstance(found, dict) else []
        enough = len(claims) >= FEWEST_CLAIMS
        self.chapter.equal(
            "ledger verify has claims to check", "yes", "yes" if enough else said.strip() or "none"
        )
        for claim in claims:
            seen = "holds" if claim["holds"] else "; ".join(claim["faults"]) or "does not hold"
            self.chapter.equal(claim["claim"], "holds", seen)

    async def sum_up(self) -> None:
        """`hazina ledger trial-balance`, each purpose a line."""
        said = await asyncio.to_thread(self.stack.run, "ledger", "trial-balance", "--json")
        found = read_json(said)
        self.trial_balance = found if isinstance(found, list) else []
        for asset, expected in (("KES", figures.KES_BALANCES), ("XAU", figures.XAU_BALANCES)):
            lines = {one["purpose"]: one for one in self.trial_balance if one["asset"] == asset}
            if asset == "KES":
                seen = total(lines[name]["balance"] for name in COLLECTED if name in lines)
                step = "mpesa:collection and in transit, KES"
                self.chapter.equal(step, figures.WORKING, seen)
            for purpose, balance in expected.items():
                seen = lines[purpose]["balance"] if purpose in lines else "no such line"
                self.chapter.equal(f"{purpose}, {asset}", balance, seen)
            self._whole(asset, lines, expected)

    def _whole(self, asset: str, lines: dict[str, Any], expected: dict[str, str]) -> None:
        nil = {"0", "0.00", "0.000000"}
        named = {*expected, *COLLECTED}
        others = [n for n, one in lines.items() if n not in named and one["balance"] not in nil]
        self.chapter.equal(f"nothing in other accounts, {asset}", "[]", str(sorted(others)))
        held = total(one["held"] for one in lines.values())
        self.chapter.equal(f"nothing is held any more, {asset}", "0", str(Decimal(held) + 0 or 0))
        debits, credits_ = (
            total(one[side] for one in lines.values()) for side in ("debits", "credits")
        )
        self.chapter.equal(f"debits are credits, {asset}", debits or "nothing booked", credits_)

    async def compare(self) -> None:
        """Ours beside theirs."""
        books = (await self.sim.call("GET", "/sim/books")).body
        theirs = books["organisation"]
        ours = {
            one["purpose"]: one["balance"] for one in self.trial_balance if one["asset"] == "KES"
        }
        note = self.chapter
        note.equal("M-Pesa's own books balance", "True", str(books["balanced"]))
        for step, name, purposes in (
            ("Working", "working", COLLECTED),
            ("Utility", "utility", ("mpesa:utility",)),
            ("Charges Paid", "charges_paid", ("mpesa:charges",)),
        ):
            seen = total(ours.get(purpose, "NaN") for purpose in purposes)
            note.equal(f"M-Pesa's {step} is ours", theirs[name], seen)
        our, their = await our_lines(self.database_url), their_lines(books["transactions"])
        for name in sorted({*our, *their}):
            mine, its = our.get(name), their.get(name)
            note.equal(
                f"payment {name}",
                its.beside(mine) if its else "not in M-Pesa's books",
                mine.beside(its) if mine else "not in our ledger",
            )
        note.equal("payments in M-Pesa's books", str(figures.PAYMENTS), str(len(their)))


def total(amounts: Any) -> str:  # noqa: ANN401 - any iterable of decimal texts
    return str(sum((Decimal(amount) for amount in amounts), Decimal(0)))
