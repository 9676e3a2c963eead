"""Children of one supervisor: started, watched, started again when they die, stopped in order.

Invariants: a child goes when the supervisor goes, however it goes; every child holds ``house.lock``
by inheritance, so that the next start can wait for the last of them; a child that keeps dying is
started ever more slowly, and each time a line says so. What the children are is in
``hazina.bootstrap.household``.

One thread only: the parent-death signal follows the thread that started the child.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.lifeline import FileLock, die_with_parent
from hazina.bootstrap.pg_place import EmbeddedTrouble

BACK_OFF_S = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
CALM_S = 60  # having lived this long, a child's earlier deaths are forgotten
STOP_PATIENCE_S = 5
LEFTOVERS_TIMEOUT_S = 30
LOG_LIMIT_BYTES = 32 * 1024 * 1024
LOG_TAIL_LINES = 15

Say = Callable[[str], None]


class Stopped(BaseException):
    """SIGTERM, SIGINT or SIGHUP came. Not an ``Exception``: nothing on the way may swallow it."""


class LeftoversRemain(Exception):
    """Processes of an earlier run on the same data do not go away."""


class ChildFailed(Exception):
    """A child ended before the house was ready; the text holds the end of its log."""


@dataclass(slots=True)
class Child:
    """One process: what it runs, and how it has fared. ``rank`` is its place in stopping."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    rank: int
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    started_at: float = 0.0
    due_at: float | None = field(default=None)


class Supervisor:
    """Keeps PostgreSQL (None: a server elsewhere) and the children running until told to stop."""

    def __init__(self, data_dir: Path, postgres: EmbeddedPostgres | None, say: Say) -> None:
        self._logs = data_dir / "logs"
        self._postgres = postgres
        self._say = say
        self._lock = FileLock(data_dir / "house.lock")
        self._children: list[Child] = []
        self._postgres_due: float | None = None
        self._postgres_deaths = 0
        self._postgres_since = time.monotonic()

    @property
    def pids(self) -> dict[str, int]:
        """The running children by name."""
        return {c.name: c.process.pid for c in self._children if c.process is not None}

    def wait_for_leftovers(self) -> None:
        """This will wait until no child of an earlier run is left. Raises: LeftoversRemain."""
        if self._lock.try_acquire():
            return
        self._say("waiting for processes of an earlier run to end")
        if not self._lock.acquire(LEFTOVERS_TIMEOUT_S):
            raise LeftoversRemain(
                f"processes of an earlier run still hold {self._lock.path}: "
                f"see them with `fuser -v {self._lock.path}` and end them"
            )

    def start(self, child: Child) -> None:
        """This will start ``child`` and watch it from now on."""
        self._children.append(child)
        self._spawn(child)

    def ensure_alive(self) -> None:
        """Raises: ChildFailed, when a child or PostgreSQL has ended."""
        if self._postgres is not None and self._postgres.pid is None:
            raise ChildFailed(f"PostgreSQL died:\n{self._log_tail('postgres')}")
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                how = _how_it_ended(child.process.returncode)
                raise ChildFailed(f"{child.name} {how}:\n{self._log_tail(child.name)}")

    def watch(self) -> None:
        """This will keep everything running; it ends only by ``Stopped``."""
        with _woken_by_children() as wake:
            while True:
                now = time.monotonic()
                self._watch_postgres(now)
                for child in self._children:
                    self._watch_child(child, now)
                self._bound_logs()
                due = [c.due_at for c in self._children if c.due_at is not None]
                if self._postgres_due is not None:
                    due.append(self._postgres_due)
                _wait(wake, max(0.0, min([*due, now + CALM_S]) - time.monotonic()))

    def stop(self) -> None:
        """This will stop the children rank by rank. PostgreSQL comes after, by whoever started
        it. Safe to call twice."""
        for rank in sorted({child.rank for child in self._children}):
            _end([c for c in self._children if c.rank == rank])
        self._children.clear()
        self._lock.release()

    def _spawn(self, child: Child) -> None:
        self._logs.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        log = os.open(self._logs / f"{child.name}.log", flags, 0o600)
        try:
            child.process = subprocess.Popen(  # noqa: S603 - our own commands
                child.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=child.environment,
                pass_fds=(self._lock.fd,),
                start_new_session=True,  # Ctrl-C is for the supervisor alone
                # Orphaned, it must free its port for the next run at once; all survives SIGKILL.
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        finally:
            os.close(log)
        child.started_at = time.monotonic()
        child.due_at = None

    def _watch_child(self, child: Child, now: float) -> None:
        if child.due_at is not None:
            if now >= child.due_at:
                self._spawn(child)
            return
        if child.process is None or child.process.poll() is None:
            return
        if now - child.started_at > CALM_S:
            child.deaths = 0
        pause_s = _pause(child.deaths)
        child.deaths += 1
        child.due_at = now + pause_s
        how = _how_it_ended(child.process.returncode)
        self._say(f"{child.name} {how}; starting it again in {pause_s:g} s (logs/{child.name}.log)")

    def _watch_postgres(self, now: float) -> None:
        if self._postgres is None or self._postgres.pid is not None:
            return
        if self._postgres_due is None:
            if now - self._postgres_since > CALM_S:
                self._postgres_deaths = 0
            self._postgres_due = now + self._pause_for_postgres("PostgreSQL died")
        elif now >= self._postgres_due:
            self._postgres_due = None
            try:
                self._postgres.restart()
            except EmbeddedTrouble as why:  # a full disk, say: it can be mended while we try on
                self._postgres_due = now + self._pause_for_postgres(str(why))
                return
            self._postgres_since = time.monotonic()
            self._say(f"PostgreSQL is back after {self._postgres_since - now:.1f} s")

    def _pause_for_postgres(self, why: str) -> float:
        pause_s = _pause(self._postgres_deaths)
        self._postgres_deaths += 1
        self._say(f"{why}; starting it again in {pause_s:g} s (logs/postgres.log)")
        return pause_s

    def _bound_logs(self) -> None:
        """A full log is copied aside and emptied; its writers append, so they lose nothing of what
        they write later."""
        for path in self._logs.glob("*.log"):
            if path.stat().st_size > LOG_LIMIT_BYTES:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)

    def _log_tail(self, name: str) -> str:
        path = self._logs / f"{name}.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join(lines[-LOG_TAIL_LINES:])


