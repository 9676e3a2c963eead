"""Every no, as JSON and as a page; and the headers around every answer."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from hazina.desk.webkit.security import CONTENT_SECURITY_POLICY
from hazina.kernel.errors import Kind
from tests.web.conftest import SECRET, Browser

STATUS = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.INSUFFICIENT: 409,
    Kind.LIMITED: 429,
    Kind.UNAVAILABLE: 503,
}


class TestEnvelope:
    @pytest.mark.parametrize("kind", Kind)
    async def test_each_kind_has_its_status_and_the_whole_envelope(
        self, wallet: Browser, kind: Kind
    ) -> None:
        answer = await wallet.http.get(f"/api/v1/sample/refuse/{kind}")
        assert answer.status_code == STATUS[kind]
        error = answer.json()["error"]
        assert error == {
            "code": "sample_refused",
            "message": "No.",
            "action": "Ask otherwise.",
            "details": {"retry_after_s": 7},
            "timestamp": "2026-11-20T09:00:00.000Z",
            "request_id": answer.headers["x-request-id"],
        }

    async def test_too_often_says_when_to_come_back(self, wallet: Browser) -> None:
        answer = await wallet.http.get("/api/v1/sample/refuse/limited")
        assert answer.headers["retry-after"] == "7"

    async def test_an_unknown_person_is_told_how_to_say_who_they_are(self, wallet: Browser) -> None:
        answer = await wallet.http.get("/api/v1/sample/refuse/unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"

    async def test_fields_are_named_and_nothing_sent_is_echoed(self, wallet: Browser) -> None:
        body = {"password": [SECRET], "count": SECRET}
        answer = await wallet.http.post("/api/v1/sample/body", json=body)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["code"] == "invalid_request"
        assert {one["field"] for one in error["details"]["fields"]} == {"password", "count"}
        assert SECRET not in answer.text

    @pytest.mark.parametrize("body", [b"{", b"", b"[1]", b"\xff\xfe", b'{"count":1e999}'])
    async def test_a_body_that_is_no_json_is_a_plain_no(self, wallet: Browser, body: bytes) -> None:
        answer = await wallet.http.post(
            "/api/v1/sample/body", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "invalid_request"

    async def test_a_body_beyond_the_limit_is_not_read(self, wallet: Browser) -> None:
        answer = await wallet.http.post("/api/v1/sample/body", json={"password": "x" * 1_100_000})
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "body_too_large"

    async def test_a_body_of_unannounced_length_is_counted(self, wallet: Browser) -> None:
        async def endless() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield b" " * 65_536

        answer = await wallet.http.post(
            "/api/v1/sample/body",
            content=endless(),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "body_too_large"

    async def test_unknown_paths_and_methods(self, wallet: Browser) -> None:
        missing = await wallet.http.get("/api/v1/nothing")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
        wrong = await wallet.http.delete("/api/v1/sample/body")
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
        assert wrong.headers["allow"] == "POST"

    async def test_a_callback_is_answered_as_json(self, wallet: Browser) -> None:
        answer = await wallet.http.post("/hooks/sample")
        assert answer.json()["error"]["code"] == "sample_refused"

    async def test_a_bug_leaks_nothing_and_names_its_reference(
        self, wallet: Browser, logged: list[Any]
    ) -> None:
        answer = await wallet.http.get("/api/v1/sample/bug")
        assert answer.status_code == 500
        error = answer.json()["error"]
        assert error["code"] == "internal_error"
        assert error["request_id"] == answer.headers["x-request-id"]
        assert SECRET not in answer.text
        assert "Traceback" not in answer.text
        entry = next(one for one in logged if one["event"] == "a request ended in a bug")
        assert entry["exc_info"]
        assert entry["path"].endswith("/sample/bug")


class TestPages:
    @pytest.mark.parametrize("kind", Kind)
    async def test_a_refused_page_says_cause_and_next_step(
        self, wallet: Browser, kind: Kind
    ) -> None:
        answer = await wallet.http.get(f"/sample/refuse/{kind}")
        assert answer.status_code == STATUS[kind]
        assert answer.headers["content-type"].startswith("text/html")
        for words in ("No.", "Ask otherwise.", "sample_refused", 'href="/"'):
            assert words in answer.text

    async def test_a_page_that_is_not_there(self, wallet: Browser) -> None:
        answer = await wallet.http.get("/<script>alert(1)</script>")
        assert answer.status_code == 404
        assert "<script>alert" not in answer.text

    async def test_a_broken_page_says_that_it_is_ours(self, wallet: Browser) -> None:
        answer = await wallet.http.get("/sample/bug")
        assert answer.status_code == 500
        assert "Something broke on our side" in answer.text
        assert answer.headers["x-request-id"] in answer.text
        assert SECRET not in answer.text


class TestHeaders:
    @pytest.mark.parametrize(
        "path",
        [
            "/",
            "/login",
            "/nothing",
            "/sample/bug",
            "/sample/mine",
            "/docs",
            "/healthz",
            "/metrics",
            "/openapi.json",
            "/api/v1/nothing",
            "/api/v1/sample/bug",
        ],
    )
    async def test_every_answer_carries_them(self, wallet: Browser, path: str) -> None:
        headers = (await wallet.http.get(path)).headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "strict-transport-security" not in headers

    def test_the_policy_allows_nothing_inline_and_nobody_else(self) -> None:
        assert "unsafe" not in CONTENT_SECURITY_POLICY
        assert "http" not in CONTENT_SECURITY_POLICY
        assert "default-src 'none'" in CONTENT_SECURITY_POLICY
        assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY

    async def test_figures_are_not_for_the_public(self, wallet: Browser) -> None:
        assert (await wallet.http.get("/metrics")).status_code == 200
        public = await wallet.http.get("/metrics", headers={"x-forwarded-for": "198.51.100.7"})
        assert public.status_code == 404
