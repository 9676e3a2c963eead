"""What the demonstration reads in the house's own database, as the role that can only read.

The ledger's movements are read by the ledger's own sub-query, beside the rows they belong to.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from hazina.infra.db import Database
from hazina.kernel.ids import parse_id
from hazina.kernel.money import KES
from hazina.ledger.codes import Code
from hazina.ledger.reading import BOOKED
from hazina.rails.mpesa.wire import originator_id

OPEN_CLAIM = """
SELECT token, merchant_request_id, checkout_request_id FROM deposits.deposit WHERE id = $1
"""
# The forger's message alone: the true one comes from another address.
FORGED = """
SELECT DISTINCT state FROM infra.inbox
WHERE external_id LIKE $1 || ':%' AND ip = $2 ORDER BY state
"""
# Which of M-Pesa's columns holds the name that we gave a payment.
NAMED_BY = {
    "Pay Bill Online": "reference",
    "Business Payment to Customer": "originator_conversation_id",
}
IN = (Code.DEPOSIT, Code.DEPOSIT_IN_TRANSIT, Code.DEPOSIT_SUSPENSE)
OUT = (Code.WITHDRAWAL, Code.WITHDRAWAL_LATE)
PAID_IN = f"""
SELECT d.reference AS name, d.receipt, sum(k.amount) AS amount, 0 AS charge
FROM deposits.deposit d
JOIN ({BOOKED}) k ON k.reference_type = 'deposit' AND k.reference_id = d.id AND k.code = ANY($1)
GROUP BY 1, 2
"""  # noqa: S608 - the ledger's own text
PAID_UNASKED = f"""
SELECT p.account AS name, p.receipt, sum(k.amount) AS amount, 0 AS charge
FROM receipts.payment p
JOIN ({BOOKED}) k ON k.reference_type = 'payment' AND k.reference_id = p.id AND k.code = ANY($1)
GROUP BY 1, 2
"""  # noqa: S608
PAID_OUT = f"""
SELECT w.id, w.receipt, k.amount, coalesce(c.amount, 0) AS charge
FROM withdrawals.withdrawal w
JOIN ({BOOKED}) k
    ON k.reference_type = 'withdrawal' AND k.reference_id = w.id AND k.code = ANY($1)
LEFT JOIN ({BOOKED}) c ON c.reference_type = 'withdrawal' AND c.reference_id = w.id AND c.code = $2
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Claim:
    """What only M-Pesa and we know of an open payment."""

    token: str
    merchant_id: str
    checkout_id: str

    def invented(self, amount: int = 1000, receipt: str = "FORGED0001") -> dict[str, object]:
        """A callback that says it was paid, with everything right but the truth."""
        items = [
            {"Name": "Amount", "Value": amount},
            {"Name": "MpesaReceiptNumber", "Value": receipt},
            {"Name": "TransactionDate", "Value": 20261120120000},
            {"Name": "PhoneNumber", "Value": 254711000309},
        ]
        callback = {
            "MerchantRequestID": self.merchant_id,
            "CheckoutRequestID": self.checkout_id,
            "ResultCode": 0,
            "ResultDesc": "The service request is processed successfully.",
            "CallbackMetadata": {"Item": items},
        }
        return {"Body": {"stkCallback": callback}}


@dataclass(frozen=True, slots=True)
class Line:
    """One payment as a set of books has it; ``receipt`` is None where it was never told."""

    amount: str
    charge: str
    receipt: str | None

    def beside(self, other: "Line | None") -> str:
        """This line as text. A receipt that the other side was never told is not compared."""
        told = self.receipt if other is None or other.receipt else "not told"
        return f"KES {self.amount}, charge {self.charge}, receipt {told or 'not told'}"


async def payment_state(url: str, receipt: str) -> str:
    """How a payment that came unasked stands."""
    async with reading(url) as db:
        row = await db.fetchrow("SELECT state FROM receipts.payment WHERE receipt = $1", receipt)
    return "unheard of" if row is None else str(row["state"])


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Database]:
    db = await Database.connect(url, size=1)
    try:
        yield db
    finally:
        await db.close()


async def get_claim(url: str, deposit_id: str) -> Claim:
    """What a thief of our rows would know. Raises: LookupError."""
    async with reading(url) as db:
        row = await db.fetchrow(OPEN_CLAIM, parse_id("dep", deposit_id))
    if row is None:
        raise LookupError(deposit_id)
    return Claim(row["token"], row["merchant_request_id"], row["checkout_request_id"])


async def forged_state(url: str, token: str, ip: str) -> str:
    """How the inbox has left what a forger sent to ``token``."""
    async with reading(url) as db:
        rows = await db.fetch(FORGED, token, ip)
    return ", ".join(row["state"] for row in rows) or "not there"


async def our_lines(url: str) -> dict[str, Line]:
    """Every payment that the ledger has booked, by the name under which M-Pesa knows it."""
    async with reading(url) as db:
        codes = [code.value for code in IN]
        paid_in = await db.fetch(PAID_IN, codes) + await db.fetch(PAID_UNASKED, codes)
        paid_out = await db.fetch(PAID_OUT, [code.value for code in OUT], Code.MPESA_CHARGE.value)
    found = {row["name"]: _line(row["amount"], 0, row["receipt"]) for row in paid_in}
    for row in paid_out:
        payout_id: UUID = row["id"]
        found[originator_id(payout_id)] = _line(row["amount"], row["charge"], row["receipt"])
    return found


def their_lines(transactions: list[dict[str, str]]) -> dict[str, Line]:
    """Every payment in M-Pesa's books, by the same names; opening money is none."""
    found = {}
    for one in transactions:
        if one["kind"] in NAMED_BY:
            name = one[NAMED_BY[one["kind"]]]
            found[name] = Line(one["amount"], one["charge"], one["receipt"])
    return found


def _line(amount: int, charge: int, receipt: str | None) -> Line:
    return Line(KES.units(int(amount)).decimal, KES.units(int(charge)).decimal, receipt)
