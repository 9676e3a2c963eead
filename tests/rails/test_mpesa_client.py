"""Our client against the Daraja simulator over loopback: every outcome, and every fault."""

import asyncio
import json
import secrets
import socket
from datetime import timedelta

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.rails.conftest import PHONE, Postbox, Sim

from hazina.infra.http import Http
from hazina.infra.settings import MpesaMode, Settings
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import new_id
from hazina.kernel.outcome import Accepted, Outcome, Rejected, Unknown
from hazina.rails.mpesa.manifest import make_rails
from hazina.rails.mpesa.results import parse
from hazina.rails.ports import (
    CallbackKind,
    Collection,
    CollectionAccepted,
    CollectionResult,
    Failed,
    Paid,
    Payout,
    PayoutAccepted,
    PayoutResult,
    PayoutTimeoutNotice,
    Pending,
    Rails,
    StatusRequested,
    StatusResult,
    StatusState,
)

TOKENS = "/oauth/v1/generate"
PUSHES = "/mpesa/stkpush/v1/processrequest"
PAYMENTS = "/mpesa/b2c/v3/paymentrequest"


def a_collection(amount: int = 250, phone: str = PHONE) -> Collection:
    return Collection(new_id(), amount, phone, "DEP-1", "Wallet topup", secrets.token_hex(16))


def a_payout(amount: int = 1500) -> Payout:
    return Payout(new_id(), amount, PHONE, "Withdrawal", secrets.token_hex(16))


async def collect(
    rails: Rails, now: SettableClock, collection: Collection | None = None
) -> Outcome[CollectionAccepted]:
    prepared = rails.collections.prepare(collection or a_collection(), now.now())
    return await rails.collections.collect(prepared)


async def accepted(rails: Rails, now: SettableClock, collection: Collection) -> CollectionAccepted:
    outcome = await collect(rails, now, collection)
    assert isinstance(outcome, Accepted), outcome
    return outcome.value


async def pay(rails: Rails, now: SettableClock, payout: Payout) -> Outcome[PayoutAccepted]:
    return await rails.payouts.pay(rails.payouts.prepare(payout, now.now()))


