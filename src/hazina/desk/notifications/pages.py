"""The inbox as a page, and the form of what to hear."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from hazina.desk.notifications.repository import InboxLine, Wish
from hazina.desk.notifications.service import Notifications, parse_language
from hazina.desk.webkit.current import CurrentCustomer, CustomerActor
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import Choice, FormSpec, check_field, choice_field
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Activity
from hazina.infra.house import House

router = APIRouter(prefix="/messages")
PAGE = 20

LANGUAGE = choice_field(
    "language", "Language of messages", [Choice("en", "English"), Choice("sw", "Kiswahili")]
)
SMS = check_field("sms", "Tell me about money by SMS")
EMAIL = check_field("email", "Tell me about money by e-mail")
WISHES = FormSpec(LANGUAGE, SMS, EMAIL)
_ICONS = {
    "deposit": "in", "withdrawal": "out", "gold": "gold", "trade": "gold", "sale": "sell",
}  # fmt: skip


@router.get("")
async def show(
    request: Request,
    me: CurrentCustomer,
    cursor: Annotated[str | None, Query(max_length=60)] = None,
) -> Response:
    """Messages, newest first; what is shown here counts as read from now on."""
    house: House = request.app.state.house
    notifications, now = house.get(Notifications), house.clock.now()
    page = await house.db.run(lambda tx: notifications.inbox(tx, me.id, cursor=cursor, limit=PAGE))
    if any(not line.read for line in page.items):
        newest = page.items[0].id
        await house.db.run(lambda tx: notifications.mark_read(tx, me.id, newest, now))
    wish = await notifications.wish_of(house.db, me.id)
    form = WISHES.blank(
        language=wish.language.value, sms="yes" * wish.sms, email="yes" * wish.email
    )
    return render(
        request,
        "desk/messages.html",
        form=form,
        items=[_activity(line) for line in page.items],
        older=f"/messages?cursor={page.next_cursor}" if page.next_cursor else "",
        newer="/messages" if cursor else "",
    )


@router.post("/wishes")
async def set_wishes(request: Request, me: CurrentCustomer, actor: CustomerActor) -> Response:
    """Keeps the channels and the language."""
    house: House = request.app.state.house
    form = await WISHES.read(request)
    if not form.ok:
        return redirect(request, "/messages", "Choose a language first.", Tone.WARN)
    wish = Wish(parse_language(form.value(LANGUAGE)), bool(form.find(SMS)), bool(form.find(EMAIL)))
    notifications, now = house.get(Notifications), house.clock.now()
    await house.db.run(lambda tx: notifications.set_wish(tx, me.id, wish, actor, now))
    return redirect(request, "/messages", "Kept. From now on, messages come like that.")


def _activity(line: InboxLine) -> Activity:
    icon = _ICONS.get(line.template.partition("_")[0], "shield")
    return Activity(
        line.text.subject,
        line.at,
        note=line.text.body,
        icon=icon,
        chip="" if line.read else "New",
        tone=Tone.NEUTRAL if line.read else Tone.GOOD,
    )
