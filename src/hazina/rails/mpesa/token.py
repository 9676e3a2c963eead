"""The access token: one for all processes, fetched by one caller at a time for all of them.

Invariants: never fetched per call (the firewall blocks that); renewed 60 s early; dropped only by
who was refused with the very token in force, so that many refusals at once fetch one new token.
Callers of one process share one look (here); processes share one row (``shared_token``).
Whatever goes wrong here, the call it was for has not been sent: always Rejected, never Unknown.
"""

import asyncio
import base64
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from hazina.infra.alarms import Alarm
from hazina.infra.db import DatabaseLost
from hazina.infra.http import Http, HttpAnswer, HttpNotSent, HttpUnknown
from hazina.kernel.clock import Clock
from hazina.kernel.outcome import Rejected
from hazina.rails.mpesa.conf import MpesaConf
from hazina.rails.mpesa.errors import WORDS
from hazina.rails.mpesa.shared_token import TokenRow
from hazina.rails.mpesa.wire import clean, read_code, read_reply

log = structlog.stdlib.get_logger()
REFUSED = Alarm("mpesa-token-refused")

PATH = "/oauth/v1/generate?grant_type=client_credentials"
EARLY_S = 60
# An answer without a usable lifetime: short enough to be harmless, long enough not to hammer.
FALLBACK_LIFETIME_S = 300
# A refusal answers everyone for this long: hammering is what the firewall blocks for.
REFUSAL_S = 5
# Beyond the call's own timeout; and how often those look who wait for another process.
LEASE_MARGIN, LOOK_EVERY = timedelta(seconds=10), timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True)
class Held:
    """What answers callers until ``until``: a token, or why there is none."""

    answer: str | Rejected = field(repr=False)
    until: datetime


class TokenSource:
    """Tokens of one app on one environment."""

    def __init__(
        self, http: Http, conf: MpesaConf, clock: Clock, shared: TokenRow | None = None
    ) -> None:
        self._http = http
        self._conf = conf
        self._clock = clock
        self._shared = shared
        self._held: Held | None = None
        self._fetching: asyncio.Task[Held] | None = None

    async def get(self) -> str | Rejected:
        """This will give the token in force, fetching one if need be."""
        held = self._held
        if held is None or self._clock.now() >= held.until:
            if self._fetching is None or self._fetching.done():
                self._fetching = asyncio.create_task(self._fetch())
            # Shielded: a caller who gives up must not fail the others who wait.
            held = await asyncio.shield(self._fetching)
        return held.answer

    async def drop(self, token: str) -> None:
        """This will forget ``token``, here and for all, if it is the one in force."""
        if self._held is not None and self._held.answer == token:
            self._held = None
        if self._shared is not None:
            with suppress(DatabaseLost):
                await self._shared.drop(token)

    async def _fetch(self) -> Held:
        try:
            self._held = await self._fetch_shared() if self._shared else await self._fetch_own()
        except DatabaseLost:
            # Nothing was sent; without the row another process's token might be ended.
            return Held(_refused("not_sent", retry=True), self._clock.now())
        return self._held

    async def _fetch_own(self) -> Held:
        answer, lifetime_s = await self._ask()
        return Held(answer, self._clock.now() + timedelta(seconds=lifetime_s))

    async def _fetch_shared(self) -> Held:
        """The row's token; else this process fetches, or waits for the one that does."""
        assert self._shared is not None
        lease_for = timedelta(seconds=self._conf.timeout_s) + LEASE_MARGIN
        for _ in range(max(1, int(lease_for / LOOK_EVERY))):
            if found := await self._shared.find():
                return Held(found.token, found.until)
            lease = await self._shared.lease(lease_for)
            if lease is not None:
                return await self._fetch_leased(self._shared, lease)
            await asyncio.sleep(LOOK_EVERY.total_seconds())
        return Held(_refused("not_sent", retry=True), self._clock.now())

    async def _fetch_leased(self, shared: TokenRow, lease: datetime) -> Held:
        held = await self._fetch_own()
        if isinstance(held.answer, str):
            await shared.keep(held.answer, held.until)
        else:
            await shared.give_up(lease)
        return held

    async def _ask(self) -> tuple[str | Rejected, int]:
        pair = f"{self._conf.consumer_key}:{self._conf.consumer_secret}".encode()
        try:
            answer = await self._http.request(
                "GET",
                self._conf.base_url + PATH,
                headers={"Authorization": "Basic " + base64.b64encode(pair).decode()},
                timeout_s=self._conf.timeout_s,
                rail="mpesa",
                operation="token",
            )
        except (HttpNotSent, HttpUnknown) as error:
            log.warning("mpesa token: no answer", reason=str(error))
            return _refused("not_sent", retry=True), REFUSAL_S
        return _read(answer)


def _read(answer: HttpAnswer) -> tuple[str | Rejected, int]:
    reply = read_reply(answer.status, answer.body)
    token = reply.fields.get("access_token")
    if answer.status == 200 and isinstance(token, str) and token.isascii() and token.isprintable():
        return token, max(_lifetime_s(reply.fields.get("expires_in")) - EARLY_S, REFUSAL_S)
    empty = answer.status == 400 and not answer.body.strip()
    if empty or reply.error_code in ("400.008.01", "400.008.02"):
        REFUSED.ring("mpesa token: the consumer key or secret is wrong", code=reply.error_code)
        return _refused("setup", retry=False), REFUSAL_S
    blocked = "incapsula" in reply.text.lower()
    REFUSED.ring(
        "mpesa token: blocked by the firewall" if blocked else "mpesa token: refused",
        status=answer.status,
        code=reply.error_code,
        text=clean(reply.text),
    )
    return _refused("blocked" if blocked else "token_refused", retry=True), REFUSAL_S


def _lifetime_s(value: object) -> int:
    """Seconds, as a text or a number: both are seen."""
    code = read_code(value)
    return int(code) if code and code.isdecimal() and len(code) <= 6 else FALLBACK_LIFETIME_S


def _refused(code: str, *, retry: bool) -> Rejected:
    return Rejected(code, WORDS[code], retry=retry)
