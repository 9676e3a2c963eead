"""What Daraja refuses, field by field, and how each product says so."""

from typing import Any

import httpx
import pytest

from tests.simulators.conftest import PHONE, Daraja, Sink, exact, password

LOCKED = "Unable to lock subscriber, a transaction is already in process for the current subscriber"

PUSH_REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    *(
        ({"Amount": amount}, 400, "400.002.02", "Bad Request - Invalid Amount")
        for amount in (0, -5, 250_001, 10.5, "10.50", "", "ten", None, True, "１０")
    ),
    *(
        ({"PhoneNumber": phone}, 400, "400.002.02", "Bad Request - Invalid PhoneNumber")
        for phone in ("0711000111", "+254711000111", "254211000111", "25471100011", None)
    ),
    ({"PartyA": "711000111"}, 400, "400.002.02", "Bad Request - Invalid PartyA"),
    ({"PartyB": None}, 400, "400.002.02", "Bad Request - Invalid PartyB"),
    *(
        ({"CallBackURL": url}, 400, "400.002.02", "Bad Request - Invalid CallBackURL")
        for url in (
            None, "", "not a url", "ftp://pay.example.co.ke/x", "http://pay.example.co.ke/x",
            "https://pay.example.co.ke/mpesa/x", "https://pay.example.co.ke/M-PESA",
            "https://safaricom.example.co.ke/x", "https://pay.example.co.ke/a.exe",
            "https://pay.example.co.ke/EXEC", "https://pay.example.co.ke/cmd",
            "https://pay.example.co.ke/mysql", "https://pay.example.co.ke/stkQuery",
            "https://abc.ngrok.io/x", "http://127.0.0.1.example.co.ke/x", "https://[::1",
        )
    ),
    ({"TransactionType": "PayBill"}, 400, "400.002.02", "Bad Request - Invalid TransactionType"),
    ({"TransactionDesc": None}, 400, "400.002.02", "Bad Request - Invalid Remarks"),
    ({"TransactionDesc": "a text too long"}, 400, "400.002.02", "Bad Request - Invalid Remarks"),
    *(
        ({"AccountReference": ref}, 400, "400.002.02", "Bad Request - Invalid AccountReference")
        for ref in (None, "ABCDEFGHIJKLM", "A&B", "A@B", "#1")
    ),
    *(
        ({"Timestamp": stamp}, 400, "400.002.02", "Bad Request - Invalid Timestamp")
        for stamp in (None, "2026112014300", "20261320143005", "2026-11-20")
    ),
    ({"Password": None}, 400, "400.002.02", "Bad Request - Invalid Password"),
    *(
        (fields, 500, "500.001.1001", "[MerchantValidate] - Wrong credentials")
        for fields in (
            {"Password": password(passkey="other")},
            {"Password": password("20261120143006")},
            {"Password": "%%%"},
            {"Timestamp": "20261120143006"},
        )
    ),
    ({"BusinessShortCode": "600999"}, 500, "500.001.1001", "Merchant does not exist"),
    ({"BusinessShortCode": None}, 400, "400.002.02", "Bad Request - Invalid BusinessShortCode"),
]  # fmt: skip

PAYOUT_REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"OriginatorConversationID": None}, "OriginatorConversationID"),
    ({"InitiatorName": None}, "InitiatorName"),
    ({"SecurityCredential": ""}, "SecurityCredential"),
    ({"CommandID": "BusinessPayBill"}, "CommandID"),
    ({"Amount": 9}, "Amount"),
    ({"Amount": "250001"}, "Amount"),
    ({"Amount": 10.5}, "Amount"),
    ({"PartyA": "HAZINA"}, "PartyA"),
    ({"PartyB": "0711000111"}, "PartyB"),
    ({"Remarks": "x"}, "Remarks"),
    ({"Remarks": None}, "Remarks"),
    ({"Remarks": "x" * 101}, "Remarks"),
    ({"Occassion": "x" * 101}, "Occassion"),
    ({"ResultURL": "https://pay.example.co.ke/query"}, "ResultURL"),
    ({"QueueTimeOutURL": "http://pay.example.co.ke/t"}, "QueueTimeOutURL"),
]


