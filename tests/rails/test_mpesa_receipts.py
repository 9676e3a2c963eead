"""Payments that come unasked, on the wire: notices, pulls, reversals, statements, as captured."""

import hashlib
import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest

from hazina.flows.receipts.statements import AT_ONCE, digest_of_file
from hazina.rails.mpesa.c2b import digest_of, read_account, read_pull
from hazina.rails.mpesa.results import parse
from hazina.rails.mpesa.statement import read_statement
from hazina.rails.mpesa.wire import load_object
from hazina.rails.ports import CallbackKind, PaymentNotice, ReturnResult, Unparsable
from hazina.rails.receipts import LineKind, StatementUnreadable

NOTICE = {
    "TransactionType": "Pay Bill",
    "TransID": "UKK1Q2W3E4",
    "TransTime": "20261120143512",
    "TransAmount": "250.00",
    "BusinessShortCode": "600123",
    "BillRefNumber": "ACC1007",
    "InvoiceNumber": "",
    "OrgAccountBalance": "88450.00",
    "ThirdPartyTransID": "",
    "MSISDN": "2547 ***** 111",
    "FirstName": "",
    "MiddleName": "",
    "LastName": "",
}
HEADER = (
    "Receipt No.,Completion Time,Initiation Time,Details,Transaction Status,Paid In,Withdrawn,"
    "Balance,Balance Confirmed,Reason Type,Other Party Info,Linked Transaction ID,A/C No."
)


def notice(**change: Any) -> Any:
    body = json.dumps({**NOTICE, **change}).encode()
    return parse(CallbackKind.NOTICE.value, body)


class TestANotice:
    def test_is_read_as_it_was_captured(self) -> None:
        found = notice()
        assert isinstance(found, PaymentNotice)
        assert (found.receipt, found.amount_units, found.shortcode) == (
            "UKK1Q2W3E4",
            25_000,
            "600123",
        )
        assert found.account == "ACC1007"
        assert found.payer_digest is None
        assert found.payer_shown == "2547 ••••• 111"
        assert found.paid_at == datetime(2026, 11, 20, 11, 35, 12, tzinfo=UTC)

    def test_hashed_as_in_the_first_version_is_comparable(self) -> None:
        """A captured value: the unsalted SHA-256 of a whole number."""
        found = notice(MSISDN=digest_of("254705912645"))
        assert digest_of("254705912645").startswith("94c392c3")
        assert found.payer_digest == digest_of("254705912645")

    @pytest.mark.parametrize("mask", ["25471****111", "2547 ***** 111"])
    def test_masked_is_only_shown(self, mask: str) -> None:
        found = notice(MSISDN=mask)
        assert found.payer_digest is None
        assert "*" not in found.payer_shown

    @pytest.mark.parametrize(
        "change",
        [{"TransAmount": "-5"}, {"TransAmount": "x"}, {"TransID": ""}, {"BusinessShortCode": ""}],
    )
    def test_without_what_counts_is_unreadable(self, change: dict[str, str]) -> None:
        assert isinstance(notice(**change), Unparsable)

    def test_with_hostile_text_stays_one_short_line(self) -> None:
        assert read_account("=cmd|' /C calc'!A0\r\nSet-Cookie: x" + "y" * 500) == (
            "=cmd|' /C calc'!A0 S"
        )


class TestAPull:
    ROW = (
        '{"transactionId":"UKK1Q2W3E4","trxDate":"2026-11-20T11:35:12Z","msisdn":711000111,'
        '"sender":"MPESA","transactiontype":"c2b-pay-bill-debit","billreference":"ACC1007",'
        '"amount":"250.00","organizationname":"EXAMPLE LTD"}'
    )

    def read(self, text: str) -> Any:
        fields = load_object(text.encode())
        assert fields is not None
        return read_pull(fields)

    def test_is_a_list_inside_a_list(self) -> None:
        page = self.read('{"ResponseCode":"1000","Response":[[' + self.ROW + "]]}").page
        assert page.rows == 1
        assert page.payments[0].payer_digest == digest_of("254711000111")
        assert page.payments[0].paid_at == datetime(2026, 11, 20, 11, 35, 12, tzinfo=UTC)

    def test_without_a_zone_is_east_african(self) -> None:
        row = self.ROW.replace("2026-11-20T11:35:12Z", "2026-11-20T14:35:12")
        page = self.read('{"ResponseCode":"1000","Response":[[' + row + "]]}").page
        assert page.payments[0].paid_at == datetime(2026, 11, 20, 11, 35, 12, tzinfo=UTC)

    @pytest.mark.parametrize("nothing", ['"[[]]"', "[[]]", "[]"])
    def test_of_nothing_is_an_empty_page(self, nothing: str) -> None:
        for code in ("1000", "1001"):
            read = self.read(f'{{"ResponseCode":"{code}","Response":{nothing}}}')
            assert read.page.rows == 0

    @pytest.mark.parametrize(
        "body", ['{"ResponseCode":"1000"}', '{"ResponseCode":"7","Response":[[]]}', "{}"]
    )
    def test_not_understood_is_no_page(self, body: str) -> None:
        assert self.read(body) is None


