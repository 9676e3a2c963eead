"""`hazina ledger`, as a person or a nightly job runs it: exit codes, JSON, tables."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from click.testing import Result
from typer.testing import CliRunner

from hazina.cli.ledger import app
from hazina.infra.db import Database
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import load_settings
from hazina.ledger.chart import Purpose, system
from hazina.ledger.codes import Code
from hazina.ledger.core import hold, move
from hazina.ledger.history import History
from hazina.ledger.sealing import feed
from tests import server
from tests.conftest import START, Place
from tests.ledger.books import Books, about, kes, somebody
from tests.ledger.chain import seal_all

Run = Callable[..., Awaitable[Result]]


@pytest_asyncio.fixture(loop_scope="session")
async def run(
    fresh_place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Run]:
    """Runs a command on the test's own database, with nothing but the reader's URL."""
    monkeypatch.setenv("HAZINA_DATABASE_READONLY_URL", fresh_place.readonly)
    monkeypatch.setenv("HAZINA_DATA_DIR", str(tmp_path))
    load_settings.cache_clear()

    async def command(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, list(words))

    yield command
    load_settings.cache_clear()


class HonestBooks(Books):
    """Money comes from the bank: M-Pesa's accounts have a slice that answers for each shilling."""

    source = system(Purpose.BANK)


@pytest.fixture
def books(fresh: Database) -> Books:
    return HonestBooks(fresh)


async def take_a_cent(place: Place) -> None:
    owner = await Database.connect(place.owner, size=1)
    async with owner.transaction() as tx:
        await tx.execute("UPDATE ledger.account SET credits_posted = 9999 WHERE purpose = 'wallet'")
    await owner.close()


