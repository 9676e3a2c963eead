"""Facts become messages: once, by the channels that are wished, and honestly when one is lost."""

import string
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from hazina.desk.notifications.channels.port import Channel
from hazina.desk.notifications.events import SAYINGS
from hazina.desk.notifications.repository import Wish
from hazina.desk.notifications.sending import ATTEMPTS, Delivery
from hazina.desk.notifications.service import Notifications
from hazina.desk.notifications.texts import CODES, TEMPLATES, Language
from hazina.infra.outbox import Event
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from hazina.kernel.outcome import Accepted
from tests.notifications.conftest import Post

PAID = {"amount": "5000.00", "receipt": "SGH0000001", "purpose": None}


class TestAFact:
    async def test_goes_by_every_channel_and_into_the_inbox(self, post: Post) -> None:
        await post.tell("deposit.paid", **PAID)
        words = "KES 5,000.00 from M-Pesa is in your wallet. Receipt SGH0000001."
        assert await post.texts() == [words]
        (letter,) = post.letters
        assert letter["Subject"] == "KES 5,000.00 received"
        assert letter.get_content().strip() == words
        assert {row["state"] for row in (await post.rows()).values()} == {"sent"}

    async def test_told_twice_is_one_message_for_each_channel(self, post: Post) -> None:
        payload = {"customer_id": str(post.customer.id), **PAID}
        event = Event(new_id(), "deposit.paid", new_id(), payload, post.clock.now())
        tell = post.house.get(Notifications).tell
        for _ in range(2):
            await post.house.db.run(lambda tx: tell(tx, event))
        await post.work()
        assert len(await post.texts()) == 1
        assert len(post.letters) == 1

    async def test_that_a_product_tells_itself_is_not_told_twice(self, post: Post) -> None:
        await post.tell("deposit.paid", **{**PAID, "purpose": "gold.buy"})
        assert await post.rows() == {}
        await post.tell("trade.completed", side="buy", grams="0.500000", total="5000.00")
        assert (await post.texts())[0] == "You bought 0.500000 g of gold for KES 5,000.00."

    async def test_is_told_in_the_language_that_is_wished(self, post: Post) -> None:
        await _wish(post, Wish(Language.SW))
        await post.tell(
            "withdrawal.failed", amount="200.00", phone="+254 7•• ••• 678", purpose=None
        )
        assert "Pesa zimerudi kwenye pochi yako" in (await post.texts())[0]

    async def test_about_money_keeps_to_the_wishes_and_about_safety_does_not(
        self, post: Post
    ) -> None:
        await _wish(post, Wish(sms=False, email=False))
        await post.tell("deposit.paid", **PAID)
        assert await post.texts() == []
        assert post.letters == []
        await post.tell("customer.password_changed")
        assert "Your password was changed" in (await post.texts())[0]
        assert len(post.letters) == 1


class TestAnSms:
    async def test_refused_for_good_has_failed(self, post: Post) -> None:
        await post.fail_next(kind="recipient", code=406)
        with capture_logs() as logs:
            await post.tell("deposit.paid", **PAID)
        row = (await post.rows())["sms"]
        assert (row["state"], row["note"]) == ("failed", "406: UserInBlacklist")
        assert any(one["event"] == "a message did not arrive" for one in logs)
        assert "SGH0000001" not in str(logs)

    async def test_refused_for_a_passing_reason_is_tried_later(self, post: Post) -> None:
        await post.fail_next(kind="recipient", code=405)
        await post.tell("deposit.paid", **PAID)
        await post.sweep()
        assert await post.texts() == []
        post.clock.advance(timedelta(seconds=31))
        await post.sweep()
        assert len(await post.texts()) == 1

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "drop", "taken": True},
            {"kind": "garbage", "taken": True},
            {"kind": "http", "code": 502, "taken": False},
            {"kind": "recipient", "code": 501},
        ],
    )
    async def test_without_a_usable_answer_is_unknown_and_never_sent_again(
        self, post: Post, fault: dict[str, object]
    ) -> None:
        await post.fail_next(**fault)
        await post.tell("deposit.paid", **PAID)
        before = await post.texts()
        post.clock.advance(timedelta(days=1))
        await post.sweep()
        assert (await post.rows())["sms"]["state"] == "unknown"
        assert await post.texts() == before

    async def test_that_is_refused_for_ever_ends_as_failed(self, post: Post) -> None:
        await post.sms.put(
            "/sim/faults", json={"next": [{"kind": "http", "code": 429}] * (ATTEMPTS + 3)}
        )
        await post.tell("deposit.paid", **PAID)
        for _ in range(ATTEMPTS):
            post.clock.advance(timedelta(hours=3))
            await post.sweep()
        row = (await post.rows())["sms"]
        assert (row["state"], row["attempts"]) == ("failed", ATTEMPTS)


