"""Where Safaricom calls: each callback is stored raw, then answered 200, then worked on.

The address is ``/hooks/{token}/{letter}``. Nothing is decided here: a body that cannot be read, an
unknown token and a strange source are all stored and answered alike (``trusted`` keeps the last),
for a refusal would teach a forger and lose a genuine message from a new address. Only what cannot
be ours is turned away: an address without a hex token, and a body over 64 KiB; and what strangers
send too often (429), who otherwise fill the inbox.
"""

import asyncio
import re

import asyncpg
import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from hazina.infra.client_ip import Networks, client_ip, is_within, parse_networks
from hazina.infra.db import Database, Tx
from hazina.infra.inbox import Inbox
from hazina.infra.jobs import Jobs
from hazina.infra.ratelimit import RateLimiter
from hazina.infra.settings import Settings
from hazina.kernel.clock import Clock
from hazina.rails.callbacks import Callbacks
from hazina.rails.mpesa.c2b import ACCEPT, REFUSE_ACCOUNT, read_payment
from hazina.rails.mpesa.conf import KINDS, callback_sources, is_token
from hazina.rails.ports import CallbackKind, PaymentNotice

log = structlog.stdlib.get_logger()

SOURCE = "mpesa"
JOB = f"{SOURCE}.callback"  # registered by rails.callbacks
BODY_MAX = 64 * 1024
STORE_PATIENCE_S = 15
VALIDATION_S = 4  # Safaricom waits about eight seconds, then its own default applies
# A genuine address that is not listed yet stays well below these; what is lost is found by asking.
EACH_STRANGER, ALL_STRANGERS = "120/minute", "1200/minute"
KEPT_HEADERS = ("content-type", "user-agent", "x-forwarded-for")
ACKNOWLEDGED = {"ResultCode": 0, "ResultDesc": "Accepted"}

# Found without parsing, to keep messages about different things apart under one token.
_IDS = re.compile(
    rb'"(?:CheckoutRequestID|ConversationID|TransID)"\s*:\s*"([A-Za-z0-9_.-]{1,64})"', re.ASCII
)

router = APIRouter()


class CallbackDoor:
    """Stores callbacks and says whether their source is believed. ``patience_s``: how long a
    database that is away is waited for."""

    def __init__(
        self,
        db: Database,
        inbox: Inbox,
        jobs: Jobs,
        clock: Clock,
        settings: Settings,
        callbacks: Callbacks,
        limiter: RateLimiter,
    ) -> None:
        self._db = db
        self._inbox = inbox
        self._jobs = jobs
        self._clock = clock
        self._sources: Networks = parse_networks(callback_sources(settings))
        self._proxies: Networks = parse_networks(settings.trusted_proxies)
        self._callbacks = callbacks
        self._limiter = limiter
        self.patience_s: float = STORE_PATIENCE_S

    async def admit(self, request: Request) -> None:
        """This will count a stranger's message; one from a trusted source is never counted, so that
        no flood keeps M-Pesa itself out. Raises: RateLimited, LimitsUnreachable."""
        ip = self._ip(request)
        if not is_within(ip, self._sources):
            await self._limiter.check(EACH_STRANGER, "callback", str(ip))
            await self._limiter.check(ALL_STRANGERS, "callback")

    async def may_pay(self, token: str, body: bytes) -> bool:
        """Whether a payment that was announced may go on. In doubt it may: what came waits in
        suspense, and Safaricom does not wait long for an answer."""
        event = read_payment(body)
        knows = self._callbacks.knows
        if knows is None or not isinstance(event, PaymentNotice):
            return True
        try:
            async with asyncio.timeout(VALIDATION_S):
                return await knows(token, event)
        except (TimeoutError, OSError, asyncpg.PostgresError):
            log.warning("a validation was not decided in time, the payment goes on")
            return True

    async def receive(self, token: str, kind: CallbackKind, body: bytes, request: Request) -> None:
        """This will store one message with its job in one transaction; a repeat changes nothing."""
        ip = self._ip(request)
        found = _IDS.search(body)
        external_id = f"{token}:{found[1].decode() if found else ''}"
        now = self._clock.now()

        async def store(tx: Tx) -> None:
            message_id = await self._inbox.receive(
                tx,
                source=SOURCE,
                kind=kind.value,
                external_id=external_id,
                body=body,
                headers=_kept(request),
                ip=ip,
                trusted=is_within(ip, self._sources),
                now=now,
            )
            if message_id is not None:
                await self._jobs.enqueue(tx, JOB, message_id)

        # Safaricom may never say it again: a restart of the database is waited for.
        await self._db.run_patiently(store, patience_s=self.patience_s)

    def _ip(self, request: Request) -> str | None:
        peer = request.client.host if request.client else None
        return client_ip(peer, request.headers.getlist("x-forwarded-for"), self._proxies)


@router.post("/hooks/{token}/{letter}", include_in_schema=False)
async def receive_callback(token: str, letter: str, request: Request) -> Response:
    """This will store a callback and then acknowledge it."""
    kind = KINDS.get(letter)
    if kind is None or not is_token(token):
        return Response(status_code=404)
    door = request.app.state.house.get(CallbackDoor)
    await door.admit(request)
    body = await read_capped(request)
    if body is None:
        return Response(status_code=413)
    await door.receive(token, kind, body, request)
    if kind is CallbackKind.VALIDATION:
        return JSONResponse(ACCEPT if await door.may_pay(token, body) else REFUSE_ACCOUNT)
    return JSONResponse(ACKNOWLEDGED)


async def read_capped(request: Request) -> bytes | None:
    """This will read a body, or say None as soon as it passes 64 KiB."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > BODY_MAX:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            return None
    return bytes(body)


def _kept(request: Request) -> dict[str, str]:
    return {
        name: "".join(mark for mark in value[:200] if mark.isprintable())
        for name in KEPT_HEADERS
        if (value := request.headers.get(name)) is not None
    }
