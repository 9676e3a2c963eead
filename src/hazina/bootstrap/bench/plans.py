"""The plans of the queries that run all day, at size, as a page of the documentation.

A plan that reads a whole large table is a fault: what is asked all day must not cost more because
history is long.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from hazina.flows.deposits import repository as deposits
from hazina.flows.withdrawals import repository as withdrawals
from hazina.identity import repository as people
from hazina.identity import session_rows as sessions
from hazina.identity.people import WALLET
from hazina.infra import audit, idempotency, inbox, outbox
from hazina.ledger import expiry, history, past, reading, sealing, service
from hazina.ledger.claims import LAST_SEALED, listed_holds
from hazina.products.gold import repository as gold

LARGE = 10_000  # rows; a smaller table may be read whole
SCAN = re.compile(r"Seq Scan on (\w+)\.?(\w+)?")
HEAD = """\
Written by `hazina bench plans` from books that `hazina bench seed` made; the second run of each
query, so that its pages are in memory. `Buffers` counts pages of 8 kB: it does not depend on the
machine. A plan that reads a large table whole fails the command."""
NEWEST = 2**63 - 1
LAST = UUID(int=2**128 - 1)
SIZES = """
SELECT c.relname, c.reltuples::bigint AS rows FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT LIKE 'pg\\_%' AND c.reltuples > 0
"""


@dataclass(frozen=True, slots=True)
class Hot:
    """A query of the house with arguments as they come."""

    title: str
    text: str
    args: Sequence[object]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the planner did; ``scanned`` names large tables that were read whole."""

    title: str
    lines: list[str]
    scanned: list[str]


async def explain(url: str, now: datetime) -> tuple[list[Plan], dict[str, int]]:
    """Every hot query's plan after one run that warms, and the sizes of the tables."""
    connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
    try:
        sizes = {row["relname"]: row["rows"] for row in await connection.fetch(SIZES)}
        made = []
        for hot in await _queries(connection, now):
            text = f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {hot.text}"
            async with connection.transaction(readonly=True):
                for _ in range(2):
                    rows = await connection.fetch(text, *hot.args)
            lines = [row[0] for row in rows]
            tables = [found for line in lines for found in SCAN.findall(line)]
            names = {second or first for first, second in tables}
            scanned = sorted(name for name in names if sizes.get(name, 0) > LARGE)
            made.append(Plan(hot.title, lines, scanned))
        return made, sizes
    finally:
        await connection.close()


def page(plans: Sequence[Plan], sizes: dict[str, int], machine: str) -> str:
    """The documentation's page."""
    large = sorted(((n, name) for name, n in sizes.items() if n > LARGE), reverse=True)
    said = [
        "# The plans of the hot queries",
        "",
        HEAD,
        "",
        machine,
        "",
        "| table | rows |",
        "|---|---|",
        *(f"| {name} | {rows:,} |" for rows, name in large),
    ]
    for plan in plans:
        said += ["", f"## {plan.title}", "", "```", *plan.lines, "```"]
    return "\n".join(said) + "\n"


async def _queries(connection: asyncpg.Connection, now: datetime) -> list[Hot]:
    seeded = "SELECT id FROM identity.customer WHERE username = $1"
    middle = await connection.fetchval("SELECT 'seed-' || accounts / 2 FROM bench.seed")
    owner = await connection.fetchval(seeded, middle)
    session = await connection.fetchval(
        "SELECT id FROM identity.customer_session WHERE account_id = $1 LIMIT 1", owner
    )
    deposit = await connection.fetchrow(
        "SELECT token, phone_index FROM deposits.deposit WHERE customer_id = $1 LIMIT 1", owner
    )
    moments = [now - timedelta(days=days) for days in (30, 100, 300)]
    newest = await connection.fetch(history.STATEMENT, owner, "KES", "wallet", NEWEST, 1, False)
    last_tx = await connection.fetchval(f"SELECT {LAST_SEALED}")
    return [
        *_of_ledger(owner, moments),
        *_of_history(newest[0]["transfer_id"], moments[0]),
        *_of_sealing(last_tx),
        *_of_identity(owner, session, middle, now),
        *_of_flows(owner, deposit["token"], deposit["phone_index"], now),
        *_of_infra(owner, now),
    ]


