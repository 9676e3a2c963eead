"""What the pages of deposits and withdrawals share: their form and the demo handset."""

import re
from dataclasses import replace

from markupsafe import Markup, escape

from hazina.desk.webkit.filters import money
from hazina.desk.webkit.forms import Field, Form, FormSpec, amount_field, code_field
from hazina.identity.phones import MAX_LENGTH, Phone, parse_phone
from hazina.infra.settings import Mode, MpesaMode, Settings
from hazina.kernel.errors import Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, Money

AMOUNT = amount_field("amount", "How much", KES, whole=True)
PHONE: Field[Phone] = Field(
    "phone",
    "Another number",
    parse_phone,
    kind="tel",
    help="Write it like 0712 345 678. Leave it empty to use your own.",
    required=False,
    autocomplete="tel",
    max_length=MAX_LENGTH,
)
# Refusals that are about one field although the service does not name it.
_FIELD_OF = {
    "amount_invalid": AMOUNT.name,
    "amount_out_of_range": AMOUNT.name,
    "daily_limit_reached": AMOUNT.name,
    "insufficient_funds": AMOUNT.name,
    "prompt_unresolved": AMOUNT.name,
    "phone_invalid": PHONE.name,
    "payout_phone_unknown": PHONE.name,
}


# As money writes itself: without commas, so that what is kept can be read again.
_TOLD = re.compile(r"\bKES ([0-9]{1,15}\.[0-9]{2})\b")
OTP = code_field(help="Asked for again, because money leaves. A recovery code works too.")


def money_form(least: int, most: int, *, outward: bool = False) -> FormSpec:
    """An amount in whole shillings between two bounds, and a phone that may be left empty; with
    ``outward`` also the code that the review may ask for."""
    amount = replace(AMOUNT, help=f"KES {least:,} to KES {most:,}, without cents.")
    return FormSpec(amount, PHONE, OTP) if outward else FormSpec(amount, PHONE)


def refuse(form: Form, refusal: Refusal) -> None:
    """This will show ``refusal`` beside the field it is about, or above the form."""
    name = _FIELD_OF.get(refusal.code)
    if name is not None:
        refusal.details["field"] = name
    form.refuse_with(refusal)


def act_key(form: Form) -> None:
    """This will make what follows a new act: each review has a key of its own, so that going back
    and changing the amount is not taken for a repeat of the first."""
    form.key = new_id().hex


def act_body(form: Form) -> bytes:
    """What makes two sendings of one form the same: its fields, not its fresh CSRF token."""
    return "\0".join(f"{name}={value}" for name, value in form.carried()).encode()


def spelled(phone: Phone) -> str:
    """``+254 712 345 678``: whole, for the one who just typed it and must see that it is right."""
    e164 = phone.e164
    return f"{e164[:4]} {e164[4:7]} {e164[7:10]} {e164[10:]}"


def said(text: str, *values: Money | str) -> str:
    """A sentence with amounts that the eye button can hide; everything else is escaped.

    A phone number stays on one line.
    """
    shown = [money(value) if isinstance(value, Money) else _whole(value) for value in values]
    return Markup(text).format(*shown)  # noqa: S704 - the text is code's, never a person's


def as_told(words: str) -> Markup:
    """Words that were kept, as their owner reads them: the amounts in them as on every page, so
    that the eye button hides them; everything else is escaped."""
    parts = [Markup("")]
    end = 0
    for found in _TOLD.finditer(words):
        parts += [escape(words[end : found.start()]), money(KES.money(found[1]))]
        end = found.end()
    return Markup("").join([*parts, escape(words[end:])])


def _whole(text: str) -> str:
    return text.replace(" ", "\u00a0") if text.startswith("+254") else text


def handset_url(settings: Settings, msisdn: str) -> str:
    """The simulated phone's page; empty wherever M-Pesa is not our simulator."""
    if settings.mode is not Mode.DEVELOPMENT or settings.mpesa_mode is not MpesaMode.SIMULATED:
        return ""
    return f"{settings.mpesa_base_url.rstrip('/')}/handset/{msisdn}"
