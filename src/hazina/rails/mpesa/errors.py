"""The error table: what proves that M-Pesa did not act. All else is Unknown. Pure.

Three tables, in reading order: ``ANSWERS`` (what the gateway said to a request), and the result
codes of collections and of payouts. docs/rails/mpesa.md prints them with their evidence, and a
test holds the two equal. The first row that fits decides; the last fits everything.
"""

from dataclasses import dataclass
from enum import StrEnum


class Call(StrEnum):
    """What we ask of Daraja's gateway."""

    COLLECT = "collect"  # STK push
    QUERY = "query"  # STK push query
    PAY = "pay"  # B2C v3
    STATUS = "status"  # transaction status
    REGISTER = "register"  # C2B addresses
    PULL_REGISTER = "pull_register"  # the right to pull
    PULL = "pull"  # what was paid to us in the last 48 hours
    RETURN = "return"  # reversal
    BALANCE = "balance"  # account balance
    CODE = "code"  # dynamic QR


class Verdict(StrEnum):
    """What an answer of the gateway proves."""

    ACCEPTED = "accepted"  # it has the request, now or from before
    PENDING = "pending"  # the query's "not finished"
    REJECTED = "rejected"  # not taken, and the same request never will be
    LATER = "later"  # refused at the gate for a passing reason: the same may be sent again
    TOKEN = "token"  # refused at the gate for the token: a new one, and once again  # noqa: S105
    UNKNOWN = "unknown"  # proves nothing


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One row: what must fit (None: anything), what it proves, our code, and why we believe it.

    ``says`` is looked for in the lower-cased text, since one error code carries several meanings.
    """

    calls: frozenset[Call]
    status: int | None
    error_code: str | None
    says: str | None
    verdict: Verdict
    code: str
    evidence: str

    def fits(self, call: Call, status: int, error_code: str | None, text: str) -> bool:
        return (
            call in self.calls
            and self.status in (None, status)
            and self.error_code in (None, error_code)
            and (self.says is None or self.says in text.lower())
        )


ALL = frozenset(Call)
MONEY = frozenset({Call.COLLECT, Call.PAY})


def _row(
    status: int | None,
    error_code: str | None,
    says: str | None,
    verdict: Verdict,
    code: str,
    evidence: str,
    calls: frozenset[Call] = ALL,
) -> AnswerRow:
    return AnswerRow(calls, status, error_code, says, verdict, code, evidence)


_FIX = "checked before anything is done"
_TOKEN = "refused before the product saw it; the code differs by product"  # noqa: S105
_GATE = "rate limit at the gateway, before the product"

# fmt: off
ANSWERS: tuple[AnswerRow, ...] = (
    _row(500, "500.002.1001", "duplicate originatorconversationid", Verdict.ACCEPTED, "duplicate",
         "our id is known: the first sending was taken", frozenset({Call.PAY})),
    _row(500, "500.001.1001", "being processed", Verdict.PENDING, "pending",
         "the query's older way to say not finished", frozenset({Call.QUERY})),
    _row(500, "500.003.1001", "already registered", Verdict.ACCEPTED, "duplicate",
         "addresses are registered once; our own are there", frozenset({Call.REGISTER})),
    _row(500, "500.003.1001", "duplicate notification info", Verdict.REJECTED, "setup",
         "registered on the older broker: delete them in the portal", frozenset({Call.REGISTER})),
    _row(500, None, "no available transactions", Verdict.ACCEPTED, "none",
         "the third shape of an empty pull", frozenset({Call.PULL})),
    _row(500, "500.001.1001", "merchant does not exist", Verdict.REJECTED, "setup",
         "shortcode is not on this environment"),
    _row(500, "500.001.1001", "wrong credentials", Verdict.REJECTED, "setup",
         "the password over shortcode, passkey and timestamp does not match"),
    _row(500, "500.001.1001", "unable to lock subscriber", Verdict.LATER, "phone_busy",
         "another session is open on the phone; wait a minute at least", frozenset({Call.COLLECT})),
    _row(500, "500.003.02", "spike arrest", Verdict.LATER, "busy", _GATE),
    _row(500, "500.003.02", "system is busy", Verdict.LATER, "busy", _GATE),
    _row(500, "500.003.03", "quota violation", Verdict.LATER, "busy", _GATE),
    _row(429, None, None, Verdict.LATER, "busy", _GATE),
    _row(401, None, "no apiproduct match", Verdict.TOKEN, "setup",
         "product not ticked on the app, or a token from before it was"),
    _row(404, "404.001.03", None, Verdict.TOKEN, "token_refused", _TOKEN),
    _row(401, "401.002.01", None, Verdict.TOKEN, "token_refused", _TOKEN),
    _row(401, "401.001", None, Verdict.TOKEN, "token_refused", _TOKEN),
    _row(400, "400.003.01", None, Verdict.TOKEN, "token_refused", _TOKEN),
    _row(401, None, None, Verdict.TOKEN, "token_refused", "what HTTP means by 401"),
    _row(400, "400.002.02", "bad request", Verdict.REJECTED, "request_invalid", _FIX),
    _row(400, "400.002.05", None, Verdict.REJECTED, "request_invalid", _FIX),
    _row(400, "400.003.02", None, Verdict.REJECTED, "request_invalid", _FIX),
    _row(400, "400.008.01", None, Verdict.REJECTED, "setup", _FIX),
    _row(400, "400.008.02", None, Verdict.REJECTED, "setup", _FIX),
    _row(404, "404.001.01", None, Verdict.REJECTED, "setup", "no such resource"),
    _row(404, "404.002.01", None, Verdict.REJECTED, "setup", "no such resource"),
    _row(404, "404.003.01", None, Verdict.REJECTED, "setup", "no such resource"),
    _row(404, "404.001.04", None, Verdict.REJECTED, "setup", "wrong method or header"),
    _row(405, "405.001", None, Verdict.REJECTED, "setup", "method not allowed"),
    _row(403, None, "incapsula incident", Verdict.LATER, "blocked",
         "the firewall in front of the gateway"),
    _row(500, "500.002.1001", None, Verdict.UNKNOWN, "unclear",
         "the same code as a duplicate, but says system internal error"),
    _row(500, "500.001.1001", None, Verdict.UNKNOWN, "unclear",
         "internal server error, or a text we do not know"),
    _row(500, "500.003.1001", None, Verdict.UNKNOWN, "unclear", "internal server error"),
    _row(None, "00.002.1001", None, Verdict.UNKNOWN, "unclear",
         "under maintenance: nobody documents that nothing was taken"),
    _row(503, None, None, Verdict.UNKNOWN, "unclear",
         "a proxy's page, also when the server behind it was reached"),
    _row(None, None, None, Verdict.UNKNOWN, "unclear",
         "all else: other 5xx, HTML, empty or unparsable, 200 without the ids or ResponseCode 0"),
)
# fmt: on

# What the person at the other end reads. It says why; the flow says what became of the money.
WORDS = {
    "not_sent": "M-Pesa could not be reached. Please try again.",
    "mpesa_off": "M-Pesa is switched off here.",
    "setup": "M-Pesa does not take our requests at the moment. We are looking into it.",
    "phone_busy": "Another M-Pesa request is open on that phone. Finish it, wait a minute, then "
    "try again.",
    "busy": "M-Pesa is busy. Please try again in a minute.",
    "blocked": "M-Pesa could not be reached. Please try again in a few minutes.",
    "token_refused": "M-Pesa could not be reached. Please try again in a minute.",
    "request_invalid": "M-Pesa did not take this request. Check the phone number and the amount.",
}


def classify(call: Call, status: int, error_code: str | None, text: str) -> AnswerRow:
    """This will find the row that decides an answer which is not a plain success."""
    return next(row for row in ANSWERS if row.fits(call, status, error_code, text))


class Means(StrEnum):
    """What a result code proves about the money."""

    PAID = "paid"  # code 0, the only success
    FAILED = "failed"  # known not to have been paid
    PENDING = "pending"  # not finished
    UNCLEAR = "unclear"  # proves nothing: ask


@dataclass(frozen=True, slots=True)
class ResultRow:
    """``ours``: the cause is our own set-up or funds, and a person of the house must look."""

    code: str
    means: Means
    words: str
    reason: str
    ours: bool = False


_OURS = "M-Pesa did not take our request. We are looking into it."
_BUSY = "M-Pesa was too busy. Please try again in a few minutes."
_UNCLEAR = "M-Pesa has not said clearly what happened. We are asking it."
_PHONE = "M-Pesa did not know that number. Check it and try again."
_LIMIT = "This would go over your M-Pesa limit. Try a smaller amount, or tomorrow."
_P, _F, _U = Means.PAID, Means.FAILED, Means.UNCLEAR

# fmt: off
COLLECTION_RESULTS: tuple[ResultRow, ...] = (
    ResultRow("0", _P, "Paid.", "paid"),
    ResultRow("1", _F, "There was not enough money in your M-Pesa account.", "payer lacks funds"),
    ResultRow("2", _F, "The amount is below what M-Pesa takes.", "below minimum"),
    ResultRow("3", _F, "The amount is above what M-Pesa takes at once.", "above maximum"),
    ResultRow("4", _F, _LIMIT, "payer's daily limit"),
    ResultRow("8", _F, _OURS, "our shortcode's balance limit", ours=True),
    ResultRow("15", _U, _UNCLEAR, "duplicate id; seen in lists only"),
    ResultRow("17", _F, "The same amount was asked of this phone a moment ago. Wait two minutes.",
              "same amount to the same payer within two minutes"),
    ResultRow("21", _F, _OURS, "initiator not allowed", ours=True),
    ResultRow("26", _F, _BUSY, "system busy, request rejected"),
    ResultRow("1001", _F, "Another M-Pesa request was open on your phone. Wait a minute.",
              "subscriber locked by another session"),
    ResultRow("1019", _F, "The request ran out of time. Please try again.", "expired"),
    ResultRow("1025", _F, "M-Pesa could not reach your phone. Please try again.", "push failed"),
    ResultRow("1031", _F, "The request was cancelled, or ran out of time.", "cancelled"),
    ResultRow("1032", _F, "The request was cancelled, or ran out of time.",
              "cancelled; some phones also say so when the prompt times out"),
    ResultRow("1036", _U, _UNCLEAR, "the phone's answer did not come back in time"),
    ResultRow("1037", _F, "Your phone could not be reached, or the prompt was not answered.",
              "phone off, unreachable or ignored"),
    ResultRow("1101", _F, _OURS, "prompt text too long", ours=True),
    ResultRow("1102", _F, _OURS, "prompt text too long", ours=True),
    ResultRow("2001", _F, "The M-Pesa PIN was wrong.", "payer typed a wrong PIN"),
    ResultRow("2008", _F, "M-Pesa could not confirm it was you. Please try again.",
              "authentication failed"),
    ResultRow("2026", _F, "The request ran out of time. Please try again.", "session expired"),
    ResultRow("2028", _F, _OURS, "wrong TransactionType or PartyB", ours=True),
    ResultRow("4999", Means.PENDING, "M-Pesa is still working on it.", "query only: not finished"),
    ResultRow("8006", _F, "Your M-Pesa PIN is locked. Call M-Pesa to unlock it.",
              "payer's PIN locked"),
    ResultRow("9999", _U, _UNCLEAR, "meaning disputed"),
    ResultRow("E3008", _F, _PHONE, "sandbox: not a test number"),
    ResultRow("SFC_IC0003", _F, _OURS, "wrong PartyB or TransactionType", ours=True),
)

PAYOUT_RESULTS: tuple[ResultRow, ...] = (
    ResultRow("0", _P, "Paid.", "paid"),
    ResultRow("1", _F, _OURS, "our Utility account is short", ours=True),
    ResultRow("2", _F, "The amount is below what M-Pesa pays out.", "below minimum"),
    ResultRow("3", _F, "The amount is above what M-Pesa pays out at once.", "above maximum"),
    ResultRow("4", _F, _LIMIT, "daily limit"),
    ResultRow("8", _F, "That would put more into the M-Pesa account than it may hold.",
              "recipient's maximum balance"),
    ResultRow("11", _F, _OURS, "our account is inactive", ours=True),
    ResultRow("15", _U, _UNCLEAR, "duplicate: the first of that id counts"),
    ResultRow("17", _U, _UNCLEAR, "internal failure or rule: unknown, ask"),
    ResultRow("18", _F, _OURS, "credential check failed", ours=True),
    ResultRow("20", _F, _OURS, "unresolved initiator", ours=True),
    ResultRow("21", _F, _OURS, "initiator lacks the role", ours=True),
    ResultRow("24", _F, _OURS, "missing parameters", ours=True),
    ResultRow("25", _F, _OURS, "invalid parameters", ours=True),
    ResultRow("26", _F, _BUSY, "traffic blocking"),
    ResultRow("29", _F, _OURS, "invalid command", ours=True),
    ResultRow("2001", _F, _OURS, "our user, password or certificate", ours=True),
    ResultRow("2006", _F, "An M-Pesa account in this payment is not active.", "account inactive"),
    ResultRow("2028", _F, _OURS, "shortcode lacks B2C", ours=True),
    ResultRow("2040", _F, "That number has no M-Pesa account that can be paid.",
              "recipient not registered"),
    ResultRow("8006", _F, _OURS, "our credential is locked: stop payouts", ours=True),
    ResultRow("SFC_IC0003", _F, _PHONE, "receiver is invalid"),
    ResultRow("TP40153", _F, _OURS, "operator has no permission", ours=True),
)

RETURN_RESULTS: tuple[ResultRow, ...] = (
    ResultRow("0", _P, "Sent back.", "sent back"),
    ResultRow("R000001", _U, "It seems to have gone back before.",
              "already reversed: as good as done once checked"),
    ResultRow("R000002", _F, "M-Pesa does not know that payment.", "original id is invalid",
              ours=True),
    ResultRow("1", _F, "Our M-Pesa account was short.", "the collected money was moved on",
              ours=True),
    ResultRow("11", _F, _OURS, "our account is inactive", ours=True),
    ResultRow("21", _F, _OURS, "initiator lacks the role", ours=True),
    ResultRow("25", _F, _OURS, "invalid parameters", ours=True),
    ResultRow("2001", _F, _OURS, "our user, password or certificate", ours=True),
    ResultRow("2006", _F, "An M-Pesa account in this payment is not active.", "account inactive"),
    ResultRow("2028", _F, _OURS, "shortcode lacks reversal", ours=True),
    ResultRow("8006", _F, _OURS, "our credential is locked: stop payouts", ours=True),
    ResultRow("TP40153", _F, _OURS, "operator has no permission", ours=True),
)
# fmt: on

RETURNED_BEFORE = "R000001"

# A status question that fails with one of these found no such payment. Seen at one implementer
# only, so it is a hint: absence needs two answers, a complete statement and two persons.
STATUS_NOT_FOUND = frozenset({"25"})

# Our initiator's password or right was refused. A few more of these and M-Pesa locks it, for all.
CREDENTIAL_REFUSED = frozenset({"2001", "8006", "TP40153"})

_COLLECTIONS = {row.code: row for row in COLLECTION_RESULTS}
_PAYOUTS = {row.code: row for row in PAYOUT_RESULTS}
_RETURNS = {row.code: row for row in RETURN_RESULTS}


def collection_result(code: str) -> ResultRow:
    """This will say what a collection's result code means; an unlisted one proves nothing."""
    return _COLLECTIONS.get(code) or ResultRow(code, _U, _UNCLEAR, "unlisted")


def payout_result(code: str) -> ResultRow:
    """This will say what a payout's result code means; an unlisted one proves nothing."""
    return _PAYOUTS.get(code) or ResultRow(code, _U, _UNCLEAR, "unlisted")


def return_result(code: str) -> ResultRow:
    """This will say what a reversal's result code means; an unlisted one proves nothing."""
    return _RETURNS.get(code) or ResultRow(code, _U, _UNCLEAR, "unlisted")


def answers_table() -> list[str]:
    """The first table as markdown rows, for the documentation and its test."""
    lines = []
    for number, row in enumerate(ANSWERS, 1):
        calls = "all" if row.calls == ALL else ", ".join(sorted(row.calls))
        seen = [row.status or "any", row.error_code or "any", row.says or "any"]
        cells = [number, calls, *seen, row.verdict.value, row.code, row.evidence]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return lines


def results_table(rows: tuple[ResultRow, ...]) -> list[str]:
    """A result table as markdown rows, for the documentation and its test."""
    return [
        f"| {row.code} | {row.means.value} | {'yes' if row.ours else ''} | {row.reason} "
        f"| {row.words} |"
        for row in rows
    ]
