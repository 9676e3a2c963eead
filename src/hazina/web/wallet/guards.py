"""What guards an account, as pages under Security: second factor, payout phones, keys, freezing."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from hazina.desk.webkit.current import CurrentCustomer, CustomerActor, CustomerSession
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import (
    Field,
    Form,
    FormSpec,
    check_field,
    code_field,
    password_field,
)
from hazina.desk.webkit.templates import render
from hazina.identity.api_keys import PREFIX as KEY
from hazina.identity.api_keys import ApiKeys, NewKey, parse_scopes
from hazina.identity.bearer import VisitorDep, house_of
from hazina.identity.devices import PREFIX as DEVICE
from hazina.identity.devices import Devices
from hazina.identity.guard_routes import freeze_own
from hazina.identity.outward import PREFIX as PHONE_ID
from hazina.identity.outward import OutwardGuard
from hazina.identity.own_password import OwnPassword
from hazina.identity.phones import parse_phone
from hazina.identity.recovery import AccountRecovery
from hazina.identity.second_factor import CustomerFactors
from hazina.infra.db import Tx
from hazina.kernel.errors import NotFound, Refusal
from hazina.kernel.ids import parse_id, wire_id

T = TypeVar("T")
router = APIRouter(prefix="/security")

CODE = replace(code_field(help="The six digits your app shows now."), required=True)
# Asked of who has an app, and not shown to who has none.
ANY_CODE = replace(code_field(help="Or one of your recovery codes."), required=True)
FIRST = FormSpec(CODE)
OWN = password_field(
    "password", "Your password", help="Asked again, so that nobody else can set this up."
)
BEGIN = FormSpec(OWN)
PHONE = Field("phone", "Phone to pay", parse_phone, kind="tel", max_length=32)
PHONES, PHONES_CODE = FormSpec(PHONE), FormSpec(PHONE, ANY_CODE)
LABEL = Field("label", "What is it for?", str, max_length=64)
READ = check_field("read", "Read: balances, lists, prices")
TRADE = check_field("trade", "Trade: buy, sell, add money")
WITHDRAW = check_field("withdraw", "Withdraw: move money out; needs addresses")
NETWORKS = Field(
    "networks", "From these addresses", str, required=False, max_length=400,
    help="Comma-separated, like 198.51.100.7. Empty: from anywhere.",
)  # fmt: skip
NEW_KEY = FormSpec(LABEL, READ, TRADE, WITHDRAW, NETWORKS)
NEW_KEY_CODE = FormSpec(LABEL, READ, TRADE, WITHDRAW, NETWORKS, ANY_CODE)
NAME = Field("name", "Name", str, max_length=64)
RENAME = FormSpec(NAME)
CHALLENGE = Field("challenge", "Challenge", str, kind="hidden", required=False, max_length=64)
LIFT_CODE = replace(CODE, label="Code", help="")
LIFT = FormSpec(LIFT_CODE, CHALLENGE)


@router.get("/second-factor")
async def show_factor(request: Request, me: CurrentCustomer) -> HTMLResponse:
    """Whether it is on; the way to set it up where it is not."""
    return await _factor_page(request, me.id)


@router.post("/second-factor/begin")
async def begin_factor(request: Request, me: CurrentCustomer, actor: CustomerActor) -> Response:
    """Shows the secret, this once, as a QR code and as text."""
    house, form = house_of(request), await BEGIN.read(request)
    factors, now = house.get(CustomerFactors), house.clock.now()
    if not form.ok:
        return await _factor_page(request, me.id, own=form)
    try:
        await house.get(OwnPassword).prove(
            me.id, form.value(OWN), actor, now, act="second_factor_begin", field=OWN.name
        )
    except Refusal as refusal:
        form.refuse_with(refusal)
        return await _factor_page(request, me.id, own=form)
    try:
        made = await house.db.run(lambda tx: factors.begin(tx, me.id, me.username, now))
    except Refusal as refusal:
        return redirect(request, "/security/second-factor", refusal.message, Tone.WARN)
    return _secret(render(request, "wallet/factor_new.html", made=made, form=FIRST.blank()))


@router.post("/second-factor/confirm")
async def confirm_factor(request: Request, me: CurrentCustomer, actor: CustomerActor) -> Response:
    """Switches it on and shows the recovery codes, this once."""
    house, form = house_of(request), await FIRST.read(request)
    factors, now = house.get(CustomerFactors), house.clock.now()
    codes = await _tried(
        request, form, lambda tx: factors.confirm(tx, me.id, form.value(CODE), actor, now)
    )
    if codes is None:
        return render(request, "wallet/factor_new.html", status=form.status, made=None, form=form)
    return _secret(render(request, "wallet/recovery_codes.html", codes=codes))


@router.post("/second-factor/recovery-codes")
async def renew_codes(request: Request, me: CurrentCustomer, actor: CustomerActor) -> Response:
    """Voids the recovery codes and shows new ones, this once."""
    house, form = house_of(request), await FIRST.read(request)
    factors, now = house.get(CustomerFactors), house.clock.now()
    codes = await _tried(
        request, form, lambda tx: factors.renew_codes(tx, me.id, form.value(CODE), actor, now)
    )
    if codes is None:
        return await _factor_page(request, me.id, code=form)
    return _secret(render(request, "wallet/recovery_codes.html", codes=codes))


@router.post("/second-factor/off")
async def remove_factor(request: Request, me: CurrentCustomer, actor: CustomerActor) -> Response:
    """Switches it off, with a code."""
    house, form = house_of(request), await FIRST.read(request)
    factors, now = house.get(CustomerFactors), house.clock.now()

    async def off(tx: Tx) -> bool:
        await factors.remove(tx, me.id, form.value(CODE), actor, now)
        return True

    if await _tried(request, form, off) is None:
        return await _factor_page(request, me.id, code=form)
    return redirect(request, "/security", "The second factor is off.", Tone.WARN)


@router.get("/phones")
async def show_phones(request: Request, me: CurrentCustomer) -> HTMLResponse:
    """The phones that may be paid beside the account's own."""
    spec = await _asking(request, me.id, PHONES, PHONES_CODE)
    return await _phones_page(request, me.id, spec.blank())


