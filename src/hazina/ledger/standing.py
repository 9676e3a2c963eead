"""Where the books stand at one moment, small enough to be written beside a copy of them.

A copy is taken while the house works, so it may hold a little more than was counted. The count is
therefore bound to a database snapshot: in the copy, what that snapshot saw is counted again and
must be the same. The newest sealed head (``heads``) is kept beside it: that pins what is sealed,
this the rest too.
"""

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from hazina.infra.db import Tx
from hazina.ledger.history import History

SNAPSHOT = "SELECT pg_current_snapshot()::text"
TOTALS = """
SELECT asset, kind, count(*) AS transfers, sum(amount) AS amount FROM ledger.transfer
WHERE pg_visible_in_snapshot(tx, $1::text::pg_snapshot) GROUP BY 1, 2 ORDER BY 1, 2
"""
LAST = """
SELECT id, booked_at FROM ledger.transfer
WHERE pg_visible_in_snapshot(tx, $1::text::pg_snapshot) ORDER BY id DESC LIMIT 1
"""
ALL = "SELECT count(*) FROM ledger.transfer"


@dataclass(frozen=True, slots=True)
class Standing:
    """``totals`` is a hash over count and amount by asset and kind; ``trial_balance`` over every
    purpose's debits, credits and holds. Holds, hashes and ids are text, as in JSON."""

    snapshot: str
    transfers: int
    last_id: str | None
    last_booked_at: str | None
    totals: str
    trial_balance: str

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> "Standing":
        """Raises: TypeError, when it is not one."""
        return cls(**told)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


async def take_standing(tx: Tx) -> Standing:
    """This will count the books. Give it a transaction of one snapshot (REPEATABLE READ)."""
    snapshot: str = await tx.fetchval(SNAPSHOT)
    return await _counted(tx, snapshot)


async def find_differences(tx: Tx, told: Standing) -> list[str]:
    """What of ``told`` the books before us contradict; empty when they hold all of it.

    Its trial balance is compared where nothing was booked after it.
    """
    found = await _counted(tx, told.snapshot)
    differences = [
        f"{name}: {getattr(found, name)} here, {getattr(told, name)} in the copy's record"
        for name in ("transfers", "last_id", "last_booked_at", "totals")
        if getattr(found, name) != getattr(told, name)
    ]
    later = await tx.fetchval(ALL) - found.transfers
    if not differences and not later and found.trial_balance != told.trial_balance:
        differences.append("the trial balance is another one")
    return differences


async def _counted(tx: Tx, snapshot: str) -> Standing:
    totals = await tx.fetch(TOTALS, snapshot)
    last = await tx.fetchrow(LAST, snapshot)
    last_id: UUID | None = last["id"] if last else None
    booked_at: datetime | None = last["booked_at"] if last else None
    trial = [
        f"{line.purpose.value} {line.asset.code} {line.debits.units} {line.credits.units}"
        f" {line.held.units}"
        for line in await History(tx).trial_balance()
    ]
    return Standing(
        snapshot,
        sum(row["transfers"] for row in totals),
        str(last_id) if last_id else None,
        booked_at.isoformat() if booked_at else None,
        _hash([f"{r['asset']} {r['kind']} {r['transfers']} {r['amount']}" for r in totals]),
        _hash(sorted(trial)),
    )


def _hash(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
