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
    """From nothing at all, as on the first day."""
    return start("--port", str(free_port)).wait_started()


@pytest.fixture
def later_house(house_data: Path, start: Start, free_port: int) -> Up:
    assert house_data.exists()
    return start("--port", str(free_port)).wait_started()


@linux_only
class TestUp:
    """Stories, since each first start costs seconds: what one leaves, the next goes on from."""

    def test_it_starts_everything_heals_itself_and_sigterm_stops_everything(
        self, house: Up, start: Start
    ) -> None:
        assert house.is_ready()
        for address in house.ports.values():
            assert f"http://127.0.0.1:{address}" in house.said
        assert len(children_of(house.process.pid)) == 6  # web, console, worker, 2 sims, postgres

        a_second_one_says_where_the_first_is(house, start())
        for name in ("worker", "web", "daraja"):
            a_killed_process_comes_back(house, name)
        wait_until("the wallet answers again", house.is_ready, deadline_s=60)
        a_killed_postgresql_comes_back(house)

        pids = children_of(house.process.pid)
        assert house.end(signal.SIGTERM) == 0
        assert all(is_gone(pid)() for pid in pids)
        assert nothing_is_left(house.data_dir)

    def test_after_any_death_the_next_up_goes_on_and_ctrl_c_stops_it_too(
        self, later_house: Up, start: Start
    ) -> None:
        ports, children = later_house.ports, children_of(later_house.process.pid)
        later_house.process.kill()
        later_house.process.wait(60)
        second = start().wait_started()
        assert second.ports == ports
        assert all(is_gone(pid)() for pid in children)
        assert second.is_ready()

        second.kill_everything()
        third = start().wait_started()
        assert third.is_ready()

        assert third.end(signal.SIGINT) == 0
        assert "everything is stopped" in third.said
        assert nothing_is_left(third.data_dir)


def a_second_one_says_where_the_first_is(house: Up, second: Up) -> None:
    assert second.process.wait(60) == 1
    assert f"already running on {house.data_dir}, pid {house.process.pid}" in second.said
    assert f"http://127.0.0.1:{house.ports['wallet']}" in second.said
    assert house.is_ready()


def a_killed_process_comes_back(house: Up, name: str) -> None:
    before = house.child(name)
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_until(f"{name} is back", lambda: house.child(name) not in (None, before))
    assert f"{name} was ended by SIGKILL; starting it again" in house.said


def a_killed_postgresql_comes_back(house: Up) -> None:
    web, before = house.child("web"), house.postmaster
    os.kill(before, signal.SIGKILL)
    wait_until("PostgreSQL is back", lambda: "PostgreSQL is back" in house.said)
    wait_until("the wallet is ready again", house.is_ready, deadline_s=60)
    assert house.postmaster != before
    assert house.child("web") == web


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
