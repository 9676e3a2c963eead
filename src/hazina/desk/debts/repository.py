"""The debts' SQL, and a debt as others may see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hazina.desk.debts.states import DebtState
from hazina.infra.db import Row
from hazina.kernel.money import ASSETS, Money
from hazina.ledger.reading import BOOKED, POSTED_UNBOUNDED

# Locks against a claw-back that is under way, then the open debts, the oldest first.
OF_CUSTOMERS = "SELECT * FROM desk.debts_of($1::uuid[])"
BAR = "SELECT desk.bar_customer($1)"
ADD = """
INSERT INTO desk.debt
    (id, customer_id, asset, amount, outstanding, cause, state, state_since, since)
VALUES ($1, $2, $3, $4, $4, $5, 'open', $6, $6)
"""
OPEN = "SELECT * FROM desk.debt WHERE state = 'open' ORDER BY since, id LIMIT $1"
OPEN_OF = "SELECT * FROM desk.debt WHERE customer_id = $1 AND state = 'open' ORDER BY since, id"
GET = "SELECT * FROM desk.debt WHERE id = $1"
OPEN_IDS = "SELECT id FROM desk.debt WHERE state = 'open' AND id > $1 ORDER BY id LIMIT $2"
# (as a proof) each debt beside what was booked for it, and all of them beside the receivables.
EXACT = f"""
SELECT format('debt %s: outstanding %s, the ledger says %s', d.id, d.outstanding,
              coalesce(b.owed, 0))
FROM desk.debt d
LEFT JOIN (
    SELECT k.reference_id,
           sum(CASE WHEN k.code = 'claw_back_owed' THEN k.amount ELSE -k.amount END) AS owed
    FROM ({BOOKED}) k WHERE k.reference_type = 'debt' GROUP BY 1) b ON b.reference_id = d.id
WHERE d.outstanding <> coalesce(b.owed, 0)
UNION ALL
SELECT format('receivable:customer %s: %s, all debts %s', u.asset, -u.posted,
              coalesce(o.outstanding, 0))
FROM ({POSTED_UNBOUNDED}) u
LEFT JOIN (SELECT d.asset, sum(d.outstanding) AS outstanding FROM desk.debt d GROUP BY 1) o
    ON o.asset = u.asset
WHERE u.purpose = 'receivable:customer' AND -u.posted <> coalesce(o.outstanding, 0)
"""  # noqa: S608 - constants


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Debt:
    """What a customer owes. ``cause`` is what was taken back: an M-Pesa receipt."""

    id: UUID
    customer_id: UUID
    amount: Money
    outstanding: Money
    cause: str
    state: DebtState
    since: datetime

    @classmethod
    def of(cls, row: Row) -> "Debt":
        asset = ASSETS[row["asset"]]
        return cls(
            row["id"],
            row["customer_id"],
            asset.units(int(row["amount"])),
            asset.units(int(row["outstanding"])),
            row["cause"],
            DebtState(row["state"]),
            row["since"],
        )
