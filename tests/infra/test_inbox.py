"""The inbox keeps each message once, and no forgery stands in the way of the genuine one."""

from typing import Any
from uuid import UUID

import pytest

from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.infra.inbox import MAX_BODY, BodyTooLarge, Inbox, InboxState
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import new_id


class Post:
    """Receives messages about one external id."""

    def __init__(self, house: House) -> None:
        self.house, self.inbox, self.about = house, house.get(Inbox), new_id().hex

    async def receive(self, body: bytes = b"{}", **how: Any) -> UUID | None:
        given = {"source": "mpesa", "kind": "stk", "external_id": self.about, "ip": "10.0.0.1"}
        given |= {"headers": {"user-agent": "x", "authorization": "Basic abc"}, "trusted": True}
        given |= {"now": self.house.clock.now(), **how}
        return await self.house.db.run(lambda tx: self.inbox.receive(tx, body=body, **given))

    async def get(self, message_id: UUID) -> Any:
        return await self.house.db.run(lambda tx: self.inbox.get(tx, message_id))

    async def mark(self, message_id: UUID, state: str) -> None:
        await self.house.db.run(lambda tx: self.inbox.mark(tx, message_id, state, "why"))


@pytest.fixture
def post(infra: House) -> Post:
    return Post(infra)


class TestReceive:
    async def test_a_message_is_kept_as_it_came(self, post: Post) -> None:
        kept = await post.receive(b'{"a": 1}', ip="1.2.3.4")
        assert kept is not None
        message = await post.get(kept)
        assert (message.body, message.ip, message.trusted) == (b'{"a": 1}', "1.2.3.4", True)
        assert message.state is InboxState.NEW
        assert message.headers == {"user-agent": "x", "authorization": "[hidden]"}

    async def test_the_same_message_again_changes_nothing(self, post: Post) -> None:
        assert await post.receive(b"same") is not None
        assert await post.receive(b"same") is None

    async def test_a_forged_body_does_not_block_the_genuine_one(self, post: Post) -> None:
        forged = await post.receive(b"forged", trusted=False)
        genuine = await post.receive(b"genuine")
        assert None not in (forged, genuine)
        assert forged != genuine

    async def test_a_validation_does_not_block_its_confirmation(self, post: Post) -> None:
        assert await post.receive(kind="c2b_validation") is not None
        assert await post.receive(kind="c2b_confirmation") is not None

    async def test_untrusted_bytes_gain_trust_when_the_trusted_source_repeats_them(
        self, post: Post
    ) -> None:
        first = await post.receive(b"x", trusted=False)
        assert first is not None
        await post.mark(first, "waiting")
        assert await post.receive(b"x", trusted=True) == first
        message = await post.get(first)
        assert (message.trusted, message.state) == (True, InboxState.NEW)
        assert await post.receive(b"x", trusted=True) is None
        assert await post.receive(b"x", trusted=False) is None

    async def test_trust_gained_late_does_not_open_what_is_done(self, post: Post) -> None:
        first = await post.receive(b"x", trusted=False)
        assert first is not None
        await post.mark(first, "done")
        assert await post.receive(b"x", trusted=True) is None

    async def test_a_body_over_64_kib_is_refused(self, post: Post) -> None:
        assert await post.receive(b"x" * MAX_BODY) is not None
        with pytest.raises(BodyTooLarge):
            await post.receive(b"x" * (MAX_BODY + 1))


class TestState:
    async def test_open_messages_are_listed_oldest_first(self, post: Post) -> None:
        source = f"s{new_id().hex}"
        ids = [await post.receive(f"{n}".encode(), source=source) for n in range(3)]
        assert ids[1] is not None
        await post.mark(ids[1], "refused")
        later = post.house.clock.now().replace(year=2030)
        found = await post.house.db.run(lambda tx: post.inbox.list_open(tx, source, before=later))
        assert [message.id for message in found] == [ids[0], ids[2]]

    async def test_an_unknown_state_cannot_be_written(self, post: Post) -> None:
        kept = await post.receive()
        assert kept is not None
        with pytest.raises(ValueError, match="nonsense"):
            await post.mark(kept, "nonsense")

    async def test_an_unknown_message_is_not_found(self, post: Post) -> None:
        with pytest.raises(NotFound):
            await post.get(new_id())

    async def test_the_application_cannot_delete_or_rewrite_evidence(self, db: Database) -> None:
        from asyncpg import InsufficientPrivilegeError

        for sql in ("DELETE FROM infra.inbox", "UPDATE infra.inbox SET body = ''"):
            with pytest.raises(InsufficientPrivilegeError):
                await db.fetch(sql)
