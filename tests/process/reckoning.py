"""What must be true when a house of mortal processes has come to rest: every book agrees."""

import asyncio
import json
import os
import sys
from decimal import Decimal
from typing import Any

from hazina.bootstrap.wiring import assemble
from hazina.infra.db import Database
from hazina.kernel.clock import SystemClock
from hazina.kernel.ids import wire_id
from hazina.kernel.money import KES
from hazina.ledger.history import History
from hazina.ledger.proof import Proof
from hazina.simulators.daraja.books import PAY_BILL, PAYOUT, REVERSAL
from tests.process.rig import STEP_S, Rig
from tests.process.running import ROOT

# Given on M-Pesa's bare word, and its list has another amount: word against word, for two persons.
MISTOLD = """
SELECT d.id FROM deposits.deposit d
JOIN receipts.payment p ON p.account = d.reference AND p.state = 'suspended'
WHERE d.state = 'confirmed'
"""
# What still has something to come by itself. Nobody can ask about a prompt of which M-Pesa never
# told an id, or about an order to send back; a payout of which M-Pesa knows nothing is two
# persons': these wait, by name.
RESTLESS = {
    "deposit": f"""
        SELECT d.id, d.state FROM deposits.deposit d
        WHERE d.id NOT IN ({MISTOLD})
        AND d.state NOT IN ('paid', 'failed', 'taken_back', 'suspended', 'unknown')
        OR d.state = 'unknown' AND (
            d.checkout_request_id IS NOT NULL OR EXISTS (
                SELECT FROM infra.inbox i WHERE i.state IN ('new', 'waiting')
                AND split_part(i.external_id, ':', 1) = d.token))
    """,
    "withdrawal": """
        SELECT id, state FROM withdrawals.withdrawal
        WHERE state NOT IN ('paid', 'failed') AND (state <> 'unknown' OR not_found < 2)
    """,
    "payment": "SELECT id, state FROM receipts.payment WHERE state = 'incoming'",
    "return": """
        SELECT id, state FROM receipts.return_order WHERE state NOT IN ('done', 'failed', 'unknown')
    """,
    "reversal": """
        SELECT id, state FROM receipts.reversal
        WHERE state = 'claimed' AND next_attempt_at IS NOT NULL
    """,
    "trade": """
        SELECT t.id, t.state FROM gold.trade t WHERE t.state IN ('requested', 'releasing')
        AND NOT EXISTS (SELECT FROM deposits.deposit d
                        WHERE d.purpose_id = t.id AND d.state = 'unknown')
        AND NOT EXISTS (SELECT FROM withdrawals.withdrawal w
                        WHERE w.purpose_id = t.id AND w.state = 'unknown')
    """,
    "message": "SELECT id, state FROM desk.message WHERE state IN ('queued', 'sending')",
}
WAITING = {
    "dep": "SELECT id FROM deposits.deposit WHERE state NOT IN ('paid', 'failed', 'taken_back')",
    "wdr": "SELECT id FROM withdrawals.withdrawal WHERE state NOT IN ('paid', 'failed')",
    "pay": "SELECT id FROM receipts.payment WHERE state IN ('incoming', 'suspended', 'returning')",
    "rev": "SELECT id FROM receipts.reversal WHERE state = 'claimed'",
}
# Ever longer: what is asked about is asked about ever more seldom.
STEPS_S = (*(STEP_S * times for times in (1, 1, 1, 2, 4, 8)), *[15 * STEP_S] * 20)
PAID_IN = """
SELECT r.receipt, r.amount, d.customer_id FROM deposits.mpesa_receipt r
LEFT JOIN deposits.deposit d ON d.id = r.deposit_id
"""
PAID_OUT = "SELECT receipt, amount, customer_id FROM withdrawals.withdrawal WHERE state = 'paid'"
WENT_BACK = """
SELECT p.receipt, p.amount, NULL FROM receipts.payment p
JOIN receipts.return_order o ON o.payment_id = p.id WHERE o.state = 'done'
UNION SELECT receipt, amount, NULL FROM receipts.reversal WHERE state = 'booked'
"""
HELD_JOBS = "SELECT entrypoint, count(*) FROM pgqueuer.pgqueuer WHERE status = 'failed' GROUP BY 1"
Money = dict[str, tuple[Decimal, Any]]


