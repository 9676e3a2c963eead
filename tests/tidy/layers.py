"""Laws about who may do what: the ledger's door, the rails' names, purity, transactions."""

import ast
import re
import sys
from collections.abc import Iterator

from tests.tidy.law import Finding, Source, committed, house_python, law

LEDGER_TABLE = re.compile(
    r"\bledger\.(asset|account|transfer|transfer_metadata|transfer_refusal|entry|entry_unbounded"
    r"|post)\b"
)


@law(
    "ledger-tables",
    applies=lambda path: house_python(path) and not path.startswith("src/hazina/ledger/"),
    bad='SQL = "UPDATE ledger.account SET credits_posted = credits_posted + $2 WHERE key = $1"\n',
    at="src/hazina/flows/deposits/repository.py",
)
def find_ledger_tables(source: Source) -> Iterator[Finding]:
    """One specification has ``SET grams = grams + grams`` in a trade's own code, and a holding of
    2.5 g became 5.0 g. Balances change in one function; nobody else names its tables.
    """
    for line, text in source.texts():
        if found := LEDGER_TABLE.search(text):
            yield line, f"{found[0]} is the ledger's; ask ledger.service, history or reading"


SCHEMA_OWNER = {
    "infra": "infra", "ledger": "ledger", "identity": "identity", "desk": "desk",
    "deposits": "flows/deposits", "withdrawals": "flows/withdrawals", "gold": "products/gold",
    "receipts": "flows/receipts", "mpesa": "rails/mpesa",
    "treasury": "flows/treasury",
    "pgqueuer": "infra",
}  # fmt: skip
TABLE_USE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?([a-z_]+)\.[a-z_]+")


@law(
    "table-owner",
    applies=lambda path: house_python(path) and not path.startswith("src/hazina/bootstrap/"),
    bad='SQL = "SELECT phone FROM identity.customer WHERE id = $1"\n',
    at="src/hazina/products/gold/repository.py",
)
def find_foreign_tables(source: Source) -> Iterator[Finding]:
    """A product that reads another slice's table is broken by that slice's next migration, and
    reads what its owner would have refused to show. A table has one owner; others ask its service.
    """
    for line, text in source.texts():
        for schema in TABLE_USE.findall(text):
            owner = SCHEMA_OWNER.get(schema)  # None: the alias of a table
            if owner is not None and not source.path.startswith(f"src/hazina/{owner}/"):
                yield line, f"a table of {schema} belongs to src/hazina/{owner}/"


def _rails() -> set[str]:
    found = (re.fullmatch(r"src/hazina/rails/(\w+)/manifest\.py", path) for path in committed())
    return {match[1] for match in found if match}


@law(
    "rail-names",
    applies=lambda path: house_python(path) and not path.startswith("src/hazina/bootstrap/"),
    bad="from hazina.rails.mpesa.client import Daraja\n",
    at="src/hazina/products/gold/buy.py",
)
def find_rail_names(source: Source) -> Iterator[Finding]:
    """A product that names M-Pesa has to be written again for the next rail, and sooner or later
    calls it in the middle of a transaction. Flows see ``rails.ports``; only bootstrap says which.
    """
    for line, name in source.imports():
        match = re.match(r"hazina\.rails\.(\w+)(\.|$)", name)
        if match is None or match[1] not in _rails():
            continue
        if not source.path.startswith(f"src/hazina/rails/{match[1]}/"):
            yield line, f"{name}: only bootstrap names a rail"


PURE = re.compile(
    r"src/hazina/(kernel/\w+|ledger/(core|chart|codes)"
    r"|(flows|products)/\w+/(states|postings|terms|allocation))\.py"
)
# Settings are values; Plan is a value with callbacks. Nothing else of infra is pure.
PURE_OF_OURS = re.compile(
    r"hazina\.(kernel\.|ledger\.(core|chart|codes)\.|infra\.settings\."
    r"|(flows|products)\.\w+\.(states|postings|terms|allocation)(\.|$)|(flows|products)\.\w+$)"
)
NOISY_STDLIB = {"asyncio", "socket", "subprocess", "os", "http", "urllib", "sqlite3", "logging"}


