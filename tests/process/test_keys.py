"""The vault's key file of a house: made for new data, never in place of a lost one."""

from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr

from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.household import KeysMissing, ensure_keys
from hazina.bootstrap.migrate import upgrade
from hazina.infra.settings import Mode, Settings
from hazina.kernel.ids import new_id

pytestmark = pytest.mark.process


@pytest.fixture
def settings(server: EmbeddedPostgres, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=server.data_dir,
        database_url=SecretStr(server.urls.app),
        key_file=tmp_path / "keys.json",
    )


async def test_new_data_get_a_key_file_once(server: EmbeddedPostgres, settings: Settings) -> None:
    await upgrade(server.urls.owner)
    assert settings.key_file is not None
    assert await ensure_keys(settings, server.urls) is True
    made = settings.key_file.read_bytes()
    assert await ensure_keys(settings, server.urls) is False
    assert settings.key_file.read_bytes() == made


async def test_a_lost_key_file_is_not_replaced_once_something_is_sealed(
    server: EmbeddedPostgres, settings: Settings
) -> None:
    await upgrade(server.urls.owner)
    connection = await asyncpg.connect(server.urls.app)
    await connection.execute(
        "INSERT INTO infra.data_key (owner, wrapped, created_at) VALUES ($1, $2, now())",
        new_id(),
        b"sealed",
    )
    await connection.close()
    with pytest.raises(KeysMissing, match="put it back from its backup"):
        await ensure_keys(settings, server.urls)
    assert settings.key_file is not None
    assert not settings.key_file.exists()


async def test_production_brings_its_own(server: EmbeddedPostgres, settings: Settings) -> None:
    production = settings.model_copy(update={"mode": Mode.PRODUCTION})
    assert await ensure_keys(production, server.urls) is False
    assert settings.key_file is not None
    assert not settings.key_file.exists()