async def restless(rig: Rig) -> list[str]:
    """What has not come to rest, by machine and state."""
    return [
        f"{name} {row['id']} {row['state']}"
        for name, sql in RESTLESS.items()
        for row in await rig.run(sql)
    ]


async def come_to_rest(rig: Rig) -> None:
    """Time passes until nothing is left to come by itself."""
    for seconds in STEPS_S:
        await rig.drained()
        if not (left := await restless(rig)):
            return
        await rig.passes(seconds)
    raise AssertionError(f"never at rest: {left}; see {rig.room / 'said.txt'}")


async def reckon(rig: Rig) -> None:
    """The ledger's proof; M-Pesa's books and ours by total, receipt and phone; nothing twice; what
    has no end is on the list of those who watch."""
    assert await rig.run(HELD_JOBS) == []
    ours, theirs = await totals(rig), await outside(rig)
    assert ours == theirs
    transactions = await _transactions(rig)
    owners = {person.phone: person.id for person in rig.people}
    for kind, sql, key in (
        (PAY_BILL, PAID_IN, "receipt"),
        (PAYOUT, PAID_OUT, "receipt"),
        (REVERSAL, WENT_BACK, "reverses"),
    ):
        booked = await rig.run(sql)
        seen = [one for one in transactions if one["kind"] == kind]
        assert len({row[0] for row in booked}) == len(booked), f"booked twice: {kind}"
        assert len({one[key] for one in seen}) == len(seen), f"made twice: {kind}"
        there = {one[key]: (Decimal(one["amount"]), owners.get(one["phone"])) for one in seen}
        _same(kind, {row[0]: (row[1] / 100, row[2]) for row in booked}, there)
    paid = [one for one in transactions if one["kind"] == PAYOUT]
    ids = {one["originator_conversation_id"] for one in paid}
    assert len(ids) == len(paid), "one payout of ours was paid twice"
    assert await _listed(rig) == {
        wire_id(prefix, row["id"]) for prefix, sql in WAITING.items() for row in await rig.run(sql)
    }


def _same(kind: str, ours: Money, theirs: Money) -> None:
    """Receipt by receipt; whose it is where our row says so."""
    assert {key: amount for key, (amount, _) in ours.items()} == {
        key: amount for key, (amount, _) in theirs.items()
    }, kind
    for receipt, (_, owner) in ours.items():
        assert owner in (None, theirs[receipt][1]), f"{kind} {receipt} is somebody else's"


async def totals(rig: Rig) -> dict[str, Decimal]:
    """Our M-Pesa accounts in shillings; and the proof holds."""
    db = await Database.connect(rig.server.urls.app, size=2)
    try:
        house = assemble(rig.settings, db, SystemClock())
        async with db.transaction(readonly=True) as tx:
            verdicts = await house.get(Proof).verify(tx)
            lines = await History(tx).trial_balance()
        await house.close()
    finally:
        await db.close()
    assert {v.claim: v.faults for v in verdicts if not v.holds} == {}
    shillings = {
        line.purpose.value: Decimal(line.balance.units) / 100 for line in lines if line.asset is KES
    }
    nothing = Decimal(0)
    return {
        "collected": shillings["mpesa:collection"] + shillings.get("mpesa:in_transit", nothing),
        "utility": shillings["mpesa:utility"],
        "charges": shillings.get("mpesa:charges", nothing),
    }


async def outside(rig: Rig) -> dict[str, Decimal]:
    """The same as M-Pesa has it."""
    books = (await rig.sim.get("/sim/books", params={"limit": 1})).json()
    assert books["balanced"], books
    found = books["organisation"]
    return {
        "collected": Decimal(found["working"]),
        "utility": Decimal(found["utility"]),
        "charges": Decimal(found["charges_paid"]),
    }


async def _transactions(rig: Rig) -> list[dict[str, Any]]:
    return list((await rig.sim.get("/sim/books")).json()["transactions"])


async def _listed(rig: Rig) -> set[str]:
    """What `hazina mpesa open` lists."""
    told = {**os.environ, "PYTHONPATH": str(ROOT / "src")} | rig.environment
    asked = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "hazina.cli", "mpesa", "open", "--json",
        stdout=asyncio.subprocess.PIPE, env=told, cwd=ROOT,
    )  # fmt: skip
    said, _ = await asked.communicate()
    assert asked.returncode == 0, said
    return {str(one["id"]) for one in json.loads(said)}
