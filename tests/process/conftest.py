"""Data directories for real processes: outside pytest's own folder, whose path is too long for a
socket and closed to the user that root runs PostgreSQL as."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hazina.bootstrap.embedded import EmbeddedPostgres


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that others may pass through, as a home directory usually is."""
    folder = Path(tempfile.mkdtemp(prefix="hz-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data_dir(room: Path) -> Path:
    return room / "data"


@pytest.fixture
def server(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    """A running server of the test's own."""
    postgres = EmbeddedPostgres(data_dir)
    postgres.start()
    yield postgres
    postgres.discard()


@pytest.fixture
def free_port() -> int:
    """The first of four free ports in a row, away from the default ones."""
    for first in range(20_000 + os.getpid() % 500 * 24, 32_000, 4):
        try:
            for port in range(first, first + 4):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no four free ports")
