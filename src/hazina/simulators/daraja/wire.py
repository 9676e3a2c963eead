"""Daraja's spelling: JSON with exact numbers, error envelopes, result codes, payload shapes.

Pure but for the request ids handed in. Every key name, misspelling and JSON type here is
Safaricom's own (docs/rails/daraja-simulator.md tells where they conflict); change none for beauty.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

from starlette.responses import Response

from hazina.simulators.daraja.clock import compact, dotted
from hazina.simulators.daraja.money import decimal_text, json_number

Json: TypeAlias = bool | int | str | Decimal | Mapping[str, "Json"] | Sequence["Json"] | None

SUCCESS = "The service request is processed successfully."
ACCEPTED_STK = "Success. Request accepted for processing"
ACCEPTED_ASYNC = "Accept the service request successfully."
QUERY_ACCEPTED = "The service request has been accepted successsfully"  # sic: live traces
BUSY = "The transaction is being processed"
STILL_PROCESSING = "The transaction is still under processing"
LOCKED_SUBSCRIBER = (
    "Unable to lock subscriber, a transaction is already in process for the current subscriber"
)
REFERENCE_URL = "https://internalapi.safaricom.co.ke/mpesa/{}results/v1/submit"
FILLER = "XXX0000000"
"""What Safaricom puts where there is no transaction."""

STK_TEXTS = {
    "0": SUCCESS,
    "1": "The balance is insufficient for the transaction.",
    "4": "The transaction would exceed daily transfer limit.",
    "17": "Rule limited.",
    "1001": LOCKED_SUBSCRIBER,
    "1032": "Request cancelled by user",
    "1037": "DS timeout user cannot be reached.",
    "2001": "The initiator information is invalid.",
    "2028": "The request is not permitted according to product assignment.",
    "SFC_IC0003": "The operator does not exist.",
}

ASYNC_TEXTS = {
    "0": SUCCESS,
    "1": "The balance is insufficient for the transaction.",
    "2": "Declined due to limit rule: less than the minimum transaction amount.",
    "3": "Declined due to limit rule: greater than the maximum transaction amount.",
    "4": "Declined due to limit rule: would exceed daily transfer limit.",
    "8": "Declined due to limit rule: would exceed the maximum balance.",
    "11": "The DebitParty is in an invalid state.",
    "15": "Duplicate Detected",
    "17": "Internal failure",
    "20": "Unresolved initiator.",
    "21": "The initiator is not allowed to initiate this request",
    "25": "The format of parameter null is invalid.",
    "26": "Traffic blocking condition: system is too busy.",
    "2001": "The initiator information is invalid.",
    "2006": "Declined due to account rule: The account status does not allow this transaction.",
    "2028": "The request is not permitted according to product assignment.",
    "2032": "The transaction receipt number does not exist.",
    "2040": "Credit Party customer type (Unregistered or Registered Customer) can't be supported "
    "by the service.",
    "8006": "The security credential is locked.",
    "R000001": "The transaction has already been reversed.",
    "R000002": "The OriginalTransactionID is invalid.",
    "TP40153": "The operator has no permission or is not in the organisation.",
    "SFC_IC0003": "The operator does not exist.",
}

C2B_TEXTS = {
    "0": SUCCESS,
    "1": "The balance is insufficient for the transaction.",
    "C2B00011": "Invalid MSISDN",
    "C2B00012": "Invalid Account Number",
    "C2B00013": "Invalid Amount",
    "C2B00014": "Invalid KYC Details",
    "C2B00015": "Invalid Shortcode",
    "C2B00016": "Other Error",
}


def render(value: "Json") -> str:
    """This will print JSON; a Decimal keeps its decimals, which json.dumps cannot do."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        inner = ",".join(f"{json.dumps(key)}:{render(item)}" for key, item in value.items())
        return "{" + inner + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ",".join(render(item) for item in value) + "]"
    return json.dumps(value)


def reply(value: "Json", status: int = 200) -> Response:
    """This will wrap a payload as an HTTP answer."""
    return Response(render(value), status, media_type="application/json")


class Refused(Exception):
    """An answer that ends a request early: a refusal at the gate, or a fault on purpose."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def refusal(request_id: str, status: int, code: str, text: str) -> Refused:
    """This will make Daraja's error envelope."""
    return Refused(
        reply({"requestId": request_id, "errorCode": code, "errorMessage": text}, status)
    )


def code_value(code: str) -> int | str:
    """This will return a result code as results carry it: a number unless it has letters."""
    return int(code) if code.isdecimal() else code


def stk_callback(
    merchant_id: str, checkout_id: str, code: str, text: str, metadata: "Json" = None
) -> dict[str, "Json"]:
    """This will build the STK callback; without metadata the key is absent, as in every failure."""
    inner: dict[str, Json] = {
        "MerchantRequestID": merchant_id,
        "CheckoutRequestID": checkout_id,
        "ResultCode": code_value(code),
        "ResultDesc": text,
    }
    if metadata is not None:
        inner["CallbackMetadata"] = metadata
    return {"Body": {"stkCallback": inner}}


def stk_metadata(amount: int, receipt: str, at_ms: int, phone: str) -> "Json":
    """This will list what a paid push tells; Balance never has a Value."""
    return {
        "Item": [
            {"Name": "Amount", "Value": json_number(amount)},
            {"Name": "MpesaReceiptNumber", "Value": receipt},
            {"Name": "Balance"},
            {"Name": "TransactionDate", "Value": int(compact(at_ms))},
            {"Name": "PhoneNumber", "Value": int(phone)},
        ]
    }


