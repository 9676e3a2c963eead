"""Golden payloads: key sets, nesting, JSON types and texts as the facts about Daraja tell them."""

import re
from typing import Any

import httpx

from tests.simulators.conftest import PHONE, Daraja, Sink, exact, shape

SYNC = """{"MerchantRequestID":"2f1c-4d7e-9a10-0c5d77aa1204417",
 "CheckoutRequestID":"ws_CO_20112026143007123711000111",
 "ResponseCode":"0","ResponseDescription":"Success. Request accepted for processing",
 "CustomerMessage":"Success. Request accepted for processing"}"""

PAID = """{"Body":{"stkCallback":{
  "MerchantRequestID":"2f1c-4d7e-9a10-0c5d77aa1204417",
  "CheckoutRequestID":"ws_CO_20112026143007123711000111",
  "ResultCode":0,
  "ResultDesc":"The service request is processed successfully.",
  "CallbackMetadata":{"Item":[
    {"Name":"Amount","Value":250.00},
    {"Name":"MpesaReceiptNumber","Value":"UKK4A1B2C3"},
    {"Name":"Balance"},
    {"Name":"TransactionDate","Value":20261120143021},
    {"Name":"PhoneNumber","Value":254711000111}]}}}}"""

FAILED = """{"Body":{"stkCallback":{"MerchantRequestID":"x","CheckoutRequestID":"x",
 "ResultCode":1032,"ResultDesc":"Request cancelled by user"}}}"""

FINAL = """{"ResponseCode":"0",
 "ResponseDescription":"The service request has been accepted successsfully",
 "MerchantRequestID":"x","CheckoutRequestID":"x","ResultCode":"1032",
 "ResultDesc":"Request cancelled by user"}"""

B2C_SYNC = """{"ConversationID":"AG_20261120_2010","OriginatorConversationID":"wd-1",
 "ResponseCode":"0","ResponseDescription":"Accept the service request successfully."}"""

B2C_RESULT = """{"Result":{"ResultType":0,"ResultCode":0,
 "ResultDesc":"The service request is processed successfully.",
 "OriginatorConversationID":"wd-1","ConversationID":"AG_","TransactionID":"UKK7X8Y9Z0",
 "ResultParameters":{"ResultParameter":[
  {"Key":"TransactionAmount","Value":1500},
  {"Key":"TransactionReceipt","Value":"UKK7X8Y9Z0"},
  {"Key":"ReceiverPartyPublicName","Value":"254711000111 - GREEN HERON"},
  {"Key":"TransactionCompletedDateTime","Value":"20.11.2026 14:31:02"},
  {"Key":"B2CUtilityAccountAvailableFunds","Value":88200.50},
  {"Key":"B2CWorkingAccountAvailableFunds","Value":120000.00},
  {"Key":"B2CRecipientIsRegisteredCustomer","Value":"Y"},
  {"Key":"B2CChargesPaidAccountAvailableFunds","Value":-1980.00}]},
 "ReferenceData":{"ReferenceItem":{"Key":"QueueTimeoutURL","Value":
  "https://internalapi.safaricom.co.ke/mpesa/b2cresults/v1/submit"}}}}"""

RECEIPT = re.compile(r"[A-Z][A-L][1-9A-V][0-9A-Z]{7}")

STATUS_KEYS = [
    "DebitPartyName",
    "CreditPartyName",
    "OriginatorConversationID",
    "InitiatedTime",
    "DebitAccountType",
    "DebitPartyCharges",
    "TransactionReason",
    "ReasonType",
    "TransactionStatus",
    "FinalisedTime",
    "Amount",
    "ConversationID",
    "ReceiptNo",
]


def pairs(result: dict[str, Any]) -> dict[str, object]:
    """Result parameters by key."""
    parameters = result["Result"]["ResultParameters"]["ResultParameter"]
    return {item["Key"]: item.get("Value") for item in parameters}


class TestOAuth:
    async def test_gives_a_token_and_the_lifetime_as_text(self, daraja: Daraja) -> None:
        url = "/oauth/v1/generate?grant_type=client_credentials"
        answer = await daraja.http.get(url, auth=("sim-consumer-key", "sim-consumer-secret"))
        assert answer.json() == {
            "access_token": answer.json()["access_token"],
            "expires_in": "3599",
        }
        assert len(answer.json()["access_token"]) == 28

    async def test_answers_wrong_keys_with_400_and_nothing(self, daraja: Daraja) -> None:
        url = "/oauth/v1/generate?grant_type=client_credentials"
        answer = await daraja.http.get(url, auth=("sim-consumer-key", "wrong"))
        assert (answer.status_code, answer.content) == (400, b"")

    async def test_names_a_wrong_scheme_and_a_wrong_grant(self, daraja: Daraja) -> None:
        url = "/oauth/v1/generate?grant_type=client_credentials"
        scheme = await daraja.http.get(url, headers={"Authorization": "Bearer x"})
        grant = await daraja.http.get(
            "/oauth/v1/generate?grant_type=password",
            auth=("sim-consumer-key", "sim-consumer-secret"),
        )
        assert_envelope(scheme, 400, "400.008.01", "Invalid Authentication passed")
        assert_envelope(grant, 400, "400.008.02", "Invalid grant type passed")

    async def test_can_end_the_previous_token(self, daraja: Daraja) -> None:
        await daraja.settings(revoke_previous_token=True)
        old = daraja.headers
        await daraja.login()
        daraja.headers, new = old, daraja.headers
        assert_envelope(await daraja.push(), 404, "404.001.03", "Invalid Access Token")
        daraja.headers = new
        assert (await daraja.push()).status_code == 200


