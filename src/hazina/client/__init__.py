"""A client of Hazina's ledger for other services' programs: typed, signed, safe to retry.

It shares nothing with the house but the wire (docs/internal-api.md), so that it can be taken out of
here alone; httpx is all it needs.

    async with LedgerClient(url, credential, secret) as ledger:
        await ledger.open([Account("alice", "KES")])
        paid = Transfer.post(WORLD, "alice", "KES", Decimal("250.00"))
        [result] = await ledger.post([paid])
"""

from hazina.client.ledger import LedgerClient, LedgerRefused, LedgerUnanswered, Retry
from hazina.client.local import new_id
from hazina.client.wire import (
    WORLD,
    Account,
    AccountFound,
    Balance,
    Booked,
    Line,
    Result,
    Statement,
    Transfer,
    linked,
)

__all__ = [
    "WORLD",
    "Account",
    "AccountFound",
    "Balance",
    "Booked",
    "LedgerClient",
    "LedgerRefused",
    "LedgerUnanswered",
    "Line",
    "Result",
    "Retry",
    "Statement",
    "Transfer",
    "linked",
    "new_id",
]