def result(
    code: str,
    text: str,
    originator_id: str,
    conversation_id: str,
    transaction_id: str,
    parameters: Sequence["Json"] = (),
    *,
    object_shape: bool = False,
    text_codes: bool = False,
    reference: "Json" = None,
) -> dict[str, "Json"]:
    """This will build an asynchronous Result (B2C, B2B, reversal, status, balance).

    `text_codes`: codes are strings, as in every B2B result. `reference` replaces the
    ReferenceItem. `object_shape` is the trap seen in the wild: codes as strings, and
    `ResultParameter` as one object instead of a list. One object holds one pair: the one that
    matters most remains.
    """
    text_codes = text_codes or object_shape
    inner: dict[str, Json] = {
        "ResultType": "0" if text_codes else 0,
        "ResultCode": code if text_codes else code_value(code),
        "ResultDesc": text,
        "OriginatorConversationID": originator_id,
        "ConversationID": conversation_id,
        "TransactionID": transaction_id,
    }
    if parameters:
        shown: Json = _one_of(parameters) if object_shape else parameters
        inner["ResultParameters"] = {"ResultParameter": shown}
    inner["ReferenceData"] = {"ReferenceItem": reference or queue_reference("b2c")}
    return {"Result": inner}


def queue_reference(product: str) -> "Json":
    """This will build the ReferenceItem that names the queue of a product."""
    return {"Key": "QueueTimeoutURL", "Value": REFERENCE_URL.format(product)}


def timeout_notice(originator_id: str, conversation_id: str) -> dict[str, "Json"]:
    """This will build what QueueTimeOutURL gets. No document tells its body: ours is a guess."""
    return {
        "Result": {
            "ResultType": 1,
            "ResultCode": 1,
            "ResultDesc": "The request timed out in the queue.",
            "OriginatorConversationID": originator_id,
            "ConversationID": conversation_id,
            "TransactionID": FILLER,
        }
    }


def pair(key: str, value: "Json") -> "Json":
    """This will build one result parameter; what is not known has a Key and no Value."""
    return {"Key": key} if value is None else {"Key": key, "Value": value}


def _one_of(parameters: Sequence[Json]) -> Json:
    wanted = (
        "TransactionStatus", "AccountBalance", "TransactionAmount", "OriginalTransactionID",
    )  # fmt: skip
    for item in parameters:
        if isinstance(item, Mapping) and item["Key"] in wanted:
            return item
    return parameters[0]


def payout_parameters(
    amount: int, receipt: str, receiver: str, at_ms: int, funds: tuple[int, int, int]
) -> list["Json"]:
    """This will list what a paid payout tells; `funds` are utility, working, charges paid."""
    utility, working, charges = funds
    whole: Json = json_number(amount) if amount % 100 else amount // 100
    return [
        {"Key": "TransactionAmount", "Value": whole},
        {"Key": "TransactionReceipt", "Value": receipt},
        {"Key": "ReceiverPartyPublicName", "Value": receiver},
        {"Key": "TransactionCompletedDateTime", "Value": dotted(at_ms)},
        {"Key": "B2CUtilityAccountAvailableFunds", "Value": json_number(utility)},
        {"Key": "B2CWorkingAccountAvailableFunds", "Value": json_number(working)},
        {"Key": "B2CRecipientIsRegisteredCustomer", "Value": "Y"},
        {"Key": "B2CChargesPaidAccountAvailableFunds", "Value": json_number(charges)},
    ]


def account_line(name: str, current: int, reserved: int = 0) -> str:
    """This will print an account as Name|KES|current|available|reserved|uncleared."""
    sums = (current, current - reserved, reserved, 0)
    return "|".join([name, "KES", *(decimal_text(cents) for cents in sums)])


def amount_object(cents: int) -> str:
    """This will print a balance in the manner of B2B results, which is not JSON."""
    basic = decimal_text(cents)
    return f"{{Amount={{CurrencyCode=KES, MinimumAmount={cents}, BasicAmount={basic}}}}}"


def hashed_phone(phone: str) -> str:
    """This will return the MSISDN of C2B v1: SHA-256 in lowercase hex, without salt."""
    return hashlib.sha256(phone.encode()).hexdigest()


def masked_phone(phone: str, mask: str = "spaced") -> str:
    """This will return the MSISDN of C2B v2: "2547 ***** 111" or, tight, "25471****111"."""
    if mask == "tight":
        return f"{phone[:5]}****{phone[-3:]}"
    return f"{phone[:4]} ***** {phone[-3:]}"


def split_name(name: str, shown: str) -> tuple[str, str, str]:
    """This will return first, middle and last name as far as they are `shown`."""
    if shown == "none":
        return "", "", ""
    first, *rest = name.split() or [""]
    if shown == "first":
        return first, "", ""
    return first, " ".join(rest[:-1]), rest[-1] if rest else ""


def c2b_payment(
    receipt: str,
    at_ms: int,
    amount: int,
    shortcode: str,
    reference: str,
    *,
    balance: int | None,
    third_party_id: str,
    msisdn: str,
    names: tuple[str, str, str],
) -> dict[str, "Json"]:
    """This will build a C2B validation (no balance) or confirmation: every value is a string."""
    return {
        "TransactionType": "Pay Bill",
        "TransID": receipt,
        "TransTime": compact(at_ms),
        "TransAmount": decimal_text(amount),
        "BusinessShortCode": shortcode,
        "BillRefNumber": reference,
        "InvoiceNumber": "",
        "OrgAccountBalance": "" if balance is None else decimal_text(balance),
        "ThirdPartyTransID": third_party_id,
        "MSISDN": msisdn,
        "FirstName": names[0],
        "MiddleName": names[1],
        "LastName": names[2],
    }
