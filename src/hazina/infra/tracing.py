"""Traces: one id from a request through the jobs it queued to the calls they make to the outside.

Off unless a collector is named, by ``HAZINA_OTLP_ENDPOINT`` or OpenTelemetry's own variables. While
off nothing is imported for it (FastAPI brings OpenTelemetry's names, not its SDK), and a span costs
one look at a name. This is the only file that knows it.

**Invariants:** a span holds route templates, names of jobs and rails, statuses and ids of requests;
never a path, a body, a header, an exception's words or anything of a person. A trace is never
continued from what a stranger sends, and none is told to whom we call.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from enum import Enum
from typing import TYPE_CHECKING

import structlog

from hazina.infra.settings import Settings

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

Attributes = Mapping[str, str | int]
# Where the standard says that a collector is named.
NAMED_BY = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_TRACES = "/v1/traces"
# FastAPI's own spans and logs would quote paths, with callback tokens in them, and exceptions'
# words, as soon as a variable of the environment says so. They stay off.
FRAMEWORKS_OWN: "TelemetryConfig" = {
    "tracing": False, "metrics": False, "logs": False, "operation_spans": False,
    "auto_configure": False,
}  # fmt: skip

_tracer: "Tracer | None" = None


class SpanKind(Enum):
    """Which side of a call a span is."""

    SERVER = "server"  # somebody asks us
    CONSUMER = "consumer"  # a job that was queued earlier
    CLIENT = "client"  # we ask somebody
    INTERNAL = "internal"  # nobody asked: a sweep


class Noted:
    """What the code under a span may say about it; says nothing while traces are off."""

    def __init__(self, span: "Span | None" = None) -> None:
        self._span = span

    def call(self, name: str) -> None:
        """This will rename the span, once its route is known."""
        if self._span is not None:
            self._span.update_name(name)

    def note(self, name: str, value: str | int) -> None:
        if self._span is not None:
            self._span.set_attribute(name, value)

    def fail(self, why: str) -> None:
        """This will mark it as gone wrong; ``why`` is a class's name, not an exception's words."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, why))


_SILENT = Noted()


def configure_tracing(settings: Settings, process: str) -> None:
    """This will send traces of this process to the collector that is named, if one is."""
    endpoint = settings.otlp_endpoint
    if not endpoint and not any(os.environ.get(name) for name in NAMED_BY):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    where = f"{endpoint.rstrip('/').removesuffix(_TRACES)}{_TRACES}" if endpoint else None
    resource = Resource.create({"service.name": "hazina", "service.instance.id": process})
    provider = TracerProvider(resource=resource)  # flushed when the process ends
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=where)))
    trace_with(provider)


def trace_with(provider: "TracerProvider | None") -> None:
    """This will make every span from now on with ``provider``; None: no more traces."""
    global _tracer
    _tracer = None if provider is None else provider.get_tracer("hazina")


def span(
    name: str,
    kind: SpanKind,
    attributes: Attributes | None = None,
    *,
    parent: str | None = None,
) -> AbstractContextManager[Noted]:
    """This will time what is under it. ``parent`` is what ``carried`` gave when it was queued; else
    the span goes on from the one around it. Logs under it carry ``trace_id``."""
    if _tracer is None:
        return nullcontext(_SILENT)
    return _spanning(_tracer, name, kind, attributes or {}, parent)


def carried() -> str | None:
    """What a job must keep to go on with this trace: a W3C ``traceparent``; None without one."""
    if _tracer is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def _spanning(
    tracer: "Tracer", name: str, kind: SpanKind, attributes: Attributes, parent: str | None
) -> Iterator[Noted]:
    from opentelemetry.trace import SpanKind as Kind

    with tracer.start_as_current_span(
        name,
        context=_context(kind, parent),
        kind=Kind[kind.name],
        attributes=dict(attributes),
        record_exception=False,  # its words may quote a number or a name
        set_status_on_exception=False,
    ) as made:
        noted = Noted(made)
        told = f"{made.get_span_context().trace_id:032x}"
        with structlog.contextvars.bound_contextvars(trace_id=told):
            try:
                yield noted
            except BaseException as error:
                noted.fail(type(error).__name__)
                raise


def _context(kind: SpanKind, parent: str | None) -> "Context | None":
    """None: whatever is current. What comes from outside, or from a queue, begins anew instead."""
    if parent is None and kind is SpanKind.CLIENT:
        return None
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    if parent is None:
        return Context()
    return TraceContextTextMapPropagator().extract({"traceparent": parent}, Context())
