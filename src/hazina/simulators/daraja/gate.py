"""The API gateway: reads a request, strikes with gate faults, checks the token.

Owns the order of checks in front of every product and the way each product refuses a token.
Leaves out the meaning of fields: each product checks its own.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from hazina.simulators.daraja.clock import day_start_ms
from hazina.simulators.daraja.faults import GATE, FaultOrder, Plan
from hazina.simulators.daraja.wire import Refused, refusal
from hazina.simulators.daraja.world import World

HANGUP = "daraja.hangup"
"""Key in the ASGI scope of the switch that tells the server to cut the line."""

PHONE = re.compile(r"254[17]\d{8}", re.ASCII)
_TEXT = re.compile(r"[A-Za-z0-9 ._\-]*")
_FORBIDDEN = re.compile(r"m[-_.~]?pesa|safaricom|exe|cmd|sql|query", re.IGNORECASE)
_BLOCKED = ("ngrok", "mockbin", "requestbin")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_FIREWALL = (
    "<html><head><META NAME='robots' CONTENT='noindex,nofollow'></head><body>"
    "Request unsuccessful. Incapsula incident ID: 0-000000000000000000</body></html>"
)


SPIKE = "Error Occurred: Spike Arrest Violation"
QUOTA = "Error Occurred: Quota Violation"


@dataclass(frozen=True, slots=True)
class Product:
    """An API product: its fault operation and its own words for a bad token."""

    operation: str
    token_status: int
    token_code: str
    token_text: str
    phone_field: str | None = None


STK = Product("stk", 404, "404.001.03", "Invalid Access Token", "PhoneNumber")
STK_QUERY = Product("query", 404, "404.001.03", "Invalid Access Token")
B2C = Product("b2c", 401, "401.002.01", "Error Occurred - Invalid Access Token - {}", "PartyB")
BALANCE = Product("balance", 401, "401.002.01", "Error Occurred - Invalid Access Token - {}")
STATUS = Product("status", 400, "400.003.01", "Invalid Access Token")
C2B_REGISTER = Product("register", 400, "400.003.01", "Invalid Access Token")
C2B_SIMULATE = Product("simulate", 400, "400.003.01", "Invalid Access Token")
REVERSAL = Product("reversal", 404, "404.001.03", "Invalid Access Token")
B2B = Product("b2b", 401, "401.002.01", "Error Occurred - Invalid Access Token - {}")
PULL = Product("pull", 401, "401.001", "Invalid Access Token")
QR = Product("qr", 404, "404.001.03", "Invalid Access Token")

Fields = dict[str, object]


class Hangup:
    """The switch in the scope; the outermost layer of the app looks at it."""

    wanted = False


class DeadLine(Response):
    """An answer that never comes: no byte is sent, the connection is cut."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """This will send nothing and ask for the line to be cut."""
        scope[HANGUP].wanted = True


def world_of(request: Request) -> World:
    """This will return the world the app serves."""
    world = request.app.state.world
    if not isinstance(world, World):
        raise TypeError("this app serves no simulated world")
    return world


def bad_request(world: World, field: str, code: str = "400.002.02") -> Refused:
    """This will make the refusal of a field: 400.002.02 but for C2B, which says 400.003.02."""
    return refusal(world.ids.request(), 400, code, f"Bad Request - Invalid {field}")


async def enter(request: Request, product: Product) -> Fields:
    """This will return the request's fields once gate, token and payload are in order.

    Raises: Refused with the gateway's own answer.
    """
    world = world_of(request)
    raw = await request.body()
    fields = _read(raw)
    known = fields.get(product.phone_field) if fields and product.phone_field else None
    token = bearer(world, request)
    spike_arrest(world)
    strike(world, product, None if known is None else str(known), token)
    _check_token(world, product, token)
    _count_quota(world)
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        if product is STK:  # what the real gateway says of a wrong content type
            raise bad_request(world, "BusinessShortCode")
        fields = None
    if fields is None:
        raise refusal(world.ids.request(), 400, "400.002.05", "Invalid Request Payload")
    return fields


def _read(raw: bytes) -> Fields | None:
    try:
        fields = json.loads(raw, parse_float=Decimal)
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def strike(world: World, product: Product, phone: str | None, token: str) -> None:
    """This will apply the faults that hit before anything is accepted. Raises: Refused."""
    with world.store.transaction():
        chance = world.settings.firewall_probability
        walled = bool(chance) and world.faults.dice.fall("firewall", chance)
        plan = Plan({}) if walled else world.faults.take(product.operation, phone, GATE)
        if plan.has("token_revoked"):
            world.store.run("DELETE FROM tokens WHERE token = ?", token)
    if plan.has("drop_before_accept"):
        raise Refused(DeadLine())
    blocked = plan.get("html_403")
    if walled or blocked is not None:
        status = blocked.status if blocked is not None else None
        raise Refused(HTMLResponse(_FIREWALL, status or 403))
    any_answer = plan.get("answer")
    if any_answer is not None:
        raise Refused(answer_as_told(any_answer))
    if plan.has("http_500"):
        raise refusal(world.ids.request(), 500, "500.003.02", SPIKE)
    if plan.has("quota_500"):
        raise refusal(world.ids.request(), 500, "500.003.03", QUOTA)


def answer_as_told(order: FaultOrder) -> Response:
    """This will make the answer a fault describes: its JSON body, else its text, else nothing."""
    status = order.status or 500
    if order.body is not None:
        return Response(json.dumps(order.body), status, media_type="application/json")
    text = order.text or ""
    kind = "text/html" if text.lstrip().startswith("<") else "text/plain"
    return Response(text, status, media_type=kind if text else None)


def spike_arrest(world: World) -> None:
    """This will count the request and refuse it when a second had too many. Raises: Refused."""
    most, now, traffic = world.settings.spike_per_second, world.now_ms(), world.traffic
    if not most:
        return
    while traffic and traffic[0] <= now - 1000:
        traffic.popleft()
    if len(traffic) >= most:
        raise refusal(world.ids.request(), 500, "500.003.02", SPIKE)
    traffic.append(now)


def quota_used(world: World) -> int:
    """This will tell how many requests counted today, while a quota was set."""
    day, _, used = (world.store.get("quota") or "0:0").partition(":")
    return int(used) if int(day) == day_start_ms(world.now_ms()) else 0


def _count_quota(world: World) -> None:
    most = world.settings.quota_per_day
    if not most:
        return
    with world.store.transaction():
        used = quota_used(world) + 1
        if used <= most:
            world.store.put("quota", f"{day_start_ms(world.now_ms())}:{used}")
    if used > most:
        raise refusal(world.ids.request(), 500, "500.003.03", QUOTA)


def bearer(world: World, request: Request) -> str:
    """This will return the bearer token. Raises: Refused when the header is not one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        text = "Invalid Authentication Header"
        raise refusal(world.ids.request(), 404, "404.001.04", text)
    return token.strip()


