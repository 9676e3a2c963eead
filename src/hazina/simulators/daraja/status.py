"""Questions answered later: transaction status and account balance, each by a Result callback.

A status answer says twice what happened: the outer ResultCode tells whether the question was
answered (0), `TransactionStatus` tells what became of the payment.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from hazina.simulators.daraja import errands, initiator
from hazina.simulators.daraja.books import (
    CHARGES,
    MMF_TRANSFER,
    PAY_BILL,
    PAY_TO_BULK,
    PAYOUT,
    REVERSAL,
    UTILITY,
    WORKING,
)
from hazina.simulators.daraja.clock import compact
from hazina.simulators.daraja.faults import Plan, travelling
from hazina.simulators.daraja.gate import (
    BALANCE,
    STATUS,
    Fields,
    Product,
    accepted,
    bad_request,
    enter,
    text_field,
    world_of,
)
from hazina.simulators.daraja.money import b2c_charge, decimal_text, json_number
from hazina.simulators.daraja.wire import (
    ACCEPTED_ASYNC,
    ASYNC_TEXTS,
    FILLER,
    Json,
    account_line,
    pair,
    reply,
    result,
)
from hazina.simulators.daraja.world import World


@dataclass(frozen=True, slots=True)
class Finding:
    """What a question found: result code, parameters, and whose phone it was about."""

    code: str
    parameters: list[Json]
    phone: str | None = None


async def transaction_status(request: Request) -> Response:
    """This will answer POST /mpesa/transactionstatus/v1/query."""
    fields = await enter(request, STATUS)
    world = world_of(request)
    receipt = _optional(world, fields, "TransactionID")
    original = _optional(world, fields, "OriginalConversationID")
    if not receipt and not original:
        raise bad_request(world, "TransactionID")
    _check_common(world, fields, "TransactionStatusQuery")
    return _ask(world, fields, STATUS, lambda plan: _find_payment(world, receipt, original, plan))


async def account_balance(request: Request) -> Response:
    """This will answer POST /mpesa/accountbalance/v1/query."""
    fields = await enter(request, BALANCE)
    world = world_of(request)
    _check_common(world, fields, "AccountBalance")
    return _ask(world, fields, BALANCE, lambda _: _balances(world))


def _optional(world: World, fields: Fields, name: str) -> str:
    value = fields.get(name)
    if value is None or value == "":
        return ""
    return text_field(world, fields, name)


def _check_common(world: World, fields: Fields, command: str) -> None:
    errands.check_operator(world, fields, command)
    if text_field(world, fields, "IdentifierType") != "4":
        raise bad_request(world, "IdentifierType")
    if not text_field(world, fields, "PartyA").isdecimal():
        raise bad_request(world, "PartyA")


def _ask(
    world: World, fields: Fields, product: Product, look: Callable[[Plan], Finding]
) -> Response:
    with world.store.transaction():
        now = world.now_ms()
        originator_id, conversation_id = world.ids.merchant(), world.ids.conversation(now)
        phone = look(Plan({})).phone
        denied = initiator.find_refusal(
            world, str(fields["Initiator"]), str(fields["SecurityCredential"])
        )
        ours = (world.config.shortcode, world.config.payout_shortcode)
        if denied is None and str(fields["PartyA"]) not in ours:
            denied = "TP40153"
        plan = world.faults.take(product.operation, phone, travelling())
        forced = plan.get("result_fail")
        if forced is not None and forced.result_code is not None:
            denied = forced.result_code
        finding = (
            look(plan) if denied is None else Finding(denied, _refused(world, product, denied))
        )
        text = ASYNC_TEXTS.get(finding.code, "The service request failed.")
        if forced is not None and forced.result_desc is not None:
            text = forced.result_desc
        body = result(
            finding.code, text, originator_id, conversation_id,
            world.ids.receipt(now) if finding.code == "0" else FILLER, finding.parameters,
            object_shape=plan.has("result_object_shape"),
        )  # fmt: skip
        letter = {
            "operation": product.operation,
            "originator_id": originator_id,
            "conversation_id": conversation_id,
            "result_url": str(fields["ResultURL"]),
            "timeout_url": str(fields["QueueTimeOutURL"]),
        }
        errands.send_result(world, letter, body, plan)
    answer = {
        "OriginatorConversationID": originator_id,
        "ConversationID": conversation_id,
        "ResponseCode": "0",
        "ResponseDescription": ACCEPTED_ASYNC,
    }
    return accepted(reply(answer), plan)


def _refused(world: World, product: Product, code: str) -> list[Json]:
    """A balance that is refused has parameters all the same; a status has none."""
    if product is not BALANCE:
        return []
    why = "API Password is locked. " if code == "8006" else ASYNC_TEXTS.get(code, "")
    return [
        {"Key": "ActionType", "Value": "AccountBalance"},
        {"Key": "ErrorMsg", "Value": why},
        {"Key": "BOCompletedTime", "Value": int(compact(world.now_ms()))},
    ]


def _find_payment(world: World, receipt: str, original: str, plan: Plan) -> Finding:
    finding = None
    if not plan.has("not_found"):
        finding = (
            _find_payout(world, receipt, original)
            or _find_errand(world, receipt, original)
            or _find_received(world, receipt)
        )
    if finding is None:
        return Finding(world.settings.status_unknown_code, [])
    return _contradicted(finding) if plan.has("query_contradicts") else finding


def _contradicted(finding: Finding) -> Finding:
    def turned(item: Json) -> Json:
        if not isinstance(item, Mapping) or item["Key"] != "TransactionStatus":
            return item
        lie = "Declined" if item["Value"] == "Completed" else "Completed"
        return {"Key": "TransactionStatus", "Value": lie}

    return Finding(finding.code, [turned(item) for item in finding.parameters], finding.phone)


def _state(row: sqlite3.Row) -> str:
    if row["state"] != "done":
        return "Initiated"
    return "Completed" if row["result_code"] == "0" else "Declined"


def _find_payout(world: World, receipt: str, original: str) -> Finding | None:
    payout = world.store.row(
        "SELECT * FROM payouts WHERE originator_id = ?2 OR conversation_id = ?2 OR receipt = ?1",
        receipt, original,
    )  # fmt: skip
    if payout is None:
        return None
    amount = int(payout["amount"])
    charge = b2c_charge(amount) if payout["result_code"] == "0" else 0
    told = _told(
        _state(payout), PAYOUT, amount, payout["originator_id"], payout["conversation_id"],
        payout["receipt"], (int(payout["created_ms"]), payout["finished_ms"]),
        debit=_organisation(world), credit=_customer(world, payout["phone"]),
        account="Utility Account", fee=f"Fee For B2C Payment|KES|{decimal_text(charge)}",
        reason=payout["remarks"],
    )  # fmt: skip
    return Finding("0", told, payout["phone"])


def _find_errand(world: World, receipt: str, original: str) -> Finding | None:
    errand = world.store.row(
        "SELECT * FROM errands WHERE originator_id = ?2 OR conversation_id = ?2 OR receipt = ?1",
        receipt, original,
    )  # fmt: skip
    if errand is None:
        return None
    kinds = {"BusinessPayToBulk": PAY_TO_BULK, "TransactionReversal": REVERSAL}
    ours, phone = _organisation(world), errand["phone"]
    told = _told(
        _state(errand), kinds.get(errand["command"], MMF_TRANSFER), int(errand["amount"]),
        errand["originator_id"], errand["conversation_id"], errand["receipt"],
        (int(errand["created_ms"]), errand["finished_ms"]),
        debit=ours, credit=ours if phone is None else _customer(world, phone),
        account="Working Account", fee=None, reason=errand["remarks"],
    )  # fmt: skip
    return Finding("0", told, phone)


def _find_received(world: World, receipt: str) -> Finding | None:
    """A customer's payment, one the business has not decided about yet, or its refusal."""
    paid = world.store.row(
        "SELECT * FROM transactions WHERE receipt = ? AND kind IN (?, ?)",
        receipt, PAY_BILL, REVERSAL,
    )  # fmt: skip
    typed = world.store.row("SELECT * FROM paybills WHERE receipt = ?", receipt)
    row = paid or typed
    if row is None:
        return None
    payer, ours = _customer(world, row["phone"]), _organisation(world)
    if paid is not None and paid["kind"] == REVERSAL:
        payer, ours = ours, payer
    if paid is None:
        state, times = _state(row), (int(row["created_ms"]), row["finished_ms"])
    else:
        back = world.books.is_reversed(receipt)
        state = world.settings.status_of_reversed if back else "Completed"
        times = (int(row["started_ms"]), row["at_ms"])
    told = _told(
        state, PAY_BILL if paid is None else paid["kind"], int(row["amount"]),
        None if paid is None else paid["originator_id"],
        None if paid is None else paid["conversation_id"], receipt, times,
        debit=payer, credit=ours, account="MMF Account For Customer", fee=None,
        reason="Pay Bill" if paid is None else paid["detail"],
    )  # fmt: skip
    return Finding("0", told, row["phone"])


