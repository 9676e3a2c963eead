"""One trace from a page through the worker to the rail, and nothing in it that is a secret."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence

import httpx
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from hazina.infra import tracing
from hazina.infra.worker import Worker
from tests.journeys.world import PASSWORD, World
from tests.web.conftest import Browser


class Collector(InMemorySpanExporter):
    """Keeps every span, and tells when a prompt has gone out."""

    def __init__(self) -> None:
        super().__init__()
        self.prompted = asyncio.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        found = super().export(spans)
        if any(one.name == "job deposit.advance" for one in spans):
            self.prompted.set()
        return found

    def named(self, name: str) -> ReadableSpan:
        found = [one for one in self.get_finished_spans() if one.name == name]
        assert found, [one.name for one in self.get_finished_spans()]
        return found[-1]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Traces are on, into memory."""
    made, provider = Collector(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    tracing.trace_with(provider)
    yield made
    tracing.trace_with(None)
    provider.shutdown()


async def worked_off(world: World, until: asyncio.Event) -> None:
    """The real worker, until a span says that the prompt went out."""
    stop = asyncio.Event()
    working = asyncio.create_task(Worker(world.house).run(stop))
    await asyncio.wait_for(until.wait(), 20)
    stop.set()
    await working


def ids(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


class TestATrace:
    async def test_leads_from_the_request_through_the_job_to_the_rail(
        self, world: World, collector: Collector
    ) -> None:
        person = await world.customer()
        answer = await person.post("/wallet/deposits", amount_kes="100")
        assert answer.status_code == 202
        await worked_off(world, collector.prompted)
        asked = collector.named("POST /api/v1/wallet/deposits")
        job = collector.named("job deposit.advance")
        call = collector.named("mpesa collect")
        assert (asked.kind, call.kind) == (SpanKind.SERVER, SpanKind.CLIENT)
        assert ids(asked)[0] == ids(job)[0] == ids(call)[0]
        assert job.parent is not None
        assert job.parent.span_id == ids(asked)[1]
        assert call.parent is not None
        assert call.parent.span_id == ids(job)[1]
        assert asked.attributes is not None
        assert asked.attributes["hazina.request_id"] == answer.headers["x-request-id"]
        assert asked.attributes["http.response.status_code"] == 202

    async def test_begins_at_a_page_as_well_and_holds_no_secret(
        self, world: World, collector: Collector
    ) -> None:
        person = await world.customer()
        async with httpx.AsyncClient(base_url=world.wallet) as http:
            browser = Browser(http)
            signed = {"username": person.username, "password": PASSWORD}
            assert (await browser.send("/login", signed)).status_code == 303
            review = await browser.send("/deposits/review", {"amount": "150"}, page="/deposits/new")
            token = review.text.split('name="csrf" value="', 1)[1].split('"', 1)[0]
            sent = await http.post("/deposits", data={"csrf": token, "amount": "150"})
            assert sent.status_code == 303
        await worked_off(world, collector.prompted)
        assert (
            ids(collector.named("POST /deposits"))[0]
            == ids(collector.named("job deposit.advance"))[0]
        )
        await world.answer_prompt(person.phone)
        await world.settle()
        called_back = collector.named("POST /hooks/{token}/{letter}")
        assert ids(called_back)[0] == ids(collector.named("job mpesa.callback"))[0]
        tokens = await world.house.db.fetch("SELECT external_id FROM infra.inbox")
        told = "\n".join(one.to_json() for one in collector.get_finished_spans())
        settings = world.house.settings
        for secret in (
            person.phone,
            person.token,
            PASSWORD,
            settings.mpesa_passkey.get_secret_value(),
            settings.mpesa_consumer_secret.get_secret_value(),
            *(row["external_id"].partition(":")[0] for row in tokens),
        ):
            assert secret not in told

    async def test_is_named_in_the_logs_beside_the_request(
        self, world: World, collector: Collector
    ) -> None:
        with tracing.span("outer", tracing.SpanKind.SERVER):
            bound = structlog.contextvars.get_contextvars()
        assert bound["trace_id"] == f"{ids(collector.named('outer'))[0]:032x}"
        assert "trace_id" not in structlog.contextvars.get_contextvars()

    async def test_is_not_continued_from_what_a_stranger_sends(
        self, world: World, collector: Collector
    ) -> None:
        theirs = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
        async with httpx.AsyncClient(base_url=world.wallet, headers=theirs) as http:
            await http.get("/healthz")
        asked = collector.named("GET /healthz")
        assert asked.parent is None
        assert ids(asked)[0] != int("ab" * 16, 16)


def test_while_off_nothing_is_loaded_for_it() -> None:
    code = (
        "import sys, hazina.bootstrap.serving\n"
        "from hazina.infra.settings import Settings\n"
        "from hazina.infra.tracing import SpanKind, carried, configure_tracing, span\n"
        "configure_tracing(Settings(), 'web')\n"
        "with span('x', SpanKind.SERVER): assert carried() is None\n"
        "assert 'opentelemetry.sdk.trace' not in sys.modules\n"
        "assert 'opentelemetry.exporter' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
