"""Real PostgreSQL for every test that touches data.

One server for the run (the embedded one, or HAZINA_TEST_DATABASE_URL: a superuser's URL), one
migrated template, one database for each test worker cloned from it: ``db``. A test that looks at
totals, or breaks things, takes a database of its own: ``fresh``.
"""

import gc
import importlib.util
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr

from hazina.bootstrap.wiring import assemble
from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import Settings
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import new_id
from hazina.ledger.service import Ledger, prepare
from tests import server

# As in infra.http, for tests that have no house: HTTP clients look for it a dozen times a call.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

START = datetime(2026, 11, 20, 9, tzinfo=UTC)


def pytest_configure(config: pytest.Config) -> None:
    """The controller of the run starts the server; its workers inherit the address."""
    gc.set_threshold(20_000, 20, 50)  # as the house's processes have it
    if hasattr(config, "workerinput") or config.option.collectonly or _only_tidy(config.args):
        return
    running = server.running()
    running.__enter__()
    config.add_cleanup(lambda: running.__exit__(None, None, None))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Soaks take minutes or hours: they run by name."""
    if "soak" in config.option.markexpr:
        return
    soaks = [item for item in items if item.get_closest_marker("soak")]
    if soaks:
        config.hook.pytest_deselected(items=soaks)
        items[:] = [item for item in items if item not in soaks]


def pytest_collection_finish() -> None:
    """Some thousand tests stay to the end: the collector need not walk through them again."""
    gc.collect()
    gc.freeze()


def _only_tidy(chosen: list[str]) -> bool:
    """The house laws read files and need no database."""
    tidy = Path(__file__).parent / "tidy"
    return all(Path(one.partition("::")[0]).resolve().is_relative_to(tidy) for one in chosen)


@dataclass(frozen=True, slots=True)
class Place:
    """One database and its URLs."""

    name: str
    admin: str

    @property
    def owner(self) -> str:
        return server.at(self.admin, self.name, "hazina_owner")

    @property
    def app(self) -> str:
        return server.at(self.admin, self.name, "hazina_app")

    @property
    def readonly(self) -> str:
        return server.at(self.admin, self.name, "hazina_read")


async def place_called(name: str) -> Place:
    """A new database from the template; who makes it drops it."""
    admin = os.environ[server.ADMIN_VARIABLE]
    await server.clone(admin, name)
    return Place(name, admin)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def place() -> AsyncIterator[Place]:
    """The worker's database."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "only")
    made = await place_called(f"hazina_test_{os.getpid()}_{worker}")
    yield made
    await server.drop(made.admin, made.name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def db(place: Place) -> AsyncIterator[Database]:
    """The worker's database as the application sees it."""
    database = await Database.connect(place.app, size=40)
    await prepare(Ledger(), database)
    yield database
    await database.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def owner_db(place: Place) -> AsyncIterator[Database]:
    database = await Database.connect(place.owner, size=4)
    yield database
    await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def fresh_place() -> AsyncIterator[Place]:
    """A database of one test's own."""
    made = await place_called(f"hazina_test_{new_id().hex}")
    yield made
    await server.drop(made.admin, made.name)


@pytest_asyncio.fixture(loop_scope="session")
async def fresh(fresh_place: Place) -> AsyncIterator[Database]:
    """A database of one test's own, as the application sees it."""
    database = await Database.connect(fresh_place.app, size=20)
    await prepare(Ledger(), database)
    yield database
    await database.close()


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(START)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, place: Place) -> Settings:
    folder: Path = tmp_path_factory.mktemp("data")
    LocalKeyProvider.generate(folder / "keys.json", START)
    return Settings(
        data_dir=folder,
        database_url=SecretStr(place.app),
        key_file=folder / "keys.json",
        password_memory_kib=8,
        login_limit="1000000/minute",
        stk_limit="1000000/minute",
        cool_down_hours=0,
    )


@pytest_asyncio.fixture(loop_scope="session")
async def house(settings: Settings, db: Database, clock: SettableClock) -> AsyncIterator[House]:
    """Every slice's services on the worker's database and the test's own clock."""
    made = assemble(settings, db, clock)
    yield made
    await made.close()
