"""Forms: typed fields with label, help and error; what was typed survives an error, secrets do not.

A ``FormSpec`` is written once beside its page. ``blank`` makes the empty form, ``read`` the sent
one. ``form.value(FIELD)`` is typed by the field. Each form carries an idempotency key: the same
key comes back when a button is hit twice, a new one after an error, since that was no act yet.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from starlette.requests import Request

from hazina.desk.webkit.status import STATUS, status_of
from hazina.kernel.clock import EAT
from hazina.kernel.errors import Invalid, Kind, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import AmountInvalid, Asset, Money

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
KEY = "key"
_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)
_GROUPED = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a choice field's answers; ``note`` says what it means."""

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Field(Generic[T_co]):
    """What is asked. ``parse`` gives the typed value or raises a Refusal with the sentence."""

    name: str
    label: str
    parse: Callable[[str], T_co]
    kind: str = "text"  # text, amount, tel, email, password, code, choice, area, check, hidden
    help: str = ""
    unit: str = ""
    required: bool = True
    autocomplete: str = "off"
    max_length: int = 200
    choices: Sequence[Choice] = ()

    @property
    def secret(self) -> bool:
        return self.kind in ("password", "code")


@dataclass(frozen=True, slots=True)
class BoundField:
    """A field with what was typed and what is wrong with it, as macros see it."""

    field: "Field[object]"
    value: str
    error: str


class Form:
    """One form of one request."""

    def __init__(self, fields: Mapping[str, "Field[object]"], raw: Mapping[str, str]) -> None:
        self._fields = fields
        self._raw = dict(raw)
        self._values: dict[str, object] = {}
        self.errors: dict[str, str] = {}
        self.problem: Refusal | None = None
        given = raw.get(KEY, "")
        self.key = given if _KEY.fullmatch(given) else new_id().hex

    @property
    def ok(self) -> bool:
        return not self.errors and self.problem is None

    @property
    def status(self) -> int:
        """What to answer when this form is shown again."""
        if self.problem is not None:
            return status_of(self.problem)
        return STATUS[Kind.INVALID] if self.errors else 200

    def value(self, field: Field[T]) -> T:
        """The typed value of a field that was read without error."""
        return self._values[field.name]  # type: ignore[return-value] # parsed by this very field

    def find(self, field: Field[T]) -> T | None:
        """The typed value, or None where an optional field was left empty."""
        return self._values.get(field.name)  # type: ignore[return-value] # as in value()

    def refuse(self, name: str, why: str) -> None:
        """This will put a sentence beside one field and make the next sending a new act."""
        self.errors[name] = why
        self.key = new_id().hex

    def refuse_with(self, refusal: Refusal) -> None:
        """This will show a service's refusal: at the field it names, or above the form."""
        name = refusal.details.get("field")
        if isinstance(name, str) and name in self._fields:
            self.refuse(name, _sentence(refusal))
        else:
            self.problem = refusal
            self.key = new_id().hex

    def __getitem__(self, name: str) -> BoundField:
        field = self._fields[name]
        value = "" if field.secret else self._raw.get(name, "")
        return BoundField(field, value, self.errors.get(name, ""))

    def __iter__(self) -> Iterator[BoundField]:
        return (self[name] for name in self._fields)

    def carried(self) -> list[tuple[str, str]]:
        """Name and text of every field that may be carried hidden to the next step."""
        return [
            (name, self._raw.get(name, ""))
            for name, field in self._fields.items()
            if not field.secret
        ]

    def parse(self) -> None:
        for name, field in self._fields.items():
            text = self._raw.get(name, "")
            if not text and field.kind != "check":
                if field.required:
                    self.refuse(name, f"{field.label}: please fill this in.")
                continue
            try:
                self._values[name] = field.parse(text)
            except Refusal as refusal:
                self.refuse(name, _sentence(refusal))


