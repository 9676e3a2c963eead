"""The gateway: one wire path as Africa's Talking documents it, a page and an API to look inside.

Faults come one by one (`PUT /sim/faults`), each for the next message: a status code of theirs for
the recipient, an HTTP status, a dropped line before or after the message was taken.
"""

import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import httpx
from fastapi import FastAPI, Form, Header, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from jinja2 import Environment, FileSystemLoader
from pydantic import BaseModel, ConfigDict, Field

from hazina.simulators.sms.store import Message, Store

Clock = Callable[[], datetime]
FOLDER = Path(__file__).parent
MAX_TEXT = 1_600
STATUS = {
    100: "Processed",
    101: "Success",
    102: "Queued",
    401: "RiskHold",
    402: "InvalidSenderId",
    403: "InvalidPhoneNumber",
    404: "UnsupportedNumberType",
    405: "InsufficientBalance",
    406: "UserInBlacklist",
    407: "CouldNotRoute",
    409: "DoNotDisturbRejection",
    500: "InternalServerError",
    501: "GatewayError",
    502: "RejectedByGateway",
}


@dataclass(frozen=True, slots=True)
class SmsConfig:
    """The account of the one customer this gateway has."""

    data: Path | None = None
    username: str = "sandbox"
    api_key: str = "sim-sms-key"


class Fault(BaseModel):
    """What goes wrong with one message. `taken` says whether it lies in the inbox all the same."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal["recipient", "http", "drop", "garbage"]
    code: int = 500
    taken: bool = False


class Faults(BaseModel):
    """The faults of the next messages, in order."""

    model_config = ConfigDict(extra="forbid")
    next: list[Fault] = Field(default_factory=list, max_length=100)


def _now() -> datetime:
    # tidy: allow time — the simulator's own door of time
    return datetime.now(UTC)


class SmsSimulator(FastAPI):
    """The app, with its inbox and what is to go wrong."""

    def __init__(self, config: SmsConfig, clock: Clock) -> None:
        super().__init__(title="SMS simulator", lifespan=_lifespan)
        self.config = config
        self.clock = clock
        self.store = Store(config.data)
        self.faults: deque[Fault] = deque()
        self.pages = Environment(loader=FileSystemLoader(FOLDER / "templates"), autoescape=True)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    _of(app).store.close()


def _of(app: object) -> SmsSimulator:
    assert isinstance(app, SmsSimulator)
    return app


def create_app(config: SmsConfig | None = None, *, clock: Clock = _now) -> SmsSimulator:
    """This will build a gateway; in tests it is called in-process or over loopback."""
    app = SmsSimulator(config or SmsConfig(), clock)
    app.add_api_route("/version1/messaging", send, methods=["POST"], response_model=None)
    app.add_api_route("/", inbox_page, methods=["GET"], response_class=HTMLResponse)
    app.add_api_route("/static/sms.css", style, methods=["GET"], response_model=None)
    app.add_api_route("/sim/messages", read_messages, methods=["GET"])
    app.add_api_route("/sim/messages", clear_messages, methods=["DELETE"], status_code=204)
    app.add_api_route("/sim/faults", set_faults, methods=["PUT"], status_code=204)
    return app


async def send(
    request: Request,
    username: Annotated[str, Form()] = "",
    to: Annotated[str, Form()] = "",
    message: Annotated[str, Form()] = "",
    sender: Annotated[str, Form(alias="from")] = "",
    api_key: Annotated[str, Header(alias="apiKey")] = "",
) -> Response:
    """Takes a message for one or more phones, comma-separated, as their API does."""
    app = _of(request.app)
    if not _may(app.config, username, api_key):
        return PlainTextResponse("The supplied authentication is invalid", 401)
    if not to or not message or len(message) > MAX_TEXT:
        return PlainTextResponse("Request is missing required form field 'to'/'message'", 400)
    fault = app.faults.popleft() if app.faults else None
    if fault is not None and fault.kind != "recipient":
        return _broken(app, fault, to, sender, message)
    code = fault.code if fault else 101
    told = [_deliver(app, phone.strip(), sender, message, code) for phone in to.split(",")]
    sent = sum(one["statusCode"] in (100, 101, 102) for one in told)
    summary = f"Sent to {sent}/{len(told)} Total Cost: KES {sent * 0.8:.4f}"
    return JSONResponse({"SMSMessageData": {"Message": summary, "Recipients": told}}, 201)


async def inbox_page(
    request: Request, phone: Annotated[str | None, Query(max_length=20)] = None
) -> HTMLResponse:
    """Every phone's messages, newest first; `?phone=` shows one phone's."""
    app = _of(request.app)
    page = app.pages.get_template("inbox.html")
    return HTMLResponse(page.render(messages=app.store.read(_plus(phone)), phone=phone or ""))


async def style() -> Response:
    """The page's own style sheet."""
    return Response((FOLDER / "static" / "sms.css").read_text(), media_type="text/css")


async def read_messages(
    request: Request, phone: Annotated[str | None, Query(max_length=20)] = None
) -> list[dict[str, object]]:
    """The same as JSON."""
    return [asdict(one) for one in _of(request.app).store.read(_plus(phone))]


async def clear_messages(request: Request) -> None:
    """Empties every inbox."""
    _of(request.app).store.clear()


async def set_faults(request: Request, body: Faults) -> None:
    """Says what goes wrong with the next messages; an empty list ends it."""
    app = _of(request.app)
    app.faults = deque(body.next)


def _may(config: SmsConfig, username: str, api_key: str) -> bool:
    right = secrets.compare_digest(api_key.encode(), config.api_key.encode())
    return right and username == config.username


def _broken(app: SmsSimulator, fault: Fault, to: str, sender: str, text: str) -> Response:
    if fault.taken:
        _deliver(app, to, sender, text, 101)
    if fault.kind == "drop":
        # In-process the client sees a dead line; under a server the connection is cut.
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
    if fault.kind == "garbage":
        return PlainTextResponse("<html>maintenance</html>", 201)
    return PlainTextResponse("simulated fault", fault.code)


def _deliver(app: SmsSimulator, phone: str, sender: str, text: str, code: int) -> dict[str, object]:
    if not phone.startswith("+") or not phone[1:].isdigit():
        code = 403
    message_id = f"ATXid_{secrets.token_hex(16)}"
    taken = code in (100, 101, 102)
    if taken:
        at = app.clock().isoformat()
        app.store.add(Message(message_id, phone, sender or "AFRICASTKNG", text, code, at))
    return {
        "statusCode": code,
        "number": phone,
        "status": STATUS.get(code, "InternalServerError"),
        "cost": "KES 0.8000" if taken else "0",
        "messageId": message_id if taken else "None",
    }


def _plus(phone: str | None) -> str | None:
    """A phone as it is kept; a plus in a query has become a space on its way."""
    return f"+{phone.strip().lstrip('+')}" if phone and phone.strip() else None