class TestAReversal:
    def result(self, code: object, *items: dict[str, object]) -> Any:
        body = {
            "Result": {
                "ResultCode": code,
                "ResultDesc": "said",
                "ConversationID": "AG_1",
                "TransactionID": "UKK0000009",
                "ResultParameters": {"ResultParameter": list(items)},
            }
        }
        return parse(CallbackKind.RETURN.value, json.dumps(body).encode())

    def test_done_names_what_went_back(self) -> None:
        found = self.result(
            0,
            {"Key": "OriginalTransactionID", "Value": "UKK1Q2W3E4"},
            {"Key": "Amount", "Value": 250},
        )
        assert isinstance(found, ReturnResult)
        assert (found.success, found.original, found.amount_units) == (True, "UKK1Q2W3E4", 25_000)

    def test_done_before_is_neither_done_nor_failed(self) -> None:
        found = self.result("R000001")
        assert (found.success, found.already, found.final) == (False, True, False)

    def test_of_an_unknown_code_proves_nothing(self) -> None:
        assert not self.result("Z9").final


class InParts(BytesIO):
    """A long file, of which nobody takes more into memory at once than a little."""

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert 0 <= size <= AT_ONCE
        return super().read(size)


class TestAStatement:
    def read(self, *rows: str) -> Any:
        text = "Organization Name,HAZINA\r\nShort Code,600123\r\n\r\n" + "\r\n".join(
            [HEADER, *rows]
        )
        return read_statement(BytesIO(text.encode()))

    def test_reads_both_signs_both_times_and_thousands(self) -> None:
        found = self.read(
            'UKK0000005,20-11-2026 14:00:00,,,Completed,,"-1,500.00",0,true,'
            "Business Payment to Customer,254711000111 - X,,",
            "UKK0000006,2026-11-20 14:00:00,,,Completed,,60.00,0,true,"
            "Business Payment to Customer Charge,,,",
            'UKK0000007,20-11-2026 14:00:00,,,Completed,"2,500.00",,0,true,Pay Bill Online,'
            "25471****111 - Y,,ACC1",
            "UKK0000008,20-11-2026 14:00:00,,,Completed,,-2500.00,0,true,"
            "Pay Bill Reversal,,UKK0000007,",
            "UKK0000009,20-11-2026 14:00:00,,,Failed,10.00,,0,true,Pay Bill Online,,,",
        )
        assert found.unread == 0
        assert [(one.kind, one.amount_units) for one in found.lines] == [
            (LineKind.PAYOUT, 150_000),
            (LineKind.CHARGE, 6_000),
            (LineKind.PAYMENT, 250_000),
            (LineKind.RETURN, 250_000),
        ]
        assert {one.at for one in found.lines} == {datetime(2026, 11, 20, 11, tzinfo=UTC)}
        assert found.lines[3].linked == "UKK0000007"

    def test_is_read_in_parts_and_stays_open(self) -> None:
        line = "UKK{:07d},20-11-2026 14:00:00,,,Completed,10.00,,0,true,Pay Bill Online,,,"
        body = "\r\n".join([HEADER, *(line.format(number) for number in range(10_000))])
        file = InParts(body.encode())
        assert len(file.getvalue()) > 2 * AT_ONCE
        assert len(read_statement(file).lines) == 10_000
        assert (
            len(
                {
                    digest_of_file(file),
                    digest_of_file(file),
                    hashlib.sha256(body.encode()).hexdigest(),
                }
            )
            == 1
        )

    def test_with_a_line_it_cannot_read_is_not_complete(self) -> None:
        assert self.read("UKK0000005,soon,,,Completed,10.00,,0,true,Pay Bill Online,,,").unread == 1

    @pytest.mark.parametrize("body", [b"", b"a,b\r\n1,2", b"\xff\xfe\x00", b"<html></html>"])
    def test_of_another_kind_is_refused(self, body: bytes) -> None:
        with pytest.raises(StatementUnreadable):
            read_statement(BytesIO(body))
