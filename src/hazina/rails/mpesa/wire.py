"""Daraja's spelling: request bodies, replies, and the few ways it writes numbers, ids and times.

Every outside word is translated here and in ``results.py`` and never heard inside. Pure. Field
names, nesting, misspellings and JSON types are Safaricom's own (docs/rails/mpesa.md): change none
for beauty. Reading never raises on what the outside sent; a value not understood is None.
"""

import base64
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from hazina.kernel.clock import EAT, require_aware
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.money import AmountInvalid
from hazina.rails.mpesa.conf import MpesaConf
from hazina.rails.ports import CallbackKind, Collection, Payout

COLLECT_KES = (1, 250_000)
PAY_KES = (10, 250_000)

_MSISDN = re.compile(r"254[17][0-9]{8}", re.ASCII)
_UNUSUAL = re.compile(r"[^A-Za-z0-9 ._-]+", re.ASCII)
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_RECEIPT = re.compile(r"[A-Za-z0-9]{5,32}", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII)
_AMOUNT = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,8})?", re.ASCII)
_PHONE_IN_TEXT = re.compile(r"(?<![0-9])(?:\+?254|0)?[17][0-9]{8}(?![0-9])", re.ASCII)
_TOKEN_IN_TEXT = re.compile(r"(access token)\W+\S+", re.IGNORECASE)
_DATES = ("%Y%m%d%H%M%S", "%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S")
TEXT_MAX = 200


class MsisdnInvalid(Refusal):
    """M-Pesa takes Kenyan mobile numbers as 254 and nine digits; nothing else goes out."""

    code = "msisdn_invalid"
    kind = Kind.INVALID
    message = "That is not a Kenyan mobile number."
    action = "Write it like 0712 345 678 or +254 712 345 678."


# ── Requests ────────────────────────────────────────────────────────────────────────────────────


def collect_body(conf: MpesaConf, collection: Collection, now: datetime) -> bytes:
    """This will build an STK push. Raises: AmountInvalid, MsisdnInvalid."""
    amount = whole_shillings(collection.amount_kes, *COLLECT_KES)
    msisdn = require_msisdn(collection.msisdn)
    reference = collection.reference
    if not 1 <= len(reference) <= 12 or _UNUSUAL.search(reference):
        raise ValueError("a reference is 1 to 12 of A-Z a-z 0-9 space . _ -")
    return dump(
        {
            **_signed(conf, now),
            "TransactionType": "CustomerPayBillOnline",
            "Amount": amount,
            "PartyA": msisdn,
            "PartyB": conf.shortcode,
            "PhoneNumber": msisdn,
            "CallBackURL": conf.callback_url(collection.callback_token, CallbackKind.COLLECTION),
            "AccountReference": reference,
            # Documented as optional; without it the gateway says "Invalid Remarks".
            "TransactionDesc": plain(collection.description, 13) or "Payment",
        }
    )


def query_body(conf: MpesaConf, checkout_request_id: str, now: datetime) -> bytes:
    """This will build an STK push query."""
    return dump({**_signed(conf, now), "CheckoutRequestID": checkout_request_id})


def pay_body(conf: MpesaConf, payout: Payout, credential: str) -> bytes:
    """This will build a B2C v3 payment. Raises: AmountInvalid, MsisdnInvalid."""
    amount = whole_shillings(payout.amount_kes, *PAY_KES)
    remarks = plain(payout.remarks, 100)
    return dump(
        {
            "OriginatorConversationID": originator_id(payout.id),
            "InitiatorName": conf.initiator_name,  # "Initiator" in every other product
            "SecurityCredential": credential,
            "CommandID": "BusinessPayment",
            "Amount": str(amount),
            "PartyA": conf.b2c_shortcode,
            "PartyB": require_msisdn(payout.msisdn),
            "Remarks": remarks if len(remarks) >= 2 else "Payment",
            "QueueTimeOutURL": conf.callback_url(
                payout.callback_token, CallbackKind.PAYOUT_TIMEOUT
            ),
            "ResultURL": conf.callback_url(payout.callback_token, CallbackKind.PAYOUT),
        }
    )


def status_body(
    conf: MpesaConf, payout_id: UUID, receipt: str | None, token: str, credential: str
) -> bytes:
    """This will build a transaction status question, by receipt or else by our id."""
    subject = (
        {"TransactionID": receipt}
        if receipt
        else {"OriginalConversationID": originator_id(payout_id)}
    )
    return dump(
        {
            "Initiator": conf.initiator_name,
            "SecurityCredential": credential,
            "CommandID": "TransactionStatusQuery",
            **subject,
            "PartyA": conf.b2c_shortcode,
            "IdentifierType": "4",
            "ResultURL": conf.callback_url(token, CallbackKind.STATUS),
            "QueueTimeOutURL": conf.callback_url(token, CallbackKind.STATUS_TIMEOUT),
            "Remarks": "Status",
            "Occasion": "",  # one s here, two in B2C
        }
    )


def _signed(conf: MpesaConf, now: datetime) -> dict[str, str]:
    # One reading of the clock: the gateway compares the password with this very timestamp.
    timestamp = require_aware(now).astimezone(EAT).strftime("%Y%m%d%H%M%S")
    plain_password = f"{conf.shortcode}{conf.passkey}{timestamp}".encode()
    return {
        "BusinessShortCode": conf.shortcode,
        "Password": base64.b64encode(plain_password).decode(),
        "Timestamp": timestamp,
    }


