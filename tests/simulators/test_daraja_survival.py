"""A real process, killed without warning: what was acknowledged is still there."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from hazina.simulators.cli import app
from tests.loopback import NO_CERTIFICATES
from tests.simulators.conftest import CONFIRMATION, PHONE, VALIDATION, Daraja, Sink, exact

SOURCES = Path(__file__).parents[2] / "src"
OTHER = "254711000222"


class Process:
    """The simulator as people start it."""

    def __init__(self, data: Path, key_pair: Path) -> None:
        self.data = data
        self.key_pair = key_pair
        self.child: asyncio.subprocess.Process | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        self.child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hazina.simulators", "daraja", "--die-with-parent",
            "--data", str(self.data), "--key-pair", str(self.key_pair),
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(SOURCES)},
        )  # fmt: skip
        assert self.child.stdout is not None
        line = (await asyncio.wait_for(self.child.stdout.readline(), 20)).decode()
        assert line.startswith("Daraja simulator on http://127.0.0.1:"), line
        async with httpx.AsyncClient(
            base_url=line.split()[-1], timeout=20, verify=NO_CERTIFICATES
        ) as http:
            yield http
        if self.child.returncode is None:
            await self.end(signal.SIGKILL)

    async def end(self, how: signal.Signals) -> int:
        assert self.child is not None
        self.child.send_signal(how)
        return await asyncio.wait_for(self.child.wait(), 10)


@pytest.fixture
def process(tmp_path: Path, key_pair: Path) -> Process:
    return Process(tmp_path / "daraja.sqlite", key_pair)


class TestKill:
    async def test_keeps_prompt_callback_payout_fault_and_token(
        self, process: Process, sink: Sink
    ) -> None:
        sink.received.clear()
        certificate = process.key_pair.with_name("daraja.pem.cert.pem").read_bytes()
        async with process.running() as http:
            before = await Daraja(http, sink.base, certificate).login()
            await before.settings(callback_delay_ms=1500)
            await before.push()
            await before.press()  # its callback waits
            await before.push(PhoneNumber=OTHER, PartyA=OTHER, Amount=700)  # its prompt is open
            await before.settings(b2c_processing_ms=1500)
            await before.payout("wd-kill", PartyB=OTHER)  # accepted, not yet paid
            await before.fault("html_403", operation="balance")
            books = await before.books()
            assert await process.end(signal.SIGKILL) == -signal.SIGKILL
        assert sink.received == []
        async with process.running() as http:
            after = Daraja(http, sink.base, certificate, headers=before.headers)
            again = await after.books()
            assert again["transactions"][: len(books["transactions"])] == books["transactions"]
            prompt = (await after.handset(OTHER))["prompt"]
            assert prompt["amount"] == "700.00"
            await after.settings(callback_delay_ms=0)
            await after.press(phone=OTHER)
            told = [exact(text) for text in await sink.texts(3)]
            paid = [t["Body"]["stkCallback"]["ResultCode"] for t in told if "Body" in t]
            results = [t["Result"] for t in told if "Result" in t]
            assert paid == [0, 0]
            assert (results[0]["OriginatorConversationID"], results[0]["ResultCode"]) == (
                "wd-kill",
                0,
            )
            assert (await after.payout("wd-kill")).json()["errorCode"] == "500.002.1001"
            assert (await after.balance()).status_code == 403
            assert (await after.books())["organisation"]["working"] == "950.00"

    async def test_keeps_registration_question_clock_and_dice(
        self, process: Process, sink: Sink
    ) -> None:
        sink.clear()
        sink.silent.add(VALIDATION)
        certificate = process.key_pair.with_name("daraja.pem.cert.pem").read_bytes()
        async with process.running() as http:
            before = await Daraja(http, sink.base, certificate).login()
            await before.settings(callback_delay_ms=0, async_processing_ms=600_000)
            swept = await before.paid(amount="40")
            await before.register()
            asked = await before.paid()
            await sink.at(VALIDATION)
            await before.sweep(40)  # accepted, due in ten minutes
            await before.advance(5)
            await before.fault("html_403", operation="qr", probability=1)
            assert await process.end(signal.SIGKILL) == -signal.SIGKILL
        sink.silent.clear()
        async with process.running() as http:
            after = Daraja(http, sink.base, certificate, headers=before.headers)
            assert (await http.get("/sim/clock")).json()["ahead_s"] == 5
            confirmed = (await sink.at(CONFIRMATION))[0]
            assert confirmed["TransID"] == asked
            assert len(await sink.at(VALIDATION, 2)) == 2  # asked again
            assert (await after.register()).status_code == 500
            assert (await after.post("/mpesa/qrcode/v1/generate", {})).status_code == 403
            await after.advance(600)
            assert (await sink.at("/cb/4f0c/sweep"))[0]["Result"]["ResultCode"] == "0"
            assert (await http.get(f"/sim/books/{swept}")).json()["amount"] == "40.00"
            assert (await after.books())["organisation"]["working"] == "250.00"

    async def test_a_second_one_on_the_same_books_fails(self, process: Process) -> None:
        async with process.running():
            result = CliRunner().invoke(app, ["daraja", "--data", str(process.data)])
            assert result.exit_code == 2
            assert "locked" in result.output

    async def test_ends_cleanly_when_asked(self, process: Process) -> None:
        async with process.running() as http:
            assert (await http.get("/healthz")).json()["status"] == "ok"
            async with http.stream("GET", f"/handset/{PHONE}/events") as events:
                await anext(events.aiter_lines())
                assert await process.end(signal.SIGTERM) == 0


class TestCommandLine:
    def test_refuses_to_listen_to_the_world(self) -> None:
        result = CliRunner().invoke(app, ["daraja", "--host", "0.0.0.0"])
        assert result.exit_code == 2
        assert "unsafe-bind" in result.output

    def test_reads_the_environment(self) -> None:
        result = CliRunner().invoke(app, ["daraja"], env={"DARAJA_SIM_HOST": "192.0.2.1"})
        assert result.exit_code == 2