@contextmanager
def stop_signals() -> Iterator[None]:
    """Inside, the first SIGTERM, SIGINT or SIGHUP raises ``Stopped``; later ones do nothing, so
    that an impatient second Ctrl-C cannot interrupt an orderly stop."""
    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def ask(_number: int, _frame: FrameType | None) -> None:
        for number in wanted:
            signal.signal(number, lambda *_: None)
        raise Stopped

    before = {number: signal.signal(number, ask) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _woken_by_children() -> Iterator[socket.socket]:
    """A socket that becomes readable when a child ends, so that watching costs nothing."""
    wake, wakes = socket.socketpair()
    wake.setblocking(False)
    wakes.setblocking(False)
    old_handler = signal.signal(signal.SIGCHLD, lambda *_: None)
    old_fd = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    try:
        yield wake
    finally:
        signal.set_wakeup_fd(old_fd)
        signal.signal(signal.SIGCHLD, old_handler)
        wake.close()
        wakes.close()


def _wait(wake: socket.socket, timeout_s: float) -> None:
    readable, _, _ = select.select([wake], [], [], timeout_s)
    if readable:
        wake.recv(4096)


def _end(children: Sequence[Child]) -> None:
    alive = [c.process for c in children if c.process is not None and c.process.poll() is None]
    for process in alive:
        process.terminate()
    deadline = time.monotonic() + STOP_PATIENCE_S
    for process in alive:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pause(deaths: int) -> float:
    return BACK_OFF_S[min(deaths, len(BACK_OFF_S) - 1)]


def _how_it_ended(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
