"""Callbacks of every shape become events; nothing that comes in can make the reader raise."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.rails.samples import (
    B2C_FAILED,
    B2C_PAID,
    PAYOUT_ID,
    STATUS_COMPLETED,
    STK_CANCELLED,
    STK_PAID,
)

from hazina.rails.mpesa.results import parse
from hazina.rails.ports import (
    CallbackKind,
    CollectionResult,
    Event,
    PayoutResult,
    PayoutTimeoutNotice,
    StatusResult,
    StatusState,
    StatusTimeoutNotice,
    Unparsable,
)

C, R, S = CallbackKind.COLLECTION, CallbackKind.PAYOUT, CallbackKind.STATUS
T, U = CallbackKind.PAYOUT_TIMEOUT, CallbackKind.STATUS_TIMEOUT


def collection(body: bytes | dict) -> CollectionResult:
    event = parse(C, body if isinstance(body, bytes) else json.dumps(body).encode())
    assert isinstance(event, CollectionResult)
    return event


def stk(**fields: object) -> dict:
    inner = {"MerchantRequestID": "m-1", "CheckoutRequestID": "ws_CO_1", "ResultCode": 0, **fields}
    return {"Body": {"stkCallback": inner}}


def items(*pairs: dict) -> dict:
    return stk(CallbackMetadata={"Item": list(pairs)})


def result(parameters: object = None, **fields: object) -> bytes:
    inner = {"ResultType": 0, "ResultCode": 0, "OriginatorConversationID": str(PAYOUT_ID), **fields}
    if parameters is not None:
        inner["ResultParameters"] = parameters
    return json.dumps({"Result": inner}).encode()


class TestCollections:
    def test_a_paid_one(self) -> None:
        event = collection(STK_PAID)
        assert event == CollectionResult(
            merchant_request_id="2f1c-4d7e-9a10-0c5d77aa1204417",
            checkout_request_id="ws_CO_20112026143007123711000111",
            success=True,
            code="0",
            text="The service request is processed successfully.",
            words="Paid.",
            final=True,
            ours=False,
            amount_units=25_000,
            receipt="UKK4A1B2C3",
            msisdn="254711000111",
            completed_at=datetime(2026, 11, 20, 11, 30, 21, tzinfo=UTC),
        )

    def test_a_cancelled_one_has_no_metadata(self) -> None:
        event = collection(STK_CANCELLED)
        assert (event.success, event.code, event.final) == (False, "1032", True)
        assert (event.amount_units, event.receipt, event.completed_at) == (None, None, None)

    def test_a_code_may_be_a_text(self) -> None:
        assert collection(stk(ResultCode="0")).success
        assert not collection(stk(ResultCode="1037")).success

    def test_an_unlisted_code_proves_nothing(self) -> None:
        event = collection(stk(ResultCode="XYZ99"))
        assert (event.success, event.final) == (False, False)

    @pytest.mark.parametrize("code", ["00", "0.0", -0.0, "O"])
    def test_only_zero_is_a_success(self, code: object) -> None:
        event = parse(C, json.dumps(stk(ResultCode=code)).encode())
        assert isinstance(event, Unparsable) or not event.success

    def test_a_failure_with_metadata_tells_no_amount_and_no_receipt(self) -> None:
        body = items(
            {"Name": "Amount", "Value": 5}, {"Name": "MpesaReceiptNumber", "Value": "AAAAA1"}
        )
        body["Body"]["stkCallback"]["ResultCode"] = 1
        event = collection(body)
        assert (event.amount_units, event.receipt) == (None, None)

    def test_items_in_any_order_without_values_and_one_as_an_object(self) -> None:
        event = collection(
            items(
                {"Name": "Balance"},
                {"Name": "Amount", "Value": 7},
                {},
            )
        )
        assert event.amount_units == 700
        event = collection(stk(CallbackMetadata={"Item": {"Name": "Amount", "Value": "7.50"}}))
        assert event.amount_units == 750

    def test_a_key_twice_counts_only_when_both_agree(self) -> None:
        same = items({"Name": "Amount", "Value": 7}, {"Name": "Amount", "Value": 7})
        other = items({"Name": "Amount", "Value": 7}, {"Name": "Amount", "Value": 70_000})
        assert collection(same).amount_units == 700
        assert collection(other).amount_units is None

    @pytest.mark.parametrize("amount", [0, -5, "abc", None, True, [1], 1e300, 0.001])
    def test_an_amount_that_is_none_is_none(self, amount: object) -> None:
        assert collection(items({"Name": "Amount", "Value": amount})).amount_units is None

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b'{"Body":[]}',
            b'{"Body":{"stkCallback":"x"}}',
            b'{"Body":{"stkCallback":{"ResultCode":0}}}',
            b'{"Body":{"stkCallback":{"MerchantRequestID":1,"CheckoutRequestID":2,"ResultCode":0}}}',
            b"\xff\xfe\x00",
            b"[" * 60_000,
            b'{"a":' * 10_000,
            b'{"Body":' + b"9" * 5000 + b"}",
            B2C_PAID,
        ],
    )
    def test_what_is_no_stk_callback_is_unparsable(self, body: bytes) -> None:
        assert isinstance(parse(C, body), Unparsable)

    def test_one_key_with_two_values_is_unparsable(self) -> None:
        forged = STK_CANCELLED.replace(b'"ResultCode":1032', b'"ResultCode":1032,"ResultCode":0')
        assert isinstance(parse(C, forged), Unparsable)


class TestPayouts:
    def test_a_paid_one(self) -> None:
        assert parse(R, B2C_PAID) == PayoutResult(
            payout_id=PAYOUT_ID,
            originator_id=str(PAYOUT_ID),
            conversation_id="AG_20261120_2010ab",
            success=True,
            code="0",
            text="The service request is processed successfully.",
            words="Paid.",
            final=True,
            ours=False,
            receipt="UKK7X8Y9Z0",
            amount_units=150_000,
            completed_at=datetime(2026, 11, 20, 11, 31, 2, tzinfo=UTC),
            utility_balance_units=8_820_050,
        )

    def test_a_failure_has_a_filler_for_a_receipt_and_it_is_not_one(self) -> None:
        event = parse(R, B2C_FAILED)
        assert isinstance(event, PayoutResult)
        assert (event.success, event.final, event.code, event.receipt) == (
            False,
            True,
            "2040",
            None,
        )

    @pytest.mark.parametrize("code", [15, "17", "NEW_CODE"])
    def test_some_failures_prove_nothing(self, code: object) -> None:
        event = parse(R, result(ResultCode=code))
        assert isinstance(event, PayoutResult)
        assert (event.success, event.final) == (False, False)

    def test_the_parameter_list_may_be_one_object(self) -> None:
        one = {"ResultParameter": {"Key": "TransactionAmount", "Value": 1500}}
        event = parse(R, result(one, TransactionID="UKK7X8Y9Z0", ResultCode="0"))
        assert isinstance(event, PayoutResult)
        assert (event.amount_units, event.receipt) == (150_000, "UKK7X8Y9Z0")

    def test_two_receipts_that_differ_are_none(self) -> None:
        body = B2C_PAID.replace(b'"TransactionID":"UKK7X8Y9Z0"', b'"TransactionID":"UKK0000000"')
        event = parse(R, body)
        assert isinstance(event, PayoutResult)
        assert (event.success, event.receipt) == (True, None)

    def test_a_timeout_notice_is_one_whatever_it_says(self) -> None:
        assert parse(T, b"") == PayoutTimeoutNotice(None, None, None, "")
        assert parse(T, B2C_FAILED) == PayoutTimeoutNotice(
            PAYOUT_ID,
            str(PAYOUT_ID),
            "AG_20261120_2010ab",
            "Credit Party customer type can't be supported by the service.",
        )
        assert parse(U, b"<html>") == StatusTimeoutNotice("")


class TestStatus:
    def test_a_completed_payment(self) -> None:
        assert parse(S, STATUS_COMPLETED) == StatusResult(
            payout_id=PAYOUT_ID,
            originator_id=str(PAYOUT_ID),
            conversation_id="AG_20261120_2010ab",
            query_ok=True,
            state=StatusState.COMPLETED,
            code="0",
            text="Completed",
            ours=False,
            receipt="UKK7X8Y9Z0",
            amount_units=150_000,
            charge_units=2_240,
            completed_at=datetime(2026, 11, 20, 11, 31, 2, tzinfo=UTC),
        )

    @pytest.mark.parametrize(
        ("said", "state"),
        [
            ("Completed", StatusState.COMPLETED),
            ("Cancelled", StatusState.FAILED),
            ("Declined", StatusState.FAILED),
            ("Expired", StatusState.FAILED),
            ("Initiated", StatusState.PENDING),
            ("Authorized", StatusState.PENDING),
            ("Pending Authorized", StatusState.PENDING),
            ("Reversed", StatusState.UNKNOWN),
            ("", StatusState.UNKNOWN),
            (0, StatusState.UNKNOWN),
        ],
    )
    def test_the_payment_s_state_is_the_inner_word(self, said: object, state: StatusState) -> None:
        pairs = {"ResultParameter": [{"Key": "TransactionStatus", "Value": said}]}
        event = parse(S, result(pairs))
        assert isinstance(event, StatusResult)
        assert (event.query_ok, event.state) == (True, state)

    def test_a_question_that_succeeded_without_an_answer_is_unknown(self) -> None:
        event = parse(S, result())
        assert isinstance(event, StatusResult)
        assert (event.query_ok, event.state) == (True, StatusState.UNKNOWN)

    @pytest.mark.parametrize(
        ("code", "state", "ours"),
        [
            ("25", StatusState.NOT_FOUND, False),
            (2001, StatusState.UNKNOWN, True),
            ("SFC_IC0003", StatusState.UNKNOWN, False),
            ("8006", StatusState.UNKNOWN, True),
        ],
    )
    def test_a_question_that_failed_says_nothing_of_the_payment(
        self, code: object, state: StatusState, ours: bool
    ) -> None:
        pairs = {"ResultParameter": [{"Key": "TransactionStatus", "Value": "Completed"}]}
        event = parse(S, result(pairs, ResultCode=code))
        assert isinstance(event, StatusResult)
        assert (event.query_ok, event.state, event.ours) == (False, state, ours)
        assert event.payout_id is None  # the outer ids are the question's


ATOMS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["0", 0, "1032", "Amount", "UKK4A1B2C3", "ResultParameter", "Completed"])
)  # fmt: skip
KEYS = st.text(max_size=8) | st.sampled_from(
    ["Body", "stkCallback", "Result", "ResultCode", "ResultDesc", "CallbackMetadata", "Item",
     "ResultParameters", "ResultParameter", "Key", "Name", "Value", "CheckoutRequestID",
     "MerchantRequestID", "OriginatorConversationID", "ConversationID", "TransactionID"]
)  # fmt: skip
TREES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5)
)
INNER = st.fixed_dictionaries(
    {"MerchantRequestID": st.just("m") | ATOMS, "CheckoutRequestID": st.just("c") | ATOMS,
     "ResultCode": st.sampled_from([0, "0", 1, "17"]) | ATOMS},
    optional={"CallbackMetadata": TREES, "ResultDesc": ATOMS, "ResultParameters": TREES,
              "OriginatorConversationID": ATOMS, "TransactionID": ATOMS},
)  # fmt: skip


class TestWhateverComesIn:
    @given(st.sampled_from([*CallbackKind, "", "zz"]), st.binary(max_size=400))
    @example(C, b'{"x":1e99999999999999999999}')
    @example(R, b'{"Result":{"ResultCode":NaN}}')
    def test_bytes_become_an_event(self, kind: str, body: bytes) -> None:
        assert isinstance(parse(kind, body), Event)

    @given(st.sampled_from(list(CallbackKind)), TREES)
    def test_json_becomes_an_event(self, kind: str, tree: object) -> None:
        assert isinstance(parse(kind, json.dumps(tree).encode()), Event)

    @given(INNER)
    def test_what_nearly_is_a_callback_becomes_a_sound_event(
        self, inner: dict[str, object]
    ) -> None:
        event = parse(C, json.dumps({"Body": {"stkCallback": inner}}).encode())
        if isinstance(event, CollectionResult):
            assert event.success == (event.code == "0")
            assert event.amount_units is None or (event.success and event.amount_units > 0)
        event = parse(R, json.dumps({"Result": inner}).encode())
        if isinstance(event, PayoutResult):
            assert event.success == (event.code == "0")
            assert event.receipt is None or (event.success and event.receipt.isalnum())
            # What is kept fits into PostgreSQL's text.
            assert "\x00" not in event.text
            event.text.encode()