def _organisation(world: World) -> str:
    return f"{world.config.shortcode} - {world.config.organisation}"


def _customer(world: World, phone: str) -> str:
    return f"{phone} - {world.handset(phone).name}"


def _told(
    state: str,
    kind: str,
    amount: int,
    originator_id: str | None,
    conversation_id: str | None,
    receipt: str | None,
    times: tuple[int, int | None],
    *,
    debit: str,
    credit: str,
    account: str,
    fee: str | None,
    reason: str,
) -> list[Json]:
    finished = None if times[1] is None else int(compact(times[1]))
    pairs: list[tuple[str, Json]] = [
        ("DebitPartyName", debit),
        ("CreditPartyName", credit),
        ("OriginatorConversationID", originator_id),
        ("InitiatedTime", int(compact(times[0]))),
        ("DebitAccountType", account),
        ("DebitPartyCharges", fee),
        ("TransactionReason", reason),
        ("ReasonType", kind),
        ("TransactionStatus", state),
        ("FinalisedTime", finished),
        ("Amount", json_number(amount)),
        ("ConversationID", conversation_id),
        ("ReceiptNo", receipt),
    ]
    return [pair(key, value) for key, value in pairs]


def _balances(world: World) -> Finding:
    working, utility, charges = (world.books.balance(a) for a in (WORKING, UTILITY, CHARGES))
    accepted_ones = "SELECT SUM(amount) FROM payouts WHERE state <> 'done' AND refusal IS NULL"
    reserved = min(utility, world.store.number(accepted_ones))
    text = "&".join(
        [
            account_line("Working Account", working),
            account_line("Float Account", 0),
            account_line("Utility Account", utility, reserved),
            account_line("Charges Paid Account", charges),
            account_line("Organization Settlement Account", 0),
        ]
    )
    return Finding(
        "0",
        [
            {"Key": "AccountBalance", "Value": text},
            {"Key": "BOCompletedTime", "Value": int(compact(world.now_ms()))},
        ],
    )
