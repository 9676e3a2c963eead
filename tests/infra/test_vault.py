"""What is sealed opens in its place only, survives rotation, and can be erased for ever."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import START

from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.infra.keys import KeyFileError, LocalKeyProvider
from hazina.infra.vault import CustomerVault, Vault, VaultError
from hazina.kernel.ids import new_id

PLACE = "identity.customer.phone:1"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    LocalKeyProvider.generate(path, START)
    return path


@pytest.fixture
def vault(key_file: Path) -> Vault:
    return Vault(LocalKeyProvider(key_file))


class TestSeal:
    def test_it_opens_where_it_was_sealed(self, vault: Vault) -> None:
        for plain in (b"", b"254712345678", os.urandom(4096)):
            assert vault.open(vault.seal(plain, context=PLACE), context=PLACE) == plain

    def test_the_same_secret_never_looks_the_same(self, vault: Vault) -> None:
        assert vault.seal(b"x", context=PLACE) != vault.seal(b"x", context=PLACE)

    def test_copied_to_another_row_it_does_not_open(self, vault: Vault) -> None:
        sealed = vault.seal(b"x", context=PLACE)
        with pytest.raises(VaultError):
            vault.open(sealed, context="identity.customer.phone:2")

    def test_every_single_changed_byte_is_noticed(self, vault: Vault) -> None:
        sealed = vault.seal(b"secret", context=PLACE)
        for at in range(len(sealed)):
            broken = bytearray(sealed)
            broken[at] ^= 1
            with pytest.raises(VaultError):
                vault.open(bytes(broken), context=PLACE)

    def test_every_cut_is_noticed(self, vault: Vault) -> None:
        sealed = vault.seal(b"secret", context=PLACE)
        for length in range(len(sealed)):
            with pytest.raises(VaultError):
                vault.open(sealed[:length], context=PLACE)

    def test_another_houses_keys_do_not_open_it(self, vault: Vault, tmp_path: Path) -> None:
        other = Vault(LocalKeyProvider.generate(tmp_path / "other.json", START))
        with pytest.raises(VaultError):
            other.open(vault.seal(b"x", context=PLACE), context=PLACE)


class TestRotation:
    def test_old_records_open_and_new_ones_take_the_new_key(
        self, vault: Vault, key_file: Path
    ) -> None:
        old = vault.seal(b"x", context=PLACE)
        assert vault.rotate(START) == "k2"
        new = vault.seal(b"x", context=PLACE)
        assert (old[2:4], new[2:4]) == (b"k1", b"k2")
        assert vault.open(old, context=PLACE) == b"x"
        assert [(k.id, k.active) for k in LocalKeyProvider(key_file).list_keys()] == [
            ("k1", False),
            ("k2", True),
        ]

    def test_resealing_moves_a_record_to_the_active_key(self, vault: Vault) -> None:
        old = vault.seal(b"x", context=PLACE)
        assert vault.reseal(old, context=PLACE) == old
        vault.rotate(START)
        again = vault.reseal(old, context=PLACE)
        assert again[2:4] == b"k2"
        assert vault.open(again, context=PLACE) == b"x"

    def test_a_running_process_opens_what_another_sealed_after_rotating(
        self, vault: Vault, key_file: Path
    ) -> None:
        assert vault.open(vault.seal(b"x", context=PLACE), context=PLACE) == b"x"
        elsewhere = Vault(LocalKeyProvider(key_file))
        elsewhere.rotate(START)
        assert vault.open(elsewhere.seal(b"new", context=PLACE), context=PLACE) == b"new"

    def test_blind_indexes_and_derived_keys_outlive_rotation(self, vault: Vault) -> None:
        index, derived = vault.blind_index("+254712", purpose="phone"), vault.derive("tokens")
        vault.rotate(START)
        assert vault.blind_index("+254712", purpose="phone") == index
        assert vault.derive("tokens") == derived
        assert len(index) == len(derived) == 32

    def test_purposes_do_not_share_an_index(self, vault: Vault) -> None:
        one, two = (vault.blind_index("same", purpose=p) for p in ("phone", "email"))
        assert one != two


class TestKeyFile:
    def test_only_its_owner_may_read_it(self, key_file: Path) -> None:
        assert key_file.stat().st_mode & 0o777 == 0o600
        assert [path.name for path in key_file.parent.iterdir()] == ["keys.json"]

    def test_one_that_others_may_read_is_refused(self, key_file: Path) -> None:
        key_file.chmod(0o640)
        with pytest.raises(KeyFileError, match="chmod 600"):
            Vault(LocalKeyProvider(key_file)).derive("x")

    def test_it_is_never_overwritten(self, key_file: Path) -> None:
        before = key_file.read_bytes()
        with pytest.raises(KeyFileError, match="never overwritten"):
            LocalKeyProvider.generate(key_file, START)
        assert key_file.read_bytes() == before

    def test_a_missing_one_names_the_command(self, tmp_path: Path) -> None:
        with pytest.raises(KeyFileError, match="hazina keys generate"):
            Vault(LocalKeyProvider(tmp_path / "none.json")).derive("x")

    @pytest.mark.parametrize("content", ["", "{}", "[]", '{"format": 2}', '{"format": 1}'])
    def test_a_broken_one_is_refused(self, key_file: Path, content: str) -> None:
        key_file.write_text(content)
        with pytest.raises(KeyFileError, match="not a key file"):
            Vault(LocalKeyProvider(key_file)).derive("x")

    def test_no_repr_shows_a_key(self, vault: Vault, key_file: Path) -> None:
        provider = LocalKeyProvider(key_file)
        secrets = [v["key"] for v in json.loads(key_file.read_text())["keys"].values()]
        shown = repr(vault) + repr(provider) + repr(provider.list_keys()) + repr(vars(provider))
        provider.root()
        shown += repr(vars(provider))
        assert all(secret not in shown for secret in secrets)
        assert "root=b" not in shown


class Locker:
    """A customer's sealed things, through the house's vault."""

    def __init__(self, house: House, db: Database) -> None:
        self.vault, self.db = house.get(CustomerVault), db

    async def seal(self, owner: Any, plain: bytes, context: str = PLACE) -> bytes:
        return await self.db.run(lambda tx: self.vault.seal(tx, owner, plain, context))

    async def open(self, owner: Any, sealed: bytes, context: str = PLACE) -> bytes:
        return await self.db.run(lambda tx: self.vault.open(tx, owner, sealed, context))

    async def destroy(self, owner: Any) -> None:
        await self.db.run(lambda tx: self.vault.destroy(tx, owner))


@pytest.fixture
def locker(infra: House, db: Database) -> Locker:
    return Locker(infra, db)


class TestCustomerKeys:
    async def test_each_customer_has_one_key_for_all_their_records(self, locker: Locker) -> None:
        owner = new_id()
        one, two = await locker.seal(owner, b"phone"), await locker.seal(owner, b"email")
        assert (await locker.open(owner, one), await locker.open(owner, two)) == (
            b"phone",
            b"email",
        )

    async def test_it_opens_for_its_owner_and_place_only(self, locker: Locker) -> None:
        owner, other = new_id(), new_id()
        sealed = await locker.seal(owner, b"x")
        await locker.seal(other, b"x")
        for who, where in ((other, PLACE), (new_id(), PLACE), (owner, "elsewhere")):
            with pytest.raises(VaultError):
                await locker.open(who, sealed, where)

    async def test_destroying_the_key_erases_everything_for_ever(
        self, locker: Locker, db: Database
    ) -> None:
        owner, bystander = new_id(), new_id()
        sealed, kept = await locker.seal(owner, b"x"), await locker.seal(bystander, b"y")
        await locker.destroy(owner)
        await locker.destroy(owner)
        with pytest.raises(VaultError, match="destroyed"):
            await locker.open(owner, sealed)
        with pytest.raises(VaultError, match="destroyed"):
            await locker.seal(owner, b"again")
        assert await locker.open(bystander, kept) == b"y"
        row = await db.fetchrow("SELECT * FROM infra.data_key WHERE owner = $1", owner)
        assert row is not None
        assert row["wrapped"] is None
        assert row["destroyed_at"] is not None

    async def test_rewrapping_a_customers_key_leaves_their_records(
        self, locker: Locker, infra: House, db: Database
    ) -> None:
        owner = new_id()
        sealed = await locker.seal(owner, b"x")
        sql = "SELECT wrapped FROM infra.data_key WHERE owner = $1"
        before = await db.fetchval(sql, owner)
        active = infra.get(Vault).rotate(START).encode()
        await db.run(lambda tx: locker.vault.reseal(tx, owner))
        after = await db.fetchval(sql, owner)
        assert before != after
        assert after[2 : 2 + after[1]] == active
        assert await locker.open(owner, sealed) == b"x"
