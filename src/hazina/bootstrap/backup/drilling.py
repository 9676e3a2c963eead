"""The drill: a copy of the running house, restored, started and proven, then thrown away.

It says how long each takes, so that the two promises of a backup are figures: how much would be
lost (RPO) and how long it would take to be back (RTO). The restored house has ports of its own and
no M-Pesa at all: it can neither pay nor ask.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from hazina.bootstrap.backup.making import Progress, Quiet, back_up
from hazina.bootstrap.backup.restoring import KEYS, restore
from hazina.bootstrap.backup.trouble import BackupTrouble
from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.household import plain_environment, why_not_ready
from hazina.bootstrap.lifeline import die_with_parent
from hazina.bootstrap.pg_record import Urls
from hazina.bootstrap.ports import free_block
from hazina.infra.manifest import key_file
from hazina.infra.settings import Settings
from hazina.kernel.actor import Actor
from hazina.kernel.clock import Clock

READY_TIMEOUT_S = 180
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Drilled:
    """How it went. Seconds; ``lost_s`` lies between the copy's moment and the copy being done:
    what would be lost if the house died just then."""

    how: str
    size: int
    transfers: int
    claims: int
    open_questions: int
    copied_s: float
    restored_s: float
    ready_s: float
    lost_s: float

    @property
    def back_s(self) -> float:
        return self.restored_s + self.ready_s


async def drill(
    settings: Settings,
    urls: Urls,
    *,
    clock: Clock,
    actor: Actor,
    room: Path | None = None,
    progress: Progress | None = None,
) -> Drilled:
    """This will try a copy of the house from end to end, in a folder under ``room``.

    Raises: BackupTrouble, EmbeddedTrouble, when the copy would not have helped.
    """
    shown = progress or Quiet()
    with _folder(room) as folder:
        began = time.monotonic()
        copy = await back_up(settings, urls, folder / "copies", now=clock.now(), progress=shown)
        copied = time.monotonic()
        data_dir = folder / "data"
        try:
            made = await restore(
                copy.path,
                data_dir,
                key_file(settings),
                settings=settings,
                clock=clock,
                actor=actor,
                progress=shown,
            )
            if made.faults:
                raise BackupTrouble("the ledger of the copy is not proven: " + made.faults[0])
            restored = time.monotonic()
            with shown.step("start the house on it"), _house(data_dir):
                ready = time.monotonic()
        finally:
            if data_dir.exists():
                EmbeddedPostgres(data_dir).discard()
        return Drilled(
            how=copy.inventory.how.value,
            size=copy.inventory.size,
            transfers=copy.inventory.ledger.transfers,
            claims=made.claims,
            open_questions=made.recovery.asked,
            copied_s=copied - began,
            restored_s=restored - copied,
            ready_s=ready - restored,
            lost_s=copied - began,
        )


@contextmanager
def _folder(room: Path | None) -> Iterator[Path]:
    with TemporaryDirectory(prefix="hz-drill-", dir=room) as name:
        folder = Path(name)
        folder.chmod(0o711)  # root's server runs as another user, who passes through here
        yield folder


@contextmanager
def _house(data_dir: Path) -> Iterator[None]:
    """`hazina up` on the restored data, without simulators, until the block ends."""
    port = free_block()
    cut_off = {
        "HAZINA_MODE": "development",
        "HAZINA_MPESA_MODE": "null",
        "HAZINA_KEY_FILE": str(data_dir / KEYS),
    }
    log = data_dir / "drill.log"
    with log.open("w") as out:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [
                *(sys.executable, "-P", "-m", "hazina.cli", "up", "--no-simulators"),
                *("--data", str(data_dir), "--port", str(port)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=plain_environment() | cut_off,
            preexec_fn=die_with_parent(signal.SIGTERM),
            start_new_session=True,
        )
    try:
        _await_ready(process, port, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while why := why_not_ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip()[-1500:]
            raise BackupTrouble(f"the restored house does not start: {why}\n{said}")
        time.sleep(POLL_S)
