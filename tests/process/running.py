"""Real processes under test: started on data of their own, and looked at from outside."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hazina.bootstrap.lifeline import FileLock
from tests.process.waiting import wait_until

ROOT = Path(__file__).parents[2]
STARTED = "Ctrl-C stops everything"
START_S = 120


def environment(**more: str) -> dict[str, str]:
    """The caller's environment without what would lead a house astray."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HAZINA_", "PG"))}
    return kept | {"PYTHONPATH": str(ROOT / "src")} | more


@dataclass(slots=True)
class EmbeddedProcess:
    """``python -m hazina.bootstrap.embedded`` on a data directory."""

    data_dir: Path
    process: subprocess.Popen[str]
    urls: dict[str, str]

    @classmethod
    def start(cls, data_dir: Path) -> "EmbeddedProcess":
        """This will return once the server answers; fails with the process's own words."""
        process = subprocess.Popen(
            [sys.executable, "-m", "hazina.bootstrap.embedded", "--data", str(data_dir)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        said = process.stdout.readline()
        if not said:
            raise AssertionError(process.communicate()[1])
        return cls(data_dir, process, json.loads(said))

    @property
    def cluster(self) -> Path:
        place = json.loads((self.data_dir / "database.json").read_text())["place"]
        return self.data_dir / str(place) / "cluster"

    @property
    def postmaster(self) -> int:
        return int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])

    def kill_supervisor(self) -> None:
        self.process.kill()
        self._collect()

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self._collect()
        return self.process.returncode

    def _collect(self) -> None:
        self.process.communicate(timeout=60)

    def every_server_process_is_gone(self) -> bool:
        """Each of them holds the lock, however its parent ended."""
        lock = FileLock(self.cluster.parent / "server.lock")
        if not lock.try_acquire():
            return False
        lock.release()
        return True


def kill_all(pids: Iterable[int]) -> None:
    """This will end each at once; those that the ends of others have ended already are fine."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """The direct children (Linux)."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]


def is_gone(pid: int) -> Callable[[], bool]:
    def gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        try:  # a zombie is gone; its parent has just not looked
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        return state == "Z"

    return gone


class Up:
    """One `hazina up` on a data directory; what it says goes to a file."""

    def __init__(self, data_dir: Path, *options: str, **settings: str) -> None:
        self.data_dir = data_dir
        self._said = data_dir.with_name(f"said-{len(list(data_dir.parent.iterdir()))}.txt")
        with self._said.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "hazina.cli", "up", "--data", data_dir, *options],
                cwd=ROOT,
                env=environment(**settings),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._said.read_text()

    @property
    def ports(self) -> dict[str, int]:
        found: dict[str, int] = json.loads((self.data_dir / "ports.json").read_text())
        return found

    @property
    def postmaster(self) -> int:
        place = json.loads((self.data_dir / "database.json").read_text())["place"]
        pid_file = self.data_dir / place / "cluster" / "postmaster.pid"
        return int(pid_file.read_text().split("\n", 1)[0])

    def wait_started(self) -> "Up":
        def started() -> bool:
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}:\n{self.said}")
            return STARTED in self.said

        wait_until("the house says where it is", started, deadline_s=START_S)
        return self

    def child(self, name: str) -> int | None:
        """The process id of web, console, worker or daraja."""
        for pid in children_of(self.process.pid):
            with suppress(OSError):  # one that is just going
                if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    return pid
        return None

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["wallet"], timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)

    def kill_everything(self) -> None:
        """Supervisor, children, PostgreSQL and its children: all at once, none can say goodbye."""
        pids = [self.process.pid, *children_of(self.process.pid)]
        pids += [grandchild for pid in pids[1:] for grandchild in children_of(pid)]
        kill_all(pids)
        self.process.wait(60)
