"""Logs say what happened and never a secret; metrics say it without ids."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr
from typing import Any

import pytest
import structlog

from hazina.infra.observability import configure_logging
from hazina.infra.redaction import redact, redact_text
from hazina.infra.settings import Settings


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
