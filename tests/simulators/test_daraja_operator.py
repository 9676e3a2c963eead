"""What the operator asks for and is told later: reversal, Working to Utility, balance, status."""

import re
from typing import Any

import pytest

from tests.simulators.conftest import PHONE, Daraja, Sink, exact, shape
from tests.simulators.test_daraja_payloads import B2C_SYNC, RECEIPT, assert_envelope, pairs

BACK, SWEEP = "/cb/4f0c/back", "/cb/4f0c/sweep"

REVERSED = """{"Result":{"ResultType":0,"ResultCode":0,
 "ResultDesc":"The service request is processed successfully.",
 "OriginatorConversationID":"x","ConversationID":"AG_","TransactionID":"UKK",
 "ResultParameters":{"ResultParameter":[
  {"Key":"DebitAccountBalance","Value":"Working Account|KES|0.00|0.00|0.00|0.00"},
  {"Key":"Amount","Value":250.00},
  {"Key":"TransCompletedTime","Value":20261120143021},
  {"Key":"OriginalTransactionID","Value":"UKK"},
  {"Key":"Charge","Value":0.00},
  {"Key":"CreditPartyPublicName","Value":"254711000111 - BLUE FINCH"},
  {"Key":"DebitPartyPublicName","Value":"600123 - HAZINA"}]},
 "ReferenceData":{"ReferenceItem":{"Key":"QueueTimeoutURL","Value":
  "https://internalapi.safaricom.co.ke/mpesa/reversalresults/v1/submit"}}}}"""

SWEPT = """{"Result":{"ResultType":"0","ResultCode":"0",
 "ResultDesc":"The service request is processed successfully.",
 "OriginatorConversationID":"x","ConversationID":"AG_","TransactionID":"UKK",
 "ResultParameters":{"ResultParameter":[
  {"Key":"DebitAccountBalance",
   "Value":"{Amount={CurrencyCode=KES, MinimumAmount=618683, BasicAmount=6186.83}}"},
  {"Key":"Amount","Value":"190.00"},
  {"Key":"DebitPartyAffectedAccountBalance","Value":"Working Account|KES|1.00|1.00|0.00|0.00"},
  {"Key":"TransCompletedTime","Value":"20261120110717"},
  {"Key":"DebitPartyCharges","Value":""},
  {"Key":"ReceiverPartyPublicName","Value":"600123 - HAZINA"},
  {"Key":"Currency","Value":"KES"},
  {"Key":"InitiatorAccountCurrentBalance",
   "Value":"{Amount={CurrencyCode=KES, MinimumAmount=618683, BasicAmount=6186.83}}"}]},
 "ReferenceData":{"ReferenceItem":[{"Key":"QueueTimeoutURL","Value":
  "https://internalapi.safaricom.co.ke/mpesa/b2bresults/v1/submit"},{"Key":"Occassion"}]}}}"""


async def told(sink: Sink, path: str, count: int = 1) -> Any:
    return (await sink.at(path, count))[count - 1]["Result"]


