"""What a data directory remembers of its embedded server, in one 0600 file, and the URLs of it."""

import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from hazina.bootstrap.pg_cluster import ADMIN, DATABASE, ROLES
from hazina.bootstrap.pg_place import EmbeddedTrouble, user_name

RECORD = "database.json"


class DataDirUnusable(EmbeddedTrouble):
    """The data directory cannot be used as it is; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Urls:
    """One asyncpg-style URL per role, all on the database ``hazina``."""

    admin: str
    owner: str
    app: str
    readonly: str


@dataclass(slots=True)
class Record:
    """What the data directory remembers: passwords by role, the cluster's place (relative to the
    data directory, or absolute), the socket's folder, and whether a cluster was ever finished."""

    passwords: dict[str, str]
    place: str | None = None
    socket_dir: str | None = None
    initialized: bool = False

    @classmethod
    def load(cls, path: Path) -> "Record":
        """Raises: DataDirUnusable, when others could have read or written the file."""
        try:
            seen = path.stat()
            if seen.st_uid != os.geteuid():
                raise DataDirUnusable(f"{path} belongs to {user_name(seen.st_uid)}: start as them")
            if stat.S_IMODE(seen.st_mode) & 0o077:
                raise DataDirUnusable(f"{path} is open to others: chmod 600 {path}")
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return cls(passwords={role: secrets.token_hex(24) for role in ROLES})
        except PermissionError:
            raise DataDirUnusable(f"{path} cannot be read by this user") from None
        except (ValueError, TypeError):
            raise DataDirUnusable(f"{path} is damaged: restore it from the backup") from None

    def save(self, path: Path) -> None:
        """Whole or not at all, 0600 from the first byte."""
        beside = path.with_name(path.name + ".new")
        beside.unlink(missing_ok=True)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as out:
            json.dump(asdict(self), out, indent=1)
            out.flush()
            os.fsync(fd)
        beside.replace(path)

    def urls(self) -> Urls:
        def url(role: str) -> str:
            where = f"/{DATABASE}?host={quote(str(self.socket_dir))}&port=5432"
            return f"postgresql://{role}:{self.passwords[role]}@{where}"

        return Urls(url(ADMIN), url("hazina_owner"), url("hazina_app"), url("hazina_read"))


def urls_of(data_dir: Path) -> Urls | None:
    """This will give the URLs of the server on ``data_dir`` when one seems to run there: for
    commands beside a running house. Raises: DataDirUnusable."""
    record = Record.load(data_dir / RECORD)
    if record.socket_dir is None or not (Path(record.socket_dir) / ".s.PGSQL.5432").exists():
        return None
    return record.urls()
