"""B2C payouts: checks, dedupe by OriginatorConversationID, money, the asynchronous result.

Invariants: an OriginatorConversationID is used up by its first accepted request, whatever became
of it; money, result and callback are one commit.
"""

import sqlite3
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from hazina.simulators.daraja import forgery, initiator, messages
from hazina.simulators.daraja.books import (
    CHARGES,
    PAYOUT,
    REVENUE,
    UTILITY,
    WORKING,
    Posting,
    handset_account,
)
from hazina.simulators.daraja.callbacks import Letter
from hazina.simulators.daraja.faults import FaultOrder, Plan, travelling
from hazina.simulators.daraja.gate import (
    B2C,
    Fields,
    accepted,
    bad_request,
    enter,
    phone_field,
    text_field,
    url_field,
    world_of,
)
from hazina.simulators.daraja.money import b2c_charge, whole_shillings
from hazina.simulators.daraja.wire import (
    ACCEPTED_ASYNC,
    ASYNC_TEXTS,
    Json,
    payout_parameters,
    refusal,
    reply,
    result,
    timeout_notice,
)
from hazina.simulators.daraja.world import World

MIN_KES, MAX_KES = 10, 250_000
COMMANDS = ("BusinessPayment", "SalaryPayment", "PromotionPayment")


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """A checked payout request."""

    originator_id: str
    name: str
    credential: str
    command: str
    amount: int
    party: str
    phone: str
    remarks: str
    occasion: str
    result_url: str
    timeout_url: str


async def payment_request(request: Request) -> Response:
    """This will answer POST /mpesa/b2c/v3/paymentrequest."""
    fields = await enter(request, B2C)
    world = world_of(request)
    order = _read(world, fields)
    with world.store.transaction():
        payout = _accept(world, order)
        plan = Plan.from_json(payout["plan"])
        at_once = plan.has("callback_before_response")
        if at_once or not world.settings.b2c_processing_ms:
            _settle(world, payout)
        else:
            world.store.after_commit(lambda: watch(world, payout))
    if at_once:
        await world.callbacks.flush(order.originator_id)
    answer = {
        "ConversationID": payout["conversation_id"],
        "OriginatorConversationID": order.originator_id,
        "ResponseCode": "0",
        "ResponseDescription": ACCEPTED_ASYNC,
    }
    return accepted(reply(answer), plan)


async def old_version(request: Request) -> Response:
    """This will answer v1: the simulated app has v3 ticked, so the product does not match."""
    await enter(request, B2C)
    text = "Invalid Access Token - Invalid API call as no apiproduct match found"
    raise refusal(world_of(request).ids.request(), 401, "401.002.01", text)


def _read(world: World, fields: Fields) -> PaymentRequest:
    originator_id = text_field(world, fields, "OriginatorConversationID")
    name = text_field(world, fields, "InitiatorName")
    credential = text_field(world, fields, "SecurityCredential")
    command = text_field(world, fields, "CommandID")
    if command not in COMMANDS:
        raise bad_request(world, "CommandID")
    amount = whole_shillings(fields.get("Amount"))
    if amount is None or not MIN_KES <= amount <= MAX_KES:
        raise bad_request(world, "Amount")
    party = text_field(world, fields, "PartyA")
    if not party.isdecimal():
        raise bad_request(world, "PartyA")
    remarks = text_field(world, fields, "Remarks")
    if not 2 <= len(remarks) <= 100:
        raise bad_request(world, "Remarks")
    occasion = fields.get("Occassion") or ""
    if not isinstance(occasion, str) or len(occasion) > 100:
        raise bad_request(world, "Occassion")
    return PaymentRequest(
        originator_id, name, credential, command, amount * 100, party,
        phone_field(world, fields, "PartyB"), remarks, occasion,
        url_field(world, fields, "ResultURL"), url_field(world, fields, "QueueTimeOutURL"),
    )  # fmt: skip


def _accept(world: World, order: PaymentRequest) -> sqlite3.Row:
    if find(world, order.originator_id) is not None:
        text = "Duplicate OriginatorConversationID."
        raise refusal(world.ids.request(), 500, "500.002.1001", text)
    now = world.now_ms()
    world.handset(order.phone)
    denied = initiator.find_refusal(world, order.name, order.credential)
    if denied is None and order.party != world.config.payout_shortcode:
        denied = "TP40153"
    plan = world.faults.take("b2c", order.phone, travelling())
    world.store.run(
        "INSERT INTO payouts (originator_id, conversation_id, phone, amount, command, remarks,"
        " occasion, result_url, timeout_url, refusal, created_ms, due_ms, state, plan)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'initiated', ?)",
        order.originator_id, world.ids.conversation(now), order.phone, order.amount,
        order.command, order.remarks, order.occasion, order.result_url, order.timeout_url,
        denied, now, now + world.settings.b2c_processing_ms, plan.to_json(),
    )  # fmt: skip
    payout = find(world, order.originator_id)
    if payout is None:
        raise LookupError(order.originator_id)
    forgery.forge_b2c(world, plan, payout)
    return payout


