"""Withdrawals as operators see them: everybody's, read only, never with a whole phone number."""

from collections.abc import Sequence
from uuid import UUID

from hazina.flows.deposits.repository import Reader
from hazina.flows.watch import BEGINNING, NEWEST, Place, Watched, at
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.flows.withdrawals.story import CHIPS
from hazina.infra.db import Row, Tx
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES
from hazina.kernel.page import Page

S = WithdrawalState
SETTLED = (S.PAID, S.FAILED)
OPEN = "state NOT IN ('paid', 'failed')"
# States are written into the SQL, from the enum alone: only so can the partial index be used.
LIST = """
SELECT * FROM withdrawals.withdrawal WHERE {where} AND id < $1 ORDER BY id DESC LIMIT $2
"""
QUESTIONS = """
SELECT * FROM withdrawals.withdrawal
WHERE state IN ('unknown', 'contradicted') AND (state_since, id) > ($2, $3)
ORDER BY state_since, id LIMIT $1
"""
DUE_NOW = """
UPDATE withdrawals.withdrawal SET next_attempt_at = $2
WHERE id = $1 AND state IN ('sent', 'unknown', 'contradicted')
"""
BY_ID = "SELECT * FROM withdrawals.withdrawal WHERE id = $1"
ASKED = "SELECT asked_at FROM withdrawals.question WHERE withdrawal_id = $1 ORDER BY asked_at"


OWNER = "SELECT customer_id FROM withdrawals.withdrawal WHERE receipt = $1"


async def find_owner(reader: Reader, receipt: str) -> UUID | None:
    """Who was paid out under that receipt."""
    row = await reader.fetchrow(OWNER, receipt)
    return row["customer_id"] if row else None


async def list_all(
    reader: Reader, state: WithdrawalState | None, *, limit: int, cursor: str | None
) -> Page[Watched]:
    """Those in ``state``, or all that are open; newest first."""
    before = parse_id("wdr", cursor) if cursor else NEWEST
    rows = await reader.fetch(LIST.format(where=_where(state)), before, limit + 1)
    return Page.of([watched(row) for row in rows], limit, lambda one: one.wire)


async def list_questions(
    reader: Reader, *, limit: int, after: Place = BEGINNING
) -> Sequence[Watched]:
    """Those of which nobody knows whether they were paid, or that M-Pesa contradicts; the oldest
    first."""
    rows = await reader.fetch(QUESTIONS, limit, after.since, after.id)
    return [watched(row) for row in rows]


async def find_row(tx: Tx, withdrawal_id: UUID) -> Row:
    """Raises: NotFound."""
    row = await tx.fetchrow(BY_ID, withdrawal_id)
    if row is None:
        raise NotFound
    return row


def watched(row: Row) -> Watched:
    state = S(row["state"])
    wire = wire_id("wdr", row["id"])
    waits_for, next_step = waiting(row)
    return Watched(
        wire,
        f"/withdrawals/{wire}",
        KES.units(int(row["amount"])),
        row["phone_masked"],
        state.value.capitalize(),
        CHIPS[state][1],
        row["state_since"],
        waits_for,
        next_step,
        state in SETTLED,
    )


def waiting(row: Row) -> tuple[str, str]:
    """What a withdrawal waits for, and what happens next by itself or by whom."""
    due = row["next_attempt_at"]
    match S(row["state"]):
        case S.HELD if row["held_back"]:
            return row["held_back"], at("It is looked at again", due)
        case S.HELD:
            return "A worker", at("M-Pesa is asked to pay", due)
        case S.SENDING:
            return "M-Pesa's answer", at("Without one it counts as unknown", due)
        case S.SENT:
            return "M-Pesa's result", at("M-Pesa is asked how it stands", due)
        case S.UNKNOWN if due:
            return "M-Pesa's word; the money stays held", at("M-Pesa is asked", due)
        case S.UNKNOWN:
            return "A person; the money stays held", "Look for it in M-Pesa's statement"
        case S.CONTRADICTED:
            words = "M-Pesa's word: it ended as not paid, and was paid after all?"
            return words, at("M-Pesa is asked, or two persons say", due)
        case S.PAID | S.FAILED:
            return "", ""


def _where(state: WithdrawalState | None) -> str:
    if state is None:
        return OPEN
    if state in SETTLED:
        return f"state = '{state.value}'"
    return f"state = '{state.value}' AND {OPEN}"