def _check_token(world: World, product: Product, token: str) -> None:
    row = world.store.row("SELECT expires_ms FROM tokens WHERE token = ?", token)
    if row is None or int(row["expires_ms"]) <= world.now_ms():
        text = product.token_text.format(token)
        raise refusal(world.ids.request(), product.token_status, product.token_code, text)


def accepted(answer: Response, plan: Plan) -> Response:
    """This will let the answer out, unless the line goes dead after accepting."""
    if plan.has("drop_after_accept"):
        return DeadLine()
    other = plan.get("answer_after_accept")
    return answer if other is None else answer_as_told(other)


def text_field(
    world: World,
    fields: Fields,
    name: str,
    shown: str | None = None,
    code: str = "400.002.02",
) -> str:
    """This will return a required text (numbers count as text). Raises: Refused."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise bad_request(world, shown or name, code)
    return str(value)


def phone_field(world: World, fields: Fields, name: str) -> str:
    """This will return a number of the form 2547XXXXXXXX or 2541XXXXXXXX. Raises: Refused."""
    value = text_field(world, fields, name)
    if not PHONE.fullmatch(value):
        raise bad_request(world, name)
    return value


def url_field(world: World, fields: Fields, name: str, code: str = "400.002.02") -> str:
    """This will return a callback address Safaricom would accept. Raises: Refused."""
    value = text_field(world, fields, name, code=code)
    if not address_is_allowed(value, allow_http=world.config.allow_http):
        raise bad_request(world, name, code)
    return value


def address_is_allowed(url: str, *, allow_http: bool) -> bool:
    """This will tell whether a callback URL passes: https, no forbidden word, no blocked host."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if not host or any(mark <= " " for mark in url):
        return False
    if parts.scheme == "http" and not (allow_http and host in _LOOPBACK):
        return False
    if parts.scheme not in ("http", "https") or _FORBIDDEN.search(url):
        return False
    return not any(word in host for word in _BLOCKED)


def is_plain(text: str) -> bool:
    """This will tell whether a text has only letters, digits, space, dot, dash, underscore."""
    return _TEXT.fullmatch(text) is not None
