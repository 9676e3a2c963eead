"""Pages of the posting manual that run: each `python` block is carried out, and the `text` block
after it is what it says.

``python -m tests.ledger.manual`` in the root runs them on a server of its own and writes down what
they say; a test fails when a page says something else.
"""

import ast
import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from types import FunctionType
from uuid import UUID

from hazina.infra.db import Database, Tx
from hazina.kernel.actor import SYSTEM
from hazina.kernel.errors import Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, XAU, Money
from hazina.ledger.accounts import Accounts
from hazina.ledger.chart import AccountRef, customer, system
from hazina.ledger.core import Result, Transfer
from hazina.ledger.history import History
from hazina.ledger.service import Ledger, prepare
from tests import server
from tests.ledger.books import CHIEF, CLERK

MONEY = Path(__file__).parents[2] / "docs/money"
EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```\n", re.DOTALL)
SIDES = """
SELECT t.amount, t.asset, d.purpose AS d_purpose, d.owner_id AS d_owner, c.purpose AS c_purpose,
       c.owner_id AS c_owner
FROM ledger.transfer t JOIN ledger.account d ON d.key = t.debit_key
JOIN ledger.account c ON c.key = t.credit_key WHERE t.id = $1
"""


def pages() -> list[Path]:
    """Every page with an example."""
    return [page for page in sorted(MONEY.glob("*.md")) if EXAMPLE.search(page.read_text())]


class Example:
    """What a page's code can use: one ledger, some customers, and words for what happens."""

    def __init__(self, db: Database) -> None:
        self._db, self._ledger = db, Ledger()
        self._said: list[str] = []
        self._owners: dict[UUID, str] = {}
        self._before: dict[AccountRef, int] = {}

    async def page(self, text: str) -> str:
        """The page with what its code says now."""
        names = self._names()
        out, end = [], 0
        for found in EXAMPLE.finditer(text):
            self._said = []
            code = compile(found[1], "page", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            running = FunctionType(code, names)()
            if running is not None:
                await running
            said = "\n".join(line.rstrip() for line in self._said)
            out.append(f"{text[end : found.start(2)]}{said}\n")
            end = found.end(2)
        return "".join([*out, text[end:]])

    def _names(self) -> dict[str, object]:
        people = {name: self.owner(name) for name in ("alice", "bob", "shop")}
        accounts = Accounts(self._ledger)
        acts = {"accounts": accounts, "clerk": CLERK, "chief": CHIEF, "ledger": self._ledger}
        amounts = {
            "nothing": KES.units(0),
            "kes": KES.money,
            "xau": XAU.money,
            "KES": KES,
            "XAU": XAU,
            "new_id": new_id,
        }
        words = {"book": self.book, "show": self.show, "act": self.act, "owner": self.owner}
        words |= {"db": self._db, "wallet": lambda who: customer(who, KES), "system": system}
        return {**people, **acts, **amounts, **words}

    def owner(self, name: str) -> UUID:
        """Somebody or something that owns accounts, under the name that is shown."""
        made = new_id()
        self._owners[made] = name
        return made

    async def book(self, *what: Transfer | Iterable[Transfer]) -> list[Result]:
        """Posts one batch and says a line for each transfer."""
        batch = [t for one in what for t in ([one] if isinstance(one, Transfer) else one)]
        await self._remember(ref for t in batch for ref in (t.debit, t.credit) if ref)
        results = await self._db.run(lambda tx: self._ledger.post(tx, batch, SYSTEM))
        for transfer, result in zip(batch, results, strict=True):
            self._said.append(await self._line(transfer, result))
        return results

    async def show(self, *accounts: AccountRef) -> None:
        """Says what accounts have; of the house's own, what came to be on this page."""
        for ref in accounts:
            name = f"{self._name(ref.purpose.value, ref.owner, ref.asset.code):<34}"
            if not ref.line.bounded:
                worth = await self._worth(ref) - self._before.get(ref, 0)
                self._said.append(f"{name}{_text(ref.asset.units(worth)):>14}")
                continue
            balance = await self._ledger.balance(self._db, ref)
            told = (balance.posted, balance.held, balance.available)
            posted, held, available = (_text(one) for one in told)
            self._said.append(f"{name}{posted:>14}   held {held:>9}   available {available:>12}")

    async def act(
        self, how: Callable[..., Awaitable[None]], *args: object, **named: object
    ) -> None:
        """An act of a person on an account, and how it ended."""

        async def use_case(tx: Tx) -> None:
            await how(tx, *args, **named)

        try:
            await self._db.run(use_case)
        except Refusal as no:
            self._said.append(f"{how.__name__}: refused, {no.code}")
        else:
            self._said.append(f"{how.__name__}: done")

    async def _line(self, transfer: Transfer, result: Result) -> str:
        verb = {"post": "", "pending": "hold ", "post_pending": "post ", "void_pending": "void "}
        units = None if transfer.amount is None else transfer.amount.units
        row = await self._db.fetchrow(SIDES, transfer.pending_id or transfer.id)
        if row is not None:
            asset = {"KES": KES, "XAU": XAU}[row["asset"]]
            debit = self._name(row["d_purpose"], row["d_owner"], asset.code)
            credit = self._name(row["c_purpose"], row["c_owner"], asset.code)
        else:
            assert transfer.debit is not None
            assert transfer.credit is not None
            asset = transfer.debit.asset
            debit, credit = (
                self._name(ref.purpose.value, ref.owner, asset.code)
                for ref in (transfer.debit, transfer.credit)
            )
        units = units if result.amount_units is None else result.amount_units
        amount = "" if units is None else _text(asset.units(units))
        return (
            f"{result.code:<19}{verb[transfer.kind]}{debit} → {credit}  {amount}  ({transfer.code})"
        )

    def _name(self, purpose: str, owner: UUID | None, asset: str) -> str:
        if owner is None:
            return purpose
        who = self._owners[owner]
        return f"{who} {asset}" if purpose == "wallet" else f"{who} {purpose}"

    async def _remember(self, refs: Iterable[AccountRef]) -> None:
        for ref in refs:
            if not ref.line.bounded and ref not in self._before:
                self._before[ref] = await self._worth(ref)

    async def _worth(self, ref: AccountRef) -> int:
        return (await History(self._db).balance_at(ref)).posted.units


def _text(money: Money) -> str:
    whole, _, part = money.decimal.partition(".")
    return f"{int(whole):,}.{part}" if not whole.startswith("-0") else money.decimal


async def _write(admin: str) -> None:
    name = "hazina_manual"
    await server.clone(admin, name)
    db = await Database.connect(server.at(admin, name, "hazina_app"), size=2)
    await prepare(Ledger(), db)
    for page in pages():
        page.write_text(await Example(db).page(page.read_text()))
    await db.close()
    await server.drop(admin, name)


if __name__ == "__main__":
    with server.running():
        asyncio.run(_write(os.environ[server.ADMIN_VARIABLE]))