def assert_envelope(answer: httpx.Response, status: int, code: str, text: str) -> None:
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert list(told) == ["requestId", "errorCode", "errorMessage"]
    assert (told["errorCode"], told["errorMessage"]) == (code, text)


class TestPush:
    async def test_is_accepted_in_the_shape_of_the_documents(self, daraja: Daraja) -> None:
        answer = await daraja.push()
        assert shape(exact(answer.text)) == shape(exact(SYNC))
        told = answer.json()
        assert told["ResponseDescription"] == exact(SYNC)["ResponseDescription"]
        assert re.fullmatch(r"ws_CO_\d{14}\d{3}711000111", told["CheckoutRequestID"])
        assert re.fullmatch(r"[0-9a-f]{4}(-[0-9a-f]{4}){2}-[0-9a-f]{15}", told["MerchantRequestID"])

    async def test_calls_back_a_payment(self, daraja: Daraja, sink: Sink) -> None:
        accepted = (await daraja.push()).json()
        await daraja.press()
        text = (await sink.texts(1))[0]
        assert sink.received[0][0] == "/cb/4f0c/stk"
        assert shape(exact(text)) == shape(exact(PAID))
        assert '{"Name":"Amount","Value":250.00}' in text
        told = exact(text)["Body"]["stkCallback"]
        assert told["ResultDesc"] == exact(PAID)["Body"]["stkCallback"]["ResultDesc"]
        assert told["CheckoutRequestID"] == accepted["CheckoutRequestID"]
        assert told["MerchantRequestID"] == accepted["MerchantRequestID"]
        items = {item["Name"]: item for item in told["CallbackMetadata"]["Item"]}
        assert [*items] == [
            "Amount", "MpesaReceiptNumber", "Balance", "TransactionDate", "PhoneNumber",
        ]  # fmt: skip
        assert items["Balance"] == {"Name": "Balance"}
        assert items["PhoneNumber"]["Value"] == int(PHONE)
        assert len(str(items["TransactionDate"]["Value"])) == 14
        assert RECEIPT.fullmatch(items["MpesaReceiptNumber"]["Value"])

    async def test_calls_back_a_failure_without_metadata(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.push()
        await daraja.press("cancel")
        told = await sink.one()
        assert shape(told) == shape(exact(FAILED))
        assert told["Body"]["stkCallback"]["ResultCode"] == 1032
        assert told["Body"]["stkCallback"]["ResultDesc"] == "Request cancelled by user"


class TestQuery:
    async def test_gives_the_final_code_as_text(self, daraja: Daraja) -> None:
        checkout_id = (await daraja.push()).json()["CheckoutRequestID"]
        await daraja.press("cancel")
        answer = await daraja.query(checkout_id)
        assert answer.status_code == 200
        assert shape(exact(answer.text)) == shape(exact(FINAL))
        assert answer.json()["ResultCode"] == "1032"
        assert answer.json()["ResponseDescription"] == exact(FINAL)["ResponseDescription"]

    async def test_says_not_finished_in_both_ways_by_turns(self, daraja: Daraja) -> None:
        checkout_id = (await daraja.push()).json()["CheckoutRequestID"]
        first, second = await daraja.query(checkout_id), await daraja.query(checkout_id)
        assert_envelope(first, 500, "500.001.1001", "The transaction is being processed")
        assert (second.status_code, second.json()["ResultCode"]) == (200, "4999")
        assert second.json()["ResultDesc"] == "The transaction is still under processing"

    async def test_can_be_told_one_way(self, daraja: Daraja) -> None:
        checkout_id = (await daraja.push()).json()["CheckoutRequestID"]
        await daraja.settings(processing_shape="4999")
        assert [(await daraja.query(checkout_id)).status_code for _ in "ab"] == [200, 200]
        await daraja.settings(processing_shape="error")
        assert [(await daraja.query(checkout_id)).status_code for _ in "ab"] == [500, 500]


class TestPayout:
    async def test_is_accepted_and_paid_in_the_shape_of_the_documents(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        answer = await daraja.payout()
        assert shape(exact(answer.text)) == shape(exact(B2C_SYNC))
        assert answer.json()["ResponseDescription"] == exact(B2C_SYNC)["ResponseDescription"]
        assert re.fullmatch(r"AG_\d{8}_2010[0-9a-f]{16}", answer.json()["ConversationID"])
        text = (await sink.texts(1))[0]
        told, golden = exact(text), exact(B2C_RESULT)
        assert shape(told) == shape(golden)
        assert [*pairs(told)] == [*pairs(golden)]
        assert told["Result"]["ReferenceData"] == golden["Result"]["ReferenceData"]
        assert pairs(told)["TransactionReceipt"] == told["Result"]["TransactionID"]
        assert re.fullmatch(
            r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", str(pairs(told)["TransactionCompletedDateTime"])
        )
        assert '"Value":4998500.00}' in text
        assert '"Value":-5.00}' in text

    async def test_fails_without_parameters(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.handset(registered=False)
        await daraja.payout()
        told = (await sink.one())["Result"]
        golden = exact(B2C_RESULT)["Result"]
        del golden["ResultParameters"]
        assert shape(told) == shape(golden)
        assert told["ResultCode"] == 2040

    async def test_is_refused_the_second_time(self, daraja: Daraja) -> None:
        await daraja.payout()
        again = await daraja.payout()
        assert_envelope(again, 500, "500.002.1001", "Duplicate OriginatorConversationID.")

    async def test_has_no_first_version(self, daraja: Daraja) -> None:
        answer = await daraja.http.post(
            "/mpesa/b2c/v1/paymentrequest", json={}, headers=daraja.headers
        )
        text = "Invalid Access Token - Invalid API call as no apiproduct match found"
        assert_envelope(answer, 401, "401.002.01", text)


class TestStatus:
    async def test_tells_of_a_payout_by_its_originator_id(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.payout()
        answer = await daraja.status(OriginalConversationID="wd-1")
        assert shape(exact(answer.text)) == shape(exact(B2C_SYNC))
        told = exact((await sink.texts(2))[1])
        assert told["Result"]["ResultCode"] == 0
        assert [*pairs(told)] == STATUS_KEYS
        assert pairs(told)["TransactionStatus"] == "Completed"
        assert pairs(told)["DebitPartyCharges"] == "Fee For B2C Payment|KES|5.00"
        assert pairs(told)["OriginatorConversationID"] == "wd-1"
        # The outer ids are the question's own, not the payment's.
        assert told["Result"]["OriginatorConversationID"] != "wd-1"
        assert told["Result"]["TransactionID"] != pairs(told)["ReceiptNo"]

    async def test_tells_of_a_payment_by_its_receipt(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.push()
        await daraja.press()
        items = (await sink.one())["Body"]["stkCallback"]["CallbackMetadata"]["Item"]
        await daraja.status(TransactionID=items[1]["Value"])
        told = exact((await sink.texts(2))[1])
        assert pairs(told)["ReceiptNo"] == items[1]["Value"]
        assert pairs(told)["TransactionStatus"] == "Completed"

    async def test_says_declined_inside_a_zero(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("b2c_fail", result_code="2040")
        await daraja.payout()
        await daraja.status(OriginalConversationID="wd-1")
        told = exact((await sink.texts(2))[1])
        assert (told["Result"]["ResultCode"], pairs(told)["TransactionStatus"]) == (0, "Declined")

    async def test_fails_for_the_unknown(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.status(TransactionID="UKK0000000")
        told = (await sink.one())["Result"]
        assert told["ResultCode"] == 25
        assert told["ResultDesc"] == "The format of parameter null is invalid."
        assert "ResultParameters" not in told

    async def test_says_initiated_while_a_payout_waits(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.settings(b2c_processing_ms=300)
        await daraja.payout()
        await daraja.status(OriginalConversationID="wd-1")
        first, second = [exact(text) for text in await sink.texts(2)]
        assert pairs(first)["TransactionStatus"] == "Initiated"
        assert "Value" not in first["Result"]["ResultParameters"]["ResultParameter"][-1]
        assert second["Result"]["OriginatorConversationID"] == "wd-1"


class TestBalance:
    async def test_joins_the_accounts(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.payout()
        answer = await daraja.balance()
        assert shape(exact(answer.text)) == shape(exact(B2C_SYNC))
        told = pairs(exact((await sink.texts(2))[1]))
        assert [*told] == ["AccountBalance", "BOCompletedTime"]
        assert told["AccountBalance"] == (
            "Working Account|KES|0.00|0.00|0.00|0.00&Float Account|KES|0.00|0.00|0.00|0.00"
            "&Utility Account|KES|4998500.00|4998500.00|0.00|0.00"
            "&Charges Paid Account|KES|-5.00|-5.00|0.00|0.00"
            "&Organization Settlement Account|KES|0.00|0.00|0.00|0.00"
        )
