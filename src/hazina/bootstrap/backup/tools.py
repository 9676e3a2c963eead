"""PostgreSQL's own programs, run with the password in the environment and dying with us."""

import os
import re
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from hazina.bootstrap.backup.trouble import ToolFailed
from hazina.bootstrap.lifeline import die_with_parent
from hazina.bootstrap.pg_place import MAJOR, account_for, binaries_for, fixed_environment

DEBIAN = Path("/usr/lib/postgresql")
PROGRESS = re.compile(r"(\d+)/(\d+) kB")
TAIL_LINES = 12

Watch = Callable[[int, int], None]
"""Hears how many of how many kilobytes are done."""


@dataclass(frozen=True, slots=True)
class Target:
    """A database in libpq's words; the password apart."""

    dsn: str
    password: str

    @classmethod
    def of(cls, url: str, database: str | None = None) -> "Target":
        """``url`` is asyncpg's; ``database`` names another one on the same server."""
        parts = urlsplit(url)
        user, _, host = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        netloc = f"{name}@{host}" if name else host
        path = f"/{database}" if database else parts.path
        dsn = urlunsplit(("postgresql", netloc, path, parts.query, ""))
        return cls(dsn, unquote(password))

    def environment(self) -> dict[str, str]:
        return fixed_environment() | ({"PGPASSWORD": self.password} if self.password else {})


def binaries(data_dir: Path) -> Path:
    """The folder of the programs that belong to this machine's embedded server."""
    return binaries_for(account_for(data_dir / "postgres"))


def dump_program(programs: Path, major: int) -> Path:
    """The ``pg_dump`` for a server of ``major``: its own where this machine has it, else ours.

    A newer one reads an older server, yet does not know what that server's last minor releases
    keep in its catalogue, and has put it into dumps that nothing could restore.
    """
    own = [DEBIAN / str(major) / "bin" / "pg_dump"] if major != MAJOR else []
    return next((path for path in own if os.access(path, os.X_OK)), programs / "pg_dump")


def run_tool(
    program: Path,
    *arguments: str | Path,
    target: Target | None = None,
    watch: Watch | None = None,
) -> str:
    """This will run one program to its end and give what it printed. Raises: ToolFailed."""
    environment = target.environment() if target else fixed_environment()
    process = subprocess.Popen(  # noqa: S603 - our own binaries
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment,
        umask=0o077,
        preexec_fn=die_with_parent(signal.SIGKILL),
    )
    with process:
        try:
            said = _listen(process, watch)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        words = "".join(said[-TAIL_LINES:]).strip() or f"exit code {process.returncode}"
        raise ToolFailed(f"{program.name} failed: {words}")
    return "".join(said)


def _listen(process: subprocess.Popen[str], watch: Watch | None) -> list[str]:
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        found = PROGRESS.search(line)
        if found is None:
            said.append(line)
        elif watch is not None:
            watch(int(found[1]), int(found[2]))
    return said
