"""One act, one answer: whatever is repeated, crossed, refused or lost on the way."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from hazina.infra.db import Database, Tx
from hazina.infra.house import House
from hazina.infra.idempotency import (
    CommittedRefusal,
    Idempotency,
    IdempotencyConflict,
    IdempotencyKeyNeeded,
    once,
)
from hazina.kernel.actor import Actor, ActorKind
from hazina.kernel.errors import Invalid, Kind, Refusal
from hazina.kernel.ids import new_id

ROUTE = "POST /api/v1/test"


class TooPoor(Refusal):
    code = "too_poor_for_this_test"
    kind = Kind.INSUFFICIENT
    message = "There is not enough."
    action = "Deposit first."


class Desk:
    """Acts under one key; each act leaves a row whose number can be counted."""

    def __init__(self, house: House) -> None:
        self.house, self.key, self.mark = house, new_id().hex, new_id().hex
        self.who = Actor(ActorKind.CUSTOMER, new_id())
        self.error: Exception | None = None
        self.inside = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def act(self, tx: Tx) -> tuple[int, Mapping[str, object]]:
        await tx.execute(
            "INSERT INTO infra.audit_event (id, at, actor_kind, action, object_type, object_id)"
            " VALUES ($1, now(), 'system', 'act.done', 'act', $2)",
            new_id(),
            self.mark,
        )
        self.inside.set()
        await self.go_on.wait()
        if self.error is not None:
            raise self.error
        return 201, {"z": "last key first", "a": new_id().hex}

    async def ask(self, body: bytes = b"{}", **how: Any) -> tuple[int, dict[str, Any]]:
        given = {"principal": self.who, "route": ROUTE, "key": self.key, **how}
        return await once(self.house, body=body, use_case=self.act, **given)

    async def acts(self) -> int:
        sql = "SELECT count(*) FROM infra.audit_event WHERE object_type = 'act' AND object_id = $1"
        count: int = await self.house.db.fetchval(sql, self.mark)
        return count


@pytest.fixture
def desk(infra: House) -> Desk:
    return Desk(infra)


class TestRepeat:
    async def test_a_repeat_gets_the_same_answer_and_does_nothing(self, desk: Desk) -> None:
        first, second = await desk.ask(), await desk.ask()
        assert first == second
        assert list(second[1]) == ["z", "a"]
        assert await desk.acts() == 1

    async def test_another_body_under_the_key_is_a_conflict(self, desk: Desk) -> None:
        await desk.ask(b"one")
        with pytest.raises(IdempotencyConflict):
            await desk.ask(b"two")
        assert await desk.acts() == 1

    async def test_keys_belong_to_their_principal_and_route(self, desk: Desk) -> None:
        await desk.ask()
        await desk.ask(route="POST /api/v1/other")
        await desk.ask(principal=Actor(ActorKind.CUSTOMER, new_id()))
        assert await desk.acts() == 3

    @pytest.mark.parametrize("key", [None, "", "short", "x" * 65, "with space", "nicht-ä-scii"])
    async def test_a_money_command_needs_a_usable_key(self, desk: Desk, key: str | None) -> None:
        with pytest.raises(IdempotencyKeyNeeded):
            await desk.ask(key=key)
        assert await desk.acts() == 0


class TestConcurrent:
    async def test_two_identical_requests_are_one_act_with_one_answer(self, desk: Desk) -> None:
        desk.go_on.clear()
        first = asyncio.create_task(desk.ask())
        await desk.inside.wait()
        second = asyncio.create_task(desk.ask())
        await _until_waiting_on_a_lock(desk.house.db)
        desk.go_on.set()
        assert await first == await second
        assert await desk.acts() == 1

    async def test_fifty_at_once_are_one_act(self, desk: Desk) -> None:
        answers = await asyncio.gather(*(desk.ask() for _ in range(30)))
        assert all(answer == answers[0] for answer in answers)
        assert await desk.acts() == 1

    async def test_when_the_first_fails_the_second_acts(self, desk: Desk) -> None:
        desk.go_on.clear()
        desk.error = RuntimeError("a bug in the first")
        first = asyncio.create_task(desk.ask())
        await desk.inside.wait()
        second = asyncio.create_task(desk.ask())
        await _until_waiting_on_a_lock(desk.house.db)

        async def act(tx: Tx) -> tuple[int, Mapping[str, object]]:
            raise AssertionError("unused")

        desk.go_on.set()
        with pytest.raises(RuntimeError):
            await first
        with pytest.raises(RuntimeError):
            await second  # it did act: its own bug shows, not a stored answer
        desk.error = None
        assert (await desk.ask())[0] == 201
        assert await desk.acts() == 1


class TestRefusal:
    async def test_a_refusal_undoes_its_writes_and_is_repeated(self, desk: Desk) -> None:
        desk.error = TooPoor(details={"missing": "5.00"})
        status, body = await desk.ask()
        assert status == 409
        assert body["error"]["code"] == "too_poor_for_this_test"
        assert body["error"]["action"] == "Deposit first."
        assert body["error"]["details"] == {"missing": "5.00"}
        desk.error = None
        assert await desk.ask() == (status, body)
        assert await desk.acts() == 0

    async def test_a_committed_refusal_keeps_its_rows(self, desk: Desk) -> None:
        desk.error = CommittedRefusal(TooPoor())
        first = await desk.ask()
        assert first[0] == 409
        desk.error = None
        assert await desk.ask() == first
        assert await desk.acts() == 1

    async def test_a_validation_error_is_not_stored(self, desk: Desk) -> None:
        desk.error = Invalid.field("amount", "Whole shillings only.")
        with pytest.raises(Invalid):
            await desk.ask()
        desk.error = None
        assert (await desk.ask())[0] == 201
        assert await desk.acts() == 1

    async def test_what_a_refused_act_wanted_after_commit_does_not_happen(self, desk: Desk) -> None:
        called: list[str] = []

        async def act(tx: Tx) -> tuple[int, Mapping[str, object]]:
            tx.after_commit(lambda: called.append("told"))
            raise TooPoor

        desk.act = act  # type: ignore[method-assign]
        assert (await desk.ask())[0] == 409
        assert called == []


class TestPrune:
    async def test_old_answers_are_forgotten(self, desk: Desk, db: Database) -> None:
        await desk.ask()
        clock: Any = desk.house.clock
        await desk.house.get(Idempotency).prune(db, clock.now())
        await desk.ask()
        assert await desk.acts() == 1
        await desk.house.get(Idempotency).prune(db, clock.now().replace(year=2030))
        await desk.ask()
        assert await desk.acts() == 2


async def _until_waiting_on_a_lock(db: Database) -> None:
    from tests.infra.conftest import eventually

    async def waiting() -> bool:
        sql = (
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database() AND query LIKE '%infra.idempotency%')"
        )
        return bool(await db.fetchval(sql))

    await eventually(waiting)
