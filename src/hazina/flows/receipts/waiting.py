"""Everything of M-Pesa's that waits: why, since when, and what comes next. Alarms by age."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Gauge

from hazina.flows.deposits import oversight as deposits
from hazina.flows.receipts import repository as sql
from hazina.flows.receipts import unmatched
from hazina.flows.receipts.repository import PaymentView, Reader
from hazina.flows.receipts.states import PaymentState
from hazina.flows.receipts.unmatched import Unmatched
from hazina.flows.watch import BEGINNING, LATE, LATER, LATEST, Place, Watched
from hazina.flows.withdrawals import oversight as withdrawals
from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, Row
from hazina.infra.jobs import Jobs
from hazina.infra.observability import REGISTRY
from hazina.kernel.clock import Clock
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES, Money
from hazina.kernel.page import Page

TOO_OLD = Alarm("question-open")

ALARM, ALARM_EVERY_S = "mpesa.alarm", 60
MOST = 500
PREFIX = {
    "deposit": "dep", "withdrawal": "wdr", "payment": "pay", "reversal": "rev", "unmatched": "unm",
}  # fmt: skip
AGES = (("15m", LATE), ("2h", LATER), ("24h", LATEST))
OPEN = Gauge(
    "hazina_mpesa_open",
    "Questions about M-Pesa that are open for at least this long.",
    ["age"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One open thing as operators list it."""

    kind: str
    id: UUID
    wire: str
    amount: Money
    who: str
    state: str
    since: datetime
    why: str
    next_step: str


async def list_waiting(
    db: Database, *, limit: int = MOST, after: Place = BEGINNING
) -> list[Waiting]:
    """All that is unknown, unproven, in suspense or on its way back; the oldest first."""
    money_in = await deposits.DEPOSITS.list_questions(db, limit=limit, after=after)
    money_out = await withdrawals.WITHDRAWALS.list_questions(db, limit=limit, after=after)
    rows = await db.fetch(sql.OPEN, limit, after.since, after.id)
    found = [_of("deposit", one) for one in money_in]
    found += [_of("withdrawal", one) for one in money_out]
    found += [waiting_payment(PaymentView.of(row)) for row in rows]
    gone = await db.fetch(sql.REVERSALS_OPEN, limit, after.since, after.id)
    found += [waiting_reversal(row) for row in gone]
    differing = await unmatched.list_open(db, limit, after.since, after.id)
    found += [waiting_unmatched(row) for row in differing]
    return sorted(found, key=lambda one: (one.since, one.id))[:limit]


async def page_waiting(db: Database, *, limit: int, cursor: str | None) -> Page[Waiting]:
    """The same, page by page. Raises: Invalid for a cursor that is none of ours."""
    after = Place.of(cursor) if cursor else BEGINNING
    found = await list_waiting(db, limit=limit + 1, after=after)
    return Page.of(found, limit, lambda one: str(Place(one.since, one.id)))


def waiting_deposit(one: Watched) -> Waiting:
    """A deposit as one of the things that wait."""
    return _of("deposit", one)


def waiting_withdrawal(one: Watched) -> Waiting:
    """A withdrawal as one of the things that wait."""
    return _of("withdrawal", one)


async def find_payment(reader: Reader, receipt: str) -> PaymentView | None:
    """The payment that came unasked under that receipt."""
    row = await reader.fetchrow(sql.OF_RECEIPT, receipt)
    return PaymentView.of(row) if row else None


class Alarms:
    """Says how many questions are open for how long, and names those that grew too old."""

    def __init__(self, db: Database, clock: Clock, jobs: Jobs, differing: Unmatched) -> None:
        self._db, self._clock, self._differing = db, clock, differing
        jobs.every(ALARM, ALARM_EVERY_S, self.sweep)

    async def sweep(self) -> None:
        """This will set the metric, and log each question in the minute it reaches an age."""
        await self._differing.explain()
        now, waiting = self._clock.now(), await list_waiting(self._db)
        minute = timedelta(seconds=ALARM_EVERY_S)
        for label, age in AGES:
            old = [one for one in waiting if now - one.since >= age]
            OPEN.labels(label).set(len(old))
            _say([one for one in old if now - one.since < age + minute], label)


def _say(reached: Sequence[Waiting], label: str) -> None:
    for one in reached:
        TOO_OLD.ring(
            "a question about M-Pesa is open",
            early=label == "15m",
            age=label,
            kind=one.kind,
            id=one.wire,
            state=one.state,
            why=one.why,
        )


def _of(kind: str, one: Watched) -> Waiting:
    return Waiting(
        kind,
        parse_id(PREFIX[kind], one.wire),
        one.wire,
        one.amount,
        one.phone,
        one.chip.lower(),
        one.since,
        one.waits_for,
        one.next_step,
    )


def waiting_payment(one: PaymentView) -> Waiting:
    """A payment that came unasked as one of the things that wait."""
    why, next_step = _words(one)
    return Waiting(
        "payment",
        one.id,
        wire_id("pay", one.id),
        one.amount,
        one.payer,
        one.state.value,
        one.since,
        why,
        next_step,
    )


def waiting_reversal(row: Row) -> Waiting:
    """A payment that M-Pesa is said to have taken back as one of the things that wait."""
    asked = row["next_attempt_at"] is not None
    return Waiting(
        "reversal",
        row["id"],
        wire_id("rev", row["id"]),
        KES.units(int(row["amount"])),
        row["receipt"],
        row["state"],
        row["state_since"],
        row["why"] or f"M-Pesa's word; told by its {row['heard_from']}",
        "M-Pesa is asked about it" if asked else "A person looks in M-Pesa's portal",
    )


def waiting_unmatched(row: Row) -> Waiting:
    """What only one of both books has as one of the things that wait."""
    ours = row["side"] == unmatched.OURS
    why = "M-Pesa's statement: it lacks what is booked here as paid to us"
    if not ours:
        why = "Our books: M-Pesa paid this to somebody, and no payout here explains it"
    return Waiting(
        "unmatched",
        row["id"],
        wire_id("unm", row["id"]),
        KES.units(int(row["amount"])),
        row["receipt"],
        "settled" if row["ended_at"] else "only here" if ours else "only there",
        row["found_at"],
        row["ended_why"] or why,
        "It ends by itself once both have it; else two persons say what it was",
    )


def _words(one: PaymentView) -> tuple[str, str]:
    match one.state:
        case PaymentState.INCOMING if not one.trusted:
            return "Told by a stranger", "M-Pesa's list decides, every 15 minutes"
        case PaymentState.INCOMING if one.next_attempt_at is None:
            return "M-Pesa has not agreed in 48 hours", "Look in M-Pesa's statement"
        case PaymentState.INCOMING:
            return "M-Pesa's word", "M-Pesa is asked, and its list is read"
        case PaymentState.RETURNING:
            return "M-Pesa's result of sending it back", "Without one: two persons, or the portal"
        case _:
            why = one.why or "nobody's"
            return why[:1].upper() + why[1:], "Two persons give it to somebody or send it back"
