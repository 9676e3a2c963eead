"""Data directories for real processes: outside pytest's own folder, whose path is too long for a
socket and closed to the user that root runs PostgreSQL as."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.migrate import upgrade


@contextmanager
def passable() -> Iterator[Path]:
    """A folder that others may pass through, as a home directory usually is."""
    folder = Path(tempfile.mkdtemp(prefix="hz-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def room() -> Iterator[Path]:
    with passable() as folder:
        yield folder


@pytest.fixture
def data_dir(room: Path) -> Path:
    """Where a house would make its data; nothing is there yet."""
    return room / "data"


@pytest.fixture(scope="session")
def made_once() -> Iterator[dict[str, Path]]:
    """Stopped data to copy, since making them takes seconds: ``empty``, and ``migrated``."""
    with passable() as folder:
        found = {name: folder / name for name in ("empty", "migrated")}
        empty = EmbeddedPostgres(found["empty"])
        empty.start()
        empty.stop()
        copy(found["empty"], found["migrated"])
        migrated = EmbeddedPostgres(found["migrated"])
        asyncio.run(upgrade(migrated.start().owner))
        migrated.stop()
        yield found
        for path in found.values():
            EmbeddedPostgres(path).discard()


def copy(data: Path, to: Path) -> None:
    """With owners and modes, which PostgreSQL looks at;"""
    subprocess.run(["cp", "-a", data, to], check=True)


@pytest.fixture
def server(data_dir: Path, made_once: dict[str, Path]) -> Iterator[EmbeddedPostgres]:
    """A running server of the test's own, with nothing in it."""
    copy(made_once["empty"], data_dir)
    postgres = EmbeddedPostgres(data_dir)
    postgres.start()
    yield postgres
    postgres.discard()


@pytest.fixture
def house_data(data_dir: Path, made_once: dict[str, Path]) -> Path:
    """Data with a migrated database, on which a house starts sooner."""
    copy(made_once["migrated"], data_dir)
    return data_dir


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
