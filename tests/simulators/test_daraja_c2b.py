"""PayBill payments: registration, validation, confirmation, and what may go wrong with them."""

import hashlib
import re
from typing import Any, ClassVar

import pytest

from hazina.simulators.daraja.wire import hashed_phone
from tests.simulators.conftest import CONFIRMATION, PHONE, VALIDATION, Daraja, Sink, exact
from tests.simulators.test_daraja_payloads import RECEIPT, assert_envelope

PAYMENT = """{"TransactionType":"Pay Bill","TransID":"UKK1Q2W3E4","TransTime":"20261120143512",
 "TransAmount":"250.00","BusinessShortCode":"600123","BillRefNumber":"ACC1007",
 "InvoiceNumber":"","OrgAccountBalance":"88450.00","ThirdPartyTransID":"",
 "MSISDN":"2547 ***** 111","FirstName":"JANE","MiddleName":"","LastName":""}"""

REJECTED = '{"ResultCode":"%s","ResultDesc":"Rejected"}'


async def state_of(daraja: Daraja, receipt: str) -> Any:
    await daraja.idle()
    return (await daraja.http.get(f"/sim/c2b/payments/{receipt}")).json()


class TestRegistration:
    @pytest.mark.parametrize("version", ["v1", "v2"])
    async def test_is_done_once_until_the_portal_deletes_it(
        self, daraja: Daraja, version: str
    ) -> None:
        answer = await daraja.register(version)
        told = answer.json()
        assert list(told) == ["OriginatorCoversationID", "ResponseCode", "ResponseDescription"]
        assert (told["ResponseCode"], told["ResponseDescription"]) == ("0", "Success")
        again = await daraja.register(version)
        assert_envelope(again, 500, "500.003.1001", "Urls are already registered.")
        await daraja.http.delete("/sim/c2b/urls")
        assert (await daraja.register(version)).status_code == 200

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("ResponseType", "completed"),  # case matters
            ("ResponseType", "Confirmed"),
            ("ShortCode", "600999"),
            ("ShortCode", None),
            ("ConfirmationURL", "https://pay.example.co.ke/mpesa/c"),
            ("ConfirmationURL", "https://pay.example.co.ke/runquery"),
            ("ValidationURL", "https://pay.example.co.ke/cmdline"),
            ("ValidationURL", "https://x.ngrok.io/v"),
            ("ValidationURL", "http://pay.example.co.ke/v"),
            ("ValidationURL", None),
        ],
    )
    async def test_refuses_what_safaricom_refuses(
        self, daraja: Daraja, field: str, value: str | None
    ) -> None:
        changes: dict[str, Any] = {field: value}
        answer = await daraja.register(**changes)
        assert_envelope(answer, 400, "400.003.02", f"Bad Request - Invalid {field}")

    async def test_has_its_own_words_for_a_bad_token(self, daraja: Daraja) -> None:
        daraja.headers = {"Authorization": "Bearer stale"}
        assert_envelope(await daraja.register(), 400, "400.003.01", "Invalid Access Token")