def dump(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def whole_shillings(amount: object, least: int, most: int) -> int:
    """Raises: AmountInvalid unless it is an int of whole shillings within M-Pesa's bounds."""
    if not isinstance(amount, int) or isinstance(amount, bool) or not least <= amount <= most:
        raise AmountInvalid(
            f"M-Pesa moves whole shillings, {least} to {most:,}.",
            action=f"Use a whole number of shillings from {least} to {most:,}.",
            details={"asset": "KES", "min": str(least), "max": str(most)},
        )
    return amount


def require_msisdn(text: str) -> str:
    if not _MSISDN.fullmatch(text):
        raise MsisdnInvalid
    return text


def plain(text: str, most: int) -> str:
    """This will keep what Daraja's text fields take: others, such as @ # &, make it refuse."""
    decomposed = unicodedata.normalize("NFKD", text)
    letters = "".join(mark for mark in decomposed if not unicodedata.combining(mark))
    return " ".join(_UNUSUAL.sub(" ", letters).split())[:most].strip()


def originator_id(payout_id: UUID) -> str:
    """Our id in M-Pesa's field: unique for ever, and what M-Pesa de-duplicates by."""
    return str(payout_id)


def payout_id_of(originator: str | None) -> UUID | None:
    """Our id read back, None where it is not one of ours."""
    try:
        payout_id = UUID(originator) if originator else None
    except ValueError:
        return None
    return payout_id if payout_id and originator == originator_id(payout_id) else None


# ── Replies ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the gateway: its fields where it was a JSON object, its code and its text."""

    status: int
    fields: Mapping[str, object]
    error_code: str | None
    text: str

    @property
    def taken(self) -> bool:
        """HTTP 200 with ResponseCode 0: the gateway has it."""
        return self.status == 200 and read_code(self.fields.get("ResponseCode")) == "0"

    @property
    def request_id(self) -> str | None:
        return identifier(self.fields.get("requestId"))


def read_reply(status: int, body: bytes) -> Reply:
    """This will read any answer: JSON, an Apigee or SOAP-like fault, HTML, nothing at all."""
    fields = load_object(body)
    if fields is None:
        return Reply(status, {}, None, body[:2000].decode("utf-8", "replace"))
    code = read_code(fields.get("errorCode"))
    text = fields.get("errorMessage") or fields.get("ResponseDescription")
    if not isinstance(text, str):
        # A shape without Daraja's own text field: its words, wherever they are.
        text = body[:2000].decode("utf-8", "replace")
    return Reply(status, fields, code, text)


def load_object(body: bytes) -> dict[str, object] | None:
    """This will read a JSON object exactly, or say None. Decimals stay decimal.

    A key that comes twice with different values makes it unreadable: nobody can say which counts.
    """
    try:
        value = json.loads(
            body,
            parse_float=Decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_unambiguous,
        )
    except (ValueError, ArithmeticError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _no_constant(text: str) -> object:
    raise ValueError(text)


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise ValueError("a key comes twice")
        found[key] = value
    return found


# ── Values ──────────────────────────────────────────────────────────────────────────────────────


def read_code(value: object) -> str | None:
    """A result or error code, which may be a number or a text, as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**20 else None
    if not isinstance(value, str) or not _CODE.fullmatch(value.strip()):
        return None
    return value.strip()


def identifier(value: object) -> str | None:
    """An opaque id of theirs: printable, without spaces, not endless."""
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def read_receipt(value: object) -> str | None:
    """An M-Pesa receipt, in capitals so that one receipt has one spelling."""
    return value.upper() if isinstance(value, str) and _RECEIPT.fullmatch(value) else None


def read_cents(value: object) -> int | None:
    """An amount of shillings, a number or a text, as exact cents; None if it has no exact form."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        return None
    if isinstance(value, str):
        if not _AMOUNT.fullmatch(value.strip()):
            return None
        value = Decimal(value.strip())
    elif isinstance(value, int):
        # Bounded before it becomes a decimal or a text, either of which costs its length squared.
        return value * 100 if abs(value) < 10**15 else None
    if not value.is_finite() or value.adjusted() > 15 or len(value.as_tuple().digits) > 30:
        return None
    sign, digits, exponent = value.as_tuple()
    shift = int(exponent) + 2
    whole = int("".join(map(str, digits)))
    scale: int = 10 ** min(abs(shift), 40)
    cents, rest = (whole * scale, 0) if shift >= 0 else divmod(whole, scale)
    if rest:
        return None
    return -cents if sign else cents


def read_msisdn(value: object) -> str | None:
    """A full number, 254 and nine digits; a masked or hashed one is None."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**13:
        value = str(value)
    return value if isinstance(value, str) and _MSISDN.fullmatch(value) else None


def read_time(value: object) -> datetime | None:
    """One of Daraja's three spellings of East Africa Time, as UTC."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**15:
        value = str(value)
    if not isinstance(value, str) or len(value) > 40:
        return None
    text = value.strip().replace("T", " ", 1)
    zone = UTC if text.endswith("Z") else EAT
    for form in _DATES:
        try:
            moment = datetime.strptime(text.removesuffix("Z"), form).replace(tzinfo=zone)
        except ValueError:
            continue
        return moment.astimezone(UTC) if 2000 <= moment.year <= 2200 else None
    return None


def clean(value: object) -> str:
    """A text of theirs, made safe to store and show: one line, no phone, no token, not endless."""
    if not isinstance(value, str):
        return ""
    line = "".join(mark if mark.isprintable() else " " for mark in value[: TEXT_MAX * 10])
    line = _TOKEN_IN_TEXT.sub(r"\1 …", line)
    line = _PHONE_IN_TEXT.sub("…", line)
    return " ".join(line.split())[:TEXT_MAX]