def find(world: World, originator_id: str) -> sqlite3.Row | None:
    """This will return a payout by its OriginatorConversationID, or None."""
    return world.store.row("SELECT * FROM payouts WHERE originator_id = ?", originator_id)


def watch(world: World, payout: sqlite3.Row) -> None:
    """This will settle an accepted payout when its time has come."""
    originator_id = str(payout["originator_id"])

    def settle() -> None:
        with world.store.transaction():
            row = find(world, originator_id)
            if row is not None and row["state"] == "initiated":
                _settle(world, row)

    world.timers.at(int(payout["due_ms"]), settle)


def resume(world: World) -> None:
    """This will set the alarms of accepted payouts again after a restart."""
    for payout in world.store.rows("SELECT * FROM payouts WHERE state = 'initiated'"):
        watch(world, payout)


def _settle(world: World, payout: sqlite3.Row) -> None:
    plan = Plan.from_json(payout["plan"])
    forced = plan.get("b2c_fail")
    code = _verdict(world, payout, forced)
    if code is None:
        _pay(world, payout, plan)
        return
    text = (forced.result_desc if forced and forced.result_code == code else None) or (
        ASYNC_TEXTS.get(code, "The service request failed.")
    )
    # A failed payout still gets a receipt number of its own, which is in no statement.
    _finish(world, payout, plan, code, text, world.ids.receipt(world.now_ms()), [])


def _verdict(world: World, payout: sqlite3.Row, forced: FaultOrder | None) -> str | None:
    """The failure of a payout, or None when it goes through."""
    if forced is not None:
        return forced.result_code
    if payout["refusal"] is not None:
        return str(payout["refusal"])
    amount, phone = int(payout["amount"]), str(payout["phone"])
    handset = world.handset(phone)
    if not handset.registered:
        return "2040"
    if world.books.balance(UTILITY) < amount:
        return "1"
    daily = world.settings.daily_limit_kes * 100
    if daily and world.books.moved_today(phone, PAYOUT, world.now_ms()) + amount > daily:
        return "4"
    most = world.settings.max_handset_balance_kes * 100
    if most and handset.balance + amount > most:
        return "8"
    return None


def _pay(world: World, payout: sqlite3.Row, plan: Plan) -> None:
    now, amount, phone = world.now_ms(), int(payout["amount"]), str(payout["phone"])
    charge = b2c_charge(amount)
    posting = Posting(
        PAYOUT, amount, phone, charge, payout["command"], payout["remarks"],
        payout["originator_id"], payout["conversation_id"], int(payout["created_ms"]),
    )  # fmt: skip
    lines = [(UTILITY, -amount), (handset_account(phone), amount)]
    if charge:
        lines += [(CHARGES, -charge), (REVENUE, charge)]
    receipt = world.books.post(posting, lines, now)
    handset = world.handset(phone)
    text = messages.received(receipt, amount, world.config.organisation, now, handset.balance)
    world.books.send_message(phone, text, now)
    funds = (
        world.books.balance(UTILITY), world.books.balance(WORKING), world.books.balance(CHARGES),
    )  # fmt: skip
    receiver = f"{phone} - {handset.name}"
    parameters = payout_parameters(amount, receipt, receiver, now, funds)
    _finish(world, payout, plan, "0", ASYNC_TEXTS["0"], receipt, parameters)


def _finish(
    world: World,
    payout: sqlite3.Row,
    plan: Plan,
    code: str,
    text: str,
    receipt: str,
    parameters: list[Json],
) -> None:
    world.store.run(
        "UPDATE payouts SET state = 'done', result_code = ?, result_desc = ?, receipt = ?,"
        " finished_ms = ? WHERE originator_id = ?",
        code, text, receipt, world.now_ms(), payout["originator_id"],
    )  # fmt: skip
    subject, conversation_id = str(payout["originator_id"]), str(payout["conversation_id"])
    late = 0.0
    notice = plan.get("b2c_timeout_notice") or plan.get("timeout_notice")
    if notice is not None:
        late = 1.0 if notice.delay_s is None else notice.delay_s
        body = timeout_notice(subject, conversation_id)
        world.callbacks.send(Letter("b2c_timeout", subject, payout["timeout_url"], body), Plan({}))
    body = result(
        code, text, subject, conversation_id, receipt, parameters,
        object_shape=plan.has("result_object_shape"),
    )  # fmt: skip
    world.callbacks.send(
        Letter("b2c", subject, payout["result_url"], body), plan, extra_delay_s=late
    )
    world.changed()
