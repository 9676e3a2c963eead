"""What one reads afterwards: pull, statement, books by pages; and the QR code one shows before."""

import base64
import csv
import io
import re
import struct
from typing import Any, ClassVar

import httpx
import pytest

from tests.simulators.conftest import PHONE, Daraja, Sink, exact, shape
from tests.simulators.test_daraja_payloads import assert_envelope

PULLED = """{"ResponseRefID":"26178-1","ResponseCode":"1000","ResponseMessage":"Success",
 "Response":[[{"transactionId":"UKK1Q2W3E4","trxDate":"2026-11-20T11:35:12Z",
 "msisdn":711000111,"sender":"MPESA","transactiontype":"c2b-pay-bill-debit",
 "billreference":"ACC1007","amount":"250.00","organizationname":"EXAMPLE LTD"}]]}"""

HEADER = (
    "Receipt No.,Completion Time,Initiation Time,Details,Transaction Status,Paid In,Withdrawn,"
    "Balance,Balance Confirmed,Reason Type,Other Party Info,Linked Transaction ID,A/C No."
)

REGISTRATION = {"ShortCode": "600123", "RequestType": "Pull", "NominatedNumber": "254722000000"}
NOON = "2030-11-20T12:00:00"
"""Later than any machine that runs this, so that the opening of the books lies before."""


async def register(daraja: Daraja, **changes: Any) -> httpx.Response:
    fields = {**REGISTRATION, "CallBackURL": f"{daraja.sink}/cb/4f0c/pull", **changes}
    return await daraja.post("/pulltransactions/v1/register", fields)


async def pull(daraja: Daraja, **changes: Any) -> httpx.Response:
    fields = {
        "ShortCode": "600123",
        "StartDate": "2030-11-18 08:00:00",
        "EndDate": "2030-11-20 23:59:59",
        "OffSetValue": "0",
    }
    return await daraja.post("/pulltransactions/v1/query", {**fields, **changes})


async def at_noon(daraja: Daraja) -> None:
    """A new token too: the clock's move may have ended the old one."""
    await daraja.http.put("/sim/clock", json={"set": NOON})
    await daraja.login()


class TestPull:
    async def test_registers_once_and_once_more_is_no_harm(self, daraja: Daraja) -> None:
        first, again = await register(daraja), await register(daraja)
        assert list(first.json()) == [
            "ResponseRefID", "ResponseStatus", "ShortCode", "ResponseDescription",
        ]  # fmt: skip
        assert first.json()["ResponseStatus"] == "1000"
        assert again.json()["ResponseStatus"] == "1001"
        await daraja.settings(pull_spaced_key=True)
        assert (await register(daraja)).json()["Response Status"] == "1001"

    async def test_lists_payments_in_a_list_in_a_list(self, daraja: Daraja) -> None:
        await at_noon(daraja)
        await register(daraja)
        receipt = await daraja.paid()
        answer = await pull(daraja)
        told = exact(answer.text)
        assert shape(told) == shape(exact(PULLED))
        row = told["Response"][0][0]
        assert re.fullmatch(r"2030-11-20T09:00:\d\dZ", row.pop("trxDate"))
        assert row == {
            "transactionId": receipt, "msisdn": 711000111, "sender": "MPESA",
            "transactiontype": "c2b-pay-bill-debit", "billreference": "ACC1007",
            "amount": "250.00", "organizationname": "HAZINA",
        }  # fmt: skip
        await daraja.settings(pull_zone="none")
        row = (await pull(daraja)).json()["Response"][0][0]
        assert re.fullmatch(r"2030-11-20T12:00:\d\d", row["trxDate"])

    async def test_offset_counts_rows(self, daraja: Daraja) -> None:
        await at_noon(daraja)
        await register(daraja)
        await daraja.settings(pull_rows=2)
        paid = [await daraja.paid(amount=str(n)) for n in (1, 2, 3)]
        seen = []
        for offset in ("0", "2"):
            rows = (await pull(daraja, OffSetValue=offset)).json()["Response"][0]
            seen += [row["transactionId"] for row in rows]
        assert seen == paid
        await daraja.settings(pull_none_shape="text")
        assert (await pull(daraja, OffSetValue="3")).json()["ResponseCode"] == "1001"

    async def test_forgets_after_forty_eight_hours(self, daraja: Daraja) -> None:
        await at_noon(daraja)
        await register(daraja)
        await daraja.settings(pull_none_shape="list")
        await daraja.paid()
        window = {"StartDate": "2030-11-20 00:00:00", "EndDate": "2030-11-30 00:00:00"}
        await daraja.advance(47 * 3600)
        await daraja.login()
        assert len((await pull(daraja, **window)).json()["Response"][0]) == 1
        await daraja.advance(2 * 3600)
        await daraja.login()
        assert (await pull(daraja, **window)).json()["Response"] == [[]]

    async def test_nothing_has_three_shapes(self, daraja: Daraja) -> None:
        await register(daraja)
        shapes = []
        for _ in range(3):
            answer = await pull(daraja)
            told = answer.json()
            shapes.append((answer.status_code, told.get("ResponseCode"), told.get("Response")))
        assert shapes == [(200, "1001", "[[]]"), (200, "1001", [[]]), (500, None, None)]
        await daraja.settings(pull_none_shape="error")
        last = await pull(daraja)
        assert_envelope(last, 500, "500.003.1001", "no available transactions")

    async def test_pushes_are_pulled_too_and_a_fault_hides_them(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await at_noon(daraja)
        await register(daraja)
        await daraja.push()
        await daraja.press()
        rows = (await pull(daraja)).json()["Response"][0]
        assert [row["billreference"] for row in rows] == ["DEP8F3K2Q"]
        await daraja.fault("pull_empty")
        await daraja.settings(pull_none_shape="text")
        assert (await pull(daraja)).json()["Response"] == "[[]]"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("ShortCode", "1"),
            ("StartDate", "20-11-2026 08:00:00"),
            ("StartDate", "2026-11-20"),
            ("EndDate", None),
            ("OffSetValue", "-1"),
        ],
    )
    async def test_checks_its_fields(self, daraja: Daraja, field: str, value: str | None) -> None:
        await register(daraja)
        answer = await pull(daraja, **{field: value})
        assert_envelope(answer, 400, "400.002.02", f"Bad Request - Invalid {field}")

    async def test_bad_token(self, daraja: Daraja) -> None:
        daraja.headers = {"Authorization": "Bearer stale"}
        assert_envelope(await pull(daraja), 401, "401.001", "Invalid Access Token")


