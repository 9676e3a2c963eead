"""STK push and its query: checks the request as Daraja does, opens a prompt, tells its state.

Leaves out what happens on the handset afterwards: prompts.py.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from hazina.simulators.daraja import forgery, prompts
from hazina.simulators.daraja.clock import is_compact
from hazina.simulators.daraja.faults import Plan, travelling
from hazina.simulators.daraja.gate import (
    STK,
    STK_QUERY,
    Fields,
    accepted,
    bad_request,
    enter,
    is_plain,
    phone_field,
    text_field,
    url_field,
    world_of,
)
from hazina.simulators.daraja.money import whole_shillings
from hazina.simulators.daraja.wire import (
    ACCEPTED_STK,
    BUSY,
    LOCKED_SUBSCRIBER,
    QUERY_ACCEPTED,
    STILL_PROCESSING,
    STK_TEXTS,
    Json,
    refusal,
    reply,
)
from hazina.simulators.daraja.world import World

MIN_KES, MAX_KES = 1, 250_000
TRANSACTION_TYPES = ("CustomerPayBillOnline", "CustomerBuyGoodsOnline")


@dataclass(frozen=True, slots=True)
class Push:
    """A checked STK push."""

    phone: str
    amount: int
    party: str
    transaction_type: str
    reference: str
    detail: str
    callback_url: str


async def process_request(request: Request) -> Response:
    """This will answer POST /mpesa/stkpush/v1/processrequest."""
    fields = await enter(request, STK)
    world = world_of(request)
    push = _read(world, fields)
    with world.store.transaction():
        plan, merchant_id, checkout_id = _accept(world, push)
    if plan.has("callback_before_response"):
        prompts.answer_automatically(world, checkout_id, otherwise="pay")
        await world.callbacks.flush(checkout_id)
    answer = {
        "MerchantRequestID": merchant_id,
        "CheckoutRequestID": checkout_id,
        "ResponseCode": "0",
        "ResponseDescription": ACCEPTED_STK,
        "CustomerMessage": ACCEPTED_STK,
    }
    return accepted(reply(answer), plan)


def _read(world: World, fields: Fields) -> Push:
    _check_merchant(world, fields)
    kind = text_field(world, fields, "TransactionType")
    if kind not in TRANSACTION_TYPES:
        raise bad_request(world, "TransactionType")
    amount = whole_shillings(fields.get("Amount"))
    if amount is None or not MIN_KES <= amount <= MAX_KES:
        raise bad_request(world, "Amount")
    phone_field(world, fields, "PartyA")
    return Push(
        phone=phone_field(world, fields, "PhoneNumber"),
        amount=amount * 100,
        party=text_field(world, fields, "PartyB"),
        transaction_type=kind,
        callback_url=url_field(world, fields, "CallBackURL"),
        reference=_words(world, fields, "AccountReference", world.settings.account_reference_max),
        detail=_words(
            world, fields, "TransactionDesc", world.settings.transaction_desc_max, "Remarks"
        ),
    )


def _words(world: World, fields: Fields, name: str, most: int, shown: str | None = None) -> str:
    value = text_field(world, fields, name, shown)
    if len(value) > most or (world.settings.strict_text and not is_plain(value)):
        raise bad_request(world, shown or name)
    return value


def _check_merchant(world: World, fields: Fields) -> None:
    """Shortcode first, then the password over shortcode, passkey and the very timestamp sent."""
    shortcode = text_field(world, fields, "BusinessShortCode")
    if not shortcode.isdecimal():
        raise bad_request(world, "BusinessShortCode")
    timestamp = text_field(world, fields, "Timestamp")
    if not is_compact(timestamp):
        raise bad_request(world, "Timestamp")
    password = text_field(world, fields, "Password")
    if shortcode != world.config.shortcode:
        raise refusal(world.ids.request(), 500, "500.001.1001", "Merchant does not exist")
    expected = f"{shortcode}{world.config.passkey}{timestamp}".encode()
    try:
        given = base64.b64decode(password, validate=True)
    except (binascii.Error, ValueError):
        given = b""
    if not hmac.compare_digest(given, expected):
        text = "[MerchantValidate] - Wrong credentials"
        raise refusal(world.ids.request(), 500, "500.001.1001", text)


def _accept(world: World, push: Push) -> tuple[Plan, str, str]:
    now = world.now_ms()
    handset = world.handset(push.phone)
    locked = prompts.find_locking(world, push.phone) is not None
    if locked and world.settings.lock_shape == "error":
        raise refusal(world.ids.request(), 500, "500.001.1001", LOCKED_SUBSCRIBER)
    verdict = _verdict(world, push, locked=locked, registered=handset.registered)
    plan = world.faults.take("stk", push.phone, travelling())
    merchant_id, checkout_id = world.ids.merchant(), world.ids.checkout(now, push.phone)
    state = "ignored" if plan.has("no_answer") else "open"
    world.store.run(
        "INSERT INTO prompts (checkout_id, merchant_id, phone, amount, reference, detail,"
        " callback_url, created_ms, expires_ms, state, plan)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        checkout_id, merchant_id, push.phone, push.amount, push.reference, push.detail,
        push.callback_url, now, now + int(world.settings.prompt_lifetime_s * 1000), state,
        plan.to_json(),
    )  # fmt: skip
    prompt = prompts.get(world, checkout_id)
    forgery.forge_stk(world, plan, prompt)
    forgery.forge_receipt_twice(world, plan, prompt)
    if verdict is None:
        world.store.after_commit(lambda: prompts.watch(world, prompt))
        world.changed()
    else:
        prompts.finish(world, prompt, verdict)
    return plan, merchant_id, checkout_id


def _verdict(world: World, push: Push, *, locked: bool, registered: bool) -> str | None:
    """The result of a push that never reaches the screen, or None when it does."""
    if locked:
        return "1001"
    if push.transaction_type != "CustomerPayBillOnline":
        return "2028"
    if push.party != world.config.shortcode:
        return "SFC_IC0003"
    if not registered:
        return "1037"
    window = world.settings.duplicate_window_s
    if window and world.store.row(
        "SELECT 1 FROM prompts WHERE phone = ? AND amount = ? AND created_ms > ?"
        " AND result_code IS NOT '17'",
        push.phone, push.amount, world.now_ms() - window * 1000,
    ):  # fmt: skip
        return "17"
    return None


async def query(request: Request) -> Response:
    """This will answer POST /mpesa/stkpushquery/v1/query."""
    fields = await enter(request, STK_QUERY)
    world = world_of(request)
    _check_merchant(world, fields)
    checkout_id = text_field(world, fields, "CheckoutRequestID")
    prompt = prompts.find(world, checkout_id)
    if prompt is None:
        raise bad_request(world, "CheckoutRequestID")
    with world.store.transaction():
        plan = world.faults.take("query", prompt["phone"], travelling())
    done = prompt["state"] == "done"
    if not done and not _says_4999(world):
        busy = refusal(world.ids.request(), 500, "500.001.1001", BUSY)
        return accepted(busy.response, plan)
    code, text = "4999", STILL_PROCESSING
    if done:
        code, text = _told(prompt["result_code"], plan)
    answer: dict[str, Json] = {
        "ResponseCode": "0",
        "ResponseDescription": QUERY_ACCEPTED,
        "MerchantRequestID": prompt["merchant_id"],
        "CheckoutRequestID": checkout_id,
        "ResultCode": code,
        "ResultDesc": text,
    }
    return accepted(reply(answer), plan)


def _says_4999(world: World) -> bool:
    if world.settings.processing_shape != "alternate":
        return world.settings.processing_shape == "4999"
    with world.store.transaction():
        return world.store.next_number("processing") % 2 == 0


def _told(code: str, plan: Plan) -> tuple[str, str]:
    if plan.has("query_contradicts"):
        code = "1032" if code == "0" else "0"
    return code, STK_TEXTS[code]