class TestCollections:
    async def test_a_paid_prompt_is_accepted_first_and_told_by_callback(
        self, rails: Rails, sim: Sim, now: SettableClock, postbox: Postbox
    ) -> None:
        collection = a_collection()
        taken = await accepted(rails, now, collection)
        assert (await sim.handset())["prompt"]["amount"] == "250.00"
        await sim.press("pay")
        body = await postbox.wait_for(f"/hooks/{collection.callback_token}/c")
        event = parse(CallbackKind.COLLECTION, body)
        assert isinstance(event, CollectionResult)
        assert (event.success, event.amount_units, event.msisdn) == (True, 25_000, PHONE)
        assert event.checkout_request_id == taken.checkout_request_id
        assert event.merchant_request_id == taken.merchant_request_id
        assert event.receipt
        state = await rails.collections.query(taken.checkout_request_id, now.now())
        assert state == Accepted(Paid())

    async def test_a_cancelled_prompt(
        self, rails: Rails, sim: Sim, now: SettableClock, postbox: Postbox
    ) -> None:
        collection = a_collection()
        taken = await accepted(rails, now, collection)
        await sim.press("cancel")
        event = parse(
            CallbackKind.COLLECTION,
            await postbox.wait_for(f"/hooks/{collection.callback_token}/c"),
        )
        assert isinstance(event, CollectionResult)
        assert (event.success, event.code, event.final) == (False, "1032", True)
        state = await rails.collections.query(taken.checkout_request_id, now.now())
        assert isinstance(state, Accepted)
        assert isinstance(state.value, Failed)
        assert state.value.code == "1032"

    @pytest.mark.parametrize("shape", ["error", "4999"])
    async def test_a_prompt_that_is_still_open_is_pending_in_both_spellings(
        self, rails: Rails, sim: Sim, now: SettableClock, shape: str
    ) -> None:
        await sim.settings(processing_shape=shape)
        taken = await accepted(rails, now, a_collection())
        state = await rails.collections.query(taken.checkout_request_id, now.now())
        assert state == Accepted(Pending())

    async def test_a_query_that_nobody_understands_is_unknown_never_failed(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        state = await rails.collections.query("ws_CO_nobody", now.now())
        assert isinstance(state, Unknown)
        taken = await accepted(rails, now, a_collection())
        for fault in ("drop_before_accept", "drop_after_accept", "http_500", "html_403"):
            await sim.fault(fault, operation="query")
            state = await rails.collections.query(taken.checkout_request_id, now.now())
            assert isinstance(state, Unknown), fault

    async def test_a_line_that_goes_dead_after_acceptance_is_unknown_and_sent_once(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await sim.fault("drop_after_accept", operation="stk")
        assert isinstance(await collect(rails, now), Unknown)
        assert sim.counts[PUSHES] == 1
        assert (await sim.handset())["prompt"] is not None  # it was accepted all the same

    async def test_a_line_that_goes_dead_before_is_unknown_too_since_nobody_can_tell(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await sim.fault("drop_before_accept", operation="stk")
        assert isinstance(await collect(rails, now), Unknown)
        assert sim.counts[PUSHES] == 1

    async def test_spike_arrest_may_be_tried_again(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await sim.fault("http_500", operation="stk")
        outcome = await collect(rails, now)
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.retry) == ("busy", True)
        assert isinstance(await collect(rails, now), Accepted)

    async def test_the_firewall_s_page_is_a_refusal_at_the_gate(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await sim.fault("html_403", operation="stk")
        outcome = await collect(rails, now)
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.retry) == ("blocked", True)

    async def test_an_open_prompt_locks_the_phone(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await accepted(rails, now, a_collection())
        outcome = await collect(rails, now, a_collection(300))
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.retry) == ("phone_busy", True)

    async def test_a_wrong_passkey_is_our_set_up(
        self, mpesa_settings: Settings, http: Http, now: SettableClock
    ) -> None:
        wrong = mpesa_settings.model_copy(update={"mpesa_passkey": SecretStr("other")})
        outcome = await collect(make_rails(wrong, http, now), now)
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.retry) == ("setup", False)

    async def test_an_address_that_daraja_refuses_is_refused_at_the_gate(
        self, mpesa_settings: Settings, http: Http, now: SettableClock
    ) -> None:
        plain = mpesa_settings.model_copy(update={"public_url": "http://pay.example.co.ke"})
        outcome = await collect(make_rails(plain, http, now), now)
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.retry) == ("request_invalid", False)

    async def test_where_nobody_listens_nothing_was_sent(
        self, mpesa_settings: Settings, http: Http, now: SettableClock
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closing:
            port = closing.getsockname()[1]
        nowhere = mpesa_settings.model_copy(update={"mpesa_base_url": f"http://127.0.0.1:{port}"})
        outcome = await collect(make_rails(nowhere, http, now), now)
        assert outcome == Rejected("not_sent", outcome.text, retry=True)

    async def test_what_is_prepared_shows_neither_phone_nor_password(
        self, rails: Rails, now: SettableClock
    ) -> None:
        collection = a_collection()
        prepared = rails.collections.prepare(collection, now.now())
        assert PHONE not in repr(prepared) + repr(collection)
        assert json.loads(prepared.body)["Password"] not in repr(prepared)
        assert len(prepared.digest) == 64


class TestTokens:
    async def test_forty_callers_at_once_fetch_one_token(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        collections = [a_collection(100, f"2547110{n:05}") for n in range(40)]
        outcomes = await asyncio.gather(*(collect(rails, now, each) for each in collections))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        assert sim.counts[TOKENS] == 1

    async def test_forty_callers_with_one_dead_token_fetch_one_more(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await accepted(rails, now, a_collection())
        await sim.settings(revoke_previous_token=True)
        settings = sim.http
        answer = await settings.get(
            f"{TOKENS}?grant_type=client_credentials",
            auth=("sim-consumer-key", "sim-consumer-secret"),
        )
        assert answer.status_code == 200  # somebody else fetched one: ours is dead now
        await sim.settings(revoke_previous_token=False)
        sim.counts.clear()
        collections = [a_collection(100, f"2547120{n:05}") for n in range(40)]
        outcomes = await asyncio.gather(*(collect(rails, now, each) for each in collections))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        assert sim.counts[TOKENS] == 1

    @pytest.mark.parametrize("operation", ["stk", "query", "b2c", "status"])
    async def test_a_revoked_token_is_replaced_once_for_every_product(
        self, rails: Rails, sim: Sim, now: SettableClock, operation: str
    ) -> None:
        taken = await accepted(rails, now, a_collection())
        await sim.press("pay")
        await sim.fault("token_revoked", operation=operation)
        outcome: Outcome[object]
        match operation:
            case "stk":
                outcome = await collect(rails, now)
            case "query":
                outcome = await rails.collections.query(taken.checkout_request_id, now.now())
            case "b2c":
                outcome = await pay(rails, now, a_payout())
            case _:
                outcome = await rails.payouts.ask_status(new_id(), secrets.token_hex(16), now.now())
        assert isinstance(outcome, Accepted), outcome
        assert sim.counts[TOKENS] == 2

    async def test_a_token_refused_twice_is_a_refusal_that_may_be_tried_again(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await sim.fault("token_revoked", operation="b2c", count=2)
        payout = a_payout()
        outcome = await pay(rails, now, payout)
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.retry) == ("token_refused", True)
        assert sim.counts[PAYMENTS] == 2
        assert isinstance(await pay(rails, now, payout), Accepted)

    async def test_wrong_keys_get_an_empty_400_and_are_our_set_up(
        self, mpesa_settings: Settings, http: Http, now: SettableClock, sim: Sim
    ) -> None:
        wrong = mpesa_settings.model_copy(update={"mpesa_consumer_secret": SecretStr("other")})
        rails = make_rails(wrong, http, now)
        for _ in range(3):
            outcome = await collect(rails, now)
            assert isinstance(outcome, Rejected)
            assert (outcome.code, outcome.retry) == ("setup", False)
        assert sim.counts == {TOKENS: 1}  # the refusal answered the other two

    async def test_a_refused_token_is_asked_for_again_after_a_pause(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await sim.fault("html_403", operation="oauth")
        outcome = await collect(rails, now)
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.retry) == ("blocked", True)
        now.advance(timedelta(seconds=6))
        assert isinstance(await collect(rails, now), Accepted)

    async def test_a_lost_token_answer_means_that_nothing_was_sent(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await sim.fault("drop_before_accept", operation="oauth")
        outcome = await pay(rails, now, a_payout())
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.retry) == ("not_sent", True)
        assert PAYMENTS not in sim.counts

    async def test_a_token_is_renewed_a_minute_before_it_ends(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await collect(rails, now)
        now.advance(timedelta(seconds=3538))
        await collect(rails, now)
        assert sim.counts[TOKENS] == 1
        now.advance(timedelta(seconds=1))
        await collect(rails, now)
        assert sim.counts[TOKENS] == 2

    async def test_a_caller_who_gives_up_does_not_fail_the_others(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        first = asyncio.create_task(collect(rails, now))
        second = asyncio.create_task(collect(rails, now, a_collection(100, "254711000222")))
        await asyncio.sleep(0)
        first.cancel()
        assert isinstance(await second, Accepted)
        assert sim.counts[TOKENS] == 1


class TestPayouts:
    async def test_a_paid_payout_and_its_status(
        self, rails: Rails, sim: Sim, now: SettableClock, postbox: Postbox
    ) -> None:
        payout, question = a_payout(), secrets.token_hex(16)
        outcome = await pay(rails, now, payout)
        assert isinstance(outcome, Accepted)
        event = parse(
            CallbackKind.PAYOUT, await postbox.wait_for(f"/hooks/{payout.callback_token}/r")
        )
        assert isinstance(event, PayoutResult)
        assert (event.success, event.final, event.amount_units) == (True, True, 150_000)
        assert event.payout_id == payout.id
        assert event.conversation_id == outcome.value.conversation_id
        assert event.utility_balance_units is not None

        asked = await rails.payouts.ask_status(payout.id, question, now.now())
        assert isinstance(asked, Accepted)
        assert isinstance(asked.value, StatusRequested)
        status = parse(CallbackKind.STATUS, await postbox.wait_for(f"/hooks/{question}/s"))
        assert isinstance(status, StatusResult)
        assert (status.query_ok, status.state) == (True, StatusState.COMPLETED)
        assert (status.payout_id, status.receipt) == (payout.id, event.receipt)
        assert (status.amount_units, status.charge_units) == (150_000, 500)
        assert status.conversation_id == event.conversation_id

    async def test_status_by_receipt(
        self, rails: Rails, sim: Sim, now: SettableClock, postbox: Postbox
    ) -> None:
        payout, question = a_payout(), secrets.token_hex(16)
        await pay(rails, now, payout)
        told = parse(
            CallbackKind.PAYOUT, await postbox.wait_for(f"/hooks/{payout.callback_token}/r")
        )
        assert isinstance(told, PayoutResult)
        await rails.payouts.ask_status(payout.id, question, now.now(), receipt=told.receipt)
        status = parse(CallbackKind.STATUS, await postbox.wait_for(f"/hooks/{question}/s"))
        assert isinstance(status, StatusResult)
        assert (status.payout_id, status.state) == (payout.id, StatusState.COMPLETED)

    async def test_status_of_a_payout_nobody_knows(
        self, rails: Rails, sim: Sim, now: SettableClock, postbox: Postbox
    ) -> None:
        question = secrets.token_hex(16)
        await rails.payouts.ask_status(new_id(), question, now.now())
        status = parse(CallbackKind.STATUS, await postbox.wait_for(f"/hooks/{question}/s"))
        assert isinstance(status, StatusResult)
        assert (status.query_ok, status.state) == (False, StatusState.NOT_FOUND)

    async def test_the_same_bytes_again_are_the_same_payment(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await sim.fault("drop_after_accept", operation="b2c")
        prepared = rails.payouts.prepare(a_payout(), now.now())
        assert isinstance(await rails.payouts.pay(prepared), Unknown)
        assert await rails.payouts.pay(prepared) == Accepted(PayoutAccepted(None))
        books = (await sim.http.get("/sim/books")).json()
        payments = [row for row in books["transactions"] if row["kind"].startswith("Business")]
        assert len(payments) == 1

    async def test_a_wrong_initiator_password_is_taken_and_then_fails_as_ours(
        self,
        mpesa_settings: Settings,
        http: Http,
        sim: Sim,
        now: SettableClock,
        postbox: Postbox,
    ) -> None:
        wrong = mpesa_settings.model_copy(update={"mpesa_initiator_password": SecretStr("x")})
        payout = a_payout()
        assert isinstance(await pay(make_rails(wrong, http, now), now, payout), Accepted)
        event = parse(
            CallbackKind.PAYOUT, await postbox.wait_for(f"/hooks/{payout.callback_token}/r")
        )
        assert isinstance(event, PayoutResult)
        assert (event.success, event.code, event.final, event.ours) == (False, "2001", True, True)

    @pytest.mark.parametrize(
        ("fault", "code", "retry"), [("http_500", "busy", True), ("html_403", "blocked", True)]
    )
    async def test_a_payout_refused_at_the_gate(
        self, rails: Rails, sim: Sim, now: SettableClock, fault: str, code: str, *, retry: bool
    ) -> None:
        await sim.fault(fault, operation="b2c")
        outcome = await pay(rails, now, a_payout())
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.retry) == (code, retry)

    async def test_a_timeout_notice_comes_before_the_real_result(
        self, rails: Rails, sim: Sim, now: SettableClock, postbox: Postbox
    ) -> None:
        await sim.fault("b2c_timeout_notice", delay_s=0)
        payout = a_payout()
        await pay(rails, now, payout)
        notice = parse(
            CallbackKind.PAYOUT_TIMEOUT,
            await postbox.wait_for(f"/hooks/{payout.callback_token}/t"),
        )
        assert isinstance(notice, PayoutTimeoutNotice)
        assert notice.payout_id == payout.id
        body = await postbox.wait_for(f"/hooks/{payout.callback_token}/r")
        event = parse(CallbackKind.PAYOUT, body)
        assert isinstance(event, PayoutResult)
        assert event.success

    async def test_parameters_that_come_as_one_object(
        self, rails: Rails, sim: Sim, now: SettableClock, postbox: Postbox
    ) -> None:
        await sim.fault("result_object_shape", operation="b2c")
        payout = a_payout()
        await pay(rails, now, payout)
        event = parse(
            CallbackKind.PAYOUT, await postbox.wait_for(f"/hooks/{payout.callback_token}/r")
        )
        assert isinstance(event, PayoutResult)
        assert (event.success, event.amount_units) == (True, 150_000)
        assert event.receipt


class TestSwitchedOff:
    async def test_everything_is_refused_and_no_answer_is_invented(
        self, http: Http, now: SettableClock
    ) -> None:
        rails = make_rails(Settings(mpesa_mode=MpesaMode.NULL), http, now)
        for outcome in (
            await collect(rails, now),
            await pay(rails, now, a_payout()),
            await rails.payouts.ask_status(new_id(), secrets.token_hex(16), now.now()),
        ):
            assert isinstance(outcome, Rejected)
            assert (outcome.code, outcome.retry) == ("mpesa_off", False)
        assert isinstance(await rails.collections.query("ws_CO_1", now.now()), Unknown)

    async def test_without_a_certificate_payouts_alone_are_off(
        self, mpesa_settings: Settings, http: Http, now: SettableClock
    ) -> None:
        half = mpesa_settings.model_copy(update={"mpesa_certificate": None})
        rails = make_rails(half, http, now)
        assert isinstance(await collect(rails, now), Accepted)
        assert isinstance(await pay(rails, now, a_payout()), Rejected)


class TestQuietness:
    async def test_no_log_line_tells_a_phone_a_token_or_a_password(
        self, rails: Rails, sim: Sim, now: SettableClock
    ) -> None:
        await sim.fault("token_revoked", operation="b2c", count=2)
        prepared = rails.payouts.prepare(a_payout(), now.now())
        with capture_logs() as lines:
            await collect(rails, now)
            await collect(rails, now)
            await rails.payouts.pay(prepared)
        logged = repr(lines)
        assert [line["call"] for line in lines] == ["collect", "collect", "pay", "pay"]
        assert lines[-1]["text"] == "Error Occurred - Invalid Access Token …"
        credential = json.loads(prepared.body)["SecurityCredential"]
        for secret in (PHONE, credential, "sim-passkey", "sim-consumer-secret"):
            assert secret not in logged
