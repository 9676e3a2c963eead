"""docs/money/ledger.md says what the code says: every code, every claim, and its own example."""

import re
from pathlib import Path

from hazina.infra.db import Database
from hazina.kernel.ids import new_id
from hazina.ledger.chart import Purpose, system
from hazina.ledger.codes import Code
from hazina.ledger.core import PASSING, Reference, ResultCode, hold, move
from hazina.ledger.proof import Proof
from tests.ledger.books import OUTSIDE, Books, kes, somebody

PAGE = (Path(__file__).parents[2] / "docs/money/ledger.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| .+ \| (.+) \|$", PAGE, re.MULTILINE)


class TestTheManual:
    def test_explains_every_code_in_order(self) -> None:
        assert [code for code, _ in ROWS] == [code.value for code in ResultCode]

    def test_says_which_refusals_stay(self) -> None:
        stays = {ResultCode(code) for code, again in ROWS if again == "**stays refused**"}
        assert stays == PASSING

    def test_lists_every_claim(self) -> None:
        assert [claim for claim in Proof().checks() if f"\n- {claim}\n" not in PAGE] == []

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
