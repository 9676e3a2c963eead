"""Deposits as operators see them: everybody's, read only, never with a whole phone number."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from hazina.flows.deposits.repository import Reader
from hazina.flows.deposits.states import DepositState
from hazina.flows.deposits.story import CHIPS
from hazina.flows.watch import BEGINNING, NEWEST, Place, Watched, at
from hazina.infra.db import Row, Tx
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES
from hazina.kernel.page import Page

S = DepositState
SETTLED = (S.PAID, S.TAKEN_BACK, S.FAILED)
OPEN = "state NOT IN ('paid', 'failed') AND state <> 'taken_back'"
# States are written into the SQL, from the enum alone: only so can the partial index be used.
LIST = """
SELECT * FROM deposits.deposit WHERE {where} AND id < $1 ORDER BY id DESC LIMIT $2
"""
QUESTIONS = """
SELECT * FROM deposits.deposit
WHERE state IN ('unknown', 'confirmed', 'suspended') AND (state_since, id) > ($2, $3)
ORDER BY state_since, id LIMIT $1
"""
# Without M-Pesa's id there is nothing to ask about.
DUE_NOW = """
UPDATE deposits.deposit SET next_attempt_at = $2
WHERE id = $1 AND state IN ('prompted', 'unknown') AND checkout_request_id IS NOT NULL
"""
# M-Pesa's list shows 48 hours: what was asked for before it can no longer be found there.
LISTED_SINCE = """
SELECT min(requested_at) AS since FROM deposits.deposit
WHERE state IN ('unknown', 'confirmed') AND state_since > $1
"""
BY_ID = "SELECT * FROM deposits.deposit WHERE id = $1"
RECEIPTS = """
SELECT receipt, amount, completed_at, received_at, group_id FROM deposits.mpesa_receipt
WHERE deposit_id = $1 ORDER BY received_at
"""


OWNER = """
SELECT d.customer_id FROM deposits.mpesa_receipt r
JOIN deposits.deposit d ON d.id = r.deposit_id WHERE r.receipt = $1
"""


async def find_owner(reader: Reader, receipt: str) -> UUID | None:
    """Whose prompt was paid under that receipt."""
    row = await reader.fetchrow(OWNER, receipt)
    return row["customer_id"] if row else None


async def list_all(
    reader: Reader, state: DepositState | None, *, limit: int, cursor: str | None
) -> Page[Watched]:
    """Those in ``state``, or all that are open; newest first."""
    before = parse_id("dep", cursor) if cursor else NEWEST
    rows = await reader.fetch(LIST.format(where=_where(state)), before, limit + 1)
    return Page.of([watched(row) for row in rows], limit, lambda one: one.wire)


async def list_questions(
    reader: Reader, *, limit: int, after: Place = BEGINNING
) -> Sequence[Watched]:
    """Those whose ending nobody knows, or that a person must end; the oldest first."""
    rows = await reader.fetch(QUESTIONS, limit, after.since, after.id)
    return [watched(row) for row in rows]


async def oldest_unlisted(reader: Reader, since: datetime) -> datetime | None:
    """When the oldest prompt was asked for that came to wait for M-Pesa's list after ``since``."""
    row = await reader.fetchrow(LISTED_SINCE, since)
    return row["since"] if row else None


async def find_row(tx: Tx, deposit_id: UUID) -> Row:
    """Raises: NotFound."""
    row = await tx.fetchrow(BY_ID, deposit_id)
    if row is None:
        raise NotFound
    return row


def watched(row: Row) -> Watched:
    state = S(row["state"])
    wire = wire_id("dep", row["id"])
    waits_for, next_step = waiting(row)
    return Watched(
        wire,
        f"/deposits/{wire}",
        KES.units(int(row["amount"])),
        row["phone_masked"],
        state.value.capitalize(),
        CHIPS[state][1],
        row["state_since"],
        waits_for,
        next_step,
        state in SETTLED,
    )


LISTED = "M-Pesa's list is read for it; after 48 hours the statement, then two persons"


def waiting(row: Row) -> tuple[str, str]:
    """What a deposit waits for, and what happens next by itself or by whom."""
    due = row["next_attempt_at"]
    match S(row["state"]):
        case S.REQUESTED:
            return "A worker", at("The prompt is sent", due)
        case S.SENDING:
            return "M-Pesa's answer", at("Without one it counts as unknown", due)
        case S.PROMPTED:
            return "The PIN, then M-Pesa's callback", at("M-Pesa is asked", due)
        case S.UNKNOWN if due:
            return "M-Pesa's word", at("M-Pesa is asked", due)
        case S.UNKNOWN:
            return "A callback, or M-Pesa's list", LISTED
        case S.CONFIRMED:
            return "M-Pesa's receipt", LISTED
        case S.SUSPENDED:
            return "A person", "Give the shillings to whom they belong, or send them back"
        case S.PAID | S.TAKEN_BACK | S.FAILED:
            return "", ""


def _where(state: DepositState | None) -> str:
    if state is None:
        return OPEN
    if state in SETTLED:
        return f"state = '{state.value}'"
    return f"state = '{state.value}' AND {OPEN}"