class TestVerify:
    async def test_says_that_every_claim_holds(self, books: Books, run: Run) -> None:
        await books.funded("100")
        answer = await run("verify")
        assert answer.exit_code == 0, answer.output
        assert "✓  debits equal credits in every asset" in answer.output
        assert "claims hold" in answer.output

    async def test_says_which_fails_and_ends_with_1(
        self, books: Books, run: Run, fresh_place: Place
    ) -> None:
        await books.funded("100")
        await take_a_cent(fresh_place)
        answer = await run("verify")
        assert answer.exit_code == 1
        assert "✗  every account stands where its entries say" in answer.output
        assert "counters 9999/0/0, entries 10000/0/0" in " ".join(answer.output.split())

    async def test_speaks_json(self, books: Books, run: Run, fresh_place: Place) -> None:
        await books.funded("100")
        good = json.loads((await run("verify", "--json")).output)
        assert good["holds"] is True
        assert len(good["claims"]) > 10
        await take_a_cent(fresh_place)
        answer = await run("verify", "--json")
        bad = json.loads(answer.output)
        assert (answer.exit_code, bad["holds"]) == (1, False)
        assert [c["claim"] for c in bad["claims"] if not c["holds"]] == [
            "every account stands where its entries say",
            "what a user was credited less debited is available, locked or pending",
        ]

    async def test_says_what_to_do_where_nothing_runs(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HAZINA_DATABASE_READONLY_URL")
        load_settings.cache_clear()
        answer = await run("verify")
        assert answer.exit_code == 1
        assert "./hazina up" in answer.stderr

    async def test_says_what_to_do_where_there_is_no_ledger(
        self, run: Run, fresh_place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HAZINA_DATABASE_READONLY_URL", server.at(fresh_place.admin, "postgres"))
        load_settings.cache_clear()
        answer = await run("verify")
        assert answer.exit_code == 1
        assert "hazina migrate" in answer.stderr


class TestTheTrialBalance:
    async def test_adds_up(self, books: Books, run: Run) -> None:
        a, b = await books.funded("100"), somebody()
        await books.post(
            move(a, b, kes("30"), Code.DEPOSIT, about()),
            hold(a, b, kes("5"), Code.WITHDRAWAL, about())[1],
        )
        answer = await run("trial-balance", "--json")
        lines = {
            line["purpose"]: line for line in json.loads(answer.output) if line["asset"] == "KES"
        }
        assert lines["bank"]["balance"] == "100.00"
        wallets = lines["wallet"]
        assert (wallets["accounts"], wallets["balance"], wallets["held"]) == (2, "100.00", "5.00")
        before = await run("trial-balance", "--at", "2001-01-01T00:00+03:00", "--json")
        then = json.loads(before.output)
        assert {line["balance"] for line in then} == {"0.00", "0.000000"}
        shown = (await run("trial-balance")).output
        assert "income:gold-spread" not in shown, "nothing was booked there"
        assert "on which nothing was ever booked" in shown
        assert ["total", "KES", "130.00", "130.00"] in [row.split() for row in shown.splitlines()]


class TestTheStatement:
    async def test_lists_newest_first_page_by_page(self, books: Books, run: Run) -> None:
        a = await books.funded("100")
        held, opening = hold(a, system(Purpose.BANK), kes("60"), Code.WITHDRAWAL, about())
        await books.post(opening, held.post(kes("20")))
        first = json.loads((await run("statement", str(a.owner), "--limit", "2", "--json")).output)
        assert [(i["kind"], i["change"], i["held"], i["balance"]) for i in first["items"]] == [
            ("post_pending", "-20.00", "0.00", "80.00"),
            ("pending", "0.00", "60.00", "100.00"),
        ]
        rest = await run("statement", str(a.owner), "--before", first["next_cursor"])
        assert "deposit" in rest.output
        assert "withdrawal" not in rest.output

    async def test_takes_an_id_as_the_console_shows_it(self, books: Books, run: Run) -> None:
        a = await books.funded("100")
        assert a.owner is not None
        bare = await run("statement", str(a.owner), "--json")
        assert len(json.loads(bare.output)["items"]) == 1
        assert (await run("statement", f"cus_{a.owner.hex}", "--json")).output == bare.output

    async def test_says_what_an_id_looks_like(self, run: Run) -> None:
        answer = await run("statement", "demo")
        assert answer.exit_code == 2
        assert "cus_" in answer.stderr

    @pytest.mark.parametrize("cursor", ["x", "-1", "²", "9" * 30])
    async def test_refuses_a_cursor_that_is_not_its_own(
        self, books: Books, run: Run, cursor: str
    ) -> None:
        a = await books.funded("1")
        answer = await run("statement", str(a.owner), f"--before={cursor}")
        assert answer.exit_code == 1
        assert "not one of ours" in answer.stderr

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--asset", "GBP"), "no asset GBP: it is one of"),
            (("--purpose", "pocket"), "no account is for pocket"),
            (("--purpose", "vault"), "no vault account in KES has an owner"),
            ((), "never opened"),
        ],
    )
    async def test_refuses_an_account_that_nobody_has(
        self, books: Books, run: Run, words: tuple[str, ...], said: str
    ) -> None:
        answer = await run("statement", str(somebody().owner), *words)
        assert answer.exit_code == 1
        assert said in answer.stderr

    async def test_asks_whose_it_is(self, books: Books, run: Run) -> None:
        answer = await run("statement")
        assert "name its owner's id" in answer.stderr