class TestReversal:
    async def test_sends_the_money_back_and_says_so(self, daraja: Daraja, sink: Sink) -> None:
        receipt = await daraja.paid()
        answer = await daraja.reverse(receipt)
        assert shape(exact(answer.text)) == shape(exact(B2C_SYNC))
        body = (await sink.at(BACK))[0]
        golden = exact(REVERSED)
        assert shape(body) == shape(golden)
        assert [*pairs(body)] == [*pairs(golden)]
        assert body["Result"]["ReferenceData"] == golden["Result"]["ReferenceData"]
        assert '"Key":"Amount","Value":250.00' in sink.received[0][1]
        assert pairs(body)["OriginalTransactionID"] == receipt
        assert pairs(body)["DebitAccountBalance"] == "Working Account|KES|0.00|0.00|0.00|0.00"
        made = body["Result"]["TransactionID"]
        assert RECEIPT.fullmatch(made)
        found = (await daraja.http.get(f"/sim/books/{made}")).json()
        assert found["reverses"] == receipt
        phone = await daraja.handset()
        assert phone["balance"] == "100000.00"
        assert "Reversed." in phone["messages"][0]["body"]

    async def test_codes_of_its_failures(self, daraja: Daraja, sink: Sink) -> None:
        receipt = await daraja.paid()
        await daraja.reverse("UKK0000000")
        unknown = await told(sink, BACK)
        assert (unknown["ResultCode"], unknown["ResultDesc"]) == (
            "R000002",
            "The OriginalTransactionID is invalid.",
        )
        assert "ResultParameters" not in unknown
        await daraja.reverse(receipt, Amount="100")
        assert (await told(sink, BACK, 2))["ResultCode"] == 25
        await daraja.reverse(receipt)
        await daraja.reverse(receipt)
        again = await told(sink, BACK, 4)
        assert again["ResultCode"] == "R000001"
        assert again["ResultDesc"] == "The transaction has already been reversed."

    async def test_fails_when_the_money_was_swept(self, daraja: Daraja, sink: Sink) -> None:
        receipt = await daraja.paid()
        await daraja.sweep(1)
        await daraja.reverse(receipt)
        assert (await told(sink, BACK))["ResultCode"] == 1
        assert (await daraja.handset())["balance"] == "99750.00"

    async def test_payouts_cannot_go_back(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.payout()
        receipt = exact((await sink.texts(1))[0])["Result"]["TransactionID"]
        await daraja.reverse(receipt, Amount="1500")
        assert (await told(sink, BACK))["ResultCode"] == "R000002"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("RecieverIdentifierType", None),  # the right spelling of it does not help
            ("RecieverIdentifierType", "4"),
            ("CommandID", "Reversal"),
            ("TransactionID", ""),
            ("Amount", "0"),
            ("Amount", "1.5"),
            ("ReceiverParty", "HAZINA"),
            ("Remarks", "x"),
            ("ResultURL", "https://pay.example.co.ke/safaricom"),
            ("QueueTimeOutURL", None),
            ("SecurityCredential", None),
            ("Initiator", None),
        ],
    )
    async def test_checks_its_fields(self, daraja: Daraja, field: str, value: str | None) -> None:
        answer = await daraja.reverse("UKK", **{"ReceiverIdentifierType": "11", field: value})
        assert_envelope(answer, 400, "400.002.02", f"Bad Request - Invalid {field}")

    async def test_wrong_operators_are_told_later(self, daraja: Daraja, sink: Sink) -> None:
        receipt = await daraja.paid()
        for _ in range(4):
            await daraja.reverse(receipt, SecurityCredential=daraja.credential("wrong"))
        codes = [body["Result"]["ResultCode"] for body in await sink.at(BACK, 4)]
        assert codes == [2001, 2001, 2001, 8006]
        await daraja.settings(credential_locked=False)
        await daraja.reverse(receipt, ReceiverParty="600999")
        assert (await told(sink, BACK, 5))["ResultCode"] == "TP40153"

    async def test_bad_token(self, daraja: Daraja) -> None:
        daraja.headers = {"Authorization": "Bearer stale"}
        answer = await daraja.reverse("UKK")
        assert_envelope(answer, 404, "404.001.03", "Invalid Access Token")

    async def test_faults_of_results(self, daraja: Daraja, sink: Sink) -> None:
        receipt = await daraja.paid()
        await daraja.fault("result_fail", operation="reversal", result_code="26")
        await daraja.reverse(receipt)
        assert (await told(sink, BACK))["ResultCode"] == 26
        await daraja.fault("timeout_notice", operation="reversal", delay_s=60)
        await daraja.reverse(receipt)
        await sink.at(f"{BACK}/t")
        await daraja.advance(61)
        assert (await told(sink, BACK, 2))["ResultCode"] == 0

    async def test_takes_its_time_and_status_tells(self, daraja: Daraja, sink: Sink) -> None:
        receipt = await daraja.paid()
        await daraja.settings(async_processing_ms=60_000)
        accepted = (await daraja.reverse(receipt)).json()
        original = accepted["OriginatorConversationID"]
        await daraja.status(OriginalConversationID=original)
        assert pairs((await sink.at("/cb/4f0c/status"))[0])["TransactionStatus"] == "Initiated"
        await daraja.advance(60)
        made = (await told(sink, BACK))["TransactionID"]
        await daraja.status(OriginalConversationID=original)
        await daraja.status(TransactionID=made)
        for body in (await sink.at("/cb/4f0c/status", 3))[1:]:
            assert pairs(body)["TransactionStatus"] == "Completed"
            assert pairs(body)["ReceiptNo"] == made
            assert pairs(body)["ReasonType"] == "Pay Bill Reversal"


