"""The benchmarks run, at the smallest size; how fast anything was is nobody's business here."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.running import ROOT, environment

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

COLUMNS = {"name", "figure", "unit", "baseline", "ratio", "aim", "met", "note"}
MACHINE = {"cores", "fdatasync_4k_us", "load_before", "load_after", "postgresql"}


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "hazina.cli", "bench", *words],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def report_of(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """The report; the exit code must say the same as its rows."""
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    missed = [row["name"] for row in report["rows"] if row["met"] is False]
    assert done.returncode == (1 if missed else 0)
    assert report["met"] is not bool(missed)
    assert set(report["machine"]) >= MACHINE
    assert all(set(row) == COLUMNS for row in report["rows"])
    return report


def named(report: dict[str, Any], words: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in report["rows"] if words in row["name"])
    return found


@pytest.fixture(scope="module")
def seeded() -> Iterator[Path]:
    """Small books in a folder that the database's own user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="hz-bench-"))
    folder.chmod(0o711)
    done = run("seed", "--data", str(folder / "data"), "--entries", "2000", "--accounts", "200")
    assert done.returncode == 0, done.stderr
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


def test_the_ledger_benchmark_measures_every_shape() -> None:
    report = report_of(
        run("ledger", "--json", "--scale", "1000", "--seconds", "0.2", "--clients", "1,4")
    )
    assert report["how"]["clients"] == [1, 4]
    for words in ("batches of 1000", "1 client, one", "4 clients, one", "hot", "joined", "past"):
        assert named(report, words)["figure"] > 0
    assert named(report, "batches of 1000")["ratio"] > 0
    assert named(report, "acknowledged, then lost")["figure"] == 0
    assert named(report, "claims of the proof")["figure"] == 0


def test_flows_are_measured_through_the_house_s_processes() -> None:
    report = report_of(run("flows", "--json", "--seconds", "0.2"))
    for words in ("authenticated read", "gold buy", "withdrawal", "callback settled"):
        assert named(report, words)["figure"] > 0
    assert "later part" in named(report, "bid")["note"]


def test_seeded_books_are_measured_and_their_plans_explained(seeded: Path) -> None:
    report = report_of(
        run("ledger", "--json", "--seconds", "0.2", "--clients", "1", "--data", str(seeded))
    )
    assert report["how"]["entries"] >= 2000
    assert named(report, "claims of the proof")["figure"] == 0
    done = run("plans", "--data", str(seeded))
    assert done.returncode == 0, done.stderr
    assert "## Statement, newest page" in done.stdout


def test_books_are_seeded_once(seeded: Path) -> None:
    again = run("seed", "--data", str(seeded), "--entries", "2000", "--accounts", "200")
    assert again.returncode == 1
    assert "made here before" in again.stderr


def test_clients_are_numbers() -> None:
    refused = run("ledger", "--clients", "many")
    assert refused.returncode == 1
    assert "--clients" in refused.stderr
