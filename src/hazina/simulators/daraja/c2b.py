"""C2B: registration of URLs, payments from the PayBill menu, validation and confirmation.

A payment is a row before the business is asked; it moves no money until the business accepted,
refused, or let its time pass. Invariants: one receipt from validation to confirmation; money,
result and confirmation are one commit; after a kill the question is asked again or decided.
"""

import json
import sqlite3
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from hazina.simulators.daraja import forgery, messages
from hazina.simulators.daraja.books import PAY_BILL, WORKING, Posting, handset_account
from hazina.simulators.daraja.callbacks import Letter
from hazina.simulators.daraja.faults import Plan, travelling
from hazina.simulators.daraja.gate import (
    C2B_REGISTER,
    C2B_SIMULATE,
    PHONE,
    Fields,
    accepted,
    bad_request,
    enter,
    text_field,
    url_field,
    world_of,
)
from hazina.simulators.daraja.money import whole_shillings
from hazina.simulators.daraja.wire import (
    ACCEPTED_ASYNC,
    C2B_TEXTS,
    Json,
    c2b_payment,
    hashed_phone,
    masked_phone,
    refusal,
    reply,
    split_name,
)
from hazina.simulators.daraja.world import World

BAD = "400.003.02"
"""C2B's own code for a bad field."""
RESPONSE_TYPES = ("Completed", "Cancelled")
MAX_KES = 250_000
REFERENCE_MAX = 20


async def register_v1(request: Request) -> Response:
    """This will answer POST /mpesa/c2b/v1/registerurl: confirmations will hash the MSISDN."""
    return await _register(request, "v1")


async def register_v2(request: Request) -> Response:
    """This will answer POST /mpesa/c2b/v2/registerurl: confirmations will mask the MSISDN."""
    return await _register(request, "v2")


async def _register(request: Request, version: str) -> Response:
    fields = await enter(request, C2B_REGISTER)
    world = world_of(request)
    shortcode = _shortcode(world, fields)
    response_type = text_field(world, fields, "ResponseType", code=BAD)
    if response_type not in RESPONSE_TYPES:  # case matters
        raise bad_request(world, "ResponseType", BAD)
    confirmation = url_field(world, fields, "ConfirmationURL", BAD)
    validation = url_field(world, fields, "ValidationURL", BAD)
    with world.store.transaction():
        if find_urls(world) is not None:
            text = "Urls are already registered."
            raise refusal(world.ids.request(), 500, "500.003.1001", text)
        plan = world.faults.take("register", None, travelling())
        world.store.run(
            "INSERT INTO c2b_urls (shortcode, version, response_type, confirmation_url,"
            " validation_url) VALUES (?, ?, ?, ?, ?)",
            shortcode, version, response_type, confirmation, validation,
        )  # fmt: skip
        originator_id = world.ids.merchant()
        world.changed()
    answer = {
        "OriginatorCoversationID": originator_id,  # sic
        "ResponseCode": "0",
        "ResponseDescription": "Success",
    }
    return accepted(reply(answer), plan)


async def simulate(request: Request) -> Response:
    """This will answer POST /mpesa/c2b/v1/simulate and v2: a payment nobody typed on a phone."""
    fields = await enter(request, C2B_SIMULATE)
    world = world_of(request)
    _shortcode(world, fields)
    if text_field(world, fields, "CommandID", code=BAD) != "CustomerPayBillOnline":
        raise bad_request(world, "CommandID", BAD)
    amount = whole_shillings(fields.get("Amount"))
    if amount is None or not 1 <= amount <= MAX_KES:
        raise bad_request(world, "Amount", BAD)
    phone = text_field(world, fields, "Msisdn", code=BAD)
    if not PHONE.fullmatch(phone):
        raise bad_request(world, "Msisdn", BAD)
    reference = text_field(world, fields, "BillRefNumber", code=BAD)
    if len(reference) > REFERENCE_MAX:
        raise bad_request(world, "BillRefNumber", BAD)
    with world.store.transaction():
        plan = world.faults.take("simulate", phone, travelling())
        if problem_of(world, phone, amount * 100) is None:
            begin(world, phone, amount * 100, reference)
        originator_id = world.ids.merchant()
    answer = {
        "OriginatorCoversationID": originator_id,  # sic
        "ResponseCode": "0",
        "ResponseDescription": ACCEPTED_ASYNC,
    }
    return accepted(reply(answer), plan)


def _shortcode(world: World, fields: Fields) -> str:
    shortcode = text_field(world, fields, "ShortCode", code=BAD)
    if shortcode != world.config.shortcode:
        raise bad_request(world, "ShortCode", BAD)
    return shortcode


