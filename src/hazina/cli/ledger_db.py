"""What `hazina ledger` does with the database: one read in one snapshot, as the role that can do no
more; the proof, whose verdict is remembered where the application's role can be had."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from hazina.cli import screen

if TYPE_CHECKING:
    from hazina.infra.db import Database, Tx
    from hazina.infra.settings import Settings
    from hazina.ledger.heads import Head, Signer
    from hazina.ledger.proof import Proof, Proven, Verdict

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a proof found, from which block on, up to which; ``kept``: it is remembered."""

    verdicts: "list[Verdict]"
    since: int
    upto: int
    kept: bool


def read(use_case: "Callable[[Tx], Awaitable[T]]") -> T:
    """This will run one read in one read-only snapshot, and say a refusal in plain words."""

    async def run() -> T:
        async with _reading() as (_, tx):
            return await use_case(tx)

    return _said(run)


def prove(*, full: bool, start: int | None, quiet: bool) -> Answer:
    """This will prove the ledger since the last verdict, or from ``start`` where that is earlier,
    or in full; and keep what it found for the next time."""

    async def run() -> Answer:
        from hazina.ledger.proof import Proven, last_proven, newest_block

        async with _reading() as (db, tx):
            proven = None if full else await last_proven(tx)
            if proven is not None and start is not None and start < proven.block:
                proven = Proven(start, await _hash_of(tx, start), proven.decided_at)
            upto = await newest_block(tx)
            verdicts = await _verdicts(db, tx, proven, quiet=quiet)
        kept = await _keep(verdicts, upto, proven)
        return Answer(verdicts, 0 if proven is None else proven.block, upto[0], kept)

    return _said(run)


async def against_head(tx: "Tx", head: "Head", keys: frozenset[str]) -> list[str]:
    from hazina.ledger.heads import contradictions

    return await contradictions(tx, head, keys)


def signer() -> "Signer":
    """Raises: typer.Exit, where the vault's keys are not to be had."""
    from hazina.infra.keys import LocalKeyProvider, VaultError
    from hazina.infra.manifest import key_file
    from hazina.infra.settings import load_settings
    from hazina.infra.vault import Vault
    from hazina.ledger.heads import Signer

    made = Signer(Vault(LocalKeyProvider(key_file(load_settings()))))
    try:
        made.public_key  # noqa: B018 - reads the key file
    except VaultError as why:
        raise screen.fail(why) from None
    return made


def own_public_keys() -> list[str]:
    """The house's own key, where its vault is at hand; a head can be proven without it."""
    from hazina.infra.manifest import key_file
    from hazina.infra.settings import load_settings

    return [signer().public_key] if key_file(load_settings()).exists() else []


def _said(run: Callable[[], Awaitable[T]]) -> T:
    import asyncpg

    from hazina.kernel.errors import Refusal

    async def main() -> T:
        return await run()

    try:
        return asyncio.run(main())
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise screen.fail("this database has no ledger yet: run hazina migrate") from None
    except Refusal as why:
        raise screen.fail(why.message) from None


@asynccontextmanager
async def _reading() -> "AsyncIterator[tuple[Database, Tx]]":
    from hazina.infra.settings import load_settings

    url = _url(load_settings())
    async with _database(url) as db, db.transaction(readonly=True) as tx:
        await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield db, tx


@asynccontextmanager
async def _database(url: str) -> "AsyncIterator[Database]":
    import asyncpg

    from hazina.infra.db import Database

    try:
        # All of history takes as long as it takes.
        db = await Database.connect(url, size=1, command_timeout_s=None)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as why:
        raise screen.fail(f"the database cannot be reached: {why}") from None
    try:
        yield db
    finally:
        await db.close()


def _url(settings: "Settings") -> str:
    """The reader's URL if there is one, else the application's, else the embedded server's."""
    for secret in (settings.database_readonly_url, settings.database_url):
        if secret is not None:
            return secret.get_secret_value()
    from hazina.bootstrap.pg_place import EmbeddedTrouble
    from hazina.bootstrap.pg_record import urls_of

    try:
        urls = urls_of(settings.data_dir)
    except EmbeddedTrouble as why:
        raise screen.fail(why) from None
    if urls is None:
        raise screen.fail(
            f"no house runs on {settings.data_dir}: start ./hazina up, or set"
            " HAZINA_DATABASE_READONLY_URL or HAZINA_DATA_DIR"
        )
    return urls.readonly


def _app_url(settings: "Settings") -> str | None:
    """The application's URL of the very database that was read; None where we have only a reader's:
    the verdict is then not remembered."""
    from hazina.bootstrap.pg_record import urls_of

    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    if settings.database_readonly_url is not None:
        return None
    urls = urls_of(settings.data_dir)
    return None if urls is None else urls.app


async def _keep(
    verdicts: "list[Verdict]", upto: tuple[int, bytes | None], proven: "Proven | None"
) -> bool:
    from hazina.infra.settings import load_settings
    from hazina.kernel.clock import SystemClock
    from hazina.ledger.proof import remember

    url = _app_url(load_settings())
    if url is None:
        return False
    now = SystemClock().now()
    async with _database(url) as db:
        await db.run(lambda tx: remember(tx, verdicts, upto, proven, now))
    return True


async def _hash_of(tx: "Tx", block: int) -> bytes | None:
    from hazina.ledger.proof import hash_of

    return await hash_of(tx, block)


async def _verdicts(
    db: "Database", tx: "Tx", proven: "Proven | None", *, quiet: bool
) -> "list[Verdict]":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from hazina.ledger.proof import about_how_many

    columns = (
        BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )  # fmt: skip
    hidden = quiet or not screen.console.is_terminal
    async with _proof(db) as proof:
        if not hidden and (proven is None or not proven.block):
            count = await about_how_many(tx)
            screen.console.print(f"[dim]reading all of history: about {count:,} entries[/dim]")
        with Progress(*columns, console=screen.console, transient=True, disable=hidden) as bar:
            task = bar.add_task("", total=len(proof.claims()))
            checked = 0

            def next_claims(claims: Sequence[str]) -> None:
                nonlocal checked
                more = f" (and {len(claims) - 1} with it)" if claims[1:] else ""
                bar.update(task, description=claims[0] + more, completed=checked)
                checked += len(claims)

            return await proof.verify(tx, next_claims, proven=proven)


@asynccontextmanager
async def _proof(db: "Database") -> "AsyncIterator[Proof]":
    """Every slice's claims. They open nothing that is sealed, so a key of the moment does: who
    proves the books need not have the vault's keys."""
    from hazina.bootstrap.wiring import assemble
    from hazina.infra.keys import LocalKeyProvider
    from hazina.infra.settings import load_settings
    from hazina.kernel.clock import SystemClock
    from hazina.ledger.proof import Proof

    clock, settings = SystemClock(), load_settings()
    with TemporaryDirectory(prefix="hazina-proof-") as folder:
        key_file = Path(folder) / "keys.json"
        LocalKeyProvider.generate(key_file, clock.now())
        # A house that is only asked for its claims need not say which of its rails are off.
        with redirect_stdout(StringIO()):
            house = assemble(settings.model_copy(update={"key_file": key_file}), db, clock)
        try:
            yield house.get(Proof)
        finally:
            await house.close()