class FormSpec:
    """The fields of one form, in the order they are asked."""

    def __init__(self, *fields: Field[object]) -> None:
        self.fields = {field.name: field for field in fields}

    def blank(self, **values: str) -> Form:
        """An unsent form, with what can be filled in already."""
        return Form(self.fields, values)

    async def read(self, request: Request) -> Form:
        """This will read what was sent; look at ``ok`` before taking values."""
        return self.parse({k: v for k, v in (await request.form()).items() if isinstance(v, str)})

    def parse(self, sent: Mapping[str, str]) -> Form:
        raw = {KEY: sent.get(KEY, "")}
        for name, field in self.fields.items():
            text = sent.get(name, "")
            raw[name] = text if field.secret else _CONTROL.sub("", text).strip()
            if len(text) > field.max_length:
                raw[name] = raw[name][: field.max_length + 1]
        form = Form(self.fields, raw)
        form.parse()
        for name, field in self.fields.items():
            if len(raw[name]) > field.max_length:
                form.refuse(name, f"Use at most {field.max_length} characters.")
        return form


def password_field(name: str, label: str, *, new: bool = False, help: str = "") -> Field[str]:  # noqa: A002 - HTML's word
    """A password; ``new`` tells password keepers to offer a fresh one."""
    fill = "new-password" if new else "current-password"
    return Field(name, label, str, kind="password", help=help, autocomplete=fill, max_length=256)


def code_field(*, help: str = "") -> Field[str]:  # noqa: A002 - HTML's word
    """A one-time code; secret, so that it never comes back into a form."""
    return Field(
        "otp", "Code from your app", str, kind="code", help=help, required=False,
        autocomplete="one-time-code", max_length=32,
    )  # fmt: skip


def amount_field(
    name: str,
    label: str,
    asset: Asset,
    *,
    whole: bool = False,
    help: str = "",  # noqa: A002 - HTML's word
    required: bool = True,
) -> Field[Money]:
    """An amount of ``asset`` above zero; ``whole`` for shillings that M-Pesa can move.

    People write "5,000" and "KES 5000": both are read; anything doubtful is not.
    """

    def parse(text: str) -> Money:
        plain = text.upper().removeprefix(asset.code).strip().replace(" ", "")
        plain = plain.replace(",", "") if _GROUPED.fullmatch(plain) else plain
        money = asset.money(plain)
        if money.units <= 0:
            raise AmountInvalid("The amount must be more than zero.")
        if whole and money.units % 10**asset.scale:
            raise AmountInvalid("M-Pesa moves whole shillings only.", action="Leave out the cents.")
        return money

    unit = "grams" if asset.code == "XAU" else asset.code
    return Field(name, label, parse, kind="amount", help=help, unit=unit, required=required)


def moment_field(
    name: str,
    label: str,
    *,
    help: str = "Like 2026-12-01 00:00, East Africa Time.",  # noqa: A002 - HTML's word
    required: bool = True,
) -> Field[datetime]:
    """A day and a time as people here say them."""

    def parse(text: str) -> datetime:
        try:
            return datetime.fromisoformat(text).replace(tzinfo=EAT).astimezone(UTC)
        except (ValueError, OverflowError):
            raise Invalid.field(name, "Write it like 2026-12-01 00:00.") from None

    return Field(name, label, parse, help=help, required=required, max_length=20)


def choice_field(
    name: str,
    label: str,
    choices: Sequence[Choice],
    *,
    help: str = "",  # noqa: A002 - HTML's word
) -> Field[str]:
    """One of a few answers, shown as cards to tap."""
    known = {choice.value for choice in choices}

    def parse(text: str) -> str:
        if text not in known:
            raise Invalid.field(name, "Choose one of these.")
        return text

    return Field(name, label, parse, kind="choice", help=help, choices=choices)


def check_field(name: str, label: str, *, help: str = "") -> Field[bool]:  # noqa: A002 - HTML's word
    """A box to tick; an empty one is False."""
    return Field(name, label, bool, kind="check", help=help, required=False)


def _sentence(refusal: Refusal) -> str:
    return f"{refusal.message} {refusal.action}" if refusal.action else refusal.message
