"""Messages that did not arrive: operators see them and have them sent again; a restored house sends
none that may have gone out since its copy was made."""

import re

import pytest

from hazina.bootstrap.registry import manifests
from hazina.desk.notifications.service import Notifications
from hazina.desk.recovery import Recovery
from hazina.identity.operators import Operators
from hazina.identity.people import Role
from hazina.infra.outbox import Event
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from hazina.web.console.app import create_console_app
from tests.journeys.world import PASSWORD
from tests.notifications.conftest import Post
from tests.web.conftest import browsing
from tests.web.money import confirmation, seen, words

PAID = {"amount": "5000.00", "receipt": "SGH0000001", "purpose": None}


class TestAnOperator:
    async def test_sees_what_did_not_arrive_and_has_it_sent_again(self, post: Post) -> None:
        await post.fail_next(kind="recipient", code=406)
        await post.tell("deposit.paid", **PAID)
        house, now = post.house, post.clock.now()
        for name, role in (("auditor-lost", Role.AUDITOR), ("clerk-lost", Role.OPERATOR)):
            await house.get(Operators).create(name, PASSWORD, role, SYSTEM, now)
        async with browsing(create_console_app(house, manifests())) as desk:
            await desk.send("/login", {"username": "auditor-lost", "password": PASSWORD})
            page = await seen(desk, "/messages")
            assert "406: UserInBlacklist" in page
            assert "by SMS to" in page
            assert "Send again" not in page
            assert "SGH0000001" not in page
        async with browsing(create_console_app(house, manifests())) as desk:
            await desk.send("/login", {"username": "clerk-lost", "password": PASSWORD})
            shown = (await desk.http.get("/messages")).text
            found = re.search(r'action="(/messages/msg_[0-9a-f]{32}/again)"', shown)
            assert found, words(shown)
            for _ in range(2):  # the second hit of the button is the same act
                answer = await desk.http.post(found[1], data=confirmation(shown, found[1]))
                assert answer.status_code == 303
            await post.work()
            assert len(await post.texts()) == 1
            assert "Everything arrived" in await seen(desk, "/messages")
            late = await desk.send(found[1], {"key": new_id().hex}, page="/approvals")
            assert late.status_code == 303
            assert "not lost any more" in await seen(desk, "/messages")
        trail = await house.db.fetchval(
            "SELECT count(*) FROM infra.audit_event WHERE action = 'message.sent_again'"
        )
        assert trail == 1


class TestARestoredHouse:
    async def test_sends_nothing_that_may_have_gone_out_since_the_copy(self, post: Post) -> None:
        house, now = post.house, post.clock.now()
        payload = {"customer_id": str(post.customer.id), **PAID}
        event = Event(new_id(), "deposit.paid", new_id(), payload, now)
        await house.db.run(lambda tx: house.get(Notifications).tell(tx, event))
        await house.db.run(
            lambda tx: house.get(Recovery).enter(tx, copied_at=now, actor=SYSTEM, now=now)
        )
        await post.work()
        await post.sweep()
        assert await post.texts() == []
        assert post.letters == []
        rows = await post.rows()
        assert {row["state"] for row in rows.values()} == {"unknown", "sent"}
        assert "may have been sent since" in rows["sms"]["note"]
        await post.tell("withdrawal.paid", **PAID, phone="+254 7•• ••• 678")
        assert await post.texts() == []
        await post.tell("customer.password_changed")
        assert "Your password was changed" in (await post.texts())[0]


class TestWhatCameUnasked:
    @pytest.mark.parametrize(
        ("topic", "told"),
        [
            ("payment.credited", "KES 750.00 paid to your account number is in your wallet."),
            ("payment.allocated", "We have looked: KES 750.00 that was kept aside is yours."),
        ],
    )
    async def test_is_told_to_whose_it_is_and_to_nobody_while_it_is_nobodys(
        self, post: Post, topic: str, told: str
    ) -> None:
        await post.tell(topic, amount="750.00")
        assert await post.texts() == [told]
        await post.tell(topic, amount="900.00", customer_id=None)
        assert await post.texts() == [told]
