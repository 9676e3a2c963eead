"""Which loopback ports a house uses, remembered per data directory.

They stay the same across restarts while they are free, since the callback address of a prompt that
is still in flight contains one of them.
"""

import json
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8420
MOST = 65_535
RECORD = "ports.json"
COUNT = 4  # what a house uses


class PortTaken(Exception):
    """A port that was asked for by number belongs to another program."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken: choose another with --port, or leave it out")


@dataclass(frozen=True, slots=True)
class Ports:
    """One port each for the wallet, the operators' console, the simulated M-Pesa and SMS."""

    wallet: int
    console: int
    daraja: int
    sms: int

    @classmethod
    def from_first(cls, first: int) -> "Ports":
        return cls(first, first + 1, first + 2, first + 3)

    @property
    def all(self) -> tuple[int, int, int, int]:
        return (self.wallet, self.console, self.daraja, self.sms)


def choose(data_dir: Path, asked: int | None) -> tuple[Ports, str | None]:
    """This will choose and remember free ports, and say in words when they are not the ones to
    expect. Raises: PortTaken, when ``asked`` or one of the three after it is."""
    path = data_dir / RECORD
    before = _remembered(path)
    wanted = before or Ports.from_first(DEFAULT_PORT)
    said = None
    if asked is not None:
        wanted = Ports.from_first(asked)
        for port in wanted.all:
            if not is_free(port):
                raise PortTaken(port)
    elif not all(is_free(port) for port in wanted.all):
        taken = next(port for port in wanted.all if not is_free(port))
        wanted = Ports(*_free_ports(COUNT))
        said = f"port {taken} is taken; using {', '.join(map(str, wanted.all))} instead"
    path.write_text(json.dumps(asdict(wanted)))
    return wanted, said


def remembered(data_dir: Path) -> Ports | None:
    """The ports of the last start on ``data_dir``."""
    return _remembered(data_dir / RECORD)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def _remembered(path: Path) -> Ports | None:
    try:
        kept: dict[str, int] = json.loads(path.read_text())
        # A house from before there were messages has no port for them yet.
        return Ports(**{"sms": _free_ports(1)[0], **kept})
    except (OSError, ValueError, TypeError):
        return None


def _free_ports(count: int) -> list[int]:
    """All held at once while choosing, so that they differ."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def free_block() -> int:
    """The first of some ports in a row that are free now, for a house that is thrown away."""
    while True:
        first = _free_ports(1)[0]
        if first <= MOST - COUNT and all(is_free(first + next_) for next_ in range(COUNT)):
            return first
