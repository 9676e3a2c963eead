"""Vault keys: who wraps data keys, and the local file that does it by default.

A key provider wraps and unwraps 32-byte data keys under master keys that have ids; the newest is
active, older ones still open. Its root secret never changes: blind indexes and derived keys must
give the same answer for ever. A provider backed by a key service keeps master keys there and only
has to honour the protocol.
"""

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
FORMAT = 1


class VaultError(Exception):
    """A sealed record does not open: wrong key, wrong place, tampered with, or destroyed."""


class KeyFileError(VaultError):
    """The key file is missing, readable by others, or not one of ours."""


class KeyProvider(Protocol):
    """What the vault asks of whoever holds the master keys."""

    @property
    def active(self) -> str:
        """The id of the key that new records are wrapped with."""

    def wrap(self, data_key: bytes, *, key_id: str, bound: bytes) -> bytes:
        """This will encrypt a data key under master key ``key_id``, bound to ``bound``."""

    def unwrap(self, wrapped: bytes, *, key_id: str, bound: bytes) -> bytes:
        """Raises: VaultError."""

    def root(self) -> bytes:
        """The secret that blind indexes and derived keys come from; rotation keeps it."""

    def rotate(self, now: datetime) -> str:
        """This will add a master key, make it active and return its id."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A master key as a person may see it."""

    id: str
    created_at: str
    active: bool


@dataclass(frozen=True, slots=True, repr=False)
class _Ring:
    """The file's content. Never printed."""

    active: str
    keys: dict[str, bytes]
    created: dict[str, str]
    root: bytes


class LocalKeyProvider:
    """Master keys in one file that only its owner may read.

    The file is read when it is first needed, and again when a record names a key that was added
    since: a rotation by the CLI reaches running processes that way.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ring: _Ring | None = None

    def __repr__(self) -> str:
        return f"LocalKeyProvider({str(self._path)!r})"

    @classmethod
    def generate(cls, path: Path, now: datetime) -> "LocalKeyProvider":
        """This will make a new key file, mode 0600. Raises: KeyFileError when there is one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        first = _key_id(1)
        ring = _Ring(
            active=first,
            keys={first: secrets.token_bytes(KEY_BYTES)},
            created={first: now.isoformat()},
            root=secrets.token_bytes(KEY_BYTES),
        )
        try:
            _write(path, ring)
        except FileExistsError:
            raise KeyFileError(f"{path} exists already; it is never overwritten") from None
        return cls(path)

    @property
    def active(self) -> str:
        return self._load().active

    def list_keys(self) -> list[KeyInfo]:
        ring = self._load()
        return [KeyInfo(k, ring.created.get(k, ""), k == ring.active) for k in sorted(ring.keys)]

    def wrap(self, data_key: bytes, *, key_id: str, bound: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self._key(key_id)).encrypt(nonce, data_key, bound)

    def unwrap(self, wrapped: bytes, *, key_id: str, bound: bytes) -> bytes:
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        try:
            return AESGCM(self._key(key_id)).decrypt(nonce, sealed, bound)
        except (InvalidTag, ValueError):
            raise VaultError("a data key does not open") from None

    def root(self) -> bytes:
        return self._load().root

    def rotate(self, now: datetime) -> str:
        with self._locked():
            ring = self._read()
            added = _key_id(1 + max(int(k.removeprefix("k")) for k in ring.keys))
            self._ring = _Ring(
                active=added,
                keys={**ring.keys, added: secrets.token_bytes(KEY_BYTES)},
                created={**ring.created, added: now.isoformat()},
                root=ring.root,
            )
            _replace(self._path, self._ring)
        return added

    def _key(self, key_id: str) -> bytes:
        ring = self._load()
        if key_id not in ring.keys:
            ring = self._ring = self._read()
        if key_id not in ring.keys:
            raise VaultError(f"there is no master key {key_id!r} in {self._path.name}")
        return ring.keys[key_id]

    def _load(self) -> _Ring:
        if self._ring is None:
            self._ring = self._read()
        return self._ring

    def _read(self) -> _Ring:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            raise KeyFileError(
                f"cannot read the key file {self._path}: {error.strerror}; "
                "`hazina keys generate` makes one"
            ) from None
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o077:
                raise KeyFileError(f"others may read {self._path}: chmod 600 it")
            content = file.read()
        try:
            return _parse(content)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KeyFileError(f"{self._path} is not a key file of ours") from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One rotation at a time; the folder itself is what is locked."""
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _key_id(number: int) -> str:
    return f"k{number}"


def _parse(content: bytes) -> _Ring:
    data = json.loads(content)
    if data["format"] != FORMAT:
        raise ValueError("unknown format")
    keys = {k: base64.b64decode(v["key"], validate=True) for k, v in data["keys"].items()}
    root = base64.b64decode(data["root"], validate=True)
    if data["active"] not in keys or any(len(k) != KEY_BYTES for k in (*keys.values(), root)):
        raise ValueError("incomplete")
    created = {k: str(v["created_at"]) for k, v in data["keys"].items()}
    return _Ring(data["active"], keys, created, root)


def _dump(ring: _Ring) -> bytes:
    keys = {
        k: {"key": base64.b64encode(v).decode(), "created_at": ring.created[k]}
        for k, v in ring.keys.items()
    }
    root = base64.b64encode(ring.root).decode()
    data = {"format": FORMAT, "active": ring.active, "keys": keys, "root": root}
    return json.dumps(data, indent=1).encode() + b"\n"


def _write(path: Path, ring: _Ring) -> None:
    """Complete and on disk, or not there at all; never over another file."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _draft(draft, ring)
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path)


def _replace(path: Path, ring: _Ring) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _draft(draft, ring)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path)


def _draft(path: Path, ring: _Ring) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_dump(ring))
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
