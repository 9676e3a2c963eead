"""`hazina demo` as a person runs it: every check held, one that does not, and one interrupted."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.process.running import ROOT, environment
from tests.process.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]

CHAPTERS = ["The story", "The bad ways", "Killed", "The books"]
# What the demonstration is for: each must be there, or a chapter has silently gone.
STEPS = {
    "the operator sets the price",
    "somebody new registers and signs in",
    "paid, the gold is booked",
    "half of it is sold to the phone",
    "a bit is sold to the wallet",
    "KES 600 are withdrawn, without a fee",
    "cancelled on the phone: the purchase ends",
    "unanswered: the purchase ends",
    "the callback comes twice: completed",
    "the callback is late: found by asking",
    "… the payment is told after the end: booked",
    "999 is paid for 1000: the purchase ends",
    "the response is lost: nobody knows",
    "no callback ever: found by asking",
    "more gold than there is: refused with what is there",
    "a quote after its time",
    "one key twice: one purchase",
    "one key for another purchase",
    "somebody else's trade and payment, and no id at all",
    "forged callbacks are taken in like any",
    "the payout fails: the sale ends",
    "the payout's response is lost: paid once",
    "the payout is never told: found by asking",
    "refused for the rate, then for the token: paid",
    "paid from the phone's menu: booked",
    "… it is a claim, of which nothing is booked",
    "a booked message comes again with more money: refused",
    "M-Pesa's queue gave a payout up, and it was paid",
    "… it was paid after all",
    "M-Pesa's statement is brought: a payment went back",
    "… the next shillings repay it first",
    "worker is back",
    "web is back",
    "PostgreSQL is back",
    "debits equal credits in every asset",
    "debits are credits, KES",
    "debits are credits, XAU",
    "M-Pesa's Working is ours",
    "M-Pesa's Utility is ours",
    "M-Pesa's Charges Paid is ours",
    "payments in M-Pesa's books",
}


def start(room: Path, *options: str, **settings: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "hazina.cli", "demo", *options],
        cwd=ROOT,
        env=environment(TMPDIR=str(room), **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def play(room: Path, **settings: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the one object of ``--json``."""
    process = start(room, "--json", **settings)
    said, complained = process.communicate(timeout=380)
    assert said.count("\n") == 1, said + complained
    found: dict[str, Any] = json.loads(said)
    return process.returncode, found


def test_every_check_holds_and_nothing_is_left(room: Path) -> None:
    code, found = play(room)
    checks = found["checks"]
    assert [c for c in checks if not c["held"]] == []
    assert (code, found["held"]) == (0, True)
    assert {c["step"] for c in checks} >= STEPS
    assert list(dict.fromkeys(c["chapter"] for c in checks)) == CHAPTERS
    assert {"wallet", "lot", "mpesa:utility"} <= {t["purpose"] for t in found["trial_balance"]}
    assert is_left(room) == []


@pytest.mark.soak
def test_a_tariff_that_is_not_m_pesas_is_found_in_the_books(room: Path) -> None:
    """We book a charge of 12 where M-Pesa takes 9 for 2,392, and 5 for what is below."""
    tariff = "100:0,1500:5,5000:12,250000:13"
    code, found = play(room, HAZINA_MPESA_B2C_TARIFF=tariff)
    assert (code, found["held"]) == (1, False)
    failed = {c["step"]: (c["expected"], c["seen"]) for c in found["checks"] if not c["held"]}
    assert failed.pop("expense:mpesa, KES") == ("54.00", "57.00")
    assert failed.pop("mpesa:charges, KES") == ("-54.00", "-57.00")
    assert failed.pop("M-Pesa's Charges Paid is ours") == ("-54.00", "-57.00")
    ((step, (expected, seen)),) = failed.items()
    assert step.startswith("payment ")
    assert expected.startswith("KES 2392.00, charge 9.00,")
    assert seen.startswith("KES 2392.00, charge 12.00,")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_puts_everything_away(room: Path, how: signal.Signals) -> None:
    process = start(room)
    wait_until("the database runs", lambda: any(room.glob("*/data/**/postmaster.pid")))
    process.send_signal(how)
    process.communicate(timeout=90)
    assert process.returncode == 130
    assert is_left(room) == []


def test_killed_its_house_goes_too(room: Path) -> None:
    """Nobody is left to remove the folder, but no process stays behind."""
    process = start(room)
    wait_until("the database runs", lambda: any(room.glob("*/data/**/postmaster.pid")))
    process.kill()
    process.communicate()
    wait_until("every process is gone", lambda: processes_in(room) == [], deadline_s=90)


def test_data_that_are_not_fresh_are_left_alone(room: Path) -> None:
    mine = room / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    process = start(room, "--keep", str(mine))
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "is not empty" in complained
    assert [path.name for path in mine.iterdir()] == ["letter.txt"]


def is_left(room: Path) -> list[str]:
    """Files and processes of a demonstration that should be gone."""
    return [*(path.name for path in room.iterdir()), *processes_in(room)]


def processes_in(room: Path) -> list[str]:
    """Command lines that name ``room``; empty where there is no /proc."""
    found = []
    for pid in os.listdir("/proc") if Path("/proc").is_dir() else []:
        if pid.isdigit():
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(room) in line:
                found.append(line)
    return found
