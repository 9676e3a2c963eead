"""Every fault that can be switched on, seen from outside."""

from typing import Any

import httpx
import pytest

from hazina.simulators.daraja import SimConfig, create_app
from tests.simulators.conftest import PHONE, Daraja, Sink, exact

RECEIPT_INDEX = 1


def stk(text: str) -> Any:
    return exact(text)["Body"]["stkCallback"]


async def paid_receipts(daraja: Daraja) -> list[str]:
    books = await daraja.books()
    kinds = ("Pay Bill Online", "Business Payment to Customer")
    return [t["receipt"] for t in books["transactions"] if t["kind"] in kinds]


class TestCustomer:
    async def test_cancel_declines_even_on_an_automatic_phone(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await daraja.handset(auto="pay")
        await daraja.fault("cancel", phone=PHONE)
        await daraja.push()
        assert stk((await sink.texts(1))[0])["ResultCode"] == 1032
        await daraja.push()  # it was one-shot
        assert stk((await sink.texts(2))[1])["ResultCode"] == 0

    async def test_no_answer_expires(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.settings(prompt_lifetime_s=0.2)
        await daraja.handset(auto="pay")
        await daraja.fault("no_answer")
        await daraja.push()
        assert (await daraja.handset())["prompt"] is None
        assert (await daraja.press()).status_code == 409
        told = stk((await sink.texts(1))[0])
        assert told["ResultCode"] == 1037
        assert told["ResultDesc"] == "DS timeout user cannot be reached."

    async def test_wrong_amount_is_told_and_booked(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("wrong_amount", amount="90.00")
        await daraja.push()
        await daraja.press()
        items = stk((await sink.texts(1))[0])["CallbackMetadata"]["Item"]
        assert str(items[0]["Value"]) == "90.00"
        books = await daraja.books()
        assert books["organisation"]["working"] == "90.00"
        assert (await daraja.handset())["balance"] == "99910.00"


class TestCallbacks:
    async def test_late_comes_after_the_query_knew(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("callback_late", delay_s=0.3, operation="stk")
        checkout_id = (await daraja.push()).json()["CheckoutRequestID"]
        await daraja.press()
        assert (await daraja.query(checkout_id)).json()["ResultCode"] == "0"
        assert sink.received == []
        assert stk((await sink.texts(1))[0])["ResultCode"] == 0

    async def test_never_leaves_money_and_a_note(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("callback_never")
        await daraja.push()
        await daraja.press()
        await daraja.idle()
        assert sink.received == []
        assert [d["state"] for d in await daraja.deliveries()] == ["withheld"]
        assert len(await paid_receipts(daraja)) == 1

    async def test_twice_is_the_same_twice(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("callback_twice")
        await daraja.payout()
        first, second = await sink.texts(2)
        assert first == second
        assert len(await paid_receipts(daraja)) == 1

    async def test_before_response_for_a_push(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("callback_before_response")
        answer = await daraja.push()
        assert len(sink.received) == 1
        told = stk(sink.received[0][1])
        assert told["CheckoutRequestID"] == answer.json()["CheckoutRequestID"]
        assert told["ResultCode"] == 0

    async def test_before_response_for_a_payout(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("callback_before_response", operation="b2c")
        await daraja.settings(b2c_processing_ms=5000, callback_delay_ms=5000)
        answer = await daraja.payout()
        result = exact(sink.received[0][1])["Result"]
        assert result["ConversationID"] == answer.json()["ConversationID"]

    async def test_are_repeated_only_when_told(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.settings(callback_retries=2, callback_retry_delay_ms=0)
        sink.statuses += [500, 503]
        await daraja.payout()
        await sink.wait_for(3)
        await daraja.idle()
        assert [(d["state"], d["attempts"]) for d in await daraja.deliveries()] == [
            ("delivered", 3)
        ]
        await daraja.settings(callback_retries=0)
        sink.statuses.append(500)
        await daraja.payout("wd-2")
        await sink.wait_for(4)
        await daraja.idle()
        last = (await daraja.deliveries())[-1]
        assert (last["state"], last["status"], last["attempts"]) == ("refused", 500, 1)

    async def test_to_nobody_are_logged(self, daraja: Daraja) -> None:
        await daraja.payout(ResultURL="http://127.0.0.1:9/r")
        await daraja.idle()
        last = (await daraja.deliveries())[-1]
        assert (last["state"], last["status"]) == ("unreachable", None)
        assert "Connect" in last["error"]

    async def test_forged_claims_money_no_book_knows(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("forge", url=f"{sink.base}/forged", amount="9999.00")
        accepted = (await daraja.push()).json()
        path, text = (await sink.wait_for(1))[0]
        told = stk(text)
        assert path == "/forged"
        assert (told["ResultCode"], told["CheckoutRequestID"]) == (
            0,
            accepted["CheckoutRequestID"],
        )
        receipt = told["CallbackMetadata"]["Item"][RECEIPT_INDEX]["Value"]
        assert (await daraja.http.get(f"/sim/books/{receipt}")).status_code == 404
        assert await paid_receipts(daraja) == []

    async def test_forged_can_say_anything(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("forge", body={"hello": [1, "<script>"]}, operation="b2c")
        await daraja.payout()
        bodies = [exact(text) for text in await sink.texts(2)]
        assert {"hello": [1, "<script>"]} in bodies


class TestGate:
    async def test_spike_arrest_accepts_nothing(self, daraja: Daraja) -> None:
        await daraja.fault("http_500", operation="b2c", count=2)
        for _ in range(2):
            answer = await daraja.payout()
            assert answer.status_code == 500
            assert answer.json()["errorCode"] == "500.003.02"
            assert answer.json()["errorMessage"] == "Error Occurred: Spike Arrest Violation"
        assert (await daraja.payout()).status_code == 200

    async def test_firewall_answers_html(self, daraja: Daraja) -> None:
        await daraja.fault("html_403", operation="oauth")
        answer = await daraja.http.get("/oauth/v1/generate?grant_type=client_credentials")
        assert answer.status_code == 403
        assert answer.headers["content-type"].startswith("text/html")
        assert "Request unsuccessful. Incapsula incident ID:" in answer.text

    async def test_dropped_before_accepting_leaves_nothing(self, daraja: Daraja) -> None:
        await daraja.fault("drop_before_accept")
        with pytest.raises(httpx.TransportError):
            await daraja.payout()
        assert (await daraja.payout()).status_code == 200

    async def test_dropped_after_accepting_is_a_duplicate_next(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await daraja.fault("drop_after_accept")
        with pytest.raises(httpx.TransportError):
            await daraja.payout()
        again = await daraja.payout()
        assert again.json()["errorMessage"] == "Duplicate OriginatorConversationID."
        assert (await sink.one())["Result"]["ResultCode"] == 0

    async def test_dropped_after_accepting_still_rings_the_phone(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await daraja.fault("drop_after_accept", operation="stk")
        with pytest.raises(httpx.TransportError):
            await daraja.push()
        assert (await daraja.press()).status_code == 200
        assert stk((await sink.texts(1))[0])["ResultCode"] == 0

    async def test_revoked_token_is_refused_once_and_for_all(self, daraja: Daraja) -> None:
        await daraja.fault("token_revoked", operation="stk")
        assert (await daraja.push()).json()["errorCode"] == "404.001.03"
        assert (await daraja.payout()).json()["errorCode"] == "401.002.01"
        await daraja.login()
        assert (await daraja.push()).status_code == 200

    async def test_a_dead_line_in_process_is_a_transport_error(self) -> None:
        transport = httpx.ASGITransport(create_app(SimConfig()))
        async with httpx.AsyncClient(transport=transport, base_url="http://daraja") as http:
            await http.put("/sim/faults", json={"fault": "drop_before_accept"})
            with pytest.raises(httpx.RemoteProtocolError):
                await http.get("/oauth/v1/generate")
            assert (await http.get("/healthz")).status_code == 200


class TestResults:
    async def test_query_contradicts_both_ways(self, daraja: Daraja) -> None:
        paid = (await daraja.push()).json()["CheckoutRequestID"]
        await daraja.press()
        cancelled = (await daraja.push()).json()["CheckoutRequestID"]
        await daraja.press("cancel")
        await daraja.fault("query_contradicts", count=2)
        assert (await daraja.query(paid)).json()["ResultCode"] == "1032"
        assert (await daraja.query(cancelled)).json()["ResultCode"] == "0"
        assert (await daraja.query(paid)).json()["ResultCode"] == "0"

    async def test_timeout_notice_comes_before_the_result(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("b2c_timeout_notice", delay_s=0.2)
        await daraja.payout()
        paths = [path for path, _ in await sink.wait_for(2)]
        assert paths == ["/cb/4f0c/b2c/t", "/cb/4f0c/b2c/r"]
        assert exact(sink.received[1][1])["Result"]["ResultCode"] == 0

    async def test_object_shape_has_one_pair_and_text_codes(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await daraja.fault("result_object_shape", operation="b2c")
        await daraja.payout()
        result = (await sink.one())["Result"]
        assert (result["ResultCode"], result["ResultType"]) == ("0", "0")
        assert result["ResultParameters"]["ResultParameter"] == {
            "Key": "TransactionAmount",
            "Value": 1500,
        }

    @pytest.mark.parametrize(("code", "told"), [(26, 26), ("SFC_IC0003", "SFC_IC0003")])
    async def test_b2c_fails_with_the_code_given(
        self, daraja: Daraja, sink: Sink, code: object, told: object
    ) -> None:
        await daraja.fault("b2c_fail", result_code=code)
        await daraja.payout()
        result = (await sink.one())["Result"]
        assert result["ResultCode"] == told
        assert "ResultParameters" not in result
        assert await paid_receipts(daraja) == []


class TestPanel:
    async def test_refuses_what_it_does_not_know(self, daraja: Daraja) -> None:
        for order in (
            {"fault": "earthquake"},
            {"fault": "cancel", "operation": "b2c"},
            {"fault": "b2c_fail"},
            {"fault": "cancel", "count": 0},
        ):
            assert (await daraja.http.put("/sim/faults", json=order)).status_code == 422, order

    async def test_standing_faults_stand_until_deleted(self, daraja: Daraja) -> None:
        await daraja.fault("http_500", count=None)
        for _ in range(3):
            assert (await daraja.push()).status_code == 500
        listed = (await daraja.http.get("/sim/faults")).json()["faults"]
        assert [(f["fault"], f["count"]) for f in listed] == [("http_500", None)]
        await daraja.http.delete(f"/sim/faults/{listed[0]['id']}")
        assert (await daraja.push()).status_code == 200

    async def test_a_list_replaces_all_and_phones_are_told_apart(self, daraja: Daraja) -> None:
        await daraja.fault("http_500", count=None)
        other = "254711000222"
        await daraja.http.put("/sim/faults", json=[{"fault": "html_403", "phone": other}])
        assert (await daraja.push()).status_code == 200
        assert (await daraja.push(PhoneNumber=other, PartyA=other)).status_code == 403
        assert (await daraja.http.get("/sim/faults")).json() == {"faults": []}
