"""Nothing may cost more because history is long: every query of the house has an index to go by.

Asked of the planner while reading a table whole is forbidden: what it still reads whole, no index
leads into. How much a query reads with an index, `hazina bench plans` says at size.
"""

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module

import asyncpg
from tests.conftest import Place

import hazina

QUERY = re.compile(r"\s*(SELECT|WITH|UPDATE|DELETE)\b")
PARTS = ("hazina.bootstrap", "hazina.simulators")  # benchmarks, copies, the outside world
SCANNED = re.compile(r"Seq Scan on (\w+)")
# A handful of rows for ever, or rows that are pruned: nothing grows there.
SMALL = {
    "switch", "recovery", "account_number_cursor", "tariff", "worker_seen", "movement", "balance",
    "period", "price",
}  # fmt: skip
# Read whole because all of it is asked for, where nobody waits: proofs, sums over all accounts.
WHOLE = {
    "hazina.desk.debts.repository.EXACT", "hazina.desk.debts.repository.BOOKED",
    "hazina.ledger.reading.POSTED", "hazina.ledger.claims.ENTRIES",
    "hazina.ledger.claims.OPEN_HOLDS", "hazina.ledger.claims.ACTS",
    "hazina.ledger.history.BOUNDED_NOW", "hazina.ledger.history.BOUNDED_THEN",
    "hazina.ledger.history.TRIAL_BALANCE", "hazina.ledger.history.TRIAL_BALANCE_THEN",
    "hazina.ledger.standing.TOTALS", "hazina.ledger.standing.ALL",
    "hazina.ledger.proof.ABOUT", "hazina.flows.withdrawals.repository.PAID_GROUPS",
    "hazina.products.gold.proof.LIVING_TRADES", "hazina.products.gold.proof.LOTS_EXACT",
    "hazina.products.gold.proof.RETURNS_EXACT", "hazina.products.gold.proof.TRADES_EXACT",
}  # fmt: skip
# What other queries are made of.
PIECES = {"hazina.ledger.heads.BLOCK", "hazina.ledger.past.ENTRY",
          "hazina.flows.withdrawals.doubt.SENT"}  # fmt: skip
# Of EXISTS over a table without rows the planner thinks nothing, whatever is forbidden; each of
# these has its index, by customer and by hold.
EXISTING = {"hazina.identity.devices.ANY", "hazina.ledger.expiry.DUE"}
NO_QUERY_BY_ITSELF = (asyncpg.UndefinedTableError, asyncpg.PostgresSyntaxError)


def queries() -> Iterator[tuple[str, str]]:
    """Every module's own SQL that stands at its top, once."""
    seen = set()
    for module in pkgutil.walk_packages(hazina.__path__, "hazina."):
        name = module.name
        if name.startswith(PARTS) or ".migrations" in name or name.endswith("__main__"):
            continue
        for constant, text in vars(import_module(name)).items():
            if isinstance(text, str) and QUERY.match(text) and "{" not in text:
                if text not in seen:
                    yield f"{name}.{constant}", text
                seen.add(text)


async def test_every_query_has_an_index_to_go_by(place: Place) -> None:
    connection = await asyncpg.connect(place.owner, statement_cache_size=0)
    scanned, explained, excepted = {}, 0, WHOLE | PIECES | EXISTING
    try:
        await connection.execute(
            "SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan"
        )
        for name, text in queries():
            if name in excepted:
                excepted.remove(name)
                continue
            try:
                await connection.execute(f"PREPARE asked AS {text}")
            except NO_QUERY_BY_ITSELF:
                continue
            count = max((int(n) for n in re.findall(r"\$(\d+)", text)), default=0)
            given = f"({', '.join(['NULL'] * count)})" if count else ""
            plan = await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE asked{given}")
            await connection.execute("DEALLOCATE asked")
            explained += 1
            if tables := set(SCANNED.findall("\n".join(row[0] for row in plan))) - SMALL:
                scanned[name] = tables
    finally:
        await connection.close()
    assert scanned == {}, "no index leads there: see docs/plans/hot-queries.md"
    assert excepted == set(), "these are gone"
    assert explained > 300