class TestALetter:
    async def test_refused_by_its_server_has_failed(self, post: Post) -> None:
        post.mail.rcpt_code = 550
        await post.tell("deposit.paid", **PAID)
        row = (await post.rows())["email"]
        assert (row["state"], row["note"][:4]) == ("failed", "550:")

    async def test_deferred_by_its_server_is_tried_later(self, post: Post) -> None:
        post.mail.data_code = 451
        await post.tell("deposit.paid", **PAID)
        assert post.letters == []
        post.mail.data_code = 250
        post.clock.advance(timedelta(seconds=31))
        await post.sweep()
        assert len(post.letters) == 1

    async def test_whose_line_was_lost_comes_again_as_the_same_letter(self, post: Post) -> None:
        post.mail.drop_after_data = True
        await post.tell("deposit.paid", **PAID)
        assert (await post.rows())["email"]["state"] == "queued"
        post.mail.drop_after_data = False
        post.clock.advance(timedelta(seconds=31))
        await post.sweep()
        first, second = post.letters
        assert first["Message-ID"] == second["Message-ID"]

    async def test_waits_while_nobody_answers(self, post: Post) -> None:
        post.house.get(Delivery)._senders[Channel.EMAIL]._port = 1  # type: ignore[attr-defined]
        await post.tell("deposit.paid", **PAID)
        row = (await post.rows())["email"]
        assert (row["state"], row["attempts"]) == ("queued", 1)


class TestAWorkerThatDies:
    async def test_leaves_an_unknown_sms_and_a_letter_to_send_again(self, post: Post) -> None:
        delivery, now = post.house.get(Delivery), post.clock.now()
        payload = {"customer_id": str(post.customer.id), **PAID}
        event = Event(new_id(), "deposit.paid", new_id(), payload, now)
        await post.house.db.run(lambda tx: post.house.get(Notifications).tell(tx, event))
        for row in (await post.rows()).values():
            if row["channel"] != "inbox":
                claimed = row["id"]
                await post.house.db.run(
                    lambda tx, one=claimed: delivery._claim(tx, one, now)  # type: ignore[misc]
                )
        post.clock.advance(timedelta(minutes=3))
        await post.work()
        rows = await post.rows()
        assert rows["sms"]["state"] == "unknown"
        assert rows["email"]["state"] == "queued"
        assert await post.texts() == []


class TestACode:
    async def test_is_sent_at_once_and_kept_nowhere(self, post: Post) -> None:
        with capture_logs() as logs:
            outcome = await post.house.get(Delivery).deliver_now(
                post.customer.id, Channel.SMS, "code", "482913"
            )
        assert isinstance(outcome, Accepted)
        assert "482913" in (await post.texts())[0]
        assert await post.rows() == {}
        assert "482913" not in str(logs)


class TestTheTexts:
    @pytest.mark.parametrize("name", [*TEMPLATES, *CODES])
    def test_say_the_same_fields_in_both_languages_and_no_link(self, name: str) -> None:
        template = {**TEMPLATES, **CODES}[name]
        en, sw = template.text(Language.EN), template.text(Language.SW)
        assert _fields(en.body) == _fields(sw.body)
        for text in (en, sw):
            whole = f"{text.subject} {text.body}".lower()
            assert not any(mark in whole for mark in ("http", "www.", ".com", ".co.ke", "click"))
            assert len(text.body) <= 306  # two SMS

    def test_every_saying_has_its_template(self) -> None:
        said = {one.template for some in SAYINGS.values() for one in some}
        assert said == set(TEMPLATES)


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


async def _wish(post: Post, wish: Wish) -> None:
    set_wish, now = post.house.get(Notifications).set_wish, post.clock.now()
    await post.house.db.run(lambda tx: set_wish(tx, post.customer.id, wish, SYSTEM, now))
