"""The least that an answer from the database costs: FastAPI, one handler, one asyncpg query.

A process of its own, served like the house's: ``python -m hazina.bootstrap.bench.bare PORT``.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from hazina.bootstrap.serving import listen
from hazina.infra.settings import load_settings

SQL = "SELECT id, username, email_masked FROM identity.customer WHERE id = $1"


class Person(BaseModel):
    """The same shape as the authenticated read answers with."""

    id: UUID
    username: str
    email: str


def bare_app(pool: asyncpg.Pool) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get("/person/{person_id}")
    async def read(person_id: UUID) -> Person:
        row: Any = await pool.fetchrow(SQL, person_id)
        return Person(id=row["id"], username=row["username"], email=row["email_masked"])

    return app


async def serve(port: int) -> None:
    settings = load_settings()
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    async with asyncpg.create_pool(url, min_size=1, max_size=settings.database_pool_size) as pool:
        config = uvicorn.Config(
            bare_app(pool),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
        )
        with listen(settings, port) as listener, suppress(asyncio.CancelledError):
            await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