def told(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["errorCode"], body["errorMessage"]


class TestPush:
    async def test_refuses_each_wrong_field_in_its_own_words(self, daraja: Daraja) -> None:
        for changes, status, code, text in PUSH_REFUSALS:
            assert told(await daraja.push(**changes)) == (status, code, text), changes
        assert (await daraja.handset())["prompt"] is None

    @pytest.mark.parametrize("amount", [1, "250", 250_000])
    async def test_accepts_numbers_and_text(self, daraja: Daraja, amount: object) -> None:
        answer = await daraja.push(
            Amount=amount,
            BusinessShortCode=600123,
            PartyA=int(PHONE),
            PartyB=600123,
            PhoneNumber=int(PHONE),
            CallBackURL="https://pay.example.co.ke/cb/4f0c/stk",
        )
        assert answer.status_code == 200, answer.text

    async def test_refuses_another_content_type_and_broken_json(self, daraja: Daraja) -> None:
        path = "/mpesa/stkpush/v1/processrequest"
        plain = {**daraja.headers, "content-type": "text/plain"}
        json_headers = {**daraja.headers, "content-type": "application/json"}
        typed = await daraja.http.post(path, content="{}", headers=plain)
        broken = await daraja.http.post(path, content="{", headers=json_headers)
        assert told(typed) == (400, "400.002.02", "Bad Request - Invalid BusinessShortCode")
        assert told(broken) == (400, "400.002.05", "Invalid Request Payload")

    async def test_locks_the_phone_while_a_prompt_is_open(self, daraja: Daraja) -> None:
        await daraja.push()
        assert told(await daraja.push()) == (500, "500.001.1001", LOCKED)
        await daraja.press("ignore")
        assert told(await daraja.push()) == (500, "500.001.1001", LOCKED)
        other = "254711000222"
        assert (await daraja.push(PhoneNumber=other, PartyA=other)).status_code == 200

    async def test_can_say_the_lock_in_the_callback(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.settings(lock_shape="callback")
        await daraja.push()
        assert (await daraja.push()).status_code == 200
        assert (await sink.one())["Body"]["stkCallback"]["ResultCode"] == 1001

    async def test_limits_the_same_amount_when_switched_on(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await daraja.settings(duplicate_window_s=120)
        await daraja.handset(auto="pay")
        codes = []
        for count, amount in enumerate((250, 250, 251), start=1):
            assert (await daraja.push(Amount=amount)).status_code == 200
            text = (await sink.texts(count))[-1]
            codes.append(exact(text)["Body"]["stkCallback"]["ResultCode"])
        assert codes == [0, 17, 0]

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"TransactionType": "CustomerBuyGoodsOnline"}, 2028),
            ({"PartyB": "600999"}, "SFC_IC0003"),
        ],
    )
    async def test_fails_later_for_the_wrong_product(
        self, daraja: Daraja, sink: Sink, changes: dict[str, str], code: object
    ) -> None:
        assert (await daraja.push(**changes)).status_code == 200
        assert (await sink.one())["Body"]["stkCallback"]["ResultCode"] == code

    async def test_refuses_a_query_for_the_unknown(self, daraja: Daraja) -> None:
        answer = await daraja.query("ws_CO_1")
        assert told(answer) == (400, "400.002.02", "Bad Request - Invalid CheckoutRequestID")


class TestTokens:
    async def test_are_refused_in_each_products_own_code(self, daraja: Daraja) -> None:
        daraja.headers = {"Authorization": "Bearer stale"}
        plain = "Invalid Access Token"
        assert told(await daraja.push()) == (404, "404.001.03", plain)
        assert told(await daraja.query("x")) == (404, "404.001.03", plain)
        b2c = (401, "401.002.01", "Error Occurred - Invalid Access Token - stale")
        assert told(await daraja.payout()) == b2c
        assert told(await daraja.balance()) == b2c
        assert told(await daraja.status()) == (400, "400.003.01", plain)
        daraja.headers = {}
        assert told(await daraja.push()) == (404, "404.001.04", "Invalid Authentication Header")

    async def test_wrong_paths_and_methods_have_codes(self, daraja: Daraja) -> None:
        wrong_method = await daraja.http.get("/mpesa/stkpush/v1/processrequest")
        wrong_path = await daraja.http.post("/mpesa/nothing/v1")
        assert told(wrong_method) == (405, "405.001", "Method Not Allowed")
        assert told(wrong_path) == (404, "404.001.01", "Resource not found")


class TestPayout:
    async def test_refuses_each_wrong_field(self, daraja: Daraja) -> None:
        for changes, field in PAYOUT_REFUSALS:
            expected = (400, "400.002.02", f"Bad Request - Invalid {field}")
            assert told(await daraja.payout(**changes)) == expected, changes
        assert (await daraja.payout()).status_code == 200  # nothing above used the id up

    async def test_locks_the_credential_after_three_wrong_passwords(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        wrong = daraja.credential("wrong")
        for count in range(3):
            await daraja.payout(f"bad-{count}", SecurityCredential=wrong)
        await daraja.payout("good-but-late")
        codes = [exact(text)["Result"]["ResultCode"] for text in await sink.texts(4)]
        assert sorted(codes) == [2001, 2001, 2001, 8006]
        assert (await daraja.http.get("/sim/settings")).json()["credential_locked"] is True
        await daraja.settings(credential_locked=False)
        await daraja.payout("good")
        assert exact((await sink.texts(5))[4])["Result"]["ResultCode"] == 0

    @pytest.mark.parametrize(
        ("prepare", "changes", "code"),
        [
            ({"registered": False}, {}, 2040),
            ({"balance": "499000.00"}, {}, 8),
            ({}, {"InitiatorName": "other"}, 2001),
            ({}, {"PartyA": "600999"}, "TP40153"),
        ],
    )
    async def test_fails_later_for_a_reason(
        self,
        daraja: Daraja,
        sink: Sink,
        prepare: dict[str, Any],
        changes: dict[str, Any],
        code: object,
    ) -> None:
        before = (await daraja.handset(**prepare))["balance"]
        assert (await daraja.payout(**changes)).status_code == 200
        assert (await sink.one())["Result"]["ResultCode"] == code
        assert (await daraja.handset())["balance"] == before

    async def test_stops_at_the_utility_account_and_the_daily_limit(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await daraja.settings(max_handset_balance_kes=0)
        for count in range(3):
            await daraja.payout(f"day-{count}", Amount=200_000)
        codes = [exact(text)["Result"]["ResultCode"] for text in await sink.texts(3)]
        assert sorted(codes) == [0, 0, 4]
        await daraja.settings(daily_limit_kes=0)
        for count in range(20):
            await daraja.payout(f"more-{count}", Amount=250_000)
        codes = [exact(text)["Result"]["ResultCode"] for text in await sink.texts(23)]
        assert codes.count(1) == 2
        assert (await daraja.books())["organisation"]["utility"] == "100000.00"