class TestCustomersOwnReversal:
    async def test_moves_the_books_and_calls_nobody(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.register()
        await daraja.push()
        await daraja.press()
        receipt = (await sink.at("/cb/4f0c/c2b/c"))[0]["TransID"]
        await daraja.idle()
        heard = len(sink.received)
        answer = await daraja.http.post(f"/sim/books/{receipt}/reverse")
        made = answer.json()["receipt"]
        assert answer.json()["handset"]["balance"] == "100000.00"
        await daraja.idle()
        assert len(sink.received) == heard
        found = (await daraja.http.get(f"/sim/books/{receipt}")).json()
        assert found["reversed_by"] == made
        again = await daraja.http.post(f"/sim/books/{receipt}/reverse")
        assert (again.status_code, again.json()["detail"]) == (409, "already_reversed")
        await daraja.reverse(receipt)
        assert (await told(sink, BACK))["ResultCode"] == "R000001"

    async def test_can_be_too_late_or_for_nothing(self, daraja: Daraja) -> None:
        receipt = await daraja.paid()
        await daraja.sweep(250)
        late = await daraja.http.post(f"/sim/books/{receipt}/reverse")
        assert (late.status_code, late.json()["detail"]) == (409, "swept")
        assert (await daraja.http.post("/sim/books/UKK0000000/reverse")).status_code == 404

    async def test_status_says_what_the_setting_says(self, daraja: Daraja, sink: Sink) -> None:
        receipt = await daraja.paid()
        await daraja.http.post(f"/sim/books/{receipt}/reverse")
        await daraja.status(TransactionID=receipt)
        await daraja.settings(status_of_reversed="Cancelled")
        await daraja.status(TransactionID=receipt)
        states = [pairs(b)["TransactionStatus"] for b in await sink.at("/cb/4f0c/status", 2)]
        assert states == ["Completed", "Cancelled"]


class TestSweep:
    @pytest.mark.parametrize("command", ["BusinessTransferFromMMFToUtility", "BusinessPayToBulk"])
    async def test_moves_working_to_utility(self, daraja: Daraja, sink: Sink, command: str) -> None:
        await daraja.paid()
        answer = await daraja.sweep(190, CommandID=command)
        assert shape(exact(answer.text)) == shape(exact(B2C_SYNC))
        body, golden = (await sink.at(SWEEP))[0], exact(SWEPT)
        assert shape(body) == shape(golden)
        assert [*pairs(body)] == [*pairs(golden)]
        assert pairs(body)["DebitAccountBalance"] == (
            "{Amount={CurrencyCode=KES, MinimumAmount=6000, BasicAmount=60.00}}"
        )
        organisation = (await daraja.books())["organisation"]
        assert (organisation["working"], organisation["utility"]) == ("60.00", "5000190.00")

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"Amount": "251"}, "1"),
            ({"PartyB": "600999"}, "SFC_IC0003"),
            ({"PartyA": "600999"}, "TP40153"),
            ({"CommandID": "BusinessPayBill"}, "2028"),
        ],
    )
    async def test_fails_later_and_moves_nothing(
        self, daraja: Daraja, sink: Sink, changes: dict[str, str], code: str
    ) -> None:
        await daraja.paid()
        await daraja.sweep(1, **changes)
        result = await told(sink, SWEEP)
        assert result["ResultCode"] == code
        assert "ResultParameters" not in result
        assert (await daraja.books())["organisation"]["working"] == "250.00"

    @pytest.mark.parametrize(
        "field",
        ["CommandID", "SenderIdentifierType", "RecieverIdentifierType", "Amount", "PartyA",
         "PartyB", "AccountReference", "Requester", "Remarks", "ResultURL"],
    )  # fmt: skip
    async def test_checks_its_fields(self, daraja: Daraja, field: str) -> None:
        answer = await daraja.sweep(1, **{field: "x" if field != "AccountReference" else "x" * 14})
        assert_envelope(answer, 400, "400.002.02", f"Bad Request - Invalid {field}")


