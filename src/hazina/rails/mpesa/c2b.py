"""Daraja's spelling of payments that come unasked: addresses, notices, pull, reversal. Pure.

As in ``wire.py`` every outside word is translated here and never heard inside; reading never
raises. What a payer typed is kept as text to show, cut and cleaned, and trusted in nothing.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from hazina.kernel.clock import EAT, require_aware
from hazina.rails.mpesa.conf import MpesaConf
from hazina.rails.mpesa.wire import (
    dump,
    load_object,
    read_cents,
    read_code,
    read_msisdn,
    read_receipt,
    read_time,
    require_msisdn,
    whole_shillings,
)
from hazina.rails.ports import CallbackKind, Event, PaymentNotice, Unparsable
from hazina.rails.receipts import CodeOrder, PulledPage, PulledPayment, PulledReturn, ReturnOrder

ACCOUNT_MAX = 20
RETURN_KES = (1, 250_000)
PNG, PICTURE_MAX = b"\x89PNG\r\n\x1a\n", 200_000
# Validation's answers. The account number is the one thing we can know better than the payer.
ACCEPT = {"ResultCode": "0", "ResultDesc": "Accepted"}
REFUSE_ACCOUNT = {"ResultCode": "C2B00012", "ResultDesc": "Rejected"}

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MASKED = re.compile(r"[0-9* ]{6,20}", re.ASCII)
_LEADING_NUMBER = re.compile(r"\s*([0-9]{5,12})\b", re.ASCII)


# ── Requests ────────────────────────────────────────────────────────────────────────────────────


def register_body(conf: MpesaConf, token: str) -> bytes:
    """This will build the registration of our two addresses."""
    return dump(
        {
            "ShortCode": conf.shortcode,
            # When we do not answer a validation in time the payment goes on: money that came
            # waits in suspense, money that was turned away is a customer lost.
            "ResponseType": "Completed",
            "ConfirmationURL": conf.callback_url(token, CallbackKind.NOTICE),
            "ValidationURL": conf.callback_url(token, CallbackKind.VALIDATION),
        }
    )


def pull_register_body(conf: MpesaConf, msisdn: str, token: str) -> bytes:
    """This will build the registration for pulling. Raises: MsisdnInvalid."""
    return dump(
        {
            "ShortCode": conf.shortcode,
            "RequestType": "Pull",
            "NominatedNumber": require_msisdn(msisdn),
            "CallBackURL": conf.callback_url(token, CallbackKind.NOTICE),
        }
    )


def pull_body(conf: MpesaConf, since: datetime, until: datetime, offset: int) -> bytes:
    """This will build a pull; ``offset`` counts rows, not pages."""
    return dump(
        {
            "ShortCode": conf.shortcode,
            "StartDate": _moment(since),
            "EndDate": _moment(until),
            "OffSetValue": str(offset),
        }
    )


def payment_status_body(conf: MpesaConf, receipt: str, token: str, credential: str) -> bytes:
    """This will build a transaction status question about a payment to us."""
    return dump(
        {
            "Initiator": conf.initiator_name,
            "SecurityCredential": credential,
            "CommandID": "TransactionStatusQuery",
            "TransactionID": receipt,
            "PartyA": conf.shortcode,
            "IdentifierType": "4",
            "ResultURL": conf.callback_url(token, CallbackKind.PAYMENT_STATUS),
            "QueueTimeOutURL": conf.callback_url(token, CallbackKind.PAYMENT_STATUS_TIMEOUT),
            "Remarks": "Status",
            "Occasion": "",
        }
    )


def code_body(conf: MpesaConf, order: CodeOrder) -> bytes:
    """This will build an order for a dynamic QR. Raises: AmountInvalid."""
    return dump(
        {
            "MerchantName": conf.merchant_name,
            "RefNo": order.account,
            "Amount": whole_shillings(order.amount_kes, *RETURN_KES),
            "TrxCode": "PB",
            "CPI": conf.shortcode,
            "Size": "300",
        }
    )


def read_code_picture(fields: Mapping[str, object]) -> bytes | None:
    """The PNG of a QR answer: its code is "00" or, as documents have it, an opaque AG_…; what
    counts is that a picture is there."""
    text = fields.get("QRCode")
    if not isinstance(text, str) or len(text) > PICTURE_MAX:
        return None
    try:
        picture = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return picture if picture.startswith(PNG) else None


def return_body(conf: MpesaConf, order: ReturnOrder, credential: str) -> bytes:
    """This will build a reversal of a whole payment. Raises: AmountInvalid."""
    amount = whole_shillings(order.amount_kes, *RETURN_KES)
    return dump(
        {
            "Initiator": conf.initiator_name,
            "SecurityCredential": credential,
            "CommandID": "TransactionReversal",
            "TransactionID": order.receipt,
            "Amount": str(amount),
            "ReceiverParty": conf.shortcode,
            "RecieverIdentifierType": "11",  # misspelt by Safaricom; the right spelling is refused
            "ResultURL": conf.callback_url(order.callback_token, CallbackKind.RETURN),
            "QueueTimeOutURL": conf.callback_url(order.callback_token, CallbackKind.RETURN_TIMEOUT),
            "Remarks": "Sent back",
            "Occasion": "",
        }
    )


def _moment(at: datetime) -> str:
    return require_aware(at).astimezone(EAT).strftime("%Y-%m-%d %H:%M:%S")


# ── What comes back ─────────────────────────────────────────────────────────────────────────────


def read_payment(body: bytes) -> Event:
    """A validation or a confirmation: every value is a text, and there is no result code."""
    fields = load_object(body)
    if fields is None:
        return Unparsable("not a C2B payment")
    receipt = read_receipt(fields.get("TransID"))
    amount = read_cents(fields.get("TransAmount"))
    shortcode = read_code(fields.get("BusinessShortCode"))
    if receipt is None or amount is None or amount <= 0 or shortcode is None:
        return Unparsable("a C2B payment without its receipt, amount or shortcode")
    digest, shown = payer_of(fields.get("MSISDN"))
    return PaymentNotice(
        receipt=receipt,
        amount_units=amount,
        shortcode=shortcode,
        account=read_account(fields.get("BillRefNumber")),
        payer_digest=digest,
        payer_shown=shown,
        paid_at=read_time(fields.get("TransTime")),
        payer_mask=payer_mask_of(fields.get("MSISDN")),
    )


def read_account(value: object) -> str:
    """What a payer typed: one line, short, hostile. A number that looks like a phone stays."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**ACCOUNT_MAX:
        value = str(value)
    if not isinstance(value, str):
        return ""
    line = "".join(mark if mark.isprintable() else " " for mark in value[: ACCOUNT_MAX * 4])
    return " ".join(line.split())[:ACCOUNT_MAX]


