"""The audit trail can be added to and read, and nothing else."""

from datetime import timedelta

import pytest
from asyncpg import InsufficientPrivilegeError

from hazina.infra.audit import Audit
from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.kernel.actor import SYSTEM, Actor, ActorKind
from hazina.kernel.ids import new_id


class TestAudit:
    async def test_an_act_is_found_by_its_object_and_by_its_actor(
        self, infra: House, db: Database
    ) -> None:
        audit, thing = infra.get(Audit), new_id()
        actor = Actor(ActorKind.OPERATOR, new_id(), "1.2.3.4", "browser", "req-1")
        await db.run(
            lambda tx: audit.record(
                tx,
                actor,
                "price.set",
                "price",
                thing,
                before={"mid": "1.00"},
                after={"mid": "2.00", "password": "hunter2"},
                now=infra.clock.now(),
            )
        )
        (event,) = (await audit.list_of_object(db, "price", thing)).items
        assert (event.action, event.actor_id, event.ip) == ("price.set", actor.id, "1.2.3.4")
        assert (event.user_agent, event.request_id) == ("browser", "req-1")
        assert event.before == {"mid": "1.00"}
        assert event.after == {"mid": "2.00", "password": "[hidden]"}
        assert actor.id is not None
        assert (await audit.list_of_actor(db, actor.id)).items == [event]

    async def test_lists_page_newest_first(self, infra: House, db: Database) -> None:
        audit, thing, now = infra.get(Audit), new_id(), infra.clock.now()
        for n in range(5):
            at = now + timedelta(seconds=n)
            await db.run(
                lambda tx, n=n, at=at: audit.record(tx, SYSTEM, f"n{n}", "thing", thing, now=at)
            )
        seen, cursor = [], None
        while True:
            page = await audit.list_of_object(db, "thing", thing, cursor=cursor, limit=2)
            seen += [event.action for event in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == ["n4", "n3", "n2", "n1", "n0"]

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE infra.audit_event SET action = 'nothing'",
            "DELETE FROM infra.audit_event",
            "TRUNCATE infra.audit_event",
        ],
    )
    async def test_the_application_cannot_change_or_remove_a_line(
        self, db: Database, sql: str
    ) -> None:
        with pytest.raises(InsufficientPrivilegeError):
            await db.fetch(sql)
