"""The embedded PostgreSQL: our own supervisor around the binaries of a wheel.

Invariants: one start per data directory at a time (a lock, not a pid); the server is our child and
goes when we go, however we go; a start first waits until every process of an earlier server is
gone (each of them holds ``server.lock`` by inheritance); nothing listens on TCP; every login is by
SCRAM; a data directory that once had a cluster never silently gets an empty one.

docs/decisions/0001-embedded-postgresql.md has the reasons.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from hazina.bootstrap import pg_cluster
from hazina.bootstrap.lifeline import POLL_S, FileLock, command_line, die_with_parent
from hazina.bootstrap.pg_place import (
    Account,
    EmbeddedTrouble,
    account_for,
    binaries_for,
    fixed_environment,
    new_place,
    socket_folder,
)
from hazina.bootstrap.pg_record import RECORD, DataDirUnusable, Record, Urls

__all__ = ["DataDirBusy", "DataDirUnusable", "EmbeddedPostgres", "StartFailed", "Urls"]

LEFTOVERS_TIMEOUT_S = 60
START_TIMEOUT_S = 600  # crash recovery replays the log first
FAST_STOP_S = 30
LOG_TAIL_LINES = 15


class DataDirBusy(EmbeddedTrouble):
    """Another house, or another embedded server, runs on this data directory."""

    def __init__(self, data_dir: Path, pid: str) -> None:
        self.pid = pid or "unknown"
        super().__init__(f"already running on {data_dir}, pid {self.pid}")


class StartFailed(EmbeddedTrouble):
    """PostgreSQL did not come up; the text holds the end of its log."""


class EmbeddedPostgres:
    """One server on one data directory. ``start`` and ``restart`` must be called from a thread
    that lives as long as the process (the parent-death signal follows the thread)."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = Path(os.path.abspath(data_dir))
        self._data_lock = FileLock(self.data_dir / "hazina.lock")
        self._server: subprocess.Popen[bytes] | None = None
        self._record: Record | None = None
        self._account: Account | None = None
        self._binaries: Path | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def lock(self) -> None:
        """This will take the data directory for this process; ``start`` does it by itself.

        Raises: DataDirBusy, DataDirUnusable.
        """
        self._make_data_dir()
        try:
            if not self._data_lock.try_acquire(note=str(os.getpid())):
                raise DataDirBusy(self.data_dir, self._data_lock.note())
        except PermissionError:
            raise DataDirUnusable(f"{self.data_dir} cannot be written by this user") from None

    def start(self) -> Urls:
        """This will return once the server takes connections.

        Raises: DataDirBusy, DataDirUnusable, PlaceUnusable, ClusterFailed, StartFailed.
        """
        if not self._data_lock.held:
            self.lock()
        try:
            self._prepare()
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self.urls

    def restart(self) -> Urls:
        """This will start the server again after it died, without giving up the data directory."""
        self._end_server()
        self._launch()
        return self.urls

    def stop(self) -> None:
        """This will shut down fast (open transactions end, nothing acknowledged is lost) and give
        the data directory back. Safe to call twice."""
        self._end_server()
        self._data_lock.release()

    def discard(self) -> None:
        """This will stop the server and delete the data directory, the cluster and the socket's
        folder, wherever they are. For data made to be thrown away."""
        self.stop()
        record = self._known()
        folders = [self.data_dir]
        if record.place is not None:
            folders.append(self.place)
        if record.socket_dir is not None:
            folders.append(Path(record.socket_dir))
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def urls(self) -> Urls:
        return self._known().urls()

    @property
    def pid(self) -> int | None:
        """The server's process id, None when it is not running."""
        if self._server is None or self._server.poll() is not None:
            return None
        return self._server.pid

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        return self._server

    @property
    def log_file(self) -> Path:
        return self.data_dir / "logs" / "postgres.log"

    @property
    def place(self) -> Path:
        """The folder of the cluster, its socket and its lock."""
        record = self._known()
        assert record.place is not None
        return self.data_dir / record.place

    def bin(self, name: str) -> Path:
        """The path of one of PostgreSQL's own programs: psql, pgbench, pg_dump, pg_basebackup …"""
        if self._binaries is None:
            self._binaries = binaries_for(account_for(self.data_dir / "postgres"))
        return self._binaries / name

    # -- steps of a start

    def _make_data_dir(self) -> None:
        # Root's server runs as another user, who passes through here to its own folder.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        try:
            self.data_dir.parent.mkdir(parents=True, exist_ok=True)
            self.data_dir.mkdir(mode=mode)
        except FileExistsError:
            if not self.data_dir.is_dir():
                raise DataDirUnusable(f"{self.data_dir} is not a directory") from None
        except OSError as error:
            raise DataDirUnusable(f"{self.data_dir} cannot be made: {error.strerror}") from None

    def _prepare(self) -> None:
        """Everything that must be on disk before the server starts; each step can be repeated."""
        self._record = Record.load(self.data_dir / RECORD)
        known = self._record.place
        cluster = self.data_dir / (known or "postgres") / "cluster"
        self._account = account_for(cluster)
        self._binaries = binaries_for(self._account)
        if known is None or not (self._record.initialized or (self.data_dir / known).exists()):
            self._record.place = new_place(self._account, self.data_dir)
        self._record.save(self.data_dir / RECORD)
        self.log_file.parent.mkdir(mode=0o700, exist_ok=True)
        if self._cluster.exists():
            pg_cluster.check_version(self._cluster)
        elif self._record.initialized:
            raise DataDirUnusable(f"the database is gone: {self._cluster} does not exist any more")
        else:
            pg_cluster.create(self._account, self._binaries, self._cluster, self._record.passwords)
        if not self._record.initialized:
            self._record.initialized = True
            self._record.save(self.data_dir / RECORD)

    def _launch(self) -> None:
        record, account = self._known(), self._account
        assert account is not None
        lock = FileLock(self.place / "server.lock")
        self._wait_for_leftovers(lock)
        try:
            socket_dir = socket_folder(account, self.place, record.socket_dir)
            self._clear_pid_files(socket_dir)
            if str(socket_dir) != record.socket_dir:
                record.socket_dir = str(socket_dir)
                record.save(self.data_dir / RECORD)
            options = pg_cluster.write_options(account, self._cluster, socket_dir)
            self._server = self._spawn(account, options, lock.fd)
        finally:
            lock.release()  # the server's processes hold it from here on
        self._wait_until_ready()

    def _spawn(self, account: Account, options: Path, lock_fd: int) -> subprocess.Popen[bytes]:
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603 - our own binary
                [self.bin("postgres"), "-D", self._cluster, "-c", f"config_file={options}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=fixed_environment(),
                umask=0o077,
                pass_fds=(lock_fd,),
                start_new_session=True,  # Ctrl-C is for the supervisor, who stops things in order
                user=account.uid if account.switch else None,
                group=account.gid if account.switch else None,
                extra_groups=[] if account.switch else None,
                preexec_fn=die_with_parent(signal.SIGINT),  # SIGINT is PostgreSQL's fast shutdown
            )
        finally:
            os.close(log)

    def _wait_for_leftovers(self, lock: FileLock) -> None:
        """A server whose parent died is shutting down; one that was killed leaves sessions that
        are about to notice. All of them hold the lock."""
        if lock.acquire(timeout_s=LEFTOVERS_TIMEOUT_S / 4):
            return
        self._ask_orphan_to_stop()
        if not lock.acquire(timeout_s=LEFTOVERS_TIMEOUT_S):
            raise StartFailed(
                f"processes of an earlier server still use {self._cluster}: see them with "
                f"`ps ax | grep {self._cluster}` and end them"
            )

    def _ask_orphan_to_stop(self) -> None:
        """Where the kernel sends no parent-death signal."""
        pid = self._recorded_postmaster()
        if pid is not None:
            os.kill(pid, signal.SIGINT)

    def _clear_pid_files(self, socket_dir: Path) -> None:
        """PostgreSQL trusts the number in its pid files and refuses to start while any process of
        this user has it, an unrelated or a dead uncollected one included. Called with the lock
        held, which proves that no server of ours is left; one started by hand is left alone."""
        if self._recorded_postmaster() is None:
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            (socket_dir / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _recorded_postmaster(self) -> int | None:
        """The process of the pid file, if it really is a server on our cluster."""
        try:
            pid = int((self._cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if f"-D {self._cluster}" in command_line(pid) else None

    def _wait_until_ready(self) -> None:
        assert self._server is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._server.poll() is not None:
                raise StartFailed(f"PostgreSQL ended at once:\n{self._log_tail()}")
            if self._says_ready(self._server.pid):
                return
            time.sleep(POLL_S)
        raise StartFailed(f"PostgreSQL was not ready in {START_TIMEOUT_S} s:\n{self._log_tail()}")

    def _says_ready(self, pid: int) -> bool:
        """Line 8 of postmaster.pid is how the server tells its state to pg_ctl; line 1 must be
        our own child, since the file of a killed server lies there until it is overwritten."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return len(lines) > 7 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"

    def _end_server(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        for request, patience_s in ((signal.SIGINT, FAST_STOP_S), (signal.SIGQUIT, 10)):
            if server.poll() is None:
                server.send_signal(request)
            try:
                server.wait(patience_s)
                return
            except subprocess.TimeoutExpired:
                continue
        server.kill()
        server.wait()

    def _log_tail(self) -> str:
        try:
            return "\n".join(self.log_file.read_text().splitlines()[-LOG_TAIL_LINES:])
        except OSError:
            return ""

    def _known(self) -> Record:
        if self._record is None:
            self._record = Record.load(self.data_dir / RECORD)
        return self._record

    @property
    def _cluster(self) -> Path:
        return self.place / "cluster"


def main() -> int:
    """Runs a server by itself: prints one JSON object of URLs, then waits for SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m hazina.bootstrap.embedded")
    parser.add_argument("--data", type=Path, required=True, help="the data directory")
    chosen = parser.parse_args()
    wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    server = EmbeddedPostgres(chosen.data)
    try:
        urls = server.start()
    except EmbeddedTrouble as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    print(json.dumps(asdict(urls)), flush=True)  # noqa: T201
    while server.pid is not None:
        if signal.sigwait(wanted) is not signal.SIGCHLD:
            server.stop()
            return 0
    print("PostgreSQL died", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
