"""The line between a program and its database, which can be cut at the worst moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, urlsplit, urlunsplit

COMMAND_COMPLETE, DATA_ROW, READY = b"C", b"D", b"Z"


class Line:
    """Passes everything on until it is told to swallow an answer; then that connection is gone.

    ``swallow_commit``: the answer to COMMIT. ``swallow_answer``: the rows of the next statement,
    which has committed by itself when the server says that it is ready. ``lost`` counts both.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        query = parse_qs(parts.query)
        self._folder = query.get("host", [""])[0]
        self._host, self._port = parts.hostname or "", int(query.get("port", ["0"])[0])
        self._port = self._port or parts.port or 5432
        self._parts = parts
        self.swallow_commit = self.swallow_answer = False
        self.lost = 0

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[str]:
        """The URL of this end of the line."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        login = self._parts.netloc.rpartition("@")[0]
        try:
            yield urlunsplit(
                (self._parts.scheme, f"{login}@127.0.0.1:{port}", self._parts.path, "", "")
            )
        finally:
            server.close()

    async def _upstream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._folder.startswith("/"):
            return await asyncio.open_unix_connection(f"{self._folder}/.s.PGSQL.{self._port}")
        return await asyncio.open_connection(self._folder or self._host, self._port)

    async def _serve(self, asked: asyncio.StreamReader, told: asyncio.StreamWriter) -> None:
        answers, questions = await self._upstream()
        ends = [
            asyncio.create_task(self._ask(asked, questions)),
            asyncio.create_task(self._answer(answers, told)),
        ]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for writer in (told, questions):
            writer.close()
        for end in ends:
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)

    async def _ask(self, asked: asyncio.StreamReader, questions: asyncio.StreamWriter) -> None:
        while data := await asked.read(65_536):
            questions.write(data)

    async def _answer(self, answers: asyncio.StreamReader, told: asyncio.StreamWriter) -> None:
        if (first := await answers.read(1)) in (b"N", b"S"):  # whether it speaks TLS
            told.write(first)
            first = b""
        rows = False
        with suppress(asyncio.IncompleteReadError):
            while True:
                head = first + await answers.readexactly(5 - len(first))
                first = b""
                body = await answers.readexactly(int.from_bytes(head[1:]) - 4)
                rows = self.swallow_answer and (rows or head[:1] == DATA_ROW)
                if self._swallows(head[:1], body, rows):
                    self.lost += 1
                    return
                if not rows:
                    told.write(head + body)

    def _swallows(self, kind: bytes, body: bytes, rows: bool) -> bool:
        if self.swallow_commit and kind == COMMAND_COMPLETE and body.startswith(b"COMMIT"):
            self.swallow_commit = False
            return True
        if rows and kind == READY:
            self.swallow_answer = False
            return True
        return False
