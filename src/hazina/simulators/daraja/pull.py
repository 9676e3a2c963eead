"""Pull Transactions: the customers' payments of the last 48 hours, by rows.

Answers as seen by integrators: a list inside a list, lower-case keys, `msisdn` a number, and
"nothing" in any of three shapes (setting `pull_none_shape`). Paths have no /mpesa prefix.
"""

import json
import sqlite3

from starlette.requests import Request
from starlette.responses import Response

from hazina.simulators.daraja.books import PAY_BILL
from hazina.simulators.daraja.clock import read_eat, spaced, zulu
from hazina.simulators.daraja.faults import travelling
from hazina.simulators.daraja.gate import (
    PULL,
    Fields,
    accepted,
    bad_request,
    enter,
    phone_field,
    text_field,
    url_field,
    world_of,
)
from hazina.simulators.daraja.money import decimal_text
from hazina.simulators.daraja.wire import Json, refusal, reply
from hazina.simulators.daraja.world import World

WINDOW_MS = 48 * 3_600_000
_REGISTERED = "pull:registered"


async def register(request: Request) -> Response:
    """This will answer POST /pulltransactions/v1/register; the second time with 1001."""
    fields = await enter(request, PULL)
    world = world_of(request)
    shortcode = _shortcode(world, fields)
    if text_field(world, fields, "RequestType") != "Pull":
        raise bad_request(world, "RequestType")
    number = phone_field(world, fields, "NominatedNumber")
    url = url_field(world, fields, "CallBackURL")
    with world.store.transaction():
        plan = world.faults.take("pull", None, travelling())
        again = world.store.get(_REGISTERED) is not None
        world.store.put(_REGISTERED, json.dumps({"number": number, "url": url}))
        reference = world.ids.merchant()
    known = "ShortCode already Registered" if again else "ShortCode Registered Successfully"
    answer: dict[str, Json] = {
        "ResponseRefID": reference,
        "Response Status" if world.settings.pull_spaced_key else "ResponseStatus": (
            "1001" if again else "1000"
        ),
        "ShortCode": shortcode,
        "ResponseDescription": known,
    }
    return accepted(reply(answer), plan)


async def query(request: Request) -> Response:
    """This will answer POST /pulltransactions/v1/query (the documents also say GET)."""
    fields = await enter(request, PULL)
    world = world_of(request)
    _shortcode(world, fields)
    start, end = (_moment(world, fields, name) for name in ("StartDate", "EndDate"))
    offset = text_field(world, fields, "OffSetValue")
    if not offset.isdecimal() or len(offset) > 9:
        raise bad_request(world, "OffSetValue")
    if world.store.get(_REGISTERED) is None:
        raise bad_request(world, "ShortCode")
    with world.store.transaction():
        plan = world.faults.take("pull", None, travelling())
        reference = world.ids.merchant()
    rows = [] if plan.has("pull_empty") else _find(world, start, end, int(offset))
    if not rows:
        return accepted(_nothing(world, reference), plan)
    answer: dict[str, Json] = {
        "ResponseRefID": reference,
        "ResponseCode": "1000",
        "ResponseMessage": "Success",
        "Response": [[_told(world, row) for row in rows]],
    }
    return accepted(reply(answer), plan)


def _shortcode(world: World, fields: Fields) -> str:
    shortcode = text_field(world, fields, "ShortCode")
    if shortcode != world.config.shortcode:
        raise bad_request(world, "ShortCode")
    return shortcode


def _moment(world: World, fields: Fields, name: str) -> int:
    text = text_field(world, fields, name)
    at_ms = read_eat(text)
    if at_ms is None or spaced(at_ms) != text:
        raise bad_request(world, name)
    return at_ms


def _find(world: World, start: int, end: int, offset: int) -> list[sqlite3.Row]:
    """Rows of whole seconds from start to end, no older than the window, oldest first."""
    return world.store.rows(
        "SELECT * FROM transactions WHERE kind = ? AND at_ms >= ? AND at_ms < ?"
        " ORDER BY at_ms, rowid LIMIT ? OFFSET ?",
        PAY_BILL, max(start, world.now_ms() - WINDOW_MS), end + 1000, world.settings.pull_rows,
        offset,
    )  # fmt: skip


def _told(world: World, row: sqlite3.Row) -> Json:
    at_ms = int(row["at_ms"])
    utc = world.settings.pull_zone == "Z"
    return {
        "transactionId": row["receipt"],
        "trxDate": zulu(at_ms) if utc else spaced(at_ms).replace(" ", "T"),
        "msisdn": int(row["phone"][3:]),
        "sender": "MPESA",
        "transactiontype": "c2b-pay-bill-debit",
        "billreference": row["reference"],
        "amount": decimal_text(row["amount"]),
        "organizationname": world.config.organisation,
    }


def _nothing(world: World, reference: str) -> Response:
    shape = world.settings.pull_none_shape
    if shape == "alternate":
        with world.store.transaction():
            shape = ("text", "list", "error")[world.store.next_number("pull:none") % 3 - 1]
    if shape == "error":
        text = "no available transactions"
        return refusal(world.ids.request(), 500, "500.003.1001", text).response
    answer: dict[str, Json] = {
        "ResponseRefID": reference,
        "ResponseCode": "1001",
        "ResponseMessage": "No transactions found",
        "Response": "[[]]" if shape == "text" else [[]],
    }
    return reply(answer)
