"""Which database a command of the command line talks to, and for how long it must run."""

from collections.abc import Iterator
from contextlib import contextmanager

from hazina.bootstrap.embedded import DataDirBusy, EmbeddedPostgres
from hazina.bootstrap.pg_record import Urls, urls_of
from hazina.infra.settings import Settings


def configured(settings: Settings) -> Urls | None:
    """The server that the settings name; None means the embedded one."""
    if settings.database_url is None:
        return None
    app = settings.database_url.get_secret_value()
    owner = settings.database_owner_url or settings.database_url
    readonly = settings.database_readonly_url or settings.database_url
    return Urls(
        admin=owner.get_secret_value(),
        owner=owner.get_secret_value(),
        app=app,
        readonly=readonly.get_secret_value(),
    )


@contextmanager
def database_for(settings: Settings) -> Iterator[Urls]:
    """The configured server; else the one of the house that is running on ``data_dir``; else the
    embedded one, started for as long as this lasts. Raises: EmbeddedTrouble."""
    urls = configured(settings)
    if urls is not None:
        yield urls
        return
    server = EmbeddedPostgres(settings.data_dir)
    try:
        own = server.start()
    except DataDirBusy:
        running = urls_of(settings.data_dir)
        if running is None:  # it is just starting, or just stopping
            raise
        yield running
        return
    try:
        yield own
    finally:
        server.stop()
