"""The house that the demonstration plays in: `hazina up` on data and ports of its own.

It is started and stopped as a person would, by its process; its children are found by what they
run, so that they can be killed. Invariants: it goes when we go; nothing of it is left afterwards.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.household import plain_environment, why_not_ready
from hazina.bootstrap.lifeline import command_line, die_with_parent
from hazina.bootstrap.pg_record import RECORD
from hazina.bootstrap.ports import LOOPBACK, Ports, is_free

# Below the range from which systems take ports for outgoing calls: one of those could sit on the
# wallet's port while the wallet is dead.
PORT_RANGE = range(8700, 32_000, 3)
STOP_S = 60
TOLD_BYTES = 4000
# The caller's own terms are played with; all else about the house is the demonstration's.
TERMS = (
    "HAZINA_WITHDRAWAL_", "HAZINA_DEPOSIT_", "HAZINA_GOLD_", "HAZINA_MPESA_B2C_TARIFF",
    "HAZINA_LOG_",
)  # fmt: skip
QUICK = {
    "HAZINA_MPESA_QUERY_AFTER_S": "2",
    "HAZINA_MPESA_STATUS_AFTER_S": "2",
    "HAZINA_MPESA_PROMPT_WINDOW_S": "3",
    "HAZINA_MPESA_TIMEOUT_S": "5",
    "HAZINA_QUOTE_LIFETIME_S": "5",
    # A dozen customers come from one address within a minute.
    "HAZINA_LOGIN_LIMIT": "1000/minute",
    "HAZINA_STK_LIMIT": "1000/minute",
    # More gold can be asked for than there is.
    "HAZINA_GOLD_MAX_KES": "20000000",
    # Lets the forger have an address of their own.
    "HAZINA_TRUSTED_PROXIES": LOOPBACK,
}
ROLES = {"web": "hazina.cli web", "worker": "hazina.cli worker", "PostgreSQL": " -D "}


class HouseFailed(Exception):
    """`hazina up` ended by itself; the text holds its last words."""


@dataclass(slots=True)
class Stack:
    """One run of `hazina up` in ``data_dir``."""

    data_dir: Path
    ports: Ports = field(default_factory=lambda: free_ports())
    _process: subprocess.Popen[bytes] | None = None
    _said: IO[bytes] | None = None

    @property
    def wallet_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.wallet}"

    @property
    def daraja_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.daraja}"

    def start(self) -> None:
        """This will start the house; it is not ready yet when this returns."""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [
                sys.executable, "-P", "-m", "hazina.cli", "up",
                "--data", str(self.data_dir), "--port", str(self.ports.wallet),
            ],
            env=plain_environment() | caller_terms(os.environ) | QUICK,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,  # Ctrl-C is for us; we stop it in order
            preexec_fn=die_with_parent(signal.SIGTERM),
        )  # fmt: skip

    def why_not_ready(self) -> str:
        """Empty once the wallet answers. Raises: HouseFailed, when there is nothing to wait for."""
        if self._process is None or self._process.poll() is not None:
            raise HouseFailed(f"hazina up ended:\n{self.said()}")
        return why_not_ready(self.ports.wallet)

    def said(self) -> str:
        """The end of what `up` has printed."""
        if self._said is None:
            return ""
        size = os.fstat(self._said.fileno()).st_size
        # Not read(): the place in the file is shared with the process that writes it.
        told = os.pread(self._said.fileno(), TOLD_BYTES, max(0, size - TOLD_BYTES))
        return told.decode(errors="replace").strip()

    def pid(self, role: str) -> int | None:
        """The process of one role now, None while it is away."""
        if self._process is None:
            return None
        for child in children_of(self._process.pid):
            line = f"{command_line(child)} "
            if ROLES[role] in line:
                return child
        return None

    def kill(self, role: str) -> int:
        """This will kill -9 one process of the house and give the number it had."""
        pid = self.pid(role)
        if pid is None:
            raise HouseFailed(f"there is no {role} to kill:\n{self.said()}")
        os.kill(pid, signal.SIGKILL)
        return pid

    def run(self, *words: str, typed: str = "") -> str:
        """This will run one command of ours beside the house and give its output; ``typed`` is what
        a person types."""
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-P", "-m", "hazina.cli", *words],
            env=plain_environment() | {"HAZINA_DATA_DIR": str(self.data_dir)},
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout or done.stderr

    def stop(self) -> None:
        """This will stop the house and wait until it is gone. Safe to call twice."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._said is not None:
            self._said.close()
        self._process = self._said = None

    def discard(self) -> None:
        """This will stop the house and remove its data, wherever its database was put."""
        self.stop()
        if (self.data_dir / RECORD).exists():
            EmbeddedPostgres(self.data_dir).discard()


def caller_terms(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings of fees, tariffs, bounds and logs that the caller has set."""
    return {name: value for name, value in environment.items() if name.startswith(TERMS)}


def free_ports() -> Ports:
    """As many free ports in a row as a house uses. Raises: HouseFailed."""
    firsts = list(PORT_RANGE)
    random.shuffle(firsts)  # two demonstrations at once look in different places
    for first in firsts:
        found = Ports.from_first(first)
        if all(is_free(port) for port in found.all):
            return found
    raise HouseFailed("there are not enough free ports in a row")


def children_of(pid: int) -> list[int]:
    """The direct children of a process."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    if listed.exists():
        return [int(child) for child in listed.read_text().split()]
    asked = ["/bin/ps", "-A", "-o", "pid=,ppid="]
    rows = subprocess.run(asked, capture_output=True, text=True, check=False).stdout  # noqa: S603
    pairs = [line.split() for line in rows.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]


def read_json(text: str) -> object:
    """The last line of a command's output that is JSON."""
    lines = [line for line in text.splitlines() if line.startswith(("{", "["))]
    return json.loads(lines[-1]) if lines else None
