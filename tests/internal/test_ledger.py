"""The ledger's door for services, through its own client: everything it can be asked."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from hazina.client import WORLD, Account, LedgerClient, LedgerRefused, Transfer, linked, new_id
from hazina.infra.db import Database, Tx
from hazina.infra.house import House
from hazina.kernel.actor import SYSTEM
from hazina.kernel.money import KES
from hazina.ledger.chart import customer
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, hold, move
from hazina.ledger.external import CLAIM
from hazina.ledger.proof import Proof
from hazina.ledger.service import Ledger
from tests.internal.conftest import Services
from tests.ledger.books import OUTSIDE

ALICE, BOB = Account("alice", "KES"), Account("bob", "KES")


def kes(text: str) -> Decimal:
    return Decimal(text)


def paid_in(owner: str, amount: str) -> Transfer:
    return Transfer.post(WORLD, owner, "KES", Decimal(amount))


async def codes(client: LedgerClient, *transfers: Transfer) -> list[str]:
    return [result.result for result in await client.post(transfers)]


async def available(client: LedgerClient, *owners: str) -> list[Decimal | None]:
    found = await client.balances([Account(owner, "KES") for owner in owners])
    return [one.available for one in found]


class TestTransfers:
    async def test_are_booked_and_said_again(self, client: LedgerClient) -> None:
        paid = paid_in("alice", "250.00")
        [first] = await client.post([paid])
        assert (first.id, first.result, first.asset, first.amount) == (
            paid.id, "created", "KES", kes("250.00"),
        )  # fmt: skip
        assert first.booked_at is not None
        [again] = await client.post([paid])
        assert again == replace(first, result="exists")
        [other] = await client.post([replace(paid, amount=kes("251.00"))])
        assert (other.result, other.booked) == ("exists_with_different_amount", False)
        assert await available(client, "alice") == [kes("250.00")]

    async def test_are_read_back_by_id(self, client: LedgerClient) -> None:
        paid = replace(paid_in("alice", "3"), reference=new_id())
        [result] = await client.post([paid])
        found = await client.transfer(paid.id)
        assert (found.debit, found.credit, found.amount, found.kind) == (
            WORLD, "alice", kes("3.00"), "post",
        )  # fmt: skip
        assert (found.reference, found.booked_at) == (paid.reference, result.booked_at)

    async def test_are_refused_one_by_one(self, client: LedgerClient) -> None:
        assert await codes(
            client,
            paid_in("alice", "10"),
            Transfer.post("alice", "bob", "KES", kes("10.01")),
            Transfer.post("alice", "bob", "KES", kes("4")),
            Transfer.post("alice", "alice", "KES", kes("1")),
            Transfer.post("alice", "bob", "KES", kes("0")),
            Transfer.post("alice", "nobody", "KES", kes("1")),
        ) == [
            "created", "insufficient_funds", "created", "same_account", "amount_not_positive",
            "account_not_found",
        ]  # fmt: skip
        assert await available(client, "alice", "bob") == [kes("6"), kes("4")]

    async def test_to_a_misspelt_name_open_nobodys_account(self, client: LedgerClient) -> None:
        transfer = paid_in("alicia", "5")
        assert await codes(client, transfer) == ["account_not_found"]
        [found] = await client.accounts([Account("alicia", "KES")])
        assert (found.opened, found.id) == (False, None)
        # What was refused stays refused under its id, whatever is opened later.
        await client.open([Account("alicia", "KES")])
        assert await codes(client, transfer) != ["created"]
        assert await codes(client, paid_in("alicia", "5")) == ["created"]

    async def test_in_groups_are_whole(self, client: LedgerClient) -> None:
        group = linked([paid_in("bob", "5"), Transfer.post("alice", "bob", "KES", kes("1"))])
        alone = paid_in("bob", "1")
        assert await codes(client, *group, alone) == [
            "linked_failed", "insufficient_funds", "created",
        ]  # fmt: skip
        assert await available(client, "alice", "bob") == [kes("0"), kes("1")]

    async def test_hold_and_post_and_void(self, client: LedgerClient) -> None:
        held = Transfer.hold("alice", "bob", "KES", kes("60"))
        assert await codes(client, paid_in("alice", "100"), held) == ["created", "created"]
        [balance] = await client.balances([ALICE])
        assert (balance.posted, balance.held, balance.available) == (
            kes("100"), kes("60"), kes("40"),
        )  # fmt: skip
        part = Transfer.post_hold(held.id, "KES", kes("25"), keep_rest=True)
        rest = Transfer.post_hold(held.id)
        assert await codes(client, part) == ["created"]
        [result] = await client.post([rest])
        assert (result.asset, result.amount) == ("KES", kes("35"))
        assert await codes(client, Transfer.void_hold(held.id)) == ["hold_posted"]
        assert await available(client, "alice", "bob") == [kes("40"), kes("60")]
        second = Transfer.hold("alice", "bob", "KES", kes("40"))
        [_, gone] = await client.post([second, Transfer.void_hold(second.id)])
        assert (gone.result, gone.amount) == ("created", kes("40"))
        assert await available(client, "alice") == [kes("40")]

    async def test_holds_end_at_their_time(self, client: LedgerClient, house: House) -> None:
        """By the database's clock, on which ``booked_at`` is."""
        late = Transfer.hold(
            WORLD, "bob", "KES", kes("1"), expires_at=house.clock.now() - timedelta(days=36500)
        )
        assert await codes(client, late, Transfer.post_hold(late.id)) == [
            "created", "hold_expired",
        ]  # fmt: skip

    async def test_keep_their_order_in_a_list_and_fit_ten_thousand(
        self, client: LedgerClient
    ) -> None:
        """Each pays what the one before it brought; one alone is too much at its place."""
        steps: list[Transfer] = []
        for _ in range(3333):
            steps += [
                paid_in("alice", "0.01"),
                Transfer.post("alice", "bob", "KES", kes("0.01")),
                Transfer.post("bob", WORLD, "KES", kes("0.01")),
            ]
        steps.append(Transfer.post("alice", "bob", "KES", kes("0.01")))
        found = await client.post(steps)
        assert [one.id for one in found] == [one.id for one in steps]
        assert [one.result for one in found] == ["created"] * 9999 + ["insufficient_funds"]
        assert await available(client, "alice", "bob") == [kes("0"), kes("0")]
        with pytest.raises(ValueError, match="10000"):
            await client.post([*steps, *steps])

    async def test_of_many_callers_add_up(self, client: LedgerClient) -> None:
        async def caller() -> None:
            for _ in range(3):
                assert await codes(client, paid_in("alice", "2"), paid_in("bob", "1")) == [
                    "created", "created",
                ]  # fmt: skip

        await asyncio.gather(*(caller() for _ in range(40)))
        assert await available(client, "alice", "bob") == [kes("240"), kes("120")]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"amount": kes("1.001")}, "transfers.0.amount"),
            ({"asset": "DOGE"}, "transfers.0.asset"),
            ({"debit": None}, "transfers.0"),
            ({"credit": "$house"}, "transfers.0.credit"),
            ({"credit": "a b"}, "transfers.0.credit"),
            ({"credit": ""}, "transfers.0.credit"),
            ({"kind": "reverse"}, "transfers.0.kind"),
            ({"keep_rest": True}, "transfers.0"),
            ({"metadata": {"a": "\0"}}, "transfers.0.metadata.a"),
        ],
    )
    async def test_that_cannot_be_read_refuse_the_request(
        self, client: LedgerClient, change: dict[str, object], field: str
    ) -> None:
        wrong = replace(paid_in("alice", "1"), **change)  # type: ignore[arg-type]
        with pytest.raises(LedgerRefused) as no:
            await client.post([wrong, paid_in("alice", "1")])
        assert no.value.status == 400
        told = no.value.details
        assert field in str(told.get("field") or told["fields"])
        assert await available(client, "alice") == [kes("0")]

    async def test_ids_are_ordered_by_time_and_groups_together(self, client: LedgerClient) -> None:
        random = replace(paid_in("alice", "1"), id=new_id().__class__(int=4 << 76 | 2 << 62))
        torn = linked([paid_in("alice", "1"), paid_in("bob", "1")])
        for wrong in ([random], [torn[0], paid_in("alice", "1"), torn[1]]):
            with pytest.raises(LedgerRefused) as no:
                await client.post(wrong)
            assert no.value.code == "invalid_request"


