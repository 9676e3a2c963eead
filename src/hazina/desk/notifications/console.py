"""Messages in the console: those that did not arrive, and having one sent again.

Neither words nor addresses are shown: an operator needs to know that it was lost, not what it said.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from hazina.desk.notifications.repository import PREFIX, LostMessage
from hazina.desk.notifications.sending import Delivery
from hazina.desk.notifications.states import MessageState
from hazina.desk.webkit.acts import did
from hazina.desk.webkit.current import CurrentOperator, OperatorActor, require_role
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import FormSpec
from hazina.desk.webkit.templates import render
from hazina.identity.bearer import house_of
from hazina.identity.customers import Customers
from hazina.identity.people import Operator, Role
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.kernel.ids import new_id, parse_id, wire_id

router = APIRouter(prefix="/messages")
Clerk = Annotated[Operator, Depends(require_role(Role.OPERATOR, Role.MANAGER))]
Cursor = Annotated[str | None, Query(max_length=60)]

PAGE = 50
AGAIN = FormSpec()
CHANNELS = {"sms": "SMS", "email": "E-mail", "inbox": "Inbox"}
WORDS = {MessageState.FAILED: "Not sent", MessageState.UNKNOWN: "May have arrived"}
TONES = {MessageState.FAILED: Tone.BAD, MessageState.UNKNOWN: Tone.WARN}


@router.get("")
async def show(request: Request, operator: CurrentOperator, cursor: Cursor = None) -> HTMLResponse:
    """Messages that failed or of which nobody knows, the newest first."""
    house = house_of(request)
    page = await house.get(Delivery).list_lost(house.db, limit=PAGE, cursor=cursor)
    return render(
        request,
        "desk/lost_messages.html",
        items=[await _item(house, one) for one in page.items],
        channels=[CHANNELS[one.value] for one in house.get(Delivery).available()],
        may=operator.role is not Role.AUDITOR,
        older=f"/messages?cursor={page.next_cursor}" if page.next_cursor else "",
        newer="/messages" if cursor else "",
    )


@router.post("/{message_id}/again")
async def send_again(
    request: Request, message_id: str, _operator: Clerk, actor: OperatorActor
) -> Response:
    """Queues it with all its attempts; an unknown one may arrive twice."""
    form, house = await AGAIN.read(request), house_of(request)
    found, now = parse_id(PREFIX, message_id), house.clock.now()

    async def act(tx: Tx) -> None:
        await house.get(Delivery).send_again(tx, found, actor, now)

    if not await did(request, actor, form, act):
        return redirect(request, "/messages", "That message is not lost any more.", Tone.NEUTRAL)
    return redirect(request, "/messages", "Queued. It goes out within a few seconds.")


async def _item(house: House, one: LostMessage) -> dict[str, object]:
    owner = await house.get(Customers).get(house.db, one.customer_id)
    return {
        "url": f"/messages/{wire_id(PREFIX, one.id)}/again",
        "key": new_id().hex,
        "customer": owner.username,
        "customer_url": f"/customers/{wire_id('cus', owner.id)}",
        "channel": CHANNELS[one.channel.value],
        "about": one.template.replace("_", " ").capitalize(),
        "chip": WORDS[one.state],
        "tone": TONES[one.state],
        "since": one.since,
        "attempts": one.attempts,
        "why": one.note,
    }
