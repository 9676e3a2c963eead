"""The error table: one line per answer, and the documentation that shows the same table."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hazina.rails.mpesa.errors import (
    ANSWERS,
    COLLECTION_RESULTS,
    PAYOUT_RESULTS,
    RETURN_RESULTS,
    WORDS,
    Call,
    Means,
    ResultRow,
    Verdict,
    answers_table,
    classify,
    collection_result,
    payout_result,
    results_table,
)

DOC = Path(__file__).parents[2] / "docs" / "rails" / "mpesa.md"

# call | status | errorCode | text | verdict | our code
CASES = """
collect | 400 | 400.002.02   | Bad Request - Invalid Amount                      | rejected | request_invalid
collect | 400 | 400.002.02   | something else                                    | unknown  | unclear
pay     | 400 | 400.002.05   | Invalid Request Payload                           | rejected | request_invalid
status  | 400 | 400.003.01   | Invalid Access Token                              | token    | token_refused
status  | 400 | 400.003.02   | Bad Request                                       | rejected | request_invalid
pay     | 401 | 401.002.01   | Error Occurred - Invalid Access Token - abc       | token    | token_refused
pay     | 401 | 401.002.01   | Invalid Access Token - Invalid API call as no apiproduct match found | token | setup
collect | 401 |              |                                                   | token    | token_refused
collect | 404 | 404.001.03   | Invalid Access Token                              | token    | token_refused
query   | 404 | 404.001.03   | Invalid Access Token                              | token    | token_refused
collect | 404 | 404.001.01   | Resource not found                                | rejected | setup
collect | 404 |              | not found                                         | unknown  | unclear
collect | 404 | 404.001.04   | Invalid Authentication Header                     | rejected | setup
collect | 405 | 405.001      | Method Not Allowed                                | rejected | setup
collect | 500 | 500.001.1001 | Merchant does not exist                           | rejected | setup
collect | 500 | 500.001.1001 | [MerchantValidate] - Wrong credentials            | rejected | setup
collect | 500 | 500.001.1001 | Unable to lock subscriber, a transaction is already in process for the current subscriber | later | phone_busy
query   | 500 | 500.001.1001 | Unable to lock subscriber                         | unknown  | unclear
query   | 500 | 500.001.1001 | The transaction is being processed                | pending  | pending
collect | 500 | 500.001.1001 | The transaction is being processed                | unknown  | unclear
collect | 500 | 500.001.1001 | Internal Server Error                             | unknown  | unclear
pay     | 500 | 500.002.1001 | Duplicate OriginatorConversationID.               | accepted | duplicate
pay     | 500 | 500.002.1001 | System internal error.                            | unknown  | unclear
collect | 500 | 500.002.1001 | Duplicate OriginatorConversationID.               | unknown  | unclear
pay     | 500 | 500.003.02   | Error Occurred: Spike Arrest Violation            | later    | busy
pay     | 500 | 500.003.02   | System is busy. Please try again in few minutes.  | later    | busy
pay     | 500 | 500.003.02   | Something new                                     | unknown  | unclear
pay     | 500 | 500.003.03   | Error Occurred: Quota Violation                   | later    | busy
pay     | 429 |              |                                                   | later    | busy
pay     | 500 | 500.003.1001 | Internal Server Error                             | unknown  | unclear
register | 500 | 500.003.1001 | Urls are already registered.                     | accepted | duplicate
register | 500 | 500.003.1001 | Duplicate notification info                      | rejected | setup
pull    | 500 | 500.003.1001 | no available transactions                         | accepted | none
return  | 500 | 500.003.1001 | Urls are already registered.                      | unknown  | unclear
pay     | 500 | 00.002.1001  | under maintenance                                 | unknown  | unclear
collect | 403 |              | Request unsuccessful. Incapsula incident ID: 1-2  | later    | blocked
collect | 503 |              | Request unsuccessful. Incapsula incident ID: 1-2  | unknown  | unclear
collect | 403 |              | <html>Forbidden</html>                            | unknown  | unclear
collect | 502 |              | <html>Bad gateway</html>                          | unknown  | unclear
collect | 504 |              |                                                   | unknown  | unclear
collect | 400 |              |                                                   | unknown  | unclear
collect | 200 |              |                                                   | unknown  | unclear
pay     | 200 |              | Rejected                                          | unknown  | unclear
collect | 302 |              |                                                   | unknown  | unclear
"""  # noqa: E501 - one case a line


@pytest.mark.parametrize("case", [line for line in CASES.splitlines() if line])
def test_an_answer_proves_what_the_table_says(case: str) -> None:
    call, status, error_code, text, verdict, code = (cell.strip() for cell in case.split("|"))
    row = classify(Call(call), int(status), error_code or None, text)
    assert (row.verdict.value, row.code) == (verdict, code)


def test_every_row_decides_something() -> None:
    """A row that an earlier one always shadows would be a lie in the documentation."""
    for row in ANSWERS:
        probe = (row.status or 599, row.error_code, row.says or "no such text")
        assert any(classify(call, *probe) is row for call in row.calls), row


def test_an_answer_nobody_listed_proves_nothing() -> None:
    assert ANSWERS[-1].verdict is Verdict.UNKNOWN
    assert classify(Call.PAY, 599, "9.9.9", "x") is ANSWERS[-1]


def test_every_rejection_has_words_for_a_person() -> None:
    for row in ANSWERS:
        if row.verdict in (Verdict.REJECTED, Verdict.LATER, Verdict.TOKEN):
            assert WORDS[row.code].endswith(".")


def test_zero_is_the_only_success_and_codes_are_listed_once() -> None:
    for rows in (COLLECTION_RESULTS, PAYOUT_RESULTS, RETURN_RESULTS):
        assert [row.code for row in rows if row.means is Means.PAID] == ["0"]
        assert len({row.code for row in rows}) == len(rows)


@pytest.mark.parametrize("read", [collection_result, payout_result])
@pytest.mark.parametrize("code", ["", "999999", "00", "SFC_NEW"])
def test_an_unlisted_result_code_proves_nothing(
    read: Callable[[str], ResultRow], code: str
) -> None:
    assert read(code).means is Means.UNCLEAR


def test_not_finished_is_not_failed() -> None:
    assert collection_result("4999").means is Means.PENDING


@pytest.mark.parametrize(
    "table",
    [
        answers_table(),
        results_table(COLLECTION_RESULTS),
        results_table(PAYOUT_RESULTS),
        results_table(RETURN_RESULTS),
    ],
    ids=["answers", "collections", "payouts", "returns"],
)
def test_the_documentation_shows_the_same_rows_in_the_same_order(table: list[str]) -> None:
    """A table in prose that drifted from the code once proves nothing when money is in doubt."""
    text = DOC.read_text()
    rule, end = "---|\n", "\n\n"
    assert rule + "\n".join(table) + end in text