def find_urls(world: World) -> sqlite3.Row | None:
    """This will return the registered URLs, or None."""
    return world.store.row("SELECT * FROM c2b_urls WHERE shortcode = ?", world.config.shortcode)


def forget_urls(world: World) -> bool:
    """This will do what the portal's URL Management does; tells whether there were any."""
    with world.store.transaction():
        gone = world.store.run("DELETE FROM c2b_urls").rowcount
        world.changed()
    return bool(gone)


@dataclass(frozen=True, slots=True)
class PayBill:
    """What a person types into the PayBill menu."""

    business_number: str
    account_number: str
    amount: str
    pin: str


class MenuRefusal(Exception):
    """The menu's own no: nothing was sent to the business."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def pay(world: World, phone: str, typed: PayBill) -> str:
    """This will pay from a handset's PayBill menu and return the receipt of the payment begun.

    Raises: MenuRefusal (business, account, amount, pin, unregistered, funds, limit).
    """
    account = typed.account_number.strip()
    amount = whole_shillings(typed.amount.replace(",", "").strip())
    if typed.business_number.strip() != world.config.shortcode:
        raise MenuRefusal("business")
    if not account or len(account) > REFERENCE_MAX or not account.isprintable():
        raise MenuRefusal("account")
    if amount is None or not 1 <= amount <= MAX_KES:
        raise MenuRefusal("amount")
    with world.store.transaction():
        if typed.pin != world.handset(phone).pin:
            raise MenuRefusal("pin")
        problem = problem_of(world, phone, amount * 100)
        if problem is not None:
            raise MenuRefusal(problem)
        return begin(world, phone, amount * 100, account)


def problem_of(world: World, phone: str, amount: int) -> str | None:
    """This will tell what keeps a handset from paying, or None."""
    handset = world.handset(phone)
    if not handset.registered:
        return "unregistered"
    if handset.balance < amount:
        return "funds"
    limit = world.settings.daily_limit_kes * 100
    if limit and world.books.moved_today(phone, PAY_BILL, world.now_ms()) + amount > limit:
        return "limit"
    return None


def begin(world: World, phone: str, amount: int, reference: str) -> str:
    """This will begin a payment inside the open transaction: ask the business, or book at once."""
    now = world.now_ms()
    plan = world.faults.take("c2b", phone, travelling())
    receipt = world.ids.receipt(now)
    due = now + int(world.settings.c2b_validation_timeout_s * 1000)
    world.store.run(
        "INSERT INTO paybills (receipt, phone, amount, reference, created_ms, due_ms, state, plan)"
        " VALUES (?, ?, ?, ?, ?, ?, 'validating', ?)",
        receipt, phone, amount, reference, now, due, plan.to_json(),
    )  # fmt: skip
    row, urls = find(world, receipt), find_urls(world)
    if row is None:
        raise LookupError(receipt)
    if urls is None or not world.settings.c2b_external_validation:
        _complete(world, row)
        return receipt
    body = payload(
        world, urls["version"], receipt, now, amount, reference, phone, plan, balance=None
    )
    world.callbacks.post(Letter("c2b_validation", receipt, urls["validation_url"], body), now)
    world.store.after_commit(lambda: watch(world, receipt, due))
    world.changed()
    return receipt


def find(world: World, receipt: str) -> sqlite3.Row | None:
    """This will return a PayBill payment by its receipt, or None."""
    return world.store.row("SELECT * FROM paybills WHERE receipt = ?", receipt)


def watch(world: World, receipt: str, due_ms: int) -> None:
    """This will let the registered ResponseType decide when the business says nothing in time."""

    def act() -> None:
        with world.store.transaction():
            _decide_by_default(world, receipt)

    world.timers.at(due_ms, act)


def resume(world: World) -> None:
    """This will set the alarms of undecided payments again after a restart."""
    world.callbacks.listeners["c2b_validation"] = lambda *heard: hear(world, *heard)
    for row in world.store.rows("SELECT * FROM paybills WHERE state <> 'done'"):
        watch(world, row["receipt"], int(row["due_ms"]))


def hear(world: World, receipt: str, status: int | None, body: bytes) -> None:
    """This will take the business's answer to a validation, inside the open transaction.

    An answer that is none (no line, not 200, no JSON, no ResultCode) leaves the ResponseType to
    decide; one that comes too late changes nothing.
    """
    row = find(world, receipt)
    if row is None or row["state"] == "done":
        return
    verdict = read_verdict(status, body)
    if verdict is None:
        _decide_by_default(world, receipt)
        return
    code, third_party_id = verdict
    if code == "0":
        world.store.run(
            "UPDATE paybills SET third_party_id = ? WHERE receipt = ?", third_party_id, receipt
        )
        _complete(world, row, third_party_id)
    else:
        _refuse(world, row, code)


def read_verdict(status: int | None, body: bytes) -> tuple[str, str] | None:
    """This will read a validation answer: its code and ThirdPartyTransID; None when it is none."""
    if status != 200:
        return None
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    code = answer.get("ResultCode") if isinstance(answer, dict) else None
    if isinstance(code, bool) or not isinstance(code, str | int):
        return None
    return str(code).strip(), str(answer.get("ThirdPartyTransID") or "")[:40]


def _decide_by_default(world: World, receipt: str) -> None:
    row, urls = find(world, receipt), find_urls(world)
    if row is None or row["state"] == "done":
        return
    if urls is not None and urls["response_type"] == "Cancelled":
        _refuse(world, row, "C2B00016")
    else:
        _complete(world, row)


def _complete(world: World, row: sqlite3.Row, third_party_id: str = "") -> None:
    phone, amount, reference = str(row["phone"]), int(row["amount"]), str(row["reference"])
    if problem_of(world, phone, amount) is not None:  # spent while the business was thinking
        _refuse(world, row, "1")
        return
    now, receipt = world.now_ms(), str(row["receipt"])
    posting = Posting(
        PAY_BILL, amount, phone, reference=reference, detail="Pay Bill",
        started_ms=int(row["created_ms"]),
    )  # fmt: skip
    world.books.post(posting, [(handset_account(phone), -amount), (WORKING, amount)], now, receipt)
    balance = world.handset(phone).balance
    organisation = world.config.organisation
    text = messages.paid(receipt, amount, organisation, reference, now, balance)
    world.books.send_message(phone, text, now)
    _end(world, receipt, "0")
    plan = Plan.from_json(row["plan"])
    confirm(world, receipt, phone, amount, reference, plan, third_party_id=third_party_id)


def _refuse(world: World, row: sqlite3.Row, code: str) -> None:
    now = world.now_ms()
    text = messages.declined(int(row["amount"]), world.config.organisation, row["reference"], now)
    world.books.send_message(row["phone"], text, now)
    _end(world, row["receipt"], code)


def _end(world: World, receipt: str, code: str) -> None:
    world.store.run(
        "UPDATE paybills SET state = 'done', result_code = ?, result_desc = ?, finished_ms = ?"
        " WHERE receipt = ?",
        code, C2B_TEXTS.get(code, "Rejected by the business."), world.now_ms(), receipt,
    )  # fmt: skip
    # A question that is still out is no longer worth waiting for, nor asking again after a kill.
    world.store.run(
        "UPDATE deliveries SET state = 'abandoned', finished_ms = ?"
        " WHERE subject = ? AND kind = 'c2b_validation' AND state = 'pending'",
        world.now_ms(), receipt,
    )  # fmt: skip
    world.changed()


def confirm(
    world: World,
    receipt: str,
    phone: str,
    amount: int,
    reference: str,
    plan: Plan,
    *,
    third_party_id: str = "",
    url: str | None = None,
) -> None:
    """This will queue the confirmation of a booked payment, when somebody registered for it.

    `url` stands in for a registration that is not there.
    """
    urls = find_urls(world)
    target = url or (None if urls is None else str(urls["confirmation_url"]))
    if target is None:
        return
    body = payload(
        world, "v2" if urls is None else urls["version"], receipt, world.now_ms(), amount,
        reference, phone, plan, balance=world.books.balance(WORKING),
        third_party_id=third_party_id,
    )  # fmt: skip
    world.callbacks.send(Letter("c2b", receipt, target, body), plan)
    forgery.forge_c2b(world, plan, receipt, target, body)


def payload(
    world: World,
    version: str,
    receipt: str,
    at_ms: int,
    amount: int,
    reference: str,
    phone: str,
    plan: Plan,
    *,
    balance: int | None,
    third_party_id: str = "",
) -> dict[str, Json]:
    """This will build a validation or confirmation as the registered version tells the payer."""
    wrong = plan.get("wrong_phone")
    told = phone if wrong is None else forgery.told_phone(phone, wrong)
    hashed = version == "v1"
    return c2b_payment(
        receipt, at_ms, amount, world.config.shortcode, reference,
        balance=balance, third_party_id=third_party_id,
        msisdn=hashed_phone(told) if hashed else masked_phone(told, world.settings.c2b_mask),
        names=split_name(world.handset(phone).name, world.settings.c2b_names),
    )  # fmt: skip
