"""Ties between processes that no pid file can promise: locks and parent-death signals.

A lock here is ``flock`` on an open file. The kernel releases it when the last process that holds
the open file is gone, however it went, so it is never stale. A pid in a lock file is for people to
read; nothing decides by it.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h
POLL_S = 0.02
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(sent: signal.Signals) -> Callable[[], None]:
    """This will give a ``preexec_fn`` that asks the kernel to send ``sent`` when the parent dies.

    ``subprocess`` calls it after the change of user, which is needed: changing the user clears the
    request. The kernel watches the *thread* that started the child, so start children from a
    thread that lives as long as the process. Elsewhere than on Linux it does nothing.
    """
    parent = os.getpid()

    def before_exec() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(PR_SET_PDEATHSIG, int(sent), 0, 0, 0)
        if os.getppid() != parent:  # it died between fork and here: nobody will signal us
            os._exit(1)

    return before_exec


def command_line(pid: int) -> str:
    """The arguments of a living process, joined by spaces; empty for one that is gone or dead."""
    if _LIBC is not None:
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return raw.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    asked = ["/bin/ps", "-o", "args=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout  # noqa: S603


class FileLock:
    """An exclusive lock on one file, held until ``release`` or until every holder is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def fd(self) -> int:
        """The open file, for a child that is to hold the lock too (``pass_fds``)."""
        if self._fd is None:
            raise ValueError(f"{self.path} is not locked")
        return self._fd

    @property
    def held(self) -> bool:
        return self._fd is not None

    def try_acquire(self, note: str = "") -> bool:
        """This will take the lock, or say False at once. ``note`` is written for people."""
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.write(fd, note.encode())
        self._fd = fd
        return True

    def acquire(self, timeout_s: float) -> bool:
        """This will wait for the lock for at most ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        while not self.try_acquire():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def note(self) -> str:
        """What the present or last holder wrote."""
        try:
            return self.path.read_text().strip()
        except OSError:
            return ""

    def release(self) -> None:
        """This will close our hold; children that inherited the open file keep theirs."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