class TestAccounts:
    async def test_are_opened_once(self, client: LedgerClient) -> None:
        [first] = await client.open([ALICE])
        [again, world] = await client.open([ALICE, Account(WORLD, "KES")])
        assert (first.opened, first.state) == (True, "open")
        assert again == first
        assert world.opened
        assert await client.accounts([ALICE]) == [first]

    async def test_tell_balances_by_the_hundred(self, client: LedgerClient) -> None:
        owners = [f"owner-{number}" for number in range(500)]
        await client.open([Account(owner, "KES") for owner in owners])
        await client.post([paid_in(owner, str(n + 1)) for n, owner in enumerate(owners)])
        found = await client.balances([*(Account(o, "KES") for o in owners), Account("no", "KES")])
        assert [one.available for one in found[:-1]] == [kes(str(n + 1)) for n in range(500)]
        assert (found[-1].opened, found[-1].available) == (False, None)

    async def test_are_exact_to_the_last_of_38_digits(self, client: LedgerClient) -> None:
        """Decimals of that size, subtracted as Decimals, were rounded to 28 digits."""
        most = "9" * 36
        assert await codes(
            client,
            paid_in("alice", f"{most}.99"),
            Transfer.post("alice", WORLD, "KES", kes("0.01")),
        ) == ["created", "created"]
        assert await available(client, "alice") == [Decimal(f"{most}.98")]

    async def test_have_a_statement_page_by_page(self, client: LedgerClient) -> None:
        [account] = await client.open([ALICE])
        assert account.id is not None
        for amount in ("1", "2", "3"):
            await client.post([paid_in("alice", amount)])
        page = await client.statement(account.id, limit=2)
        assert (page.owner, [line.balance for line in page.items]) == (
            "alice", [kes("6"), kes("3")],
        )  # fmt: skip
        rest = await client.statement(account.id, limit=2, cursor=page.next_cursor)
        assert [line.change for line in rest.items] == [kes("1")]
        assert rest.next_cursor is None

    async def test_world_has_no_balance_and_no_statement(self, client: LedgerClient) -> None:
        [world] = await client.open([Account(WORLD, "KES")])
        [balance] = await client.balances([Account(WORLD, "KES")])
        assert (balance.opened, balance.posted) == (True, None)
        assert world.id is not None
        with pytest.raises(LedgerRefused) as no:
            await client.statement(world.id)
        assert no.value.code == "no_running_balance"


