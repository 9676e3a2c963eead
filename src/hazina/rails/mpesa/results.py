"""Reads callbacks: ``parse(kind, body)`` → Event, whatever the body. Pure.

Invariant: never raises; what cannot be relied on is None or ``Unparsable``, and only the code 0 is
a success. Known traps of the shapes: codes as numbers or texts; a list of parameters that is one
object; items without a value; a key that comes twice; three spellings of time.
"""

from collections.abc import Mapping

from hazina.rails.mpesa.c2b import party_number, read_payment
from hazina.rails.mpesa.errors import (
    CREDENTIAL_REFUSED,
    RETURNED_BEFORE,
    STATUS_NOT_FOUND,
    Means,
    collection_result,
    payout_result,
    return_result,
)
from hazina.rails.mpesa.wire import (
    clean,
    identifier,
    load_object,
    payout_id_of,
    read_cents,
    read_code,
    read_msisdn,
    read_receipt,
    read_time,
)
from hazina.rails.ports import (
    BalanceResult,
    CallbackKind,
    CollectionResult,
    Event,
    PayoutResult,
    PayoutTimeoutNotice,
    ReturnResult,
    StatusResult,
    StatusState,
    StatusTimeoutNotice,
    Unparsable,
)

# TransactionStatus of a status answer. Safaricom lists these seven; any other proves nothing.
STATES = {
    "completed": StatusState.COMPLETED,
    "cancelled": StatusState.FAILED,
    "declined": StatusState.FAILED,
    "expired": StatusState.FAILED,
    "initiated": StatusState.PENDING,
    "authorized": StatusState.PENDING,
    "pending authorized": StatusState.PENDING,
}

Pairs = list[tuple[str, object]]


def parse(kind: str, body: bytes) -> Event:
    """This will read one callback of a kind known from its address. Never raises."""
    fields = load_object(body)
    match kind:
        case CallbackKind.COLLECTION:
            return _collection(fields)
        case CallbackKind.PAYOUT:
            return _payout(fields)
        case CallbackKind.STATUS | CallbackKind.PAYMENT_STATUS:
            return _status(fields)
        case CallbackKind.VALIDATION | CallbackKind.NOTICE:
            return read_payment(body)
        case CallbackKind.RETURN:
            return _return(fields)
        case CallbackKind.BALANCE:
            return _balance(fields)
        # What stands in the timeout notices is documented nowhere: the address says enough.
        case CallbackKind.PAYOUT_TIMEOUT:
            result = _inside(fields, "Result") or fields or {}
            originator = identifier(result.get("OriginatorConversationID"))
            return PayoutTimeoutNotice(
                payout_id_of(originator),
                originator,
                identifier(result.get("ConversationID")),
                clean(result.get("ResultDesc")),
            )
        case (
            CallbackKind.STATUS_TIMEOUT
            | CallbackKind.PAYMENT_STATUS_TIMEOUT
            | CallbackKind.RETURN_TIMEOUT
            | CallbackKind.BALANCE_TIMEOUT
        ):
            result = _inside(fields, "Result") or fields or {}
            return StatusTimeoutNotice(clean(result.get("ResultDesc")))
        case _:
            return Unparsable("no such kind of callback")


def _collection(fields: Mapping[str, object] | None) -> Event:
    callback = _inside(_inside(fields, "Body"), "stkCallback")
    if callback is None:
        return Unparsable("not an STK callback")
    merchant = identifier(callback.get("MerchantRequestID"))
    checkout = identifier(callback.get("CheckoutRequestID"))
    code = read_code(callback.get("ResultCode"))
    if merchant is None or checkout is None or code is None:
        return Unparsable("an STK callback without its ids or its code")
    row = collection_result(code)
    paid = row.means is Means.PAID
    items = _pairs(callback.get("CallbackMetadata"), "Item", "Name") if paid else []
    return CollectionResult(
        merchant_request_id=merchant,
        checkout_request_id=checkout,
        success=paid,
        code=code,
        text=clean(callback.get("ResultDesc")),
        words=row.words,
        final=row.means in (Means.PAID, Means.FAILED),
        ours=row.ours,
        amount_units=_positive(read_cents(_value(items, "Amount"))),
        receipt=read_receipt(_value(items, "MpesaReceiptNumber")),
        msisdn=read_msisdn(_value(items, "PhoneNumber")),
        completed_at=read_time(_value(items, "TransactionDate")),
    )


def _payout(fields: Mapping[str, object] | None) -> Event:
    result = _inside(fields, "Result")
    code = read_code(result.get("ResultCode")) if result is not None else None
    if result is None or code is None:
        return Unparsable("not a result")
    row = payout_result(code)
    paid = row.means is Means.PAID
    items = _pairs(result.get("ResultParameters"), "ResultParameter", "Key") if paid else []
    originator = identifier(result.get("OriginatorConversationID"))
    return PayoutResult(
        payout_id=payout_id_of(originator),
        originator_id=originator,
        conversation_id=identifier(result.get("ConversationID")),
        success=paid,
        code=code,
        text=clean(result.get("ResultDesc")),
        words=row.words,
        final=row.means in (Means.PAID, Means.FAILED),
        ours=row.ours,
        credential=code in CREDENTIAL_REFUSED,
        receipt=_payout_receipt(result, items) if paid else None,
        amount_units=_positive(read_cents(_value(items, "TransactionAmount"))),
        completed_at=read_time(_value(items, "TransactionCompletedDateTime")),
        utility_balance_units=read_cents(_value(items, "B2CUtilityAccountAvailableFunds")),
    )


