"""Messages as JSON: the inbox, and what a customer wishes to hear."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from hazina.desk.notifications.repository import PREFIX, InboxLine, Wish
from hazina.desk.notifications.service import Notifications, parse_language
from hazina.desk.webkit.current import CurrentCustomer, CustomerActor
from hazina.infra.house import House
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.page import MAX_LIMIT

router = APIRouter(prefix="/user/messages", tags=["messages"])

_LINE: JsonDict = {
    "id": "msg_0199f1c2a7b47c3e9f7d5b8a6c4e2f10",
    "kind": "deposit_paid",
    "subject": "KES 500.00 received",
    "text": "KES 500.00 from M-Pesa is in your wallet. Receipt SGH0000001.",
    "at": "2026-11-20T09:00:00Z",
    "read": False,
}
_WISH: JsonDict = {"language": "en", "sms": True, "email": False}


class MessageOut(BaseModel):
    """One message, in the customer's language."""

    model_config = ConfigDict(json_schema_extra={"example": _LINE})
    id: str
    kind: str
    subject: str
    text: str
    at: datetime
    read: bool

    @classmethod
    def of(cls, line: InboxLine) -> "MessageOut":
        return cls(
            id=wire_id(PREFIX, line.id),
            kind=line.template,
            subject=line.text.subject,
            text=line.text.body,
            at=line.at,
            read=line.read,
        )


class MessagesOut(BaseModel):
    """A page of messages, newest first."""

    items: list[MessageOut]
    next_cursor: str | None


class ReadIn(BaseModel):
    """The newest message that was read; older ones count as read with it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"upto": _LINE["id"]}})
    upto: str = Field(max_length=64)


class ReadOut(BaseModel):
    """How many became read."""

    model_config = ConfigDict(json_schema_extra={"example": {"read": 3}})
    read: int


class WishBody(BaseModel):
    """Channels for news about money; what guards the account is told by every channel."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _WISH})
    language: str = Field(max_length=8, description="en or sw")
    sms: bool
    email: bool

    @classmethod
    def of(cls, wish: Wish) -> "WishBody":
        return cls(language=wish.language.value, sms=wish.sms, email=wish.email)


@router.get("")
async def list_messages(
    request: Request,
    me: CurrentCustomer,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
) -> MessagesOut:
    """What the house has told this customer, newest first."""
    house: House = request.app.state.house
    inbox = house.get(Notifications).inbox
    page = await house.db.run(lambda tx: inbox(tx, me.id, cursor=cursor, limit=limit))
    return MessagesOut(
        items=[MessageOut.of(line) for line in page.items], next_cursor=page.next_cursor
    )


@router.post("/read")
async def mark_read(request: Request, body: ReadIn, me: CurrentCustomer) -> ReadOut:
    """Mark a message and all older ones as read."""
    house: House = request.app.state.house
    upto, now = parse_id(PREFIX, body.upto), house.clock.now()
    notifications = house.get(Notifications)
    read = await house.db.run(lambda tx: notifications.mark_read(tx, me.id, upto, now))
    return ReadOut(read=read)


@router.get("/wishes")
async def read_wishes(request: Request, me: CurrentCustomer) -> WishBody:
    """Which news about money this customer wants, and in which language."""
    house: House = request.app.state.house
    return WishBody.of(await house.get(Notifications).wish_of(house.db, me.id))


@router.put("/wishes")
async def set_wishes(
    request: Request, body: WishBody, me: CurrentCustomer, actor: CustomerActor
) -> WishBody:
    """Say which news about money to send, and in which language."""
    house: House = request.app.state.house
    wish = Wish(parse_language(body.language), body.sms, body.email)
    notifications, now = house.get(Notifications), house.clock.now()
    await house.db.run(lambda tx: notifications.set_wish(tx, me.id, wish, actor, now))
    return WishBody.of(wish)
