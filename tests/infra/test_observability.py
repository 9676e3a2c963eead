"""Logs say what happened and never a secret; metrics say it without ids."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI

from hazina.infra.observability import (
    REGISTRY,
    HttpMetricsMiddleware,
    RequestIdMiddleware,
    configure_logging,
    render_metrics,
    request_id,
)
from hazina.infra.redaction import redact, redact_text
from hazina.infra.settings import Settings
from hazina.kernel.ids import new_id


class TestRedaction:
    @pytest.mark.parametrize(
        "key",
        [
            *("password", "new_password", "Authorization", "access_token", "consumer_secret"),
            *("pin", "user_pin", "PIN", "otp", "passkey", "SecurityCredential", "phone_number"),
            *("MSISDN", "cookie", "Set-Cookie", "apikey", "PartyA", "party_b", "private_key"),
        ],
    )
    def test_values_of_secret_names_are_hidden(self, key: str) -> None:
        assert redact({key: "x", "deep": [{key: "x"}]}) == {
            key: "[hidden]",
            "deep": [{key: "[hidden]"}],
        }

    @pytest.mark.parametrize("key", ["shipping", "opinion", "spinning", "amount", "key", "id"])
    def test_other_names_stay_readable(self, key: str) -> None:
        assert redact({key: "x"}) == {key: "x"}

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("paid to 254712345678 now", "paid to [phone] now"),
            ("+254112345678, 0712345678", "[phone], [phone]"),
            ("demo-01a1fa5d0129772693ba720eb", "demo-01a1fa5d0129772693ba720eb"),
            ("Bearer abcdefghijkl", "Bearer [hidden]"),
            ("eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl", "[token]"),
            ("postgresql://hazina:s3cret@db/x", "postgresql://hazina:[hidden]@db/x"),
            ("receipt SKA1234567 of 1254712345678901", "receipt SKA1234567 of 1254712345678901"),
        ],
    )
    def test_secrets_are_hidden_by_their_look(self, text: str, shown: str) -> None:
        assert redact_text(text) == shown

    def test_bytes_are_counted_not_shown(self) -> None:
        assert redact({"body": b"secret"}) == {"body": "[6 bytes]"}


@pytest.fixture
def lines() -> Iterator[Any]:
    """Logs in JSON as the house writes them, parsed line by line."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    with redirect_stderr(stream):
        configure_logging(Settings(log_json=True))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], root.level = before, level
    structlog.reset_defaults()


class TestLogs:
    def test_structlog_and_the_library_go_one_redacted_way(self, lines: Any) -> None:
        structlog.stdlib.get_logger("a").info("signed in", password="hunter2", username="demo")
        logging.getLogger("b").warning("number %s", "254712345678")
        ours, theirs = lines()
        assert (ours["event"], ours["password"], ours["username"]) == (
            "signed in",
            "[hidden]",
            "demo",
        )
        assert (theirs["event"], theirs["level"]) == ("number [phone]", "warning")

    def test_a_traceback_shows_no_secret_and_no_local_variable(self, lines: Any) -> None:
        hidden_local = "s3cr3t-local"
        try:
            raise ValueError("call 0712345678")
        except ValueError:
            structlog.stdlib.get_logger("a").exception("failed")
        (line,) = lines()
        assert "call [phone]" in line["exception"]
        assert hidden_local not in json.dumps(line).replace('hidden_local = "s3cr3t-local"', "")


class TestMiddleware:
    @pytest.fixture
    def client(self) -> httpx.AsyncClient:
        app = FastAPI()

        @app.get("/things/{thing}")
        async def thing(thing: str) -> dict[str, str | None]:
            return {"id": request_id()}

        wrapped: Any = RequestIdMiddleware(HttpMetricsMiddleware(app))  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app=wrapped)
        return httpx.AsyncClient(transport=transport, base_url="http://test")

    async def test_a_request_has_an_id_inside_and_in_its_answer(
        self, client: httpx.AsyncClient
    ) -> None:
        answer = await client.get("/things/1")
        assert answer.headers["x-request-id"] == answer.json()["id"]
        assert request_id() is None

    async def test_a_callers_id_is_taken_when_it_is_well_formed(
        self, client: httpx.AsyncClient
    ) -> None:
        given = new_id().hex
        answer = await client.get("/things/1", headers={"X-Request-ID": given})
        assert answer.headers["x-request-id"] == given
        for bad in ("short", "a" * 65, "with space in it", 'quote"quote"'):
            answer = await client.get("/things/1", headers={"X-Request-ID": bad})
            assert answer.headers["x-request-id"] != bad

    async def test_requests_are_counted_by_template_not_by_path(
        self, client: httpx.AsyncClient
    ) -> None:
        secret = new_id().hex
        await client.get(f"/things/{secret}")
        await client.get(f"/nothing/{secret}")
        labels = {"method": "GET", "route": "/things/{thing}", "status": "200"}
        counted = REGISTRY.get_sample_value("hazina_http_request_seconds_count", labels)
        assert counted is not None
        assert b'route="unmatched"' in render_metrics()
        assert secret.encode() not in render_metrics()