class TestBalance:
    async def test_counts_accepted_payouts_as_reserved(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.settings(b2c_processing_ms=60_000)
        await daraja.payout()
        await daraja.balance()
        text = str(pairs((await sink.at("/cb/4f0c/balance"))[0])["AccountBalance"])
        current, available, reserved, uncleared = re.findall(
            r"Utility Account\|KES\|([\d.]+)\|([\d.]+)\|([\d.]+)\|([\d.]+)", text
        )[0]
        assert (current, available) == ("5000000.00", "4998500.00")
        assert (reserved, uncleared) == ("1500.00", "0.00")
        await daraja.advance(60)

    async def test_has_parameters_even_when_refused(self, daraja: Daraja, sink: Sink) -> None:
        for _ in range(4):
            await daraja.balance(SecurityCredential=daraja.credential("wrong"))
        body = (await sink.at("/cb/4f0c/balance", 4))[3]
        assert body["Result"]["ResultCode"] == 8006
        assert [*pairs(body)] == ["ActionType", "ErrorMsg", "BOCompletedTime"]
        assert pairs(body)["ErrorMsg"] == "API Password is locked. "


class TestStatus:
    async def test_of_an_undecided_and_a_rejected_payment(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.register()
        sink.silent.add("/cb/4f0c/c2b/v")
        waiting = await daraja.paid()
        await daraja.status(TransactionID=waiting)
        body = (await sink.at("/cb/4f0c/status"))[0]
        assert pairs(body)["TransactionStatus"] == "Initiated"
        assert pairs(body)["DebitPartyName"].startswith(PHONE)  # type: ignore[attr-defined]
        sink.silent.clear()
        sink.answers["/cb/4f0c/c2b/v"] = '{"ResultCode":"C2B00012","ResultDesc":"Rejected"}'
        rejected = await daraja.paid()
        await sink.at("/cb/4f0c/c2b/v", 2)
        await daraja.http.get("/sim/wait-idle?timeout=0.1")
        await daraja.status(TransactionID=rejected)
        body = (await sink.at("/cb/4f0c/status", 2))[1]
        assert pairs(body)["TransactionStatus"] == "Declined"
        await daraja.advance(9)

    async def test_can_lie_and_can_find_nothing(self, daraja: Daraja, sink: Sink) -> None:
        receipt = await daraja.paid()
        await daraja.fault("query_contradicts", operation="status")
        await daraja.status(TransactionID=receipt)
        assert pairs((await sink.at("/cb/4f0c/status"))[0])["TransactionStatus"] == "Declined"
        await daraja.settings(status_unknown_code="2032")
        await daraja.fault("not_found")
        await daraja.status(TransactionID=receipt)
        result = await told(sink, "/cb/4f0c/status", 2)
        assert result["ResultCode"] == 2032
        assert result["ResultDesc"] == "The transaction receipt number does not exist."
