"""What somebody sends never steers a terminal and never looks like a line of the house's own."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from hazina.infra.observability import configure_logging
from hazina.infra.settings import Settings

FORGED = "x\n2026-11-20T09:00:00Z [info] paid\r\x1b[2J\x9b31m\u202e\u2028"


@pytest.fixture
def shown() -> Iterator[io.StringIO]:
    """The terminal; logging is put back afterwards."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


def write(shown: io.StringIO, *, as_json: bool) -> list[str]:
    configure_logging(Settings(log_json=as_json))
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(shown)
    log = structlog.stdlib.get_logger("test")
    log.warning("a service was refused", claimed=FORGED, nested={"agent": FORGED})
    log.warning(FORGED)
    logging.getLogger("library").warning("said %s", FORGED)
    return shown.getvalue().split("\n")[:-1]


@pytest.mark.parametrize("as_json", [True, False])
def test_every_record_is_one_line_that_shows_what_was_sent(
    shown: io.StringIO, *, as_json: bool
) -> None:
    lines = write(shown, as_json=as_json)
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
    if as_json:
        assert json.loads(lines[0])["claimed"] == FORGED


def test_a_traceback_keeps_its_lines_and_nothing_else(shown: io.StringIO) -> None:
    write(shown, as_json=False)
    try:
        raise ValueError(FORGED)
    except ValueError:
        structlog.stdlib.get_logger("test").exception("a bug")
    added = shown.getvalue().split("a bug", 1)[1]
    assert "Traceback" in added
    assert all(mark.isprintable() or mark == "\n" for mark in added)