def digest_of(msisdn: str) -> str:
    """How C2B v1 hashes a number: SHA-256 of the twelve digits, no salt, in hex."""
    return sha256(msisdn.encode()).hexdigest()


def mask_of(msisdn: str) -> str:
    """What C2B v2 leaves of a number: its first four and its last three digits."""
    return f"{msisdn[:4]}*{msisdn[-3:]}"


def payer_mask_of(value: object) -> str | None:
    """The same of a number that was told masked, ``2547 ***** 126`` or ``25470****149``."""
    if not isinstance(value, str) or not _MASKED.fullmatch(value) or "*" not in value:
        return None
    head, _, tail = value.replace(" ", "").partition("*")
    tail = tail.strip("*")
    whole = len(head) >= 4 and len(tail) == 3 and head.isdecimal() and tail.isdecimal()
    return f"{head[:4]}*{tail}" if whole else None


def payer_of(value: object) -> tuple[str | None, str]:
    """Hashed (v1), masked (v2) or, as documents once had it, whole."""
    if isinstance(value, str) and _DIGEST.fullmatch(value.strip().lower()):
        return value.strip().lower(), "hidden by M-Pesa"
    msisdn = read_msisdn(value)
    if msisdn is not None:
        return digest_of(msisdn), f"+254 {msisdn[3]}•• ••• {msisdn[-3:]}"
    if isinstance(value, str) and _MASKED.fullmatch(value) and "*" in value:
        return None, " ".join(value.replace("*", "•").split())
    return None, "not told"


@dataclass(frozen=True, slots=True)
class PullReply:
    """A pull's answer that could be read: its page, or nothing where it says so."""

    page: PulledPage


def read_pull(fields: Mapping[str, object]) -> PullReply | None:
    """A list inside a list, a text ``[[]]``, or the code for nothing; None: not understood."""
    code = read_code(fields.get("ResponseCode"))
    if code == "1001":
        return PullReply(PulledPage((), 0))
    if code not in ("1000", "0"):
        return None
    rows = _rows(fields.get("Response"))
    if rows is None:
        return None
    returned = [row for row in rows if _is_reversal(row)]
    found = [_pulled(row) for row in rows if not _is_reversal(row)]
    back = [_pulled_return(row) for row in returned]
    return PullReply(
        PulledPage(
            tuple(one for one in found if one is not None),
            len(rows),
            tuple(one for one in back if one is not None),
        )
    )


def _rows(value: object) -> list[Mapping[str, object]] | None:
    if isinstance(value, str):
        return [] if not value.strip("[] ") else None
    if not isinstance(value, list):
        return None
    flat = [row for part in value for row in (part if isinstance(part, list) else [part])]
    return [row for row in flat if isinstance(row, dict)]


def _is_reversal(row: Mapping[str, object]) -> bool:
    """Nobody documents such lines; should one come it must never be taken for a payment."""
    kind = row.get("transactiontype")
    return isinstance(kind, str) and "revers" in kind.lower()


def _pulled_return(row: Mapping[str, object]) -> PulledReturn | None:
    receipt, amount = read_receipt(row.get("transactionId")), read_cents(row.get("amount"))
    if receipt is None or not amount:
        return None
    return PulledReturn(receipt, abs(amount), read_receipt(row.get("billreference")))


def _pulled(row: Mapping[str, object]) -> PulledPayment | None:
    receipt = read_receipt(row.get("transactionId"))
    amount = read_cents(row.get("amount"))
    if receipt is None or amount is None or amount <= 0:
        return None
    digest, shown = payer_of(_full_number(row.get("msisdn")))
    return PulledPayment(
        receipt=receipt,
        amount_units=amount,
        account=read_account(row.get("billreference")),
        payer_digest=digest,
        payer_shown=shown,
        paid_at=read_time(row.get("trxDate")),
    )


def _full_number(value: object) -> str | None:
    """Pull writes the nine digits of the subscriber as a number."""
    if isinstance(value, int) and not isinstance(value, bool) and 10**8 <= value < 10**9:
        return read_msisdn(f"254{value}")
    if isinstance(value, str) and len(value) == 9:
        return read_msisdn(f"254{value}")
    return read_msisdn(value)


def party_number(value: object) -> str | None:
    """The number at the head of "600123 - EXAMPLE LTD"."""
    found = _LEADING_NUMBER.match(value) if isinstance(value, str) else None
    return found[1] if found else None


def pull_registered(fields: Mapping[str, object]) -> bool | None:
    """True: it was registered already; False: it is now; None: not understood."""
    # One source reads the key with a space in it.
    code = read_code(fields.get("ResponseStatus") or fields.get("Response Status"))
    return {"1000": False, "1001": True}.get(code or "")
