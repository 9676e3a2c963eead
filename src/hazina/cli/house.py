"""A house for one command: on the configured or the embedded database, running or not."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hazina.cli import screen

if TYPE_CHECKING:
    from hazina.infra.house import House
    from hazina.infra.settings import Settings
    from hazina.kernel.actor import Actor

T = TypeVar("T")


def here(command: str) -> "Actor":
    """Whoever has this machine has the house: the command line acts as the system itself."""
    from hazina.kernel.actor import Actor, ActorKind

    return Actor(ActorKind.SYSTEM, user_agent=f"hazina {command}")


def settings_for(data: Path | None) -> "Settings":
    """The settings, with another data directory where one is named."""
    from hazina.infra.settings import load_settings

    settings = load_settings()
    return settings if data is None else settings.model_copy(update={"data_dir": data})


def in_house(act: "Callable[[House], Awaitable[T]]", data: Path | None = None) -> T:
    """This will run ``act`` in an assembled house; a refusal ends the command in its words."""
    import asyncpg

    from hazina.bootstrap.database import database_for
    from hazina.bootstrap.pg_place import EmbeddedTrouble
    from hazina.infra.keys import KeyFileError
    from hazina.infra.settings import UnsafeSettings
    from hazina.kernel.errors import Refusal

    settings = settings_for(data)
    try:
        with database_for(settings) as urls:
            return asyncio.run(_open(settings, urls.app, act))
    except Refusal as no:
        raise screen.fail(f"{no.message} {no.action or ''}".rstrip()) from None
    except (EmbeddedTrouble, UnsafeSettings, KeyFileError) as why:
        raise screen.fail(why) from None
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise screen.fail("There are no tables yet: run `hazina migrate` first.") from None


async def _open(settings: "Settings", url: str, act: "Callable[[House], Awaitable[T]]") -> T:
    from pydantic import SecretStr

    from hazina.bootstrap.wiring import open_house

    own = settings.model_copy(update={"database_url": SecretStr(url)})
    async with AsyncExitStack() as last:
        # Which of its rails are off is said by whoever starts it for good.
        with redirect_stdout(StringIO()):
            house = await last.enter_async_context(open_house(own))
        return await act(house)
