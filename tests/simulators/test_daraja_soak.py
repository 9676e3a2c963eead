"""Everything at once, by seeded chance: whatever is told or lost, the books stay one truth."""

import asyncio
import csv
import io
from decimal import Decimal
from typing import Any

import httpx

from tests.simulators.conftest import CONFIRMATION, VALIDATION, Daraja, Sink, exact

CHANCES: tuple[tuple[str, str | None, dict[str, Any]], ...] = (
    ("callback_twice", None, {}),
    ("callback_never", None, {}),
    ("callback_late", None, {"delay_s": 600}),
    ("wrong_phone", None, {}),
    ("drop_after_accept", None, {}),
    ("drop_before_accept", None, {}),
    ("answer_after_accept", None, {"status": 502, "text": "<html>Bad gateway</html>"}),
    ("http_500", None, {}),
    ("html_403", None, {}),
    ("cancel", "stk", {}),
    ("forge", None, {}),
    ("timeout_notice", None, {"delay_s": 60}),
    ("result_object_shape", None, {}),
    ("b2c_fail", "b2c", {"result_code": "2040"}),
)


async def _trade(daraja: Daraja, number: int) -> None:
    phone = f"2547110{number:05d}"
    await daraja.handset(phone, auto="pay")
    try:
        await daraja.push(PhoneNumber=phone, PartyA=phone, Amount=100 + number)
        await daraja.paybill(phone, amount=str(10 + number))
        await daraja.payout(f"wd-{number}", PartyB=phone, Amount=50 + number)
        await daraja.sweep(7)
    except httpx.TransportError:
        return  # the line went dead, as it was told to


async def _signed(daraja: Daraja, account: str) -> Decimal:
    text = (await daraja.http.get("/sim/statement.csv", params={"account": account})).text
    rows = csv.DictReader(io.StringIO(text[text.index("Receipt No.") :]))
    return sum((Decimal(r["Paid In"] or r["Withdrawn"]) for r in rows), Decimal(0))


async def test_statement_and_books_agree_after_every_fault(daraja: Daraja, sink: Sink) -> None:
    await daraja.register()
    sink.answers[VALIDATION] = '{"ResultCode":"0","ResultDesc":"Accepted"}'
    await daraja.settings(fault_seed=20)
    for name, operation, parameters in CHANCES:
        await daraja.fault(name, operation=operation, probability=0.08, **parameters)
    for start in range(0, 60, 6):
        await asyncio.gather(*(_trade(daraja, start + one) for one in range(6)))
    await daraja.advance(48 * 3600)
    await daraja.idle()
    organisation = (await daraja.books())["organisation"]
    for account, key in (("working", "working"), ("utility", "utility")):
        assert await _signed(daraja, account) == Decimal(organisation[key]), account
    assert await _signed(daraja, "charges") == Decimal(organisation["charges_paid"])
    genuine = [d["body"] for d in await daraja.deliveries("c2b")]
    booked = {t["receipt"] for t in (await daraja.books())["transactions"]}
    assert {body["TransID"] for body in genuine} <= booked
    forged = [exact(text) for path, text in sink.received if path == CONFIRMATION]
    assert {body["TransID"] for body in forged} - booked <= {"ZZZ0F0RGED"}
