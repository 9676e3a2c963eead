"""Laws about doors: time, ids, numbers, the network and the screen have one each."""

import ast
import re
from collections.abc import Iterator

from tests.tidy.law import SIMULATORS, Finding, Source, house_python, law

CLOCKS = {
    "datetime.now", "datetime.utcnow", "datetime.today", "datetime.datetime.now",
    "datetime.datetime.utcnow", "date.today", "datetime.date.today", "time.time", "time.time_ns",
}  # fmt: skip


def _house_and_simulators(path: str) -> bool:
    return house_python(path) or (path.startswith(SIMULATORS) and path.endswith(".py"))


@law(
    "time",
    applies=_house_and_simulators,
    bad="from datetime import UTC, datetime\nexpires = datetime.now(UTC)\n",
    at="src/hazina/products/gold/quotes.py",
    rooms={
        "src/hazina/kernel/clock.py": "the door of time",
        "src/hazina/kernel/ids.py": "the order of ids; nothing is decided on it",
        "src/hazina/simulators/daraja/clock.py": "the simulator's own door of time",
        "src/hazina/client/local.py": "runs in others' programs: their door of time",
    },
)
def find_clocks(source: Source) -> Iterator[Finding]:
    """A price lock of 60 seconds that reads the machine's clock cannot be tested without waiting,
    and two readings in one act can fall on two sides of its end: quoted in time, refused late.
    ``now`` is an argument; the clock is read once, at the edge.
    """
    for line, called in source.calls():
        if called in CLOCKS:
            yield line, f"{called}() reads the clock; take now as an argument"


@law(
    "sql-time",
    applies=lambda path: (
        house_python(path)
        and re.match(r"src/hazina/(identity|desk|rails|flows|products|web)/", path) is not None
    ),
    bad='DUE = "SELECT id FROM deposits.deposit WHERE next_attempt_at <= now()"\n',
    at="src/hazina/flows/deposits/repository.py",
)
def find_database_clocks(source: Source) -> Iterator[Finding]:
    """A sweeper that compares with the database's ``now()`` finds other rows than the code that
    wrote ``next_attempt_at`` from ours: a few seconds of skew and a lease ends before its call.
    The ledger's ``booked_at`` and the queue's own times are the exceptions, below this line.
    """
    for line, text in source.texts():
        if re.search(
            r"\b(now|clock_timestamp|statement_timestamp)\(\)|\bcurrent_timestamp\b", text
        ):
            yield line, "SQL reads the database's clock; pass now as a parameter"


@law(
    "ids",
    applies=house_python,
    bad="from uuid import uuid4\nid = uuid4()\n",
    at="src/hazina/flows/deposits/request.py",
)
def find_random_ids(source: Source) -> Iterator[Finding]:
    """Random ids cost the ledger 40 % of its speed: every insert touches another index page.
    ``kernel.ids.new_id`` makes ids that sort by time.
    """
    for line, name in source.imports():
        if re.search(r"(^|\.)uuid[14]$", name):
            yield line, f"{name}: ids come from kernel.ids.new_id"
    for line, called in source.calls():
        if re.fullmatch(r"uuid\.uuid[14]", called):
            yield line, f"{called}(): ids come from kernel.ids.new_id"
    for line, text in source.texts():
        if "gen_random_uuid" in text:
            yield line, "ids come from kernel.ids.new_id, not from the database"


@law(
    "float",
    applies=lambda path: (
        house_python(path)
        and (
            re.match(r"src/hazina/(kernel|ledger|flows|products)/", path) is not None
            or re.fullmatch(r"src/hazina/rails/\w+/(wire|results)\.py", path) is not None
        )
    ),
    bad="fee = amount * 0.015\n",
    at="src/hazina/flows/withdrawals/terms.py",
)
def find_floats(source: Source) -> Iterator[Finding]:
    """0.1 + 0.2 is not 0.3: a balance kept as a float drifts from its entries and no proof can
    say which of the two is right. Money is a whole number of its asset's smallest unit.
    """
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node.lineno, f"a float: {node.value}"
        if isinstance(node, ast.Name) and node.id == "float":
            yield node.lineno, "float near money"
    for line, text in source.texts():
        if re.search(r"\b(double precision|float[48]|::real|::float)\b", text):
            yield line, "a float in SQL"


HTTP_CLIENTS = {"httpx", "requests", "aiohttp", "urllib3", "urllib.request", "http.client"}


@law(
    "http",
    applies=house_python,
    bad="import httpx\n",
    at="src/hazina/rails/mpesa/client.py",
    rooms={
        "src/hazina/infra/http.py": "the door of the network",
        "src/hazina/client/ledger.py": "runs in others' programs, and asks the house from outside",
        "src/hazina/bootstrap/household.py": "asks its own child on loopback whether it is ready",
    },
)
def find_http_clients(source: Source) -> Iterator[Finding]:
    """A second HTTP client follows redirects, keeps cookies, has no timeout of ours and does not
    know that it was called inside a transaction: a slow rail then holds every row lock of a
    customer for half a minute, and a lost answer is taken for a failure.
    """
    for line, name in source.imports():
        if any(name == client or name.startswith(f"{client}.") for client in HTTP_CLIENTS):
            yield line, f"{name}: the network is reached through infra.http"


@law(
    "print",
    applies=lambda path: _house_and_simulators(path) and "/cli" not in path,
    bad="print(customer.phone)\n",
    at="src/hazina/identity/register.py",
    rooms={"src/hazina/bootstrap/embedded.py": "a command too: hands its URLs to who started it"},
)
def find_prints(source: Source) -> Iterator[Finding]:
    """What is printed goes around the redaction of logs: one forgotten ``print`` of a request
    body and phone numbers lie in clear in a file that everybody may read.
    """
    for line, called in source.calls():
        if called in ("print", "pprint", "sys.stdout.write", "sys.stderr.write"):
            yield line, f"{called}(): use structlog, which redacts"
