"""Points at which a process can be killed: nothing, unless one is named; then SIGKILL, there."""

import os
import signal
import subprocess
import sys

import pytest
from tests.process.running import ROOT, environment

from hazina.infra.settings import Mode, Settings

PASSING = """
from hazina.infra import points
from hazina.infra.points import Phase
points.arm({armed!r})
for number in (1, 2, 3):
    points.reach("deposit.sending.lost", Phase.LEAVING)
    points.reach("deposit.sending.lost", Phase.ENTERED)
    print(number, flush=True)
"""


def passing(armed: str) -> tuple[int, list[str]]:
    """How a process that passes two points three times ends, and how far it came."""
    done = subprocess.run(
        [sys.executable, "-c", PASSING.format(armed=armed)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize(
    ("armed", "ends", "came_to"),
    [
        ("", 0, ["1", "2", "3"]),
        ("deposit.sending.paid:entered", 0, ["1", "2", "3"]),
        ("deposit.sending.lost:committed", 0, ["1", "2", "3"]),
        ("deposit.sending.lost:entered", -signal.SIGKILL, []),
        ("deposit.sending.lost:leaving,3", -signal.SIGKILL, ["1", "2"]),
    ],
)
def test_it_dies_where_it_was_told_and_nowhere_else(
    armed: str, ends: int, came_to: list[str]
) -> None:
    assert passing(armed) == (ends, came_to)


def test_production_refuses_it() -> None:
    faults = Settings(mode=Mode.PRODUCTION, kill_at=f"x.y.z:entered,1,{os.getpid()}")._faults()
    assert (True, "HAZINA_KILL_AT is set") in faults