@law(
    "purity",
    applies=lambda path: PURE.fullmatch(path) is not None,
    bad="from hazina.infra.db import Tx\n",
    at="src/hazina/products/gold/postings.py",
)
def find_noise(source: Source) -> Iterator[Finding]:
    """The accounting manual is read in postings.py and the price of a trade in terms.py. Where
    they can query, what they say depends on when they are asked, and no table of examples can
    pin them down.
    """
    for line, name in source.imports():
        root = name.partition(".")[0]
        if root == "hazina":
            if not PURE_OF_OURS.match(name):
                yield line, f"{name} is not pure"
        elif root not in sys.stdlib_module_names or root in NOISY_STDLIB:
            yield line, f"{name}: this file has meaning, not machinery"


def _functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _is_posting(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "post"
        and ast.unparse(node.func.value).endswith("ledger")
    )


@law(
    "one-post",
    applies=lambda path: (
        house_python(path) and re.match(r"src/hazina/(flows|products)/", path) is not None
    ),
    bad=(
        "async def settle(self, tx):\n"
        "    for transfers in groups:\n"
        "        await self._ledger.post(tx, transfers, SYSTEM)\n"
    ),
    at="src/hazina/flows/deposits/settle.py",
)
def find_second_posts(source: Source) -> Iterator[Finding]:
    """Two postings in one transaction lock accounts in two sorted runs instead of one: two
    customers paying each other at the same moment then deadlock. The ledger asserts it when it
    runs; this finds it where it is written.
    """
    for function in _functions(source):
        posts = [node for node in ast.walk(function) if _is_posting(node)]
        loops = [n for n in ast.walk(function) if isinstance(n, ast.For | ast.AsyncFor | ast.While)]
        looped = any(_is_posting(node) for loop in loops for node in ast.walk(loop))
        if len(posts) > 1 or looped:
            yield function.lineno, f"{function.name} posts more than once"


@law(
    "commit",
    applies=lambda path: (
        house_python(path)
        and re.match(r"src/hazina/(ledger|identity|rails|desk|flows|products|web)/", path)
        is not None
    ),
    bad="async def pay(tx):\n    await tx.commit()\n",
    at="src/hazina/flows/deposits/settle.py",
)
def find_commits(source: Source) -> Iterator[Finding]:
    """A service that commits half-way leaves a trade paid and its gold unallocated when the next
    line fails. One use case, one transaction, opened and committed by ``Database.run``.
    """
    for line, called in source.calls():
        if called.rpartition(".")[2] in ("commit", "rollback"):
            yield line, f"{called}(): the edge commits, services never do"
    for line, text in source.texts():
        if re.search(r"\b(COMMIT|ROLLBACK|BEGIN TRANSACTION)\b", text):
            yield line, "SQL that ends a transaction"


def _opens_transaction(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("run", "transaction", "acquire")
        and ast.unparse(node.func.value).rpartition(".")[2] in ("db", "_db", "pool")
    )


@law(
    "nested-transaction",
    applies=house_python,
    bad="async def settle(self, tx: Tx):\n    await self._db.run(lambda t: self.other(t))\n",
    at="src/hazina/flows/deposits/settle.py",
)
def find_nested_transactions(source: Source) -> Iterator[Finding]:
    """A use case that opens a second transaction waits for a row that its first one has locked,
    for ever, and on a full pool every request does the same at once.
    """
    for function in _functions(source):
        given = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        has_tx = any(a.annotation and ast.unparse(a.annotation) == "Tx" for a in given)
        if has_tx and any(_opens_transaction(node) for node in ast.walk(function)):
            yield function.lineno, f"{function.name} has a transaction and opens another"
