"""What a copy says of itself: ``manifest.json``, written last, and held against it before use.

It names every file with size and SHA-256, the schema, where the ledger stood, which keys open the
copy, and the settings without secrets. It is authenticated with a key derived from the vault's:
whoever can alter the copy, but has no key file, cannot make it look whole. The keys themselves are
never in a copy.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import SecretStr

import hazina
from hazina.bootstrap.backup.trouble import CopyDamaged, KeysMissing
from hazina.infra.keys import LocalKeyProvider, VaultError
from hazina.infra.settings import Settings
from hazina.infra.vault import Vault
from hazina.ledger.standing import Standing

FORMAT = 1
NAME = "manifest.json"
KEY_PURPOSE = "backup.manifest"
PROBE = b"hazina/backup/probe"
CHUNK = 1024 * 1024


class How(StrEnum):
    """How a copy was taken."""

    PHYSICAL = "physical"  # the server's files with the log that makes them whole: pg_basebackup
    LOGICAL = "logical"  # what is in the tables, in one snapshot: pg_dump


@dataclass(frozen=True, slots=True)
class FileMark:
    """One file's length and SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """The content of ``manifest.json``. ``next_xid`` is the server's, as a 64-bit number;
    ``head`` is the newest sealed block's, signed; ``probes`` is a value wrapped under each key."""

    made_at: datetime
    how: How
    version: str
    postgres: int
    database: str
    heads: list[str]
    next_xid: int
    took_s: str
    ledger: Standing
    head: dict[str, Any] | None
    settings: dict[str, str]
    probes: dict[str, str]
    files: dict[str, FileMark]

    @property
    def size(self) -> int:
        return sum(mark.size for mark in self.files.values())

    def as_json(self) -> dict[str, Any]:
        told = asdict(self)
        told["made_at"] = self.made_at.isoformat()
        return {"format": FORMAT, **told}


def write(folder: Path, inventory: Inventory, vault: Vault) -> None:
    """This will write the manifest, and it is on the disk when this returns."""
    told = inventory.as_json()
    told["seal"] = _seal(told, vault)
    fd = os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as out:
        json.dump(told, out, indent=1, sort_keys=True)
        out.flush()
        os.fsync(fd)


def read(folder: Path) -> tuple[Inventory, dict[str, Any]]:
    """What a copy says of itself, and the same as it was read, seal included.

    Raises: CopyDamaged, when there is no manifest or it cannot be read.
    """
    try:
        told = json.loads((folder / NAME).read_text())
        if told["format"] != FORMAT:
            raise CopyDamaged(f"{folder} has format {told['format']}; this house reads {FORMAT}")
        fields = {k: v for k, v in told.items() if k not in ("format", "seal")}
        fields["made_at"] = datetime.fromisoformat(fields["made_at"])
        fields["how"] = How(fields["how"])
        fields["ledger"] = Standing.of_json(fields["ledger"])
        fields["files"] = {name: FileMark(**mark) for name, mark in fields["files"].items()}
        return Inventory(**fields), told
    except FileNotFoundError:
        raise CopyDamaged(f"{folder} is not a finished copy: it has no {NAME}") from None
    except (ValueError, KeyError, TypeError) as why:
        raise CopyDamaged(f"{folder / NAME} cannot be read: {why}") from None


def check_files(folder: Path, inventory: Inventory) -> None:
    """This will hold every file of a copy against its manifest. Raises: CopyDamaged."""
    there = {relative for relative in walk(folder) if relative != NAME}
    if missing := sorted(set(inventory.files) - there):
        raise CopyDamaged(f"{folder}: {missing[0]} is missing ({len(missing)} in all)")
    if added := sorted(there - set(inventory.files)):
        raise CopyDamaged(f"{folder}: {added[0]} does not belong to the copy")
    for relative, mark in sorted(inventory.files.items()):
        if mark_of(folder / relative) != mark:
            raise CopyDamaged(f"{folder}: {relative} is not what was written")


def check_keys(told: Mapping[str, Any], inventory: Inventory, keys: LocalKeyProvider) -> None:
    """This will make sure that ``keys`` open the copy, and that the manifest was written with
    them. Raises: KeysMissing, CopyDamaged."""
    try:
        for key_id, probe in inventory.probes.items():
            keys.unwrap(base64.b64decode(probe), key_id=key_id, bound=PROBE)
    except VaultError as why:
        needed = ", ".join(sorted(inventory.probes))
        raise KeysMissing(f"the copy needs the key file with {needed}: {why}") from None
    if not hmac.compare_digest(str(told.get("seal")), _seal(told, Vault(keys))):
        raise CopyDamaged(f"the {NAME} was altered: its seal does not fit")


def probes_of(keys: LocalKeyProvider) -> dict[str, str]:
    """A value wrapped under each key that may be needed. Raises: KeysMissing."""
    try:
        return {
            key.id: base64.b64encode(
                keys.wrap(secrets.token_bytes(32), key_id=key.id, bound=PROBE)
            ).decode()
            for key in keys.list_keys()
        }
    except VaultError as why:
        raise KeysMissing(str(why)) from None


def plain_settings(settings: Settings) -> dict[str, str]:
    """Every setting that is no secret, by the name of its variable."""
    found = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        # An address may carry a password before its host.
        if isinstance(value, SecretStr) or value is None or "@" in str(value):
            continue
        found[f"HAZINA_{name.upper()}"] = str(getattr(value, "value", value))
    return found


def walk(folder: Path) -> Iterator[str]:
    """Every file under ``folder``, relative to it. Raises: CopyDamaged for anything else."""
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise CopyDamaged(f"{path} is neither a file nor a folder")
        if path.is_file():
            yield path.relative_to(folder).as_posix()


def mark_of(path: Path) -> FileMark:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileMark(size, digest.hexdigest())


def house_version() -> str:
    return hazina.__version__


def _seal(told: Mapping[str, Any], vault: Vault) -> str:
    content = {name: value for name, value in told.items() if name != "seal"}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    return hmac.new(vault.derive(KEY_PURPOSE), canonical, hashlib.sha256).hexdigest()
