"""Points at which a process can be killed: nothing, unless it is ordered; then SIGKILL, there."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.process.running import ROOT, environment

from hazina.infra.points import TAKEN
from hazina.infra.settings import Mode, Settings

PASSING = """
from hazina.infra import points
from hazina.infra.points import Phase
points.arm({armed!r})
for number in (1, 2, 3):
    points.reach(Phase.LEAVING, "deposit.sending.lost")
    points.reach(Phase.COMMITTED, "deposit.sending.lost", "trade.requested.payment_failed")
    print(number, flush=True)
"""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    (tmp_path / TAKEN).mkdir()
    return tmp_path


def passing(armed: Path | str) -> tuple[int, list[str]]:
    """How a process that passes two points three times ends, and how far it came."""
    done = subprocess.run(
        [sys.executable, "-c", PASSING.format(armed=str(armed))],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.split()


def left(orders: Path) -> list[str]:
    return sorted(one.name for one in orders.iterdir() if one.is_file())


class TestAProcess:
    def test_that_nobody_has_armed_passes(self) -> None:
        assert passing("") == (0, ["1", "2", "3"])

    def test_dies_where_it_was_ordered_and_nowhere_else(self, orders: Path) -> None:
        (orders / "deposit.sending.paid:leaving").touch()
        (orders / "deposit.sending.lost:entered").touch()
        assert passing(orders) == (0, ["1", "2", "3"])
        (orders / "deposit.sending.lost:leaving").touch()
        assert passing(orders) == (-signal.SIGKILL, [])
        assert left(orders) == ["deposit.sending.lost:entered", "deposit.sending.paid:leaving"]
        assert passing(orders) == (0, ["1", "2", "3"])

    def test_dies_once_for_all_that_one_commit_made_durable(self, orders: Path) -> None:
        for name in ("trade.requested.payment_failed", "deposit.sending.lost"):
            (orders / f"{name}:committed").touch()
        assert passing(orders) == (-signal.SIGKILL, [])
        assert left(orders) == []

    def test_has_another_killed_where_the_order_says_so(self, orders: Path) -> None:
        other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        (orders / "pid").write_text(f"{other.pid}\nand more\n")
        (orders / "deposit.sending.lost:leaving").write_text(str(orders / "pid"))
        assert passing(orders) == (0, ["1", "2", "3"])
        assert other.wait(10) == -signal.SIGKILL
        assert other.stdin is not None
        other.stdin.close()


def test_production_refuses_it() -> None:
    faults = Settings(mode=Mode.PRODUCTION, kill_at="/somewhere")._faults()
    assert (True, "HAZINA_KILL_AT is set") in faults