def _of_ledger(owner: UUID, moments: list[datetime]) -> list[Hot]:
    mine = (owner, "KES", "wallet")
    return [
        Hot("Statement, newest page", history.STATEMENT, (*mine, NEWEST, 51, False)),
        Hot("Statement, a later page", history.STATEMENT, (*mine, 5, 51, True)),
        Hot("Balances of a customer", service.BALANCES, (owner,)),
        Hot("Balance at three past times", history.BALANCES_AT, (*mine, moments)),
        Hot("Balance at a booked time", past.AT_BOOKED, (*mine, moments[0])),
        Hot("What an effective time corrects", past.CORRECTION, (*mine, moments[0])),
        Hot("Accounts by name", service.FIND_OWNED, (["wallet"], ["KES"], [owner])),
    ]


def _of_history(transfer: UUID, moment: datetime) -> list[Hot]:
    bank = ("KES", "bank")
    return [
        Hot("One transfer, and where it is sealed", reading.TRANSFER, (transfer,)),
        Hot("An account of the house, now", past.UNBOUNDED, (*bank, None)),
        Hot("An account of the house at a booked time", past.UNBOUNDED, (*bank, moment)),
    ]


def _of_sealing(last_tx: int) -> list[Hot]:
    """``last_tx``: where the newest block ends."""
    return [
        Hot("Where the next block ends", sealing.UNTIL, (last_tx, sealing.BLOCK_SIZE)),
        Hot("The oldest that is unsealed", sealing.LAG, ()),
        Hot("The feed, from a place", sealing.FEED, (1, 100, 100)),
        Hot("Holds that have expired", expiry.DUE, (expiry.BATCH,)),
        Hot("Holds that are open", listed_holds(last_tx), ()),
    ]


def _of_identity(owner: UUID, session: UUID, username: str, now: datetime) -> list[Hot]:
    def wallet(text: str) -> str:
        return sessions._for_realm(text, WALLET)

    return [
        Hot("Session of a request", wallet(sessions.BY_ID), (session, owner, now)),
        Hot("Session of a page", wallet(sessions.BY_COOKIE), (b"\0" * 32, now)),
        Hot("Where an account is signed in", wallet(sessions.LIST), (owner, now, LAST, 51)),
        Hot("A customer by username", people.CUSTOMER_BY_USERNAME, (username,)),
        Hot("A customer by id", people.CUSTOMER_BY_ID, (owner,)),
    ]


def _of_flows(owner: UUID, token: str, phone: bytes, now: datetime) -> list[Hot]:
    return [
        Hot("Deposits due", deposits.DUE, (now, 100)),
        Hot("Deposits whose plan is due", deposits.PLAN_DUE, (now, 100)),
        Hot("Deposits of a customer", deposits.LIST, (owner, None, 51)),
        Hot("Deposits of a customer under way", deposits.LIST_OPEN, (owner, 51)),
        Hot("A deposit by its callback", deposits.FIND_BY_CALLBACK, (token,)),
        Hot("Prompts open on a phone", deposits.OPEN_ON_PHONE, (phone,)),
        Hot("Withdrawals due", withdrawals.DUE, (now, 100)),
        Hot("Withdrawals of a customer under way", withdrawals.LIST_OPEN, (owner, 51)),
        Hot("Gold trades due", gold.DUE_TRADES, (now, 100)),
    ]


def _of_infra(owner: UUID, now: datetime) -> list[Hot]:
    kept = (f"customer:{owner}", "POST /wallet/deposits", "0" * 32)
    return [
        Hot("Callbacks still open", inbox.OPEN, ("mpesa", now, 100)),
        Hot("The answer kept for a repeat", idempotency.STORED, kept),
        Hot("The next event of a key", outbox.HEAD, (owner,)),
        Hot("What happened to an object", audit.BY_OBJECT, ("customer", str(owner), LAST, 51)),
    ]
