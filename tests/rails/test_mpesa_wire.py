"""Request bodies field by field, replies of every shape, and values as Daraja writes them."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.rails.samples import COLLECTION, CONF, NOW, PAYOUT, PAYOUT_ID, TOKEN

from hazina.kernel.money import AmountInvalid
from hazina.rails.mpesa import wire
from hazina.rails.mpesa.conf import PATHS
from hazina.rails.mpesa.wire import MsisdnInvalid
from hazina.rails.ports import CallbackKind


class TestRequests:
    def test_an_stk_push_is_what_the_document_shows(self) -> None:
        sent = json.loads(wire.collect_body(CONF, COLLECTION, NOW))
        assert sent == {
            "BusinessShortCode": "600123",
            "Password": base64.b64encode(b"600123passkey20261120143005").decode(),
            "Timestamp": "20261120143005",
            "TransactionType": "CustomerPayBillOnline",
            "Amount": 250,
            "PartyA": "254711000111",
            "PartyB": "600123",
            "PhoneNumber": "254711000111",
            "CallBackURL": f"https://pay.example.co.ke/hooks/{TOKEN}/c",
            "AccountReference": "DEP-8F3K2Q",
            "TransactionDesc": "Wallet topup",
        }

    def test_a_query_is_what_the_document_shows(self) -> None:
        assert json.loads(wire.query_body(CONF, "ws_CO_1", NOW)) == {
            "BusinessShortCode": "600123",
            "Password": base64.b64encode(b"600123passkey20261120143005").decode(),
            "Timestamp": "20261120143005",
            "CheckoutRequestID": "ws_CO_1",
        }

    def test_a_b2c_payment_is_what_the_document_shows(self) -> None:
        assert json.loads(wire.pay_body(CONF, PAYOUT, "c2VhbGVk")) == {
            "OriginatorConversationID": str(PAYOUT_ID),
            "InitiatorName": "apiops1",
            "SecurityCredential": "c2VhbGVk",
            "CommandID": "BusinessPayment",
            "Amount": "1500",
            "PartyA": "600999",
            "PartyB": "254711000111",
            "Remarks": "Withdrawal",
            "QueueTimeOutURL": f"https://pay.example.co.ke/hooks/{TOKEN}/t",
            "ResultURL": f"https://pay.example.co.ke/hooks/{TOKEN}/r",
        }

    def test_a_status_question_is_what_the_document_shows(self) -> None:
        assert json.loads(wire.status_body(CONF, PAYOUT_ID, None, TOKEN, "c2VhbGVk")) == {
            "Initiator": "apiops1",
            "SecurityCredential": "c2VhbGVk",
            "CommandID": "TransactionStatusQuery",
            "OriginalConversationID": str(PAYOUT_ID),
            "PartyA": "600999",
            "IdentifierType": "4",
            "ResultURL": f"https://pay.example.co.ke/hooks/{TOKEN}/s",
            "QueueTimeOutURL": f"https://pay.example.co.ke/hooks/{TOKEN}/u",
            "Remarks": "Status",
            "Occasion": "",
        }

    def test_a_status_question_by_receipt_names_no_conversation(self) -> None:
        sent = json.loads(wire.status_body(CONF, PAYOUT_ID, "UKK7X8Y9Z0", TOKEN, "c2VhbGVk"))
        assert sent["TransactionID"] == "UKK7X8Y9Z0"
        assert "OriginalConversationID" not in sent

    @pytest.mark.parametrize("kind", CallbackKind)
    def test_no_callback_address_spells_a_forbidden_word(self, kind: str) -> None:
        path = f"/hooks/{TOKEN}/{PATHS[kind]}"
        for word in ("m-pesa", "mpesa", "safaricom", "exe", "exec", "cmd", "sql", "query"):
            assert word not in path

    def test_a_token_that_is_not_hex_is_a_bug(self) -> None:
        with pytest.raises(ValueError, match="hex"):
            CONF.callback_url("sqlexec0" * 4, CallbackKind.COLLECTION)


class TestTheDoor:
    @pytest.mark.parametrize("amount", [0, -1, 250_001, 10**30, True, 99.5, Decimal(100), "100"])
    def test_only_whole_shillings_within_bounds_are_collected(self, amount: object) -> None:
        with pytest.raises(AmountInvalid):
            wire.collect_body(CONF, replace(COLLECTION, amount_kes=amount), NOW)

    @pytest.mark.parametrize("amount", [9, 0, -10, 250_001, True, 10.0])
    def test_only_whole_shillings_within_bounds_are_paid(self, amount: object) -> None:
        with pytest.raises(AmountInvalid):
            wire.pay_body(CONF, replace(PAYOUT, amount_kes=amount), "x")

    @pytest.mark.parametrize("amount", [1, 250_000])
    def test_the_bounds_themselves_are_taken(self, amount: object) -> None:
        body = wire.collect_body(CONF, replace(COLLECTION, amount_kes=amount), NOW)
        assert json.loads(body)["Amount"] == amount

    @pytest.mark.parametrize(
        "msisdn",
        ["0711000111", "+254711000111", "254211000111", "25471100011", "254711000111\n", "",
         "2547110001111", "٢٥٤٧١١٠٠٠١١١"],
    )  # fmt: skip
    def test_only_twelve_digits_of_a_kenyan_mobile_go_out(self, msisdn: str) -> None:
        with pytest.raises(MsisdnInvalid):
            wire.collect_body(CONF, replace(COLLECTION, msisdn=msisdn), NOW)
        with pytest.raises(MsisdnInvalid):
            wire.pay_body(CONF, replace(PAYOUT, msisdn=msisdn), "x")

    @pytest.mark.parametrize("reference", ["", "THIRTEENLONG1", "DEP/1", "DEP#1", "DEP\n1"])
    def test_a_reference_is_never_cut_or_changed(self, reference: str) -> None:
        with pytest.raises(ValueError, match="reference"):
            wire.collect_body(CONF, replace(COLLECTION, reference=reference), NOW)

    @pytest.mark.parametrize(
        ("text", "most", "sent"),
        [
            ("Wallet topup", 13, "Wallet topup"),
            ("Buy gold @ 5,000 & more #1", 13, "Buy gold 5 00"),
            ("Café  crème", 13, "Cafe creme"),
            ("<script>", 13, "script"),
            ("日本", 13, ""),
            ("a\x00b\nc", 13, "a b c"),
            ("twelve chars and", 12, "twelve chars"),
            ("eleven char s", 12, "eleven char"),
        ],
    )
    def test_texts_keep_only_what_daraja_takes(self, text: str, most: int, sent: str) -> None:
        assert wire.plain(text, most) == sent

    def test_an_empty_description_still_goes_out_as_something(self) -> None:
        body = wire.collect_body(CONF, replace(COLLECTION, description="#"), NOW)
        assert json.loads(body)["TransactionDesc"] == "Payment"
        body = wire.pay_body(CONF, replace(PAYOUT, remarks="x"), "x")
        assert json.loads(body)["Remarks"] == "Payment"


class TestReplies:
    @pytest.mark.parametrize(
        ("status", "body", "code", "text", "taken"),
        [
            (200, b'{"ResponseCode":"0"}', None, '{"ResponseCode":"0"}', True),
            (200, b'{"ResponseCode":0,"ResponseDescription":"ok"}', None, "ok", True),
            (200, b'{"ResponseCode":"1","ResponseDescription":"no"}', None, "no", False),
            (500, b'{"ResponseCode":"0"}', None, '{"ResponseCode":"0"}', False),
            (200, b"", None, "", False),
            (200, b"[]", None, "[]", False),
            (200, b'"0"', None, '"0"', False),
            (403, b"<html>Incapsula</html>", None, "<html>Incapsula</html>", False),
            (500, b'{"requestId":"1","errorCode":"500.003.02","errorMessage":"Spike"}',
             "500.003.02", "Spike", False),
            (401, b'{"fault":{"faultstring":"Invalid Access Token"}}', None,
             '{"fault":{"faultstring":"Invalid Access Token"}}', False),
            (200, b'{"ResponseCode":"0","ResponseCode":"1"}', None,
             '{"ResponseCode":"0","ResponseCode":"1"}', False),
            (200, b'{"ResponseCode":false}', None, '{"ResponseCode":false}', False),
        ],
    )  # fmt: skip
    def test_every_shape_is_read(
        self, status: int, body: bytes, code: str | None, text: str, taken: bool
    ) -> None:
        reply = wire.read_reply(status, body)
        assert (reply.error_code, reply.text, reply.taken) == (code, text, taken)

    @given(st.integers(100, 599), st.binary(max_size=300))
    def test_reading_never_raises(self, status: int, body: bytes) -> None:
        assert wire.read_reply(status, body).status == status


class TestValues:
    @pytest.mark.parametrize(
        ("value", "cents"),
        [
            (250, 25_000),
            (Decimal("250.00"), 25_000),
            (Decimal("250.5"), 25_050),
            (Decimal("2.5E+2"), 25_000),
            ("250.00", 25_000),
            (" 88450.00 ", 8_845_000),
            (Decimal("-1980.00"), -198_000),
            (Decimal("0.005"), None),
            (Decimal("NaN"), None),
            (Decimal("Infinity"), None),
            (Decimal("1E+999999"), None),
            (Decimal("1E-999999"), None),
            (10**40, None),
            ("1e5", None),
            ("1,500.00", None),
            ("", None),
            (True, None),
            (None, None),
            ([250], None),
        ],
    )
    def test_amounts_are_exact_cents_or_nothing(self, value: object, cents: int | None) -> None:
        assert wire.read_cents(value) == cents

    @pytest.mark.parametrize(
        ("value", "moment"),
        [
            (20261120143021, datetime(2026, 11, 20, 11, 30, 21, tzinfo=UTC)),
            ("20261120143021", datetime(2026, 11, 20, 11, 30, 21, tzinfo=UTC)),
            ("20.11.2026 14:31:02", datetime(2026, 11, 20, 11, 31, 2, tzinfo=UTC)),
            ("2026-11-20 11:35:12", datetime(2026, 11, 20, 8, 35, 12, tzinfo=UTC)),
            ("2026-11-20T11:35:12Z", datetime(2026, 11, 20, 11, 35, 12, tzinfo=UTC)),
            ("31.02.2026 00:00:00", None),
            ("00010101000000", None),
            ("99991231235959", None),
            (0, None),
            (True, None),
            ("yesterday", None),
            (None, None),
        ],
    )
    def test_three_spellings_of_nairobi_time(self, value: object, moment: datetime | None) -> None:
        assert wire.read_time(value) == moment

    @pytest.mark.parametrize(
        ("value", "code"),
        [(0, "0"), ("0", "0"), (1032, "1032"), (" 1037 ", "1037"), ("SFC_IC0003", "SFC_IC0003"),
         ("00", "00"), (Decimal("0.0"), None), (False, None), ("", None), (None, None),
         ("0; drop", None), (10**50, None), ({}, None)],
    )  # fmt: skip
    def test_codes_are_texts(self, value: object, code: str | None) -> None:
        assert wire.read_code(value) == code

    @pytest.mark.parametrize(
        ("value", "number"),
        [(254711000111, "254711000111"), ("254711000111", "254711000111"),
         ("2547 ***** 111", None), (711000111, None), (10**30, None), (True, None), (None, None)],
    )  # fmt: skip
    def test_masked_numbers_are_no_numbers(self, value: object, number: str | None) -> None:
        assert wire.read_msisdn(value) == number

    def test_ids_of_ours_are_read_back_and_others_are_not(self) -> None:
        assert wire.payout_id_of(wire.originator_id(PAYOUT_ID)) == PAYOUT_ID
        for other in ("wd-018f6b0e4c1a7c2f", "", None, PAYOUT_ID.hex, f"{{{PAYOUT_ID}}}"):
            assert wire.payout_id_of(other) is None

    def test_texts_of_theirs_are_safe_to_keep(self) -> None:
        said = "Error Occurred - Invalid Access Token - Abc123xyz\x00\nfor +254711000111\ud800"
        shown = wire.clean(said)
        assert shown == "Error Occurred - Invalid Access Token … for …"
        assert len(wire.clean("x" * 5000)) == wire.TEXT_MAX
        assert wire.clean(None) == ""
