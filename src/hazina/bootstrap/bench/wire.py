"""HTTP as a load generator speaks it: one kept connection for each client, nothing parsed twice.

Only for our own loopback: it understands what our servers send, lengths and no chunks but for
what has neither. The house itself goes through ``infra.http``.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from hazina.bootstrap.ports import LOOPBACK


class WireBroken(Exception):
    """The server closed, or said something that this does not read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - the wire decides
        return json.loads(self.body)


@dataclass(slots=True)
class Line:
    """One connection; one request after the other."""

    port: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> "Line":
        return cls(port, *await asyncio.open_connection(LOOPBACK, port))

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Raises: WireBroken."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"host: {LOOPBACK}:{self.port}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if content:
            lines += ["content-type: application/json", f"content-length: {len(content)}"]
        request = "\r\n".join([*lines, "", ""]).encode() + content
        if self.reader.at_eof():  # idle for long: the server has let go
            await self._reopen()
        try:
            return await self._ask(request)
        except (asyncio.IncompleteReadError, ConnectionError) as gone:
            if getattr(gone, "partial", b""):
                raise WireBroken("the server closed the connection") from gone
        # It let go of the idle connection while this was on its way, and has read nothing of it.
        await self._reopen()
        try:
            return await self._ask(request)
        except (asyncio.IncompleteReadError, ConnectionError) as gone:
            raise WireBroken("the server closed the connection") from gone

    async def _reopen(self) -> None:
        self.writer.close()
        self.reader, self.writer = await asyncio.open_connection(LOOPBACK, self.port)

    async def _ask(self, request: bytes) -> Answer:
        self.writer.write(request)
        return await self._answer()

    async def _answer(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head[9:12])
        _, found, rest = head.partition(b"content-length:")
        if not found:
            if status == 204:
                return Answer(status, b"")
            raise WireBroken(head.decode(errors="replace"))
        length = int(rest.partition(b"\r\n")[0])
        return Answer(status, await self.reader.readexactly(length))

    def close(self) -> None:
        self.writer.close()
