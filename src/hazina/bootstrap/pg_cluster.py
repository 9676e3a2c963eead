"""A cluster on disk: made once, whole or not at all; its roles, and the options it runs with."""

import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from hazina.bootstrap.pg_place import MAJOR, Account, EmbeddedTrouble

ADMIN = "hazina_admin"
ROLES = (ADMIN, "hazina_owner", "hazina_app", "hazina_read")
DATABASE = "hazina"

OPTIONS = """\
# Written at every start; changes here do not last.
listen_addresses = ''
port = 5432
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'
max_connections = 200

# An acknowledged row survives a power cut.
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = replica

# After each checkpoint the first change of a page writes all of it into the log, so checkpoints are
# rare. What has to be replayed after a crash is at most this, a minute's work.
max_wal_size = '{max_wal_mb}MB'
checkpoint_timeout = '30min'

shared_buffers = '{shared_mb}MB'
effective_cache_size = '{cache_mb}MB'
work_mem = '8MB'
maintenance_work_mem = '{maintenance_mb}MB'
random_page_cost = 1.1

lc_messages = 'C'
lc_monetary = 'C'
lc_numeric = 'C'
lc_time = 'C'
datestyle = 'iso, mdy'
timezone = 'UTC'
default_text_search_config = 'pg_catalog.english'

log_destination = 'stderr'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
# Terse leaves out DETAIL, which repeats the values of a refused row.
log_error_verbosity = terse
log_parameter_max_length_on_error = 0
"""


MB = 2**20
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the server may use, in megabytes."""

    shared_mb: int
    cache_mb: int
    maintenance_mb: int
    max_wal_mb: int

    @classmethod
    def of(cls, memory: int, free_disk: int) -> "Sizes":
        """A quarter of the memory for its own pages, up to 2 GB: what is hot of ten million entries
        is half of that, the system keeps pages too, and every server on the machine has to set
        its own up. Log between two checkpoints up to a tenth of the free disk."""
        return cls(
            shared_mb=_within(memory // 4 // MB, 128, 2048),
            cache_mb=_within(memory // 2 // MB, 256, 65536),
            maintenance_mb=_within(memory // 64 // MB, 64, 512),
            max_wal_mb=_within(free_disk // 10 // MB, 1024, 8192),
        )


def memory_bytes() -> int:
    """The memory of this machine, or what this container may use of it."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = CGROUP_LIMIT.read_text().strip()
    except OSError:
        return physical
    return min(physical, int(limit)) if limit.isdigit() else physical


def _within(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)


class ClusterFailed(EmbeddedTrouble):
    """PostgreSQL said no while a cluster was made; the text holds its words."""


def create(account: Account, binaries: Path, cluster: Path, passwords: dict[str, str]) -> None:
    """This will make ``cluster`` with the roles and the database. A kill half-way leaves only a
    folder beside it, which the next call clears away. Raises: ClusterFailed."""
    beside = cluster.with_name(cluster.name + ".new")
    shutil.rmtree(beside, ignore_errors=True)
    account.own_folder(beside)
    password_file = beside.with_name("admin.password")
    password_file.unlink(missing_ok=True)
    _write_for(account, password_file, passwords[ADMIN])
    try:
        answer = account.run(
            str(binaries / "initdb"),
            *("--pgdata", str(beside), "--username", ADMIN, "--pwfile", str(password_file)),
            *("--auth", "scram-sha-256", "--locale", "C", "--encoding", "UTF8"),
            *("--data-checksums", "--no-instructions"),
        )
    finally:
        password_file.unlink(missing_ok=True)
    if answer.returncode != 0:
        raise ClusterFailed(f"initdb failed:\n{answer.stdout}")
    _make_roles(account, binaries, beside, passwords)
    beside.rename(cluster)
    _sync_folder(cluster.parent)


def write_options(account: Account, cluster: Path, socket_dir: Path) -> Path:
    """This will write the options file anew and give its path."""
    path = cluster / "hazina.conf"
    beside = cluster / "hazina.conf.new"
    beside.unlink(missing_ok=True)
    sizes = Sizes.of(memory_bytes(), shutil.disk_usage(cluster).free)
    text = OPTIONS.format(socket_dir=str(socket_dir).replace("'", "''"), **asdict(sizes))
    _write_for(account, beside, text)
    beside.replace(path)
    return path


def check_version(cluster: Path) -> None:
    """Raises: ClusterFailed, when another major version made the cluster."""
    found = (cluster / "PG_VERSION").read_text().strip()
    if found != str(MAJOR):
        raise ClusterFailed(f"{cluster} was made by PostgreSQL {found}; this is {MAJOR}")


def _make_roles(account: Account, binaries: Path, cluster: Path, passwords: dict[str, str]) -> None:
    """In a server of one session, before any other session can exist."""
    answer = account.run(
        str(binaries / "postgres"),
        *("--single", "-D", str(cluster), "-c", "exit_on_error=on", "postgres"),
        text_in="".join(f"{statement}\n" for statement in _roles(passwords)),
    )
    if answer.returncode != 0 or "ERROR:" in answer.stdout:
        errors = [line for line in answer.stdout.splitlines() if "ERROR:" in line]
        raise ClusterFailed("making the roles failed:\n" + "\n".join(errors))


def _roles(passwords: dict[str, str]) -> list[str]:
    made = [
        f"CREATE ROLE {role} LOGIN PASSWORD '{passwords[role]}'" for role in ROLES if role != ADMIN
    ]
    return [
        *made,
        "ALTER ROLE hazina_read SET default_transaction_read_only = on",
        f"CREATE DATABASE {DATABASE} OWNER hazina_owner",
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {DATABASE} TO hazina_app, hazina_read",
    ]


def _write_for(account: Account, path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as out:
        if account.switch:
            os.fchown(fd, account.uid, account.gid)
        out.write(text)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
