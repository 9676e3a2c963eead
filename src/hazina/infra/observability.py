"""Logs, metrics and the request id: how the house tells what it does without telling secrets.

Logs are structlog, JSON or console, redacted last; the standard library's logs take the same way.
Metrics live in one registry per process; ``/metrics`` shows the process that answers, or, where
``PROMETHEUS_MULTIPROC_DIR`` names a folder that they share, all processes of this machine.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping
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
_timed: dict[tuple[str, str, int], Histogram] = {}  # one look instead of making the labels anew


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


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """This will count and time one answer; ``route`` is a template, since a path holds ids."""
    key = (method, route, status)
    timed = _timed.get(key)
    if timed is None:
        timed = _timed[key] = HTTP_REQUESTS.labels(method, route, str(status))
    timed.observe(seconds)


def route_of(scope: Mapping[str, Any]) -> str:
    """The route's template, with the prefix it was mounted under: a path holds ids and tokens."""
    template: str | None = getattr(scope.get("route"), "path", None)
    if template is None:
        return "unmatched"
    # The framework's template is the slice's own: what stands before it is a prefix, word for word.
    more = scope["path"].count("/") - template.count("/")
    return "/".join(scope["path"].split("/")[: more + 1]) + template if more > 0 else template


def given_id(heads: Mapping[bytes, bytes]) -> str | None:
    """The caller's own id of a request, where it is well-formed."""
    text = heads.get(b"x-request-id", b"").decode("latin-1")
    return text if _REQUEST_ID.fullmatch(text) else None
