"""The posting manual says what the code says: every code, every claim, and every example."""

import re
from pathlib import Path

from hazina.infra.db import Database
from hazina.kernel.ids import new_id
from hazina.ledger.chart import Purpose, system
from hazina.ledger.codes import Code
from hazina.ledger.core import PASSING, Reference, ResultCode, hold, move
from hazina.ledger.proof import Proof
from tests.ledger import manual
from tests.ledger.books import ALL_ALIVE, OUTSIDE, Books, kes, somebody

PAGE = (Path(__file__).parents[2] / "docs/money/ledger.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", PAGE, re.MULTILINE)


class TestTheManual:
    def test_explains_every_code_in_order(self) -> None:
        assert [code for code, _ in ROWS] == [code.value for code in ResultCode]

    def test_says_which_refusals_stay(self) -> None:
        stays = {ResultCode(code) for code, again in ROWS if again == "**stays refused**"}
        assert stays == PASSING

    def test_lists_every_claim(self) -> None:
        assert [claim for claim in Proof().claims() if f"\n- {claim}\n" not in PAGE] == []

    async def test_example_comes_out_as_it_says(self, db: Database) -> None:
        books, wallet = Books(db), somebody()
        deposit = Reference("deposit", new_id())
        paid = move(OUTSIDE, wallet, kes("5000"), Code.DEPOSIT, deposit)
        held, opening = hold(
            wallet, system(Purpose.MPESA_UTILITY), kes("1200"), Code.WITHDRAWAL,
            Reference("withdrawal", new_id()),
        )  # fmt: skip
        spend = move(wallet, somebody(), kes("4000"), Code.GOLD_PAID, deposit)
        lines = []
        for transfer in (paid, paid, opening, spend, held.post(), held.void()):
            code = await books.code(transfer)
            balance = await books.ledger.balance(db, wallet)
            units = (balance.posted.units, balance.held.units, balance.available.units)
            amounts = " | ".join(f"{value // 100:,}" for value in units)
            lines.append(f"| `{code}` | {amounts} |")
        missing = [line for line in lines if line not in PAGE]
        assert missing == []


class TestTheExamples:
    async def test_say_what_happens(self, fresh: Database) -> None:
        """Every page in one database, and the books are in order after all of it."""
        stale = []
        for page in manual.pages():
            written = page.read_text()
            if await manual.Example(fresh).page(written) != written:
                stale.append(page.name)
        assert stale == [], "write them anew: python -m tests.ledger.manual"
        proof = Proof()
        for kind in ("withdrawal", "order", "trade", "debt"):
            proof.add_owner(kind, ALL_ALIVE)
        async with fresh.transaction(readonly=True) as tx:
            assert [one for one in await proof.verify(tx) if not one.holds] == []

    def test_have_a_page_for_every_situation(self) -> None:
        index = (manual.MONEY / "examples.md").read_text()
        told = set(re.findall(r"\]\(([a-z-]+\.md)\) \|", index))
        assert told == {page.name for page in manual.pages()}