class TestStatement:
    async def rows(self, daraja: Daraja, **wish: Any) -> list[dict[str, str]]:
        answer = await daraja.http.get("/sim/statement.csv", params=wish)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/csv")
        lines = answer.text.split("\r\n")
        head = lines.index(HEADER)
        assert lines[0] == "Organization Name,HAZINA"
        assert head == 5
        return list(csv.DictReader(io.StringIO("\n".join(lines[head:]))))

    async def test_is_the_portals_own_form_latest_first(self, daraja: Daraja, sink: Sink) -> None:
        await at_noon(daraja)
        receipt = await daraja.paid(account_number="=1+1,ACC")
        await daraja.payout()
        await daraja.http.post(f"/sim/books/{receipt}/reverse")
        back, charge, payout, paid, opening = await self.rows(daraja)
        assert (back["Reason Type"], back["Linked Transaction ID"]) == (
            "Pay Bill Reversal",
            receipt,
        )
        assert charge["Receipt No."] == payout["Receipt No."]
        assert charge["Reason Type"] == "Business Payment to Customer Charge"
        assert (charge["Withdrawn"], payout["Withdrawn"]) == ("-5.00", "-1500.00")
        assert payout["Balance"] == "4998500.00"
        assert (paid["Paid In"], paid["Withdrawn"], paid["Balance"]) == ("250.00", "", "250.00")
        assert paid["A/C No."] == "=1+1,ACC"
        assert paid["Transaction Status"] == "Completed"
        assert re.fullmatch(r"20-11-2030 12:00:\d\d", paid["Completion Time"])
        assert paid["Other Party Info"].startswith(f"{PHONE} - ")
        assert opening["Reason Type"] == "Opening Balance"

    async def test_speaks_every_spelling_integrators_met(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.payout()
        await daraja.idle()
        wish = {
            "negative": "false", "iso": "true", "thousands": "true", "masked": "true",
            "charges": "false", "account": "utility",
        }  # fmt: skip
        payout, _ = await self.rows(daraja, **wish)
        assert (payout["Withdrawn"], payout["Balance"]) == ("1,500.00", "4,998,500.00")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", payout["Completion Time"])
        assert payout["Other Party Info"].startswith("25471****111 - ")

    async def test_failed_ones_only_on_request(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("b2c_fail", result_code="2040")
        await daraja.payout()
        await daraja.register()
        sink.answers["/cb/4f0c/c2b/v"] = '{"ResultCode":"C2B00011","ResultDesc":"Rejected"}'
        rejected = await daraja.paid()
        await daraja.idle()
        assert len(await self.rows(daraja)) == 1
        rows = await self.rows(daraja, failed="true")
        failed = [row for row in rows if row["Transaction Status"] == "Failed"]
        assert {row["Reason Type"] for row in failed} == {
            "Pay Bill Online",
            "Business Payment to Customer",
        }
        assert rejected in {row["Receipt No."] for row in failed}

    async def test_from_and_to_are_whole_days(self, daraja: Daraja) -> None:
        await at_noon(daraja)
        first = await daraja.paid()
        await daraja.advance(86_400)
        second = await daraja.paid()
        wish = {"from": "2030-11-21", "to": "2030-11-21"}
        assert [row["Receipt No."] for row in await self.rows(daraja, **wish)] == [second]
        wish = {"from": "2030-11-20T11:00:00", "to": "2030-11-20T12:00:59"}
        found = await self.rows(daraja, **wish, account="working")
        assert [row["Receipt No."] for row in found] == [first]
        bad = await daraja.http.get("/sim/statement.csv", params={"from": "yesterday"})
        assert bad.status_code == 422


class TestPages:
    async def test_books_and_deliveries_go_page_by_page(self, daraja: Daraja, sink: Sink) -> None:
        for number in range(1, 6):
            await daraja.paid(amount=str(number))
            await daraja.payout(f"wd-{number}", Amount=10)
        await daraja.idle()
        for path, key in (("/sim/books", "transactions"), ("/sim/deliveries", "deliveries")):
            whole = (await daraja.http.get(path)).json()
            assert whole["next_cursor"] is None
            seen: list[Any] = []
            cursor: str | None = "0"
            while cursor is not None:
                params: dict[str, Any] = {"limit": 3, "cursor": cursor}
                page = (await daraja.http.get(path, params=params)).json()
                assert len(page[key]) <= 3
                seen += page[key]
                cursor = page["next_cursor"]
            assert seen == whole[key]
        assert (await daraja.http.get("/sim/books?limit=0")).status_code == 422

    async def test_books_page_shows_and_reverses(self, daraja: Daraja) -> None:
        receipt = await daraja.paid()
        assert receipt in (await daraja.http.get("/books")).text
        answer = await daraja.http.post(f"/books/{receipt}/reverse")
        assert "Sent back." in (await daraja.http.get(answer.headers["location"])).text
        answer = await daraja.http.post(f"/books/{receipt}/reverse")
        assert "It went back before." in (await daraja.http.get(answer.headers["location"])).text


class TestQr:
    FIELDS: ClassVar[dict[str, Any]] = {
        "MerchantName": "HAZINA", "RefNo": "ACC1007", "Amount": 1, "TrxCode": "PB",
        "CPI": "600123", "Size": "300",
    }  # fmt: skip

    async def test_is_a_png_and_zero_zero(self, daraja: Daraja) -> None:
        answer = await daraja.post("/mpesa/qrcode/v1/generate", self.FIELDS)
        told = answer.json()
        assert [*told] == ["ResponseCode", "RequestID", "ResponseDescription", "QRCode"]
        assert told["ResponseCode"] == "00"
        assert told["ResponseDescription"] == "QR Code Successfully Generated."
        picture = base64.b64decode(told["QRCode"], validate=True)
        assert picture.startswith(b"\x89PNG\r\n")
        width, height = struct.unpack(">II", picture[16:24])
        assert 200 < width == height <= 300
        await daraja.settings(qr_code="AG")
        answer = await daraja.post("/mpesa/qrcode/v1/generate", self.FIELDS)
        assert answer.json()["ResponseCode"].startswith("AG_")

    @pytest.mark.parametrize(
        ("field", "value"),
        [("TrxCode", "XX"), ("Amount", 0), ("CPI", "abc"), ("Size", "9"), ("MerchantName", None),
         ("RefNo", "")],
    )  # fmt: skip
    async def test_checks_its_fields(self, daraja: Daraja, field: str, value: Any) -> None:
        answer = await daraja.post("/mpesa/qrcode/v1/generate", {**self.FIELDS, field: value})
        assert_envelope(answer, 400, "400.002.02", f"Bad Request - Invalid {field}")
