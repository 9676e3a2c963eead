"""What operators do to accounts: who may, what a second person must agree to, and the trail."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from click.testing import Result
from typer.testing import CliRunner

from hazina.bootstrap.wiring import assemble
from hazina.cli.ledger_acts import app
from hazina.desk.approvals import ApprovalOpen, Approvals, MayNotApprove, SamePerson
from hazina.desk.ledger_acts import AccountAct, LedgerActs
from hazina.identity.operators import Operators
from hazina.identity.people import Operator, Role
from hazina.infra.audit import Audit
from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.infra.settings import Settings, load_settings
from hazina.kernel.actor import SYSTEM, Actor, ActorKind
from hazina.kernel.clock import SystemClock
from hazina.kernel.errors import Invalid
from hazina.kernel.ids import wire_id
from hazina.ledger.accounts import Accounts, PeriodClosedBefore
from hazina.ledger.codes import Code
from hazina.ledger.core import move
from hazina.ledger.reading import account_facts
from tests.conftest import Place
from tests.ledger.books import OUTSIDE, Books, about, kes

PASSWORD = "correct horse battery 7"
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@dataclass
class Office:
    """A house of one's own, and the people who work in it."""

    house: House
    books: Books
    clerk: Operator
    chief: Operator
    reader: Operator

    @property
    def acts(self) -> LedgerActs:
        return self.house.get(LedgerActs)

    def told(self, who: Operator) -> dict[str, object]:
        actor = Actor(ActorKind.OPERATOR, who.id)
        return {"operator": who, "actor": actor, "now": self.house.clock.now()}

    async def approve(self, approval: object, who: Operator) -> None:
        await self.books.db.run(
            lambda tx: self.house.get(Approvals).approve(tx, approval.id, **self.told(who))  # type: ignore[attr-defined, arg-type]
        )


@pytest_asyncio.fixture(loop_scope="session")
async def office(settings: Settings, fresh: Database) -> AsyncIterator[Office]:
    house = assemble(settings, fresh, SystemClock())
    now, people = house.clock.now(), []
    for name, role in (
        ("clerk", Role.MANAGER),
        ("chief", Role.ADMINISTRATOR),
        ("look", Role.AUDITOR),
    ):
        people.append(await house.get(Operators).create(name, PASSWORD, role, SYSTEM, now))
    yield Office(house, Books(fresh), *people)
    await house.close()


class TestOnePerson:
    async def test_freezes_opens_and_closes_with_a_reason_on_the_trail(
        self, office: Office
    ) -> None:
        db, books, account = office.books.db, office.books, await office.books.funded("10")
        told = office.told(office.clerk)

        async def pay(amount: str) -> str:
            return await books.code(move(account, OUTSIDE, kes(amount), Code.WITHDRAWAL, about()))

        await db.run(
            lambda tx: office.acts.do(tx, AccountAct.FREEZE, account, " a complaint ", **told)
        )  # type: ignore[arg-type]
        assert await pay("1") == "account_frozen"
        await db.run(lambda tx: office.acts.do(tx, AccountAct.UNFREEZE, account, "settled", **told))  # type: ignore[arg-type]
        assert await pay("10") == "created"
        await db.run(lambda tx: office.acts.do(tx, AccountAct.CLOSE, account, "asked to", **told))  # type: ignore[arg-type]
        events = await Accounts(books.ledger).list_events(db, account)
        assert [(one.event, one.reason) for one in events] == [
            ("closed", "asked to"), ("unfrozen", "settled"), ("frozen", "a complaint"),
        ]  # fmt: skip
        facts = await account_facts(db, account)
        trail = await office.house.get(Audit).list_of_object(db, "account", facts.id)
        assert {one.action for one in trail.items} == {
            "account.frozen", "account.unfrozen", "account.closed",
        }  # fmt: skip

    async def test_who_only_looks_and_who_says_no_reason_does_nothing(self, office: Office) -> None:
        account = await office.books.funded("10")
        for who, why, refused in (
            (office.reader, "why", MayNotApprove),
            (office.clerk, " ", Invalid),
        ):
            told = office.told(who)
            with pytest.raises(refused):
                await office.books.db.run(
                    lambda tx, why=why, told=told: office.acts.do(
                        tx, AccountAct.FREEZE, account, why, **told
                    )  # type: ignore[misc]
                )
        assert (await account_facts(office.books.db, account)).state == "open"