@router.post("/phones")
async def add_phone(request: Request, me: CurrentCustomer, actor: CustomerActor) -> Response:
    """Adds one; it can be paid a day later."""
    spec = await _asking(request, me.id, PHONES, PHONES_CODE)
    house, form = house_of(request), await spec.read(request)
    guard, now = house.get(OutwardGuard), house.clock.now()
    proven = replace(actor, otp=form.find(ANY_CODE))
    added = await _tried(
        request, form, lambda tx: guard.add(tx, me.id, form.value(PHONE), proven, now)
    )
    if added is None:
        return await _phones_page(request, me.id, form)
    return redirect(request, "/security/phones", "The phone is added.")


@router.post("/phones/{phone_id}/remove")
async def remove_phone(
    request: Request, phone_id: str, me: CurrentCustomer, actor: CustomerActor
) -> Response:
    """Takes one off the list."""
    house, which = house_of(request), parse_id(PHONE_ID, phone_id)
    guard, now = house.get(OutwardGuard), house.clock.now()
    return await _gone(
        request, "/security/phones", lambda tx: guard.remove(tx, me.id, which, actor, now)
    )


@router.get("/keys")
async def show_keys(request: Request, me: CurrentCustomer) -> HTMLResponse:
    """API keys, without their secrets."""
    spec = await _asking(request, me.id, NEW_KEY, NEW_KEY_CODE)
    return await _keys_page(request, me.id, spec.blank(read="yes"))


@router.post("/keys")
async def make_key(request: Request, me: CurrentCustomer, actor: CustomerActor) -> Response:
    """Makes one and shows its secret, this once."""
    spec = await _asking(request, me.id, NEW_KEY, NEW_KEY_CODE)
    house, form = house_of(request), await spec.read(request)
    keys, now = house.get(ApiKeys), house.clock.now()
    proven = replace(actor, otp=form.find(ANY_CODE))

    async def make(tx: Tx) -> tuple[str, str]:
        asked = [field.name for field in (READ, TRADE, WITHDRAW) if form.find(field)]
        networks = [part.strip() for part in (form.find(NETWORKS) or "").split(",")]
        wanted = NewKey(
            form.value(LABEL),
            parse_scopes(asked),
            tuple(filter(None, networks)),
            timedelta(days=365),
        )
        made, secret = await keys.create(tx, me.id, wanted, proven, now)
        return made.wire_id, secret

    shown = await _tried(request, form, make)
    if shown is None:
        return await _keys_page(request, me.id, form)
    return _secret(render(request, "wallet/key_made.html", key_id=shown[0], secret=shown[1]))


@router.post("/keys/{key_id}/revoke")
async def revoke_key(
    request: Request, key_id: str, me: CurrentCustomer, actor: CustomerActor
) -> Response:
    """Ends one from its next request on."""
    house, which = house_of(request), parse_id(KEY, key_id)
    keys, now = house.get(ApiKeys), house.clock.now()
    return await _gone(
        request, "/security/keys", lambda tx: keys.revoke(tx, me.id, which, actor, now)
    )


@router.post("/devices/{device_id}/name")
async def rename_device(
    request: Request, device_id: str, me: CurrentCustomer, actor: CustomerActor
) -> Response:
    """Gives a device a name of one's own."""
    house, form, which = house_of(request), await RENAME.read(request), parse_id(DEVICE, device_id)
    devices, now = house.get(Devices), house.clock.now()

    async def rename(tx: Tx) -> None:
        await devices.rename(tx, me.id, which, form.value(NAME), actor, now)

    if not form.ok:
        return redirect(request, "/security", "A name is needed.", Tone.WARN)
    return await _gone(request, "/security", rename)


