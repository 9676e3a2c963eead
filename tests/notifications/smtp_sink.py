"""A small real mail server on loopback: takes letters, refuses, or drops the line when told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass(slots=True)
class SmtpSink:
    """What it received, and how it answers: a reply code for RCPT and for the end of DATA; with
    ``drop_after_data`` the letter is kept and the line is cut without a word."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    rcpt_code: int = 250
    data_code: int = 250
    drop_after_data: bool = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())
            await writer.drain()

        await say("220 sink")
        while line := (await reader.readline()).strip().upper():
            if line.startswith((b"EHLO", b"HELO")):
                await say("250 sink")
            elif line.startswith(b"RCPT"):
                await say(f"{self.rcpt_code} recipient")
            elif line == b"DATA":
                await say("354 go on")
                raw = await reader.readuntil(b"\r\n.\r\n")
                letter = message_from_bytes(raw[:-5], policy=policy.default)
                assert isinstance(letter, EmailMessage)
                if self.drop_after_data or self.data_code == 250:
                    self.letters.append(letter)
                if self.drop_after_data:
                    break
                await say(f"{self.data_code} letter")
            elif line == b"QUIT":
                await say("221 bye")
                break
            else:
                await say("250 fine")
        writer.close()


@asynccontextmanager
async def mail_server() -> AsyncIterator[SmtpSink]:
    sink = SmtpSink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        await server.wait_closed()