class TestOtherPeoplesMoney:
    """One institution's door opens its own books: what others have is not there."""

    async def test_same_name_elsewhere_is_somebody_else(
        self, services: Services, client: LedgerClient
    ) -> None:
        other = await services.client()
        await client.post([paid_in("alice", "7")])
        [found] = await other.accounts([ALICE])
        assert not found.opened
        await other.open([ALICE])
        assert await available(other, "alice") == [kes("0")]

    async def test_two_credentials_of_one_namespace_share_it(self, services: Services) -> None:
        name = f"n{new_id().hex[-16:]}"
        one = await services.client(await services.issue(name))
        two = await services.client(await services.issue(name))
        await one.open([ALICE])
        await one.post([paid_in("alice", "7")])
        assert await available(two, "alice") == [kes("7")]

    async def test_other_namespaces_transfers_accounts_and_holds_are_not_there(
        self, services: Services, client: LedgerClient
    ) -> None:
        held = Transfer.hold("alice", "bob", "KES", kes("5"))
        await client.post([paid_in("alice", "9"), held])
        [account] = await client.open([ALICE])
        other = await services.client()
        await other.open([ALICE])
        nothing = new_id()
        for theirs, nobodys in ((held.id, nothing),):
            assert await codes(other, Transfer.void_hold(theirs)) == ["pending_not_found"]
            assert await codes(other, Transfer.post_hold(theirs)) == ["pending_not_found"]
            assert await codes(other, Transfer.void_hold(nobodys)) == ["pending_not_found"]
        refusals = []
        for id_ in (held.id, nothing):
            with pytest.raises(LedgerRefused) as no:
                await other.transfer(id_)
            refusals.append((no.value.status, no.value.code, no.value.message, no.value.details))
        assert account.id is not None
        for id_ in (account.id, nothing):
            with pytest.raises(LedgerRefused) as no:
                await other.statement(id_)
            refusals.append((no.value.status, no.value.code, no.value.message, no.value.details))
        assert len({str(one) for one in refusals}) == 1
        assert refusals[0][:2] == (404, "not_found")
        [balance] = await client.balances([ALICE])
        assert balance.held == kes("5")

    async def test_a_foreign_hold_fails_its_group_and_stays_refused(
        self, services: Services, client: LedgerClient
    ) -> None:
        held = Transfer.hold(WORLD, "bob", "KES", kes("5"))
        await client.post([held])
        other = await services.client()
        await other.open([ALICE])
        group = linked([paid_in("alice", "1"), Transfer.void_hold(held.id)])
        first = await codes(other, *group)
        assert first == ["linked_failed", "pending_not_found"]
        assert await codes(other, *group) == first
        # Named as its own, it is still not: the id is taken by somebody else's transfer.
        mine = replace(Transfer.hold(WORLD, "alice", "KES", kes("5")), id=held.id)
        found = await codes(other, mine, Transfer.post_hold(held.id))
        assert found == ["exists_with_different_accounts", "pending_not_found"]
        assert await codes(client, Transfer.post_hold(held.id)) == ["created"]

    async def test_the_houses_own_customers_and_holds_are_out_of_reach(
        self, services: Services, client: LedgerClient, house: House, db: Database
    ) -> None:
        ours, ledger = customer(new_id(), KES), house.get(Ledger)
        held, opening = hold(ours, OUTSIDE, KES.money("5"), Code.WITHDRAWAL,
                             Reference("external", new_id()))  # fmt: skip
        paid = move(OUTSIDE, ours, KES.money("9"), Code.DEPOSIT, Reference("test", new_id()))
        await db.run(lambda tx: ledger.post(tx, [paid, opening], SYSTEM))
        assert await codes(client, Transfer.post_hold(held.id)) == ["pending_not_found"]
        with pytest.raises(LedgerRefused) as no:
            await client.transfer(paid.id)
        assert no.value.status == 404
        assert ours.owner is not None
        for name in (str(ours.owner), ours.owner.hex):
            [found] = await client.accounts([Account(name, "KES")])
            assert not found.opened
        assert (await ledger.balance(db, ours)).held == KES.money("5")
        await db.run(lambda tx: ledger.post(tx, [held.void()], SYSTEM))

    async def test_proof_says_that_nothing_crossed(
        self, client: LedgerClient, house: House
    ) -> None:
        await client.post([paid_in("alice", "1")])

        async def faults(tx: Tx) -> list[str]:
            verdicts = await house.get(Proof).verify(tx)
            return next(one.faults for one in verdicts if one.claim == CLAIM)

        crossed = [line for line in await house.db.run(faults) if "external" not in line]
        assert crossed == []
