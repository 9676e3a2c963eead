"""The launcher script, as a person meets it: first use, later use, two at once, a kill half-way.

It runs in a tree of the test's own, whose requirements are empty and whose command line only
repeats its arguments: making a virtual environment is real, downloading is not needed.
"""

import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.conftest import copy, passable
from tests.process.running import ROOT
from tests.process.waiting import wait_until

pytestmark = pytest.mark.process

ECHO = """
import os, sys
print("argv", *sys.argv[1:])
print("data", os.environ.get("HAZINA_DATA_DIR"))
print("path", [p for p in sys.path if p == os.getcwd()], os.environ["PYTHONPATH"])
"""


def planted(home: Path) -> Path:
    """A clone in small."""
    (home / "src" / "hazina" / "cli").mkdir(parents=True)
    (home / "src" / "hazina" / "__init__.py").touch()
    (home / "src" / "hazina" / "cli" / "__init__.py").touch()
    (home / "src" / "hazina" / "cli" / "__main__.py").write_text(ECHO)
    (home / "requirements.txt").touch()
    (home / "requirements-dev.txt").touch()
    shutil.copy(ROOT / "hazina", home / "hazina")
    return home


@pytest.fixture
def tree(room: Path) -> Path:
    """Nothing was made in it yet. There is a space in its path."""
    return planted(room / "a clone")


@pytest.fixture(scope="module")
def used_once() -> Iterator[Path]:
    with passable() as folder:
        home = planted(folder / "used")
        done = _run(home / "hazina", "up")
        assert done.returncode == 0, done.stderr
        yield home


@pytest.fixture
def used_tree(used_once: Path, room: Path) -> Path:
    """One whose environment was made before, which takes seconds."""
    copy(used_once, room / "a clone")
    return room / "a clone"


def _environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HAZINA_", "PYTHON"))}
    return kept | {"HAZINA_PYTHON": sys.executable} | more


def _run(launcher: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [launcher, *arguments],
        cwd="/",
        env=_environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )


def _start(launcher: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [launcher, "up"],
        cwd="/",
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


class TestLauncher:
    def test_first_use_makes_the_environment_and_later_use_is_silent_and_finds_it(
        self, tree: Path
    ) -> None:
        first = _run(tree / "hazina", "up", "--data", "a b")
        assert first.returncode == 0, first.stderr
        assert "making .venv" in first.stderr
        assert "argv up --data a b" in first.stdout
        second = _run(tree / "hazina", "--version")
        assert (second.returncode, second.stderr) == (0, "")
        # Through links too; data are kept beside the tree.
        link = tree.parent / "link"
        link.symlink_to("a clone/hazina")
        said = _run(link, "up").stdout
        assert f"data {tree}/data" in said
        assert f"path [] {tree}/src" in said  # no current directory, nobody else's PYTHONPATH
        assert "data /elsewhere" in _run(link, "up", HAZINA_DATA_DIR="/elsewhere").stdout

    def test_changed_requirements_are_installed_and_only_for_those_who_need_them(
        self, used_tree: Path
    ) -> None:
        tree = used_tree
        (tree / "requirements-dev.txt").write_text("# one more\n")
        assert _run(tree / "hazina", "up").stderr == ""
        assert "installing what its tests and checks need" in _run(tree / "hazina", "test").stderr
        assert _run(tree / "hazina", "check").stderr == ""
        (tree / "requirements.txt").write_text("# one more\n")
        changed = _run(tree / "hazina", "up").stderr
        assert "installing what Hazina runs on" in changed
        assert "making .venv" not in changed

    def test_two_at_once_make_one_environment(self, tree: Path) -> None:
        both = [_start(tree / "hazina"), _start(tree / "hazina")]
        answers = [one.communicate(timeout=100) for one in both]
        assert [one.returncode for one in both] == [0, 0], answers
        spoken = "".join(stderr for _, stderr in answers)
        assert spoken.count("making .venv") == 1
        assert all("argv up" in stdout for stdout, _ in answers)

    def test_a_first_use_that_was_killed_half_way_is_made_good(self, tree: Path) -> None:
        first = _start(tree / "hazina")
        wait_until("the making has begun", (tree / ".venv" / "bin").exists)
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate(timeout=60)
        again = _run(tree / "hazina", "up")
        assert again.returncode == 0, again.stderr
        assert "argv up" in again.stdout

    def test_an_unhashed_or_unknown_requirement_stops_it_and_is_not_taken_for_done(
        self, used_tree: Path
    ) -> None:
        tree, wheel = used_tree, used_tree.parent / "thing-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as packed:
            about = "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
            packed.writestr("thing-1.0.dist-info/METADATA", about)
        for wanted, said in (
            (f"thing @ {wheel.as_uri()}", "require-hashes"),
            ("thing==1.0", "No matching distribution"),
        ):
            (tree / "requirements.txt").write_text(f"{wanted}\n")
            refused = _run(tree / "hazina", "up", PIP_NO_INDEX="1")
            assert refused.returncode == 1
            assert "installing requirements.txt failed" in refused.stderr
            assert said in refused.stderr
            assert "argv" not in refused.stdout

    def test_without_venv_it_names_the_package_to_install(self, tree: Path) -> None:
        python = tree.parent / "python"
        python.write_text(
            f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"\n'
        )
        python.chmod(0o755)
        refused = _run(tree / "hazina", "up", HAZINA_PYTHON=str(python))
        assert refused.returncode == 1
        assert "python3-venv" in refused.stderr