@pytest.fixture
def sees_all(run: Run, fresh_place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """With the application's role and the vault's keys, as beside a running house."""
    monkeypatch.delenv("HAZINA_DATABASE_READONLY_URL")
    monkeypatch.setenv("HAZINA_DATABASE_URL", fresh_place.app)
    load_settings.cache_clear()
    LocalKeyProvider.generate(tmp_path / "keys.json", START)
    return run


async def alter(place: Place, sql: str, *args: object) -> None:
    owner = await Database.connect(place.owner, size=1)
    async with owner.transaction() as tx:
        assert await tx.execute(sql, *args) >= 1
    await owner.close()


class TestGoingOn:
    async def test_remembers_what_was_proven(
        self, books: Books, sees_all: Run, fresh_place: Place
    ) -> None:
        await books.funded("100")
        await seal_all(books.db)
        first = json.loads((await sees_all("verify", "--json")).output)
        assert (first["since_block"], first["to_block"], first["remembered"]) == (0, 1, True)
        await books.funded("5")
        await seal_all(books.db)
        second = json.loads((await sees_all("verify", "--json")).output)
        assert (second["since_block"], second["to_block"], second["holds"]) == (1, 2, True)
        full = json.loads((await sees_all("verify", "--full", "--json")).output)
        assert (full["since_block"], full["holds"]) == (0, True)

    async def test_names_block_and_transfer(
        self, books: Books, sees_all: Run, fresh_place: Place
    ) -> None:
        await books.funded("100")
        await seal_all(books.db)
        assert (await sees_all("verify")).exit_code == 0
        [item] = await feed(books.db)
        sql = "UPDATE ledger.transfer SET actor = 'somebody' WHERE id = $1"
        await alter(fresh_place, sql, item.id)
        assert (await sees_all("verify")).exit_code == 0  # it was proven before
        answer = await sees_all("verify", "--full")
        assert answer.exit_code == 1
        assert f"block 1: transfer {item.id} was changed" in " ".join(answer.output.split())

    async def test_says_that_only_the_new_was_read(self, books: Books, sees_all: Run) -> None:
        await books.funded("100")
        await seal_all(books.db)
        await sees_all("verify")
        assert "all of history: --full" in " ".join((await sees_all("verify")).output.split())


class TestAHead:
    async def test_proves_history_later(
        self, books: Books, sees_all: Run, fresh_place: Place, tmp_path: Path
    ) -> None:
        await books.funded("100")
        await seal_all(books.db)
        file = tmp_path / "head.json"
        assert (await sees_all("head", "--out", str(file))).exit_code == 0
        await books.funded("5")
        await seal_all(books.db)
        good = await sees_all("verify", "--head", str(file), "--json")
        assert (good.exit_code, json.loads(good.output)["head"]) == (
            0, {"block": 1, "holds": True, "faults": []}
        )  # fmt: skip
        shown = await sees_all("verify", "--head", str(file))
        assert "head of block 1" in shown.output
        await alter(fresh_place, "UPDATE ledger.block SET hash = sha256('x') WHERE number = 1")
        bad = await sees_all("verify", "--head", str(file))
        assert bad.exit_code == 1
        assert "block 1: its hash is" in bad.output

    async def test_is_shown_as_json(self, books: Books, sees_all: Run) -> None:
        await books.funded("100")
        nothing = await sees_all("head", "--json")
        assert (nothing.exit_code, "Nothing is sealed" in nothing.stderr) == (1, True)
        await seal_all(books.db)
        told = json.loads((await sees_all("head", "--json")).output)
        assert (told["block"], told["transfers"]) == (1, 1)

    @pytest.mark.parametrize("text", ["{}", "x"])
    async def test_refuses_a_file_that_is_none(
        self, sees_all: Run, tmp_path: Path, text: str
    ) -> None:
        file = tmp_path / "head.json"
        file.write_text(text)
        answer = await sees_all("verify", "--head", str(file))
        assert (answer.exit_code, "not a head" in answer.stderr) == (1, True)

    async def test_needs_the_vault(self, books: Books, run: Run) -> None:
        answer = await run("head")
        assert (answer.exit_code, "hazina keys generate" in answer.stderr) == (1, True)


class TestAnAccount:
    async def test_is_shown_now_and_then(self, books: Books, run: Run) -> None:
        a = await books.funded("100")
        first = await History(books.db).balance_at(a)
        assert first.booked_at is not None
        await books.post(hold(a, system(Purpose.BANK), kes("30"), Code.WITHDRAWAL, about())[1])
        await books.post(move(a, system(Purpose.BANK), kes("5"), Code.WITHDRAWAL, about()))
        then = first.booked_at.isoformat()

        async def shown(*words: str) -> tuple[str, str | None, int | None]:
            told = json.loads((await run("account", *words, "--json")).output)
            return told["balance"], told["available"], told["version"]

        who = str(a.owner)
        assert await shown(who) == ("95.00", "65.00", 3)
        assert await shown(who, "--at", then) == ("100.00", "100.00", 1)
        assert await shown(who, "--version", "2") == ("100.00", "70.00", 2)
        assert await shown(who, "--effective", then) == ("100.00", None, None)
        assert await shown("--purpose", "bank") == ("95.00", None, None)
        assert await shown("--purpose", "bank", "--at", then) == ("100.00", None, None)
        assert "95.00" in (await run("account", who)).output

    async def test_is_summed_with_its_parts(self, books: Books, run: Run) -> None:
        parent, child = await books.funded("10"), somebody()
        await books.db.run(lambda tx: books.ledger.open_accounts(tx, [child], parent=parent))
        await books.post(move(books.source, child, kes("5"), Code.DEPOSIT, about()))
        answer = await run("account", str(parent.owner), "--parts", "--json")
        told = json.loads(answer.output)
        assert told["with_parts"] == {"posted": "15.00", "held": "0.00", "incoming": "0.00"}
        assert "15.00" in (await run("account", str(parent.owner), "--parts")).output

    @pytest.mark.parametrize("words", [("--at", "noon"), ("--at", "2026-11-17T12:00")])
    async def test_refuses_a_time_without_its_offset(
        self, books: Books, run: Run, words: tuple[str, str]
    ) -> None:
        answer = await run("account", str((await books.funded("1")).owner), *words)
        assert (answer.exit_code, "+03:00" in answer.stderr) == (1, True)

    async def test_says_that_it_was_never_opened(self, run: Run) -> None:
        answer = await run("account", str(somebody().owner))
        assert (answer.exit_code, "never opened" in answer.stderr) == (1, True)


class TestATransfer:
    async def test_is_shown_with_its_place(self, books: Books, run: Run) -> None:
        a = await books.funded("100")
        sent = move(a, system(Purpose.BANK), kes("5"), Code.WITHDRAWAL, about(),
                    metadata={"note": "rent"})  # fmt: skip
        await books.post(sent)
        told = json.loads((await run("transfer", str(sent.id), "--json")).output)
        assert (told["amount"], told["sealed"], told["metadata"]) == (
            "5.00", None, {"note": "rent"}
        )  # fmt: skip
        assert told["debit"]["owner"] == str(a.owner)
        await seal_all(books.db)
        told = json.loads((await run("transfer", str(sent.id), "--json")).output)
        # Other writers of this server decide whether one block took it or the next.
        place = await books.db.fetchrow(
            "SELECT block, position FROM ledger.block_transfer WHERE transfer_id = $1", sent.id
        )
        assert place is not None
        assert told["sealed"] == dict(place)
        assert "withdrawal" in (await run("transfer", str(sent.id))).output

    async def test_says_that_it_was_never_booked(self, run: Run) -> None:
        answer = await run("transfer", str(somebody().owner))
        assert (answer.exit_code, "No transfer" in answer.stderr) == (1, True)


class TestAPeriod:
    async def test_is_a_table_for_a_spreadsheet(self, books: Books, run: Run) -> None:
        a = await books.funded("100")
        await books.post(move(a, system(Purpose.BANK), kes("5"), Code.WITHDRAWAL, about()))
        for words, changes in (
            ((str(a.owner), "--since", "2020-01-01T00:00Z"), ["100.00", "-5.00"]),
            (("--purpose", "bank"), ["100.00", "-5.00"]),
        ):
            text = (await run("statement", *words, "--csv")).output
            rows = list(csv.DictReader(io.StringIO(text)))
            assert [row["code"] for row in rows] == [
                "opening_balance", "deposit", "withdrawal", "closing_balance"
            ]  # fmt: skip
            assert [row["change"] for row in rows[1:-1]] == changes
            assert [row["balance"] for row in rows] == ["0.00", "100.00", "95.00", "95.00"]

    async def test_goes_on_page_by_page(self, books: Books, run: Run) -> None:
        a = await books.funded("100")
        await books.post(move(a, system(Purpose.BANK), kes("5"), Code.WITHDRAWAL, about()))
        words = ("statement", "--purpose", "bank", "--limit", "1", "--json")
        first = json.loads((await run(*words)).output)
        assert [item["change"] for item in first["items"]] == ["100.00"]
        second = json.loads((await run(*words, "--after", first["next_cursor"])).output)
        assert [item["balance"] for item in second["items"]] == ["95.00"]
        assert (second["opening"], second["closing"]) == ("0.00", "95.00")
