"""Security: where this account is signed in, and its password."""

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from hazina.desk.webkit.current import CustomerSession
from hazina.desk.webkit.flash import redirect
from hazina.desk.webkit.forms import Form, FormSpec, password_field
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Link
from hazina.identity.bearer import VisitorDep, house_of
from hazina.identity.device_names import device_name
from hazina.identity.devices import Devices
from hazina.identity.freeze import Guards
from hazina.identity.password_change import PasswordChange
from hazina.identity.sessions import CustomerSessions
from hazina.kernel.errors import NotFound, Refusal
from hazina.kernel.ids import parse_id, wire_id

router = APIRouter(prefix="/security")

CURRENT = password_field("current_password", "Current password")
NEW = password_field("new_password", "New password", new=True, help="At least 10 characters.")
PASSWORD = FormSpec(CURRENT, NEW)
SHOWN = 50
GUARDS = (
    Link("Second factor", "/security/second-factor", "shield"),
    Link("Payout phones", "/security/phones", "phone"),
    Link("API keys", "/security/keys", "key"),
)


@router.get("")
async def show(request: Request, me: CustomerSession) -> HTMLResponse:
    return await _page(request, me, PASSWORD.blank())


@router.post("/password")
async def change_password(request: Request, me: CustomerSession, origin: VisitorDep) -> Response:
    """Sets a new password; every other session ends with the old one."""
    form = await PASSWORD.read(request)
    if not form.ok:
        return await _page(request, me, form)
    house = house_of(request)
    try:
        ended = await house.get(PasswordChange).change(
            me.person.id,
            current=form.value(CURRENT),
            new=form.value(NEW),
            keep_session=me.session_id,
            actor=me.person.as_actor(origin),
            now=house.clock.now(),
        )
    except Refusal as refusal:
        form.refuse_with(_at_its_field(refusal))
        return await _page(request, me, form)
    others = "1 other session was" if ended == 1 else f"{ended} other sessions were"
    return redirect(request, "/security", f"Your password is changed. {others} ended.")


@router.post("/sessions/{session_id}/end")
async def end_session(
    request: Request, session_id: str, me: CustomerSession, origin: VisitorDep
) -> Response:
    """Ends one session at once, such as that of a lost phone."""
    house = house_of(request)
    sessions, now = house.get(CustomerSessions), house.clock.now()
    which, actor = parse_id("ses", session_id), me.person.as_actor(origin)
    try:
        await house.db.run(
            lambda tx: sessions.revoke(
                tx, me.person.id, which, actor, now, why="ended by its owner"
            )
        )
    except NotFound:
        return redirect(request, "/security", "That session had ended already.")
    return redirect(request, "/security", "That session is ended.")


@router.post("/sessions/end-others")
async def end_others(request: Request, me: CustomerSession, origin: VisitorDep) -> Response:
    """Ends every session but this one."""
    house = house_of(request)
    sessions, now, actor = (
        house.get(CustomerSessions),
        house.clock.now(),
        me.person.as_actor(origin),
    )
    ended = await house.db.run(
        lambda tx: sessions.revoke_others(
            tx, me.person.id, actor, now, keep=me.session_id, why="ended by their owner"
        )
    )
    return redirect(request, "/security", f"Ended elsewhere: {ended}.")


async def _page(request: Request, me: CustomerSession, form: Form) -> HTMLResponse:
    house = house_of(request)
    sessions, now = house.get(CustomerSessions), house.clock.now()
    page = await house.db.run(
        lambda tx: sessions.list_sessions(tx, me.person.id, before=None, limit=SHOWN, now=now)
    )
    standing = await house.get(Guards).standing(house.db, me.person.id)
    known = house.get(Devices)
    devices = await house.db.run(lambda tx: known.list_devices(tx, me.person.id, now))
    shown = [
        {
            "id": wire_id("ses", one.id),
            "device": device_name(one.user_agent),
            "channel": one.channel.value,
            "ip": one.ip or "unknown address",
            "since": one.created_at,
            "seen": one.last_seen_at,
            "here": one.id == me.session_id,
        }
        for one in page.items
    ]
    return render(
        request,
        "wallet/security.html",
        status=form.status,
        form=form,
        customer=me.person,
        sessions=shown,
        guards=GUARDS,
        standing=standing,
        cooling=standing.cooling(now),
        devices=[(wire_id("dev", one.id), one) for one in devices],
    )


def _at_its_field(refusal: Refusal) -> Refusal:
    """Identity names a weak password by the field of registration."""
    if refusal.details.get("field") == "password":
        refusal.details["field"] = NEW.name
    return refusal