class TestPayment:
    async def test_is_validated_then_confirmed_in_strings(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.register()
        sink.answers[VALIDATION] = (
            '{"ResultCode":"0","ResultDesc":"Accepted","ThirdPartyTransID":"T-77"}'
        )
        receipt = await daraja.paid()
        asked = (await sink.at(VALIDATION))[0]
        told = (await sink.at(CONFIRMATION))[0]
        golden = exact(PAYMENT)
        assert [*asked] == [*told] == [*golden]
        assert all(isinstance(value, str) for value in [*asked.values(), *told.values()])
        assert RECEIPT.fullmatch(receipt)
        assert asked["TransID"] == told["TransID"] == receipt
        assert (asked["OrgAccountBalance"], asked["ThirdPartyTransID"]) == ("", "")
        assert (told["OrgAccountBalance"], told["ThirdPartyTransID"]) == ("250.00", "T-77")
        for name in ("TransactionType", "TransAmount", "BusinessShortCode", "BillRefNumber",
                     "InvoiceNumber", "MSISDN", "MiddleName", "LastName"):  # fmt: skip
            assert told[name] == golden[name], name
        assert told["FirstName"]
        assert re.fullmatch(r"\d{14}", told["TransTime"])
        assert (await state_of(daraja, receipt))["state"] == "paid"
        assert (await daraja.handset())["balance"] == "99750.00"

    async def test_is_hashed_in_the_first_version(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.register("v1")
        await daraja.paid()
        told = (await sink.at(CONFIRMATION))[0]
        assert told["MSISDN"] == hashlib.sha256(PHONE.encode()).hexdigest()

    async def test_hash_is_the_one_safaricom_computes(self) -> None:
        assert hashed_phone("254705912645").startswith("94c392c3")
        assert hashed_phone("254705912645").endswith("8a88")

    async def test_names_and_mask_are_settings(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.handset(name="GREY CROWNED CRANE")
        await daraja.register()
        await daraja.settings(c2b_names="full", c2b_mask="tight", c2b_external_validation=False)
        await daraja.paid()
        await daraja.settings(c2b_names="none")
        await daraja.paid()
        full, none = await sink.at(CONFIRMATION, 2)
        names = ("FirstName", "MiddleName", "LastName")
        assert [full[name] for name in names] == ["GREY", "CROWNED", "CRANE"]
        assert [none[name] for name in names] == ["", "", ""]
        assert full["MSISDN"] == "25471****111"
        assert VALIDATION not in [path for path, _ in sink.received]

    @pytest.mark.parametrize("code", ["C2B00011", "C2B00012", "C2B00016", "1"])
    async def test_is_rejected_by_the_business(self, daraja: Daraja, sink: Sink, code: str) -> None:
        await daraja.register()
        sink.answers[VALIDATION] = REJECTED % code
        receipt = await daraja.paid()
        found = await state_of(daraja, receipt)
        assert (found["state"], found["result_code"]) == ("rejected", code)
        assert [path for path, _ in sink.received] == [VALIDATION]
        assert (await daraja.handset())["balance"] == "100000.00"
        assert (await daraja.http.get(f"/sim/books/{receipt}")).status_code == 404

    @pytest.mark.parametrize(
        ("response_type", "state"), [("Completed", "paid"), ("Cancelled", "rejected")]
    )
    async def test_silence_for_eight_seconds_leaves_it_to_the_response_type(
        self, daraja: Daraja, sink: Sink, response_type: str, state: str
    ) -> None:
        await daraja.register(ResponseType=response_type)
        sink.silent.add(VALIDATION)
        receipt = await daraja.paid()
        await sink.at(VALIDATION)
        await daraja.advance(7.5)
        waiting = (await daraja.http.get(f"/sim/c2b/payments/{receipt}")).json()
        assert waiting["state"] == "validating"
        await daraja.advance(1)
        assert (await state_of(daraja, receipt))["state"] == state
        assert (await daraja.deliveries("c2b_validation"))[0]["state"] == "abandoned"

    @pytest.mark.parametrize("nonsense", ["<html>", "{}", "[]", '{"ResultCode":true}'])
    async def test_nonsense_leaves_it_to_the_response_type(
        self, daraja: Daraja, sink: Sink, nonsense: str
    ) -> None:
        await daraja.register(ResponseType="Cancelled")
        sink.answers[VALIDATION] = nonsense
        assert (await state_of(daraja, await daraja.paid()))["state"] == "rejected"

    async def test_nobody_there_leaves_it_to_the_response_type(self, daraja: Daraja) -> None:
        await daraja.register(ValidationURL="http://127.0.0.1:9/v")
        assert (await state_of(daraja, await daraja.paid()))["state"] == "paid"

    async def test_is_booked_without_any_registration(self, daraja: Daraja, sink: Sink) -> None:
        receipt = await daraja.paid()
        await daraja.idle()
        assert sink.received == []
        told = (await daraja.http.get(f"/sim/books/{receipt}")).json()
        assert (told["kind"], told["reference"]) == ("Pay Bill Online", "ACC1007")

    @pytest.mark.parametrize(
        ("typed", "reason"),
        [
            ({"business_number": "600999"}, "business"),
            ({"account_number": " "}, "account"),
            ({"account_number": "x" * 21}, "account"),
            ({"amount": "0"}, "amount"),
            ({"amount": "10.50"}, "amount"),
            ({"amount": "250001"}, "amount"),
            ({"pin": "0000"}, "pin"),
            ({"amount": "100001"}, "funds"),
        ],
    )
    async def test_menu_says_no_and_why(
        self, daraja: Daraja, typed: dict[str, str], reason: str
    ) -> None:
        answer = await daraja.paybill(**typed)
        assert answer.status_code == 409
        assert answer.json()["detail"]["reason"] == reason

    async def test_money_spent_during_validation_is_not_paid_twice(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await daraja.register()
        await daraja.handset(balance="300.00")
        sink.silent.add(VALIDATION)
        await daraja.settings(callback_timeout_s=0.5)
        first, second = await daraja.paid(), await daraja.paid()
        states = {(await state_of(daraja, one))["state"] for one in (first, second)}
        assert states == {"paid", "rejected"}
        assert (await daraja.handset())["balance"] == "50.00"


class TestSimulate:
    FIELDS: ClassVar[dict[str, Any]] = {
        "ShortCode": 600123, "CommandID": "CustomerPayBillOnline", "Amount": 1,
        "Msisdn": 254708374149, "BillRefNumber": "X",
    }  # fmt: skip

    @pytest.mark.parametrize("version", ["v1", "v2"])
    async def test_pays_without_a_phone_in_hand(
        self, daraja: Daraja, sink: Sink, version: str
    ) -> None:
        await daraja.register()
        answer = await daraja.post(f"/mpesa/c2b/{version}/simulate", self.FIELDS)
        assert answer.json() == {
            "OriginatorCoversationID": answer.json()["OriginatorCoversationID"],
            "ResponseCode": "0",
            "ResponseDescription": "Accept the service request successfully.",
        }
        told = (await sink.at(CONFIRMATION))[0]
        assert (told["TransAmount"], told["BillRefNumber"]) == ("1.00", "X")
        assert told["MSISDN"] == "2547 ***** 149"

    @pytest.mark.parametrize("field", ["ShortCode", "CommandID", "Amount", "Msisdn"])
    async def test_checks_its_fields(self, daraja: Daraja, field: str) -> None:
        answer = await daraja.post("/mpesa/c2b/v2/simulate", {**self.FIELDS, field: "0"})
        assert_envelope(answer, 400, "400.003.02", f"Bad Request - Invalid {field}")


class TestPushAndConfirmation:
    async def test_one_receipt_comes_both_ways(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.register()
        await daraja.push()
        await daraja.press()
        told = (await sink.at(CONFIRMATION))[0]
        paid = (await sink.at("/cb/4f0c/stk"))[0]["Body"]["stkCallback"]["CallbackMetadata"]
        assert told["TransID"] == paid["Item"][1]["Value"]
        assert told["BillRefNumber"] == "DEP8F3K2Q"

    async def test_is_a_setting_and_a_fault(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.register()
        await daraja.settings(stk_confirms_c2b=False)
        await daraja.push()
        await daraja.press()
        await daraja.idle()
        assert [path for path, _ in sink.received] == ["/cb/4f0c/stk"]
        await daraja.fault("stk_and_c2b")
        await daraja.push()
        await daraja.press()
        assert len(await sink.at(CONFIRMATION)) == 1


class TestFaults:
    async def test_confirmations_come_never_twice_and_from_elsewhere(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await daraja.settings(c2b_external_validation=False)
        await daraja.register()
        await daraja.fault("callback_never", operation="c2b")
        await daraja.paid()
        await daraja.idle()
        assert sink.received == []
        await daraja.fault("callback_twice", operation="c2b")
        await daraja.fault("wrong_source", operation="c2b", source="198.51.100.9")
        await daraja.paid()
        first, second = await sink.at(CONFIRMATION, 2)
        assert first == second
        assert sink.sources == ["198.51.100.9"] * 2
        await daraja.settings(callback_forwarded_for="196.201.214.200")
        await daraja.paid()
        await sink.at(CONFIRMATION, 3)
        assert sink.sources[2] == "196.201.214.200"

    async def test_the_wrong_phone_is_told_and_the_right_one_pays(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await daraja.settings(c2b_external_validation=False)
        await daraja.register("v1")
        await daraja.fault("wrong_phone", operation="c2b", told_phone="254711000999")
        await daraja.paid()
        told = (await sink.at(CONFIRMATION))[0]
        assert told["MSISDN"] == hashlib.sha256(b"254711000999").hexdigest()
        await daraja.fault("wrong_phone", operation="stk")
        await daraja.push()
        await daraja.press()
        items = (await sink.at("/cb/4f0c/stk"))[0]["Body"]["stkCallback"]["CallbackMetadata"]
        assert items["Item"][4]["Value"] == 254711000112
        assert (await daraja.handset())["balance"] == "99500.00"

    async def test_one_receipt_under_another_checkout_id(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.push()
        await daraja.press()
        genuine = (await sink.at("/cb/4f0c/stk"))[0]["Body"]["stkCallback"]
        await daraja.fault("receipt_twice")
        second = (await daraja.push(Amount=900)).json()["CheckoutRequestID"]
        forged = (await sink.at("/cb/4f0c/stk", 2))[1]["Body"]["stkCallback"]
        assert forged["CheckoutRequestID"] == second
        items, lies = (one["CallbackMetadata"]["Item"] for one in (genuine, forged))
        assert items[1] == lies[1]
        assert str(lies[0]["Value"]) == "900.00"
        assert (await daraja.handset())["balance"] == "99750.00"

    async def test_forged_confirmations_are_in_no_book(self, daraja: Daraja, sink: Sink) -> None:
        lie = {"phone": PHONE, "amount": "9000.00", "account_number": "=1+1"}
        assert (await daraja.http.post("/sim/c2b/forge", json=lie)).status_code == 409
        await daraja.register()
        await daraja.http.post("/sim/c2b/forge", json={**lie, "source": "203.0.113.9"})
        told = (await sink.at(CONFIRMATION))[0]
        assert [*told] == [*exact(PAYMENT)]
        assert (told["BillRefNumber"], told["TransAmount"]) == ("=1+1", "9000.00")
        assert sink.sources == ["203.0.113.9"]
        found = await daraja.http.get(f"/sim/books/{told['TransID']}")
        assert found.status_code == 404
        await daraja.fault("forge", operation="c2b", amount="1.00")
        await daraja.paid()
        bodies = await sink.at(CONFIRMATION, 3)
        assert {body["TransAmount"] for body in bodies[1:]} == {"250.00", "1.00"}


class TestMenuPage:
    async def test_a_person_pays_a_bill(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.register()
        path = f"/handset/{PHONE}/paybill"
        assert path in (await daraja.http.get(f"/handset/{PHONE}")).text
        form = {"business": "600123", "account": "<b>ACC", "amount": "1,250", "pin": "9999"}
        wrong = await daraja.http.post(path, data=form)
        shown = await daraja.http.get(wrong.headers["location"])
        assert "Wrong PIN." in shown.text
        assert "&lt;b&gt;ACC" in shown.text
        assert "9999" not in shown.text
        paid = await daraja.http.post(path, data={**form, "pin": "1234"})
        assert paid.headers["location"] == f"/handset/{PHONE}"
        await daraja.idle()
        assert "Paid KES 1,250." in (await daraja.http.get(f"/handset/{PHONE}")).text
        assert (await sink.at(CONFIRMATION))[0]["BillRefNumber"] == "<b>ACC"

    async def test_says_so_when_the_business_refuses(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.register()
        sink.answers[VALIDATION] = REJECTED % "C2B00012"
        await state_of(daraja, await daraja.paid())
        assert "Not accepted." in (await daraja.http.get(f"/handset/{PHONE}")).text
