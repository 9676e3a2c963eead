"""The vault: secrets sealed at rest, bound to their place, found by blind index, erased by key.

Every record has a data key of its own, wrapped by a master key whose id stands in the record. The
``context`` (table, column, row) is authenticated with it: copied elsewhere, it does not open. What
belongs to a customer is sealed under the customer's data key instead; destroying that one row
erases all of it, in every copy of the records.

What it does not do: hide sizes, or keep a destroyed key out of old backups of ``infra.data_key``
and the write-ahead log; both age out with them.

Record: version 1 · length and id of the master key · wrapped data key (12 + 32 + 16) · nonce (12)
· ciphertext and tag. Customer's record: version 2 · nonce · ciphertext and tag.
"""

import hashlib
import hmac
import secrets
from datetime import datetime
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hazina.infra.db import Tx
from hazina.infra.keys import KEY_BYTES, NONCE_BYTES, KeyProvider, LocalKeyProvider, VaultError
from hazina.kernel.clock import Clock

__all__ = ["CustomerVault", "KeyProvider", "LocalKeyProvider", "Vault", "VaultError"]

VERSION = b"\x01"
CUSTOMER_VERSION = b"\x02"
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + 16

FIND_KEY = "SELECT wrapped FROM infra.data_key WHERE owner = $1"
ADD_KEY = """
INSERT INTO infra.data_key (owner, wrapped, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
REWRAP_KEY = "UPDATE infra.data_key SET wrapped = $2 WHERE owner = $1 AND wrapped = $3"
DESTROY_KEY = """
INSERT INTO infra.data_key (owner, wrapped, created_at, destroyed_at) VALUES ($1, NULL, $2, $2)
ON CONFLICT (owner) DO UPDATE SET wrapped = NULL, destroyed_at = excluded.destroyed_at
WHERE data_key.destroyed_at IS NULL
"""


class Vault:
    """Seals and opens small secrets with the house's master keys."""

    def __init__(self, keys: KeyProvider) -> None:
        self._keys = keys

    def __repr__(self) -> str:
        return "Vault()"

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """This will encrypt ``plain`` so that it opens in the same ``context`` only."""
        key_id = self._keys.active
        head = VERSION + bytes([len(key_id)]) + key_id.encode("ascii")
        bound = _bound(head, context)
        data_key = secrets.token_bytes(KEY_BYTES)
        wrapped = self._keys.wrap(data_key, key_id=key_id, bound=bound)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return head + wrapped + nonce + AESGCM(data_key).encrypt(nonce, plain, bound)

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Raises: VaultError: tampered with, from another place, or its master key is gone."""
        sealed = bytes(sealed)
        if len(sealed) < 2 or sealed[:1] != VERSION:
            raise VaultError("not a sealed record")
        end = 2 + sealed[1]
        head, wrapped = sealed[:end], sealed[end : end + WRAPPED_BYTES]
        rest = sealed[end + WRAPPED_BYTES :]
        bound = _bound(head, context)
        data_key = self._keys.unwrap(wrapped, key_id=_key_id(head), bound=bound)
        return _decrypt(data_key, rest, bound)

    def reseal(self, sealed: bytes, *, context: str) -> bytes:
        """This will seal a record under the active master key; the same bytes if it is already."""
        if _key_id(sealed) == self._keys.active:
            self.open(sealed, context=context)
            return sealed
        return self.seal(self.open(sealed, context=context), context=context)

    def blind_index(self, value: str, *, purpose: str) -> bytes:
        """32 bytes that are the same for the same value and purpose, whatever rotates."""
        key = self.derive(f"blind-index/{purpose}")
        return hmac.new(key, value.encode(), hashlib.sha256).digest()

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose, the same for ever."""
        kdf = HKDF(
            algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"hazina/{purpose}".encode()
        )
        return kdf.derive(self._keys.root())

    def rotate(self, now: datetime) -> str:
        """This will make a new master key active; records sealed before still open."""
        return self._keys.rotate(now)


class CustomerVault:
    """Seals what belongs to one customer under a key that can be destroyed."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock

    def __repr__(self) -> str:
        return "CustomerVault()"

    async def seal(self, tx: Tx, owner: UUID, plain: bytes, context: str) -> bytes:
        """This will encrypt ``plain`` for ``owner``, making their key when it is the first time.

        Raises: VaultError: their key was destroyed, and nothing is ever sealed for them again.
        """
        key = await self._find_key(tx, owner)
        if key is None:
            fresh = self._vault.seal(secrets.token_bytes(KEY_BYTES), context=_key_context(owner))
            await tx.execute(ADD_KEY, owner, fresh, self._clock.now())
            key = await self._find_key(tx, owner)  # ours, or that of whoever was first
            assert key is not None
        nonce = secrets.token_bytes(NONCE_BYTES)
        bound = _bound(CUSTOMER_VERSION + owner.bytes, context)
        return CUSTOMER_VERSION + nonce + AESGCM(key).encrypt(nonce, plain, bound)

    async def open(self, tx: Tx, owner: UUID, sealed: bytes, context: str) -> bytes:
        """Raises: VaultError: also when the owner's key was destroyed."""
        sealed = bytes(sealed)
        if sealed[:1] != CUSTOMER_VERSION:
            raise VaultError("not a customer's sealed record")
        key = await self._find_key(tx, owner)
        if key is None:
            raise VaultError("the owner has no data key")
        return _decrypt(key, sealed[1:], _bound(CUSTOMER_VERSION + owner.bytes, context))

    async def destroy(self, tx: Tx, owner: UUID) -> None:
        """This will make everything sealed for ``owner`` unreadable, for ever. Safe to repeat."""
        await tx.execute(DESTROY_KEY, owner, self._clock.now())

    async def reseal(self, tx: Tx, owner: UUID) -> None:
        """This will wrap the owner's key under the active master key; their records stay."""
        wrapped: bytes | None = await tx.fetchval(FIND_KEY, owner)
        if wrapped is not None:
            again = self._vault.reseal(wrapped, context=_key_context(owner))
            await tx.execute(REWRAP_KEY, owner, again, wrapped)

    async def _find_key(self, tx: Tx, owner: UUID) -> bytes | None:
        row = await tx.fetchrow(FIND_KEY, owner)
        if row is None:
            return None
        if row["wrapped"] is None:
            raise VaultError("the owner's data key was destroyed")
        return self._vault.open(row["wrapped"], context=_key_context(owner))


def _key_context(owner: UUID) -> str:
    return f"infra.data_key:{owner}"


def _bound(head: bytes, context: str) -> bytes:
    return head + b"\0" + context.encode()


def _key_id(sealed: bytes) -> str:
    try:
        return bytes(sealed[2 : 2 + sealed[1]]).decode("ascii")
    except (IndexError, UnicodeDecodeError):
        raise VaultError("not a sealed record") from None


def _decrypt(key: bytes, sealed: bytes, bound: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        raise VaultError("a sealed record does not open here") from None
