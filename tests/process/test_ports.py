"""Which ports a house takes: the same as last time while it can, free ones when it cannot."""

import socket
from pathlib import Path

import pytest

from hazina.bootstrap import ports
from hazina.bootstrap.ports import Ports, PortTaken


def _hold(port: int = 0) -> socket.socket:
    held = socket.socket()
    held.bind((ports.LOOPBACK, port))
    held.listen()
    return held


@pytest.fixture
def first(tmp_path: Path) -> Ports:
    """Three ports that a first start took, remembered in tmp_path; nobody holds them now."""
    with _hold(ports.DEFAULT_PORT) if ports.is_free(ports.DEFAULT_PORT) else socket.socket():
        chosen, said = ports.choose(tmp_path, None)
    assert said is not None  # the default port was taken, by us or by somebody
    return chosen


class TestPortsOfAHouse:
    def test_taken_default_ports_give_way_to_free_ones(self, first: Ports) -> None:
        assert ports.DEFAULT_PORT not in first.all
        assert len(set(first.all)) == ports.COUNT
        assert all(ports.is_free(port) for port in first.all)

    def test_the_next_start_takes_the_same(self, tmp_path: Path, first: Ports) -> None:
        assert ports.remembered(tmp_path) == first
        assert ports.choose(tmp_path, None) == (first, None)

    def test_a_taken_one_moves_all_three_and_says_so(self, tmp_path: Path, first: Ports) -> None:
        with _hold(first.console):
            moved, said = ports.choose(tmp_path, None)
        assert not set(moved.all) & {first.console}
        assert said is not None
        assert said.startswith(f"port {first.console} is taken; using {moved.wallet}")
        assert ports.remembered(tmp_path) == moved

    def test_asking_for_a_taken_one_is_refused_and_changes_nothing(
        self, tmp_path: Path, first: Ports
    ) -> None:
        with _hold() as held, pytest.raises(PortTaken, match="choose another with --port"):
            ports.choose(tmp_path, held.getsockname()[1])
        assert ports.remembered(tmp_path) == first

    def test_a_damaged_record_is_as_good_as_none(self, tmp_path: Path) -> None:
        (tmp_path / "ports.json").write_text('{"wallet": 1')
        assert ports.remembered(tmp_path) is None