@router.post("/devices/{device_id}/forget")
async def forget_device(
    request: Request, device_id: str, me: CurrentCustomer, actor: CustomerActor
) -> Response:
    """Ends a device's sessions; it is new the next time."""
    house, which = house_of(request), parse_id(DEVICE, device_id)
    devices, now = house.get(Devices), house.clock.now()

    async def forget(tx: Tx) -> None:
        await devices.forget(tx, me.id, which, actor, now)

    return await _gone(request, "/security", forget)


@router.post("/freeze")
async def freeze(request: Request, me: CustomerSession, origin: VisitorDep) -> Response:
    """Stops every money command, and ends all other sessions."""
    house = house_of(request)
    await freeze_own(house, me, me.person.as_actor(origin), house.clock.now())
    return redirect(request, "/security", "Your account is frozen. Nothing leaves it.")


@router.post("/unfreeze/begin")
async def begin_unfreeze(request: Request, me: CurrentCustomer, origin: VisitorDep) -> Response:
    """Asks for the app's code, or sends one to the phone."""
    house = house_of(request)
    try:
        begun = await house.get(AccountRecovery).begin_unfreeze(me.id, origin, house.clock.now())
    except Refusal as refusal:
        return redirect(request, "/security", refusal.message, Tone.WARN)
    form = LIFT.blank(challenge=wire_id("chl", begun) if begun else "")
    return render(request, "wallet/unfreeze.html", form=form, by_phone=begun is not None)


@router.post("/unfreeze")
async def unfreeze(request: Request, me: CurrentCustomer, actor: CustomerActor) -> Response:
    """Lifts the freeze."""
    house, form = house_of(request), await LIFT.read(request)
    sent = form.find(CHALLENGE)
    if form.ok:
        try:
            challenge = parse_id("chl", sent) if sent else None
            recovery, now = house.get(AccountRecovery), house.clock.now()
            await recovery.unfreeze(me.id, challenge, form.value(LIFT_CODE), actor, now)
            return redirect(request, "/security", "Your account is open again.")
        except Refusal as refusal:
            form.refuse_with(refusal)
    return render(
        request, "wallet/unfreeze.html", status=form.status, form=form, by_phone=bool(sent)
    )


async def _asking(
    request: Request, customer_id: UUID, plain: FormSpec, with_code: FormSpec
) -> FormSpec:
    """The form with a code's field for who has an app."""
    house = house_of(request)
    on = await house.get(CustomerFactors).is_on(house.db, customer_id)
    return with_code if on else plain


async def _tried(request: Request, form: Form, act: Callable[[Tx], Awaitable[T]]) -> T | None:
    """What the act gives, or None with its refusal on the form."""
    if not form.ok:
        return None
    try:
        return await house_of(request).db.run(act)
    except Refusal as refusal:
        form.refuse_with(refusal)
        return None


async def _gone(request: Request, to: str, act: Callable[[Tx], Awaitable[None]]) -> Response:
    try:
        await house_of(request).db.run(act)
    except NotFound:
        return redirect(request, to, "That was gone already.")
    except Refusal as refusal:
        return redirect(request, to, refusal.message, Tone.WARN)
    return redirect(request, to, "Done.")


def _secret(page: HTMLResponse) -> HTMLResponse:
    """A page that shows something this once is kept by nobody on the way."""
    page.headers["Cache-Control"] = "no-store"
    return page


async def _factor_page(
    request: Request, customer_id: UUID, *, code: Form | None = None, own: Form | None = None
) -> HTMLResponse:
    """``code`` was sent where it is on, ``own`` where it is off."""
    house, code, own = house_of(request), code or FIRST.blank(), own or BEGIN.blank()
    found = await house.get(CustomerFactors).status(house.db, customer_id)
    status = max(code.status, own.status)
    return render(request, "wallet/factor.html", status=status, form=code, own=own, factor=found)


async def _phones_page(request: Request, customer_id: UUID, form: Form) -> HTMLResponse:
    house = house_of(request)
    found = await house.db.run(lambda tx: house.get(OutwardGuard).list_phones(tx, customer_id))
    phones = [(wire_id(PHONE_ID, one.id), one) for one in found]
    return render(
        request, "wallet/phones.html", status=form.status, form=form, phones=phones,
        now=house.clock.now(),
    )  # fmt: skip


async def _keys_page(request: Request, customer_id: UUID, form: Form) -> HTMLResponse:
    house = house_of(request)
    found = await house.db.run(lambda tx: house.get(ApiKeys).list_keys(tx, customer_id))
    return render(request, "wallet/keys.html", status=form.status, form=form, keys=found)
