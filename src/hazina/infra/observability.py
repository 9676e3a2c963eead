"""Logs, metrics and the request id: how the house tells what it does without telling secrets.

Logs are structlog, JSON or console, redacted last; the standard library's logs take the same way.
Metrics live in one registry per process; ``/metrics`` shows the process that answers, or, where
``PROMETHEUS_MULTIPROC_DIR`` names a folder that they share, all processes of this machine. The
two middlewares are pure ASGI, so that they neither copy bodies nor break streaming.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from structlog.typing import EventDict, Processor, WrappedLogger

from hazina.infra.redaction import printable, redact
from hazina.infra.settings import Settings
from hazina.infra.tracing import SpanKind, span
from hazina.kernel.ids import new_id

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
HTTP_REQUESTS = Histogram(
    "hazina_http_request_seconds",
    "Requests answered, by route template and status.",
    ("method", "route", "status"),
    registry=REGISTRY,
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
JOBS = Counter(
    "hazina_jobs_total",
    "Attempts at jobs, by name and outcome: done, retried, held.",
    ("name", "outcome"),
    registry=REGISTRY,
)
SWEEPS = Counter(
    "hazina_sweeps_total", "Sweeps, by name and outcome.", ("name", "outcome"), registry=REGISTRY
)
RAIL_CALLS = Histogram(
    "hazina_rail_call_seconds",
    "Calls to the outside, by rail, operation and outcome: 2xx … 5xx, unknown, not_sent.",
    ("rail", "operation", "outcome"),
    registry=REGISTRY,
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
JOBS_HELD = Gauge(
    "hazina_jobs_held",
    "Jobs whose every attempt failed, waiting for a person.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


def render_metrics() -> bytes:
    """This will give what ``/metrics`` answers, as ``METRICS_TYPE``."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return generate_latest(together)


def request_id() -> str | None:
    """The id of the request being answered; None outside of one."""
    found = structlog.contextvars.get_contextvars().get("request_id")
    return None if found is None else str(found)


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The last processor before rendering: nothing secret passes it."""
    shown: EventDict = redact(event)
    return shown


def hide_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What somebody sent must neither steer the terminal that shows it nor look like a line of
    ours. JSON escapes by itself; a traceback keeps its lines."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = printable(value, keep="\n\t" if key in ("exception", "stack") else "")
    return event


def configure_logging(settings: Settings) -> None:
    """This will send all logs of the process, structlog's and the library's, one redacted way."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_json
        # Plain tracebacks: the fancy ones print local variables, secrets among them.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                hide_secrets,
                *([] if settings.log_json else [hide_controls]),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error", "pgqueuer", "alembic"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # Their lines quote URLs, where callback tokens live; our middleware logs route templates.
    for name in ("uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


class RequestIdMiddleware:
    """Gives each request an id, takes a well-formed one from ``X-Request-ID``, and answers it.
    A trace of the request knows that id, and its logs know the trace's."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = _given_id(scope) or new_id().hex
        scope.setdefault("state", {})["request_id"] = given

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                noted.note("http.response.status_code", message["status"])
                message.setdefault("headers", [])
                message["headers"] = [*message["headers"], (b"x-request-id", given.encode())]
            await send(message)

        structlog.contextvars.clear_contextvars()
        facts = {"http.request.method": scope["method"], "hazina.request_id": given}
        with (
            structlog.contextvars.bound_contextvars(request_id=given),
            span(scope["method"], SpanKind.SERVER, facts) as noted,
        ):
            await self._app(scope, receive, tagged)
            route = route_of(scope)
            noted.call(f"{scope['method']} {route}")
            noted.note("http.route", route)


class HttpMetricsMiddleware:
    """Counts and times answers by route template: a path holds ids and callback tokens."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        begun = time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = route_of(scope)
            HTTP_REQUESTS.labels(scope["method"], route, str(status)).observe(
                time.perf_counter() - begun
            )


def route_of(scope: Scope) -> str:
    """The route's template, with the prefix it was mounted under: a path holds ids and tokens."""
    template: str | None = getattr(scope.get("route"), "path", None)
    if template is None:
        return "unmatched"
    # The framework's template is the slice's own: what stands before it is a prefix, word for word.
    more = scope["path"].count("/") - template.count("/")
    return "/".join(scope["path"].split("/")[: more + 1]) + template if more > 0 else template


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text: str = value.decode("latin-1")
            return text if _REQUEST_ID.fullmatch(text) else None
    return None
