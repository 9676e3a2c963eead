"""`hazina up` as a person runs it: start, look, stop, kill, start again."""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hazina.bootstrap.lifeline import FileLock
from tests.process.running import Up, children_of, is_gone
from tests.process.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def nothing_is_left(data_dir: Path) -> bool:
    """Neither a child of the house nor a process of its PostgreSQL."""
    place = json.loads((data_dir / "database.json").read_text())["place"]
    for path in (data_dir / "house.lock", data_dir / place / "server.lock"):
        lock = FileLock(path)
        if not lock.try_acquire():
            return False
        lock.release()
    return True


Start = Callable[..., Up]


@pytest.fixture
def start(data_dir: Path) -> Iterator[Start]:
    """Starts houses on the test's data; whatever still runs at the end is stopped."""
    started: list[Up] = []

    def one(*options: str) -> Up:
        started.append(Up(data_dir, *options))
        return started[-1]

    yield one
    for up in started:
        if up.process.poll() is None:
            up.end()


@pytest.fixture
def house(start: Start, free_port: int) -> Up:
    return start("--port", str(free_port)).wait_started()


@linux_only
class TestUp:
    def test_it_starts_everything_and_sigterm_stops_everything_within_seconds(
        self, house: Up
    ) -> None:
        assert house.is_ready()
        for address in house.ports.values():
            assert f"http://127.0.0.1:{address}" in house.said
        pids = children_of(house.process.pid)
        assert len(pids) == 6  # web, console, worker, daraja, sms, postgres
        assert house.end(signal.SIGTERM) == 0
        assert all(is_gone(pid)() for pid in pids)
        assert nothing_is_left(house.data_dir)

    def test_ctrl_c_stops_it_too(self, house: Up) -> None:
        assert house.end(signal.SIGINT) == 0
        assert "everything is stopped" in house.said
        assert nothing_is_left(house.data_dir)

    def test_a_second_one_on_the_same_data_says_where_the_first_is(
        self, house: Up, start: Start
    ) -> None:
        second = start()
        assert second.process.wait(60) == 1
        assert f"already running on {house.data_dir}, pid {house.process.pid}" in second.said
        assert f"http://127.0.0.1:{house.ports['wallet']}" in second.said
        assert house.is_ready()

    def test_a_killed_process_comes_back_and_a_line_says_so(self, house: Up) -> None:
        for name in ("worker", "web", "daraja"):
            before = house.child(name)
            assert before is not None
            os.kill(before, signal.SIGKILL)
            wait_until(
                f"{name} is back",
                lambda name=name, before=before: house.child(name) not in (None, before),
            )
            assert f"{name} was ended by SIGKILL; starting it again" in house.said
        wait_until("the wallet answers again", house.is_ready, deadline_s=60)

    def test_a_killed_postgresql_comes_back_and_the_others_reconnect(self, house: Up) -> None:
        web, before = house.child("web"), house.postmaster
        os.kill(before, signal.SIGKILL)
        wait_until("PostgreSQL is back", lambda: "PostgreSQL is back" in house.said)
        wait_until("the wallet is ready again", house.is_ready, deadline_s=60)
        assert house.postmaster != before
        assert house.child("web") == web

    def test_after_a_killed_supervisor_the_next_up_goes_on_at_the_same_addresses(
        self, house: Up, start: Start
    ) -> None:
        ports, children = house.ports, children_of(house.process.pid)
        house.process.kill()
        house.process.wait(60)
        following = start().wait_started()
        assert following.ports == ports
        assert all(is_gone(pid)() for pid in children)
        assert following.is_ready()
        assert following.end() == 0

    def test_after_everything_was_killed_the_next_up_goes_on(self, house: Up, start: Start) -> None:
        house.kill_everything()
        following = start().wait_started()
        assert following.is_ready()
        assert following.end() == 0
        assert nothing_is_left(house.data_dir)


class TestPorts:
    def test_a_port_that_was_asked_for_and_is_taken_is_an_error(
        self, data_dir: Path, free_port: int, start: Start
    ) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", free_port + 1))
            taken.listen()
            up = start("--port", str(free_port))
            assert up.process.wait(60) == 1
        assert f"port {free_port + 1} is taken" in up.said
        assert nothing_was_started(data_dir)


def nothing_was_started(data_dir: Path) -> bool:
    return not (data_dir / "postgres").exists()