def _payout_receipt(result: Mapping[str, object], items: Pairs) -> str | None:
    """The two places agree or one is missing; a failure's TransactionID is a filler."""
    outer = read_receipt(result.get("TransactionID"))
    inner = read_receipt(_value(items, "TransactionReceipt"))
    if outer and inner and outer != inner:
        return None
    return inner or outer


def _status(fields: Mapping[str, object] | None) -> Event:
    result = _inside(fields, "Result")
    code = read_code(result.get("ResultCode")) if result is not None else None
    if result is None or code is None:
        return Unparsable("not a result")
    asked = code == "0"
    items = _pairs(result.get("ResultParameters"), "ResultParameter", "Key") if asked else []
    said = clean(_value(items, "TransactionStatus"))
    state = StatusState.NOT_FOUND if code in STATUS_NOT_FOUND else StatusState.UNKNOWN
    if asked:
        state = STATES.get(said.lower(), StatusState.UNKNOWN)
    # The result's own ids belong to the question; the payment's are among the parameters.
    originator = identifier(_value(items, "OriginatorConversationID"))
    return StatusResult(
        payout_id=payout_id_of(originator),
        originator_id=originator,
        conversation_id=identifier(_value(items, "ConversationID")),
        query_ok=asked,
        state=state,
        code=code,
        text=said or clean(result.get("ResultDesc")),
        ours=payout_result(code).ours and code not in STATUS_NOT_FOUND,
        receipt=read_receipt(_value(items, "ReceiptNo")),
        amount_units=_positive(read_cents(_value(items, "Amount"))),
        charge_units=_charge(_value(items, "DebitPartyCharges")),
        completed_at=read_time(_value(items, "FinalisedTime")),
        payee=party_number(_value(items, "CreditPartyName")),
        payer=party_number(_value(items, "DebitPartyName")),
    )


def _return(fields: Mapping[str, object] | None) -> Event:
    result = _inside(fields, "Result")
    code = read_code(result.get("ResultCode")) if result is not None else None
    if result is None or code is None:
        return Unparsable("not a result")
    row = return_result(code)
    done = row.means is Means.PAID
    items = _pairs(result.get("ResultParameters"), "ResultParameter", "Key") if done else []
    return ReturnResult(
        conversation_id=identifier(result.get("ConversationID")),
        success=done,
        already=code == RETURNED_BEFORE,
        final=row.means in (Means.PAID, Means.FAILED),
        ours=row.ours,
        code=code,
        text=clean(result.get("ResultDesc")),
        words=row.words,
        original=read_receipt(_value(items, "OriginalTransactionID")),
        amount_units=_positive(read_cents(_value(items, "Amount"))),
        receipt=read_receipt(result.get("TransactionID")) if done else None,
    )


def _balance(fields: Mapping[str, object] | None) -> Event:
    result = _inside(fields, "Result")
    code = read_code(result.get("ResultCode")) if result is not None else None
    if result is None or code is None:
        return Unparsable("not a result")
    asked = code == "0"
    items = _pairs(result.get("ResultParameters"), "ResultParameter", "Key") if asked else []
    held = _accounts(_value(items, "AccountBalance"))
    return BalanceResult(
        query_ok=asked,
        code=code,
        text=clean(result.get("ResultDesc")),
        utility_units=held.get("utility"),
        working_units=held.get("working"),
        charges_units=held.get("charges"),
    )


def _accounts(value: object) -> dict[str, int]:
    """Parts joined by ``&``: ``Utility Account|KES|current|available|reserved|uncleared``.

    What cannot be read, or comes twice, is left out.
    """
    found: dict[str, int] = {}
    twice: set[str] = set()
    for part in value.split("&") if isinstance(value, str) and len(value) < 4_000 else []:
        name, *cells = part.split("|")
        word = name.strip().lower().partition(" ")[0]
        available = read_cents(cells[2]) if len(cells) >= 3 and cells[0] == "KES" else None
        if available is None or word in found:
            twice |= {word}
            continue
        found[word] = available
    return {word: units for word, units in found.items() if word not in twice}


def _charge(value: object) -> int | None:
    """ "Fee For B2C Payment|KES|22.40": the amount is the last part."""
    if not isinstance(value, str) or "|KES|" not in value:
        return None
    return read_cents(value.rpartition("|")[2])


def _inside(fields: Mapping[str, object] | None, key: str) -> Mapping[str, object] | None:
    value = fields.get(key) if fields is not None else None
    return value if isinstance(value, dict) else None


def _pairs(container: object, inner: str, label: str) -> Pairs:
    """The named values of a list of items, or of the one object that stands for a list of one."""
    if isinstance(container, dict):
        container = container.get(inner, container)
    if isinstance(container, dict):
        container = [container]
    if not isinstance(container, list):
        return []
    items = [item for item in container if isinstance(item, dict)]
    return [
        (item[label], item["Value"])
        for item in items
        if isinstance(item.get(label), str) and item.get("Value") is not None
    ]


def _value(pairs: Pairs, key: str) -> object:
    """The value of a key, or None when it is missing or comes with two different ones."""
    found = [value for name, value in pairs if name == key]
    return found[0] if found and all(value == found[0] for value in found) else None


def _positive(cents: int | None) -> int | None:
    return cents if cents is not None and cents > 0 else None
