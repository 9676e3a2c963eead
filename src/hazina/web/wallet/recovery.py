"""Pages for who cannot sign in: getting back in, and freezing with the code of a notice."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from hazina.desk.webkit.cookies import device_of
from hazina.desk.webkit.flash import redirect
from hazina.desk.webkit.forms import (
    Choice,
    Field,
    Form,
    FormSpec,
    choice_field,
    password_field,
)
from hazina.desk.webkit.templates import render
from hazina.identity.bearer import VisitorDep, house_of
from hazina.identity.codes import CodeWay, Couriers
from hazina.identity.recovery import AccountRecovery, Proofs, SecondProof
from hazina.kernel.errors import Refusal
from hazina.kernel.ids import parse_id, wire_id

router = APIRouter()
PREFIX = "chl"

USERNAME = Field("username", "Username", str, autocomplete="username", max_length=64)
START = FormSpec(USERNAME)
RECOVERY = Field("recovery", "Recovery", str, kind="hidden", max_length=64)
PHONE_CODE = Field("phone_code", "Code on your phone", str, kind="code", max_length=32)
BY_EMAIL = Choice("email", "A code by e-mail")
BY_APP = [
    Choice("app", "A code of my app"),
    Choice("recovery_code", "A recovery code I wrote down"),
]
SECOND = choice_field("second", "Your second proof", [BY_EMAIL, *BY_APP])
SECOND_CODE = Field("second_code", "Second code", str, kind="code", max_length=32)
NEW = password_field("password", "New password", new=True, help="At least 10 characters.")
FINISH = FormSpec(PHONE_CODE, SECOND, SECOND_CODE, NEW, RECOVERY)
# Where no mail leaves the house.
WRITTEN = choice_field("second", "Your second proof", BY_APP)
NO_MAIL = FormSpec(PHONE_CODE, WRITTEN, SECOND_CODE, NEW, RECOVERY)
STOP_CODE = Field("code", "Code of the notice", str, kind="code", max_length=32)
STOP = FormSpec(USERNAME, STOP_CODE)


@router.get("/recover")
async def show_start(request: Request) -> HTMLResponse:
    return _start_page(request, START.blank())


@router.post("/recover")
async def start(request: Request, origin: VisitorDep) -> Response:
    """Sends a code to the phone, and one by mail; the page is the same for everybody."""
    house, form = house_of(request), await START.read(request)
    if form.ok:
        try:
            recovery, now = house.get(AccountRecovery), house.clock.now()
            begun = await recovery.start(
                form.value(USERNAME), origin, now, device=device_of(request)
            )
            by_mail = house.get(Couriers).carries(CodeWay.EMAIL)
            if by_mail:
                await recovery.ask_email(begun, origin, now)
            spec, second = (FINISH, "email") if by_mail else (NO_MAIL, "app")
            blank = spec.blank(recovery=wire_id(PREFIX, begun), second=second)
            return _finish_page(request, blank)
        except Refusal as refusal:
            form.refuse_with(refusal)
    return _start_page(request, form)


@router.post("/recover/finish")
async def finish(request: Request, origin: VisitorDep) -> Response:
    """Sets the new password; nothing leaves the account for a day."""
    house = house_of(request)
    spec = FINISH if house.get(Couriers).carries(CodeWay.EMAIL) else NO_MAIL
    form = await spec.read(request)
    if not form.ok:
        return _finish_page(request, form)
    second = SecondProof(form.value(SECOND))
    proofs = Proofs(form.value(PHONE_CODE), second, form.value(SECOND_CODE))
    try:
        which = parse_id(PREFIX, form.value(RECOVERY))
        recovery, now = house.get(AccountRecovery), house.clock.now()
        await recovery.finish(which, proofs, form.value(NEW), origin, now)
    except Refusal as refusal:
        form.refuse_with(refusal)
        return _finish_page(request, form)
    return redirect(request, "/login", "Your password is set. Sign in with it.")


@router.get("/freeze")
async def show_stop(request: Request) -> HTMLResponse:
    return render(request, "wallet/stop.html", form=STOP.blank())


@router.post("/freeze")
async def stop(request: Request, origin: VisitorDep) -> Response:
    """Freezes the account that a notice was about."""
    house, form = house_of(request), await STOP.read(request)
    if form.ok:
        try:
            recovery, now = house.get(AccountRecovery), house.clock.now()
            await recovery.stop(form.value(USERNAME), form.value(STOP_CODE), origin, now)
            return redirect(request, "/login", "The account is frozen. Nothing leaves it.")
        except Refusal as refusal:
            form.refuse_with(refusal)
    return render(request, "wallet/stop.html", status=form.status, form=form)


def _start_page(request: Request, form: Form) -> HTMLResponse:
    couriers = house_of(request).get(Couriers)
    return render(
        request, "wallet/recover.html", status=form.status, form=form,
        by_phone=couriers.carries(CodeWay.PHONE), by_mail=couriers.carries(CodeWay.EMAIL),
    )  # fmt: skip


def _finish_page(request: Request, form: Form) -> HTMLResponse:
    return render(request, "wallet/recover_finish.html", status=form.status, form=form)