class TestTwoPersons:
    async def test_grant_credit_and_one_alone_does_not(self, office: Office) -> None:
        db, books, account = office.books.db, office.books, await office.books.funded("10")
        now = office.house.clock.now()

        async def ask(limit: str, ends_at: datetime | None) -> object:
            return await db.run(
                lambda tx: office.acts.ask_credit(
                    tx, account, kes(limit), "a good customer", starts_at=LONG_AGO,
                    ends_at=ends_at, **office.told(office.clerk),  # type: ignore[arg-type]
                )
            )  # fmt: skip

        def spend() -> object:
            return books.code(move(account, OUTSIDE, kes("60"), Code.WITHDRAWAL, about()))

        asked = await ask("50", now + timedelta(days=1))
        with pytest.raises(ApprovalOpen):
            await ask("5000", None)
        with pytest.raises(SamePerson):
            await office.approve(asked, office.clerk)
        assert await spend() == "insufficient_funds"  # type: ignore[misc]
        await office.approve(asked, office.chief)
        assert await spend() == "created"  # type: ignore[misc]
        row = await db.fetchrow("SELECT asked_by, granted_by, amount FROM ledger.credit_line")
        assert row is not None
        assert (row["asked_by"], row["granted_by"], int(row["amount"])) == (
            f"operator:{office.clerk.id}", f"operator:{office.chief.id}", 50_00,
        )  # fmt: skip
        with pytest.raises(Invalid):
            await ask("50", now - timedelta(days=1))

    async def test_close_a_period_once(self, office: Office) -> None:
        db = office.books.db

        async def ask(until: datetime) -> object:
            told = office.told(office.clerk)
            return await db.run(
                lambda tx: office.acts.ask_close_period(tx, until, "audited", **told)  # type: ignore[arg-type]
            )

        with pytest.raises(Invalid):
            await ask(office.house.clock.now() + timedelta(days=1))
        await office.approve(await ask(LONG_AGO), office.chief)
        assert await Accounts(office.books.ledger).closed_until(db) == LONG_AGO
        again = await ask(LONG_AGO)
        with pytest.raises(PeriodClosedBefore):
            await office.approve(again, office.chief)
        assert len(await office.house.get(Approvals).list_open(db)) == 1


class TestTheCommand:
    async def test_acts_as_who_gives_their_password(
        self, office: Office, fresh_place: Place, settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        account = await office.books.funded("10")
        monkeypatch.setenv("HAZINA_DATABASE_URL", fresh_place.app)
        monkeypatch.setenv("HAZINA_KEY_FILE", str(settings.key_file))
        monkeypatch.setenv("HAZINA_DATA_DIR", str(settings.data_dir))
        monkeypatch.setenv("HAZINA_PASSWORD_MEMORY_KIB", "8")
        load_settings.cache_clear()

        async def run(*words: str, password: str = PASSWORD) -> Result:
            told = [*words, "--operator", "clerk", "--reason", "why", "--password-stdin"]
            return await asyncio.to_thread(CliRunner().invoke, app, told, input=f"{password}\n")

        frozen = await run("freeze", str(account.owner))
        assert frozen.exit_code == 0, frozen.output
        assert (await account_facts(office.books.db, account)).state == "frozen"
        assert (await run("unfreeze", str(account.owner), password="a guess")).exit_code == 1
        assert (await account_facts(office.books.db, account)).state == "frozen"
        credit = await run("credit", "500", str(account.owner))
        load_settings.cache_clear()
        [waiting] = await office.house.get(Approvals).list_open(office.books.db)
        assert wire_id("apr", waiting.id) in credit.output
        assert "500.00" in waiting.summary
