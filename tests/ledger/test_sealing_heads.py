"""A signed head that left the database proves that history up to it stands as it stood."""

import asyncio
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hazina.infra.db import Database
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import Mode
from hazina.infra.vault import Vault
from hazina.infra.webhooks import Webhooks
from hazina.kernel.clock import SettableClock
from hazina.ledger.heads import (
    DailyHeads,
    Head,
    HeadUnreadable,
    NothingSealed,
    Signer,
    contradictions,
    take_head,
)
from tests.conftest import START, Place
from tests.ledger.books import Books
from tests.ledger.chain import seal_all


def signer(folder: Path) -> Signer:
    path = folder / "keys.json"
    if not path.exists():
        LocalKeyProvider.generate(path, START)
    return Signer(Vault(LocalKeyProvider(path)))


@pytest.fixture
async def head(fresh: Database, tmp_path: Path) -> Head:
    await Books(fresh).funded("100")
    await seal_all(fresh)
    return await take_head(fresh, signer(tmp_path), START)


class TestAHead:
    async def test_says_what_the_newest_block_says(self, head: Head) -> None:
        assert (head.block, head.transfers, head.totals) == (1, 1, {"KES": "10000"})
        assert head.at == START.isoformat()

    async def test_stands_when_more_was_booked(self, fresh: Database, head: Head) -> None:
        await Books(fresh).funded("5")
        await seal_all(fresh)
        assert await contradictions(fresh, head) == []
        assert await contradictions(fresh, head, frozenset([head.public_key])) == []

    async def test_survives_its_way_through_a_file(self, fresh: Database, head: Head) -> None:
        again = Head.of_json(json.dumps(head.as_json(), indent=4))
        assert again == head
        assert await contradictions(fresh, again) == []

    async def test_has_the_same_key_after_a_rotation(self, tmp_path: Path, head: Head) -> None:
        Vault(LocalKeyProvider(tmp_path / "keys.json")).rotate(START)
        assert signer(tmp_path).public_key == head.public_key

    @pytest.mark.parametrize(
        "change",
        [{"block": 2}, {"transfers": 2}, {"totals": {"KES": "1"}}, {"at": "2020-01-01"},
         {"hash": "AAAA"}],
    )  # fmt: skip
    async def test_cannot_be_changed(
        self, fresh: Database, head: Head, change: dict[str, object]
    ) -> None:
        other = replace(head, **change)  # type: ignore[arg-type]
        assert await contradictions(fresh, other) == [
            "the signature is not that of the head's public key"
        ]

    async def test_of_another_house_is_told_apart(
        self, fresh: Database, head: Head, tmp_path: Path
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        forged = signer(other).sign(head)
        assert await contradictions(fresh, forged, frozenset([head.public_key])) == [
            f"it was signed by another key, {forged.public_key}"
        ]

    async def test_contradicts_a_chain_that_was_rewritten(
        self, fresh: Database, fresh_place: Place, head: Head
    ) -> None:
        owner = await Database.connect(fresh_place.owner, size=1)
        await owner.fetch("UPDATE ledger.block SET hash = sha256('x')")
        [line] = await contradictions(fresh, head)
        assert line.startswith("block 1: its hash is ")
        await owner.fetch("DELETE FROM ledger.block")
        assert await contradictions(fresh, head) == ["block 1: it is gone"]
        await owner.close()

    async def test_needs_a_block(self, fresh: Database, tmp_path: Path) -> None:
        with pytest.raises(NothingSealed):
            await take_head(fresh, signer(tmp_path), START)

    @pytest.mark.parametrize(
        "text",
        ["", "{}", "[]", "nonsense", '{"version": 2}', "null", '{"version": true, "block": 1}'],
    )
    def test_is_nothing_else(self, text: str) -> None:
        with pytest.raises(HeadUnreadable):
            Head.of_json(text)


class TestTheDaysHead:
    async def test_is_written_once_and_logged(self, fresh: Database, tmp_path: Path) -> None:
        clock = SettableClock(START)
        daily = DailyHeads(fresh, signer(tmp_path), clock, tmp_path)
        assert await daily.write() is None
        await Books(fresh).funded("100")
        await seal_all(fresh)
        with capture_logs() as logs:
            path = await daily.write()
            assert await daily.write() is None
        assert path == tmp_path / "heads" / "2026-11-20.json"
        written = Head.of_json(path.read_bytes())
        assert await contradictions(fresh, written) == []
        assert [(one["event"], one["signature"]) for one in logs] == [
            ("ledger head", written.signature)
        ]
        clock.advance(timedelta(days=1))
        assert await daily.write() == tmp_path / "heads" / "2026-11-21.json"

    async def test_is_sent_to_who_wants_it_until_they_take_it(
        self, fresh: Database, tmp_path: Path
    ) -> None:
        """Over real HTTP: an answer that is no yes, then one, then nothing more that day."""
        clock, heard = SettableClock(START), list[bytes]()
        answers = [b"503 Not Now", b"204 No Content", b"204 No Content"]

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.findall(rb"(?i)content-length: (\d+)", head)[0])
            heard.append(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 " + answers[len(heard) - 1] + b"\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port, webhooks = server.sockets[0].getsockname()[1], Webhooks(Mode.DEVELOPMENT)
        daily = DailyHeads(
            fresh, signer(tmp_path), clock, tmp_path,
            webhooks=webhooks, webhook=f"http://127.0.0.1:{port}/heads",
        )  # fmt: skip
        assert not await daily.tell()
        await Books(fresh).funded("100")
        await seal_all(fresh)
        with capture_logs() as logs:
            assert [await daily.tell() for _ in range(3)] == [False, True, False]
        assert [(one["log_level"], one["why"]) for one in logs] == [("error", "status 503")]
        assert await contradictions(fresh, Head.of_json(heard[-1])) == []
        clock.advance(timedelta(days=1))
        server.close()
        with capture_logs() as logs:
            assert not await daily.tell()
        assert [one["event"] for one in logs] == ["ledger head was not told"]
        await webhooks.close()
