"""The one HTTP client. It tells what is known to have been sent from what is not.

``HttpNotSent`` is positive: no byte of the request can have left. Everything else that is not an
answer is ``HttpUnknown``: timeouts, lost connections, answers too large or cut short. Nothing is
retried, no redirect followed, no cookie kept, no proxy taken from the environment, and neither
bodies nor headers are logged. Calls inside a database transaction are a bug.
"""

import asyncio
import importlib.util
import json as jsonlib
import ssl
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from hazina.infra import points
from hazina.infra.db import in_transaction
from hazina.infra.observability import RAIL_CALLS
from hazina.infra.points import Phase
from hazina.infra.settings import Mode
from hazina.infra.tracing import SpanKind, span

# The client's library looks for this at a dozen places of every call. Where it is not installed
# that is a walk through all of Python's folders each time, unless the answer is known.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

MAX_ANSWER = 1024 * 1024
CONNECT_S = 10
# Shorter than servers keep idle connections: a request on one that just closed is Unknown.
KEEPALIVE_S = 5
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class HttpNotSent(Exception):
    """Nothing was sent: no name, no route, no connection. The act has not happened."""


class HttpUnknown(Exception):
    """The request may have been received and acted on."""


class InsecureAddress(ValueError):
    """An address that is not https, outside of development on loopback: a mistake in settings."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. Header names are in lower case; content never shows in a repr."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> object:
        """Raises: ValueError when the body is not JSON."""
        return jsonlib.loads(self.body)


class Http:
    """One pooled client per process, made on the first call."""

    def __init__(self, mode: Mode, *, max_answer: int = MAX_ANSWER) -> None:
        self._loopback_http = mode is Mode.DEVELOPMENT
        self._max_answer = max_answer
        self._client: httpx.AsyncClient | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        json: object = None,
        timeout_s: float,
        rail: str = "",
        operation: str = "",
        at: str = "",
    ) -> HttpAnswer:
        """This will send one request once and give the answer, whatever its status.

        ``timeout_s`` bounds all of it. ``rail`` and ``operation`` name the call in the metrics.
        ``at`` is the address to connect to instead of asking for the host's name again.
        Raises: HttpNotSent, HttpUnknown, InsecureAddress.
        """
        if in_transaction.get():
            raise AssertionError("no network inside a transaction")
        self._check(url)
        told, extensions = dict(headers or {}), {}
        if at:
            host = urlsplit(url).hostname or ""
            # The certificate must be the name's; the connection is of no use to anybody else.
            told |= {"host": urlsplit(url).netloc.rpartition("@")[2], "connection": "close"}
            extensions = {"sni_hostname": host}
        begun = time.perf_counter()
        outcome, whom = "unknown", rail or urlsplit(url).hostname or "-"
        request = self._open().build_request(
            method,
            httpx.URL(url).copy_with(host=at) if at else url,
            headers=told,
            extensions=extensions,
            content=content,
            json=json,
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
        )
        facts = {"http.request.method": method, "hazina.rail": whom, "hazina.operation": operation}
        point = f"call.{rail}.{operation}"
        points.reach(Phase.BEFORE, point)
        with span(f"{whom} {operation}".strip(), SpanKind.CLIENT, facts) as noted:
            try:
                answer = await self._exchange(request, timeout_s)
                outcome = f"{answer.status // 100}xx"
                points.reach(Phase.AFTER, point)
                noted.note("http.response.status_code", answer.status)
                return answer
            except HttpNotSent:
                outcome = "not_sent"
                raise
            finally:
                noted.note("hazina.outcome", outcome)
                RAIL_CALLS.labels(whom, operation or "-", outcome).observe(
                    time.perf_counter() - begun
                )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _exchange(self, request: httpx.Request, timeout_s: float) -> HttpAnswer:
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._open().send(request, stream=True)
                try:
                    body = await self._read(response)
                finally:
                    await response.aclose()
        except NOT_SENT as error:
            raise HttpNotSent(_reason(error)) from None
        except TimeoutError:
            raise HttpUnknown("no complete answer in time") from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise HttpUnknown(_reason(error)) from None
        return HttpAnswer(response.status_code, dict(response.headers), body)

    async def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > self._max_answer:
                raise HttpUnknown(f"the answer is larger than {self._max_answer} bytes")
        return bytes(body)

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            return
        if self._loopback_http and parts.scheme == "http" and _is_loopback(parts.hostname):
            return
        raise InsecureAddress(f"only https addresses are called, not {parts.scheme}://…")

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                follow_redirects=False,
                trust_env=False,
                verify=_trusted(),
                # Uncompressed: what is counted against the cap is what was sent.
                headers={"accept-encoding": "identity", "user-agent": "hazina"},
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                limits=httpx.Limits(max_connections=100, keepalive_expiry=KEEPALIVE_S),
            )
        return self._client


@cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are believed: reading them takes as long as a hundred calls."""
    return httpx.create_ssl_context(trust_env=False)


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
