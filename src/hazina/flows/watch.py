"""What operators see of a flow, in the same shape for each: rows, ages, what is waited for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from markupsafe import Markup

from hazina.desk.webkit.filters import age, when
from hazina.desk.webkit.flash import Tone
from hazina.desk.webkit.view import Column, Link, Value
from hazina.infra.db import Row, Tx
from hazina.kernel.clock import EAT
from hazina.kernel.errors import Invalid
from hazina.kernel.money import Money

# Alarms about what is unknown, as the posting manual sets them.
LATE, LATER, LATEST = timedelta(minutes=15), timedelta(hours=2), timedelta(hours=24)
NEWEST = UUID(int=2**128 - 1)  # before every cursor
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PLACE = re.compile(r"[0-9]{1,17}\.[0-9a-f]{32}", re.ASCII)

LIST_COLUMNS = [
    Column("What"),
    Column("Amount", numeric=True),
    Column("Phone"),
    Column("State"),
    Column("For", numeric=True),
    Column("Waits for"),
    Column("Next step"),
]
EVENT_COLUMNS = ["When", "What happened", "From", "To", "By", "Note"]
ATTEMPT_COLUMNS = ["Attempt", "Begun", "Ended", "Outcome", "Note", "Digest of the request"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list that is sorted by (since, id) goes on: after this."""

    since: datetime
    id: UUID

    def __str__(self) -> str:
        micros = (self.since - EPOCH) // timedelta(microseconds=1)
        return f"{micros}.{self.id.hex}"

    @classmethod
    def of(cls, text: str) -> "Place":
        """Raises: Invalid."""
        if not PLACE.fullmatch(text):
            raise Invalid.field("cursor", "That cursor is not one of ours: start anew.")
        micros, _, digits = text.partition(".")
        return cls(EPOCH + timedelta(microseconds=int(micros)), UUID(digits))


BEGINNING = Place(EPOCH, UUID(int=0))


@dataclass(frozen=True, slots=True)
class Watched:
    """One row of a flow as an operator sees it in a list."""

    wire: str
    path: str
    amount: Money
    phone: str
    chip: str
    tone: Tone
    since: datetime
    waits_for: str
    next_step: str
    settled: bool


@dataclass(frozen=True, slots=True)
class Chapter:
    """One table of a detail page; ``empty`` is said where it has no rows."""

    title: str
    columns: Sequence[str | Column]
    rows: Sequence[Sequence[Value]]
    empty: str


def list_rows(found: Sequence[Watched], now: datetime) -> list[list[Value]]:
    """Rows under ``LIST_COLUMNS``; each leads to its detail."""
    return [
        [
            Markup('<a href="{}"><span class="code keep">{}</span></a>').format(
                one.path, _short(one)
            ),
            one.amount,
            kept(one.phone),
            Markup('<span class="chip {}">{}</span>').format(one.tone, one.chip),
            None if one.settled else age(one.since, now),
            one.waits_for,
            one.next_step,
        ]
        for one in found
    ]


def filters(path: str, chosen: str, states: Sequence[tuple[str, str]]) -> list[tuple[Link, bool]]:
    """Every filter of a list with its address, and whether it is in force; no state: all open."""
    found = [(Link("Open", path), not chosen)]
    found += [(Link(label, f"{path}?state={value}"), chosen == value) for value, label in states]
    return found


def event_rows(events: Sequence[Row]) -> list[list[Value]]:
    """Rows under ``EVENT_COLUMNS``, oldest first."""
    return [
        [
            moment(e["at"]),
            _words(e["event"]),
            e["state_from"],
            e["state_to"],
            _actor(e["actor"]),
            e["note"],
        ]
        for e in events
    ]


async def attempt_rows(tx: Tx, table: str, subject_id: UUID) -> list[list[Value]]:
    """Rows under ``ATTEMPT_COLUMNS``; the request's bytes stay sealed. ``table`` is code's."""
    rows = await tx.fetch(
        "SELECT number, started_at, ended_at, outcome, note, digest, lease_until"  # noqa: S608
        f" FROM {table} WHERE subject_id = $1 ORDER BY number",
        subject_id,
    )
    return [
        [
            row["number"],
            moment(row["started_at"]),
            moment(row["ended_at"]) if row["ended_at"] else None,
            row["outcome"] or "under way",
            row["note"],
            short(row["digest"]),
        ]
        for row in rows
    ]


def at(words: str, due: datetime | None) -> str:
    """``words`` with the time they are due, in East Africa."""
    return f"{words} at {due.astimezone(EAT):%H:%M:%S}" if due else words


def moment(value: datetime) -> Markup:
    """A time to the second: operators compare it with what M-Pesa shows."""
    return Markup("{} {}").format(when(value, "date"), when(value, "time"))


def short(value: object) -> Markup:
    """The end of a long id; all of it is in the title."""
    text = str(value)
    return Markup('<span class="code" title="{}">…{}</span>').format(text, text[-8:])


def kept(text: str) -> Markup:
    """Short words that are not broken in two for the sake of a long note beside them."""
    return Markup('<span class="keep">{}</span>').format(text)


def _actor(text: str) -> Value:
    kind, _, who = text.partition(":")
    return Markup("{} {}").format(kind, short(who)) if who else kind


def _short(one: Watched) -> str:
    prefix, _, digits = one.wire.partition("_")
    return f"{prefix}_…{digits[-8:]}"


def _words(event: str) -> str:
    return event.replace("_", " ").capitalize()
