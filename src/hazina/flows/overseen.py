"""A flow's rows as operators list them: everybody's, read only, never with a whole phone number.

A flow says which table, states and words are its own; what a list does with them is the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from hazina.desk.webkit.flash import Tone
from hazina.desk.webkit.templates import render
from hazina.flows.watch import (
    BEGINNING,
    LIST_COLUMNS,
    NEWEST,
    Place,
    Watched,
    filters,
    list_rows,
)
from hazina.identity.bearer import house_of
from hazina.infra.db import Row, Tx
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES
from hazina.kernel.page import Page

S = TypeVar("S", bound=StrEnum)
PAGE = 50


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Overseen(Generic[S]):
    """One flow's table. ``prefix`` of its ids on the wire; ``settled`` states wait for nothing,
    ``questions`` are those whose ending nobody knows, or that a person must end; ``waiting`` says
    what a row waits for, and what happens next by itself or by whom.

    Names come from code, never from a request; states are written into the SQL, from the enum
    alone: only so can the partial indexes be used.
    """

    table: str
    prefix: str
    path: str
    chips: Mapping[S, tuple[str, Tone]]
    settled: Sequence[S]
    questions: Sequence[S]
    waiting: Callable[[Row], tuple[str, str]]

    async def list_all(
        self, reader: Reader, state: S | None, *, limit: int, cursor: str | None
    ) -> Page[Watched]:
        """Those in ``state``, or all that are open; newest first."""
        before = parse_id(self.prefix, cursor) if cursor else NEWEST
        sql = (
            f"SELECT * FROM {self.table} WHERE {self._where(state)} AND id < $1"  # noqa: S608
            " ORDER BY id DESC LIMIT $2"
        )
        rows = await reader.fetch(sql, before, limit + 1)
        return Page.of([self.watched(row) for row in rows], limit, lambda one: one.wire)

    async def list_questions(
        self, reader: Reader, *, limit: int, after: Place = BEGINNING
    ) -> Sequence[Watched]:
        """Those whose ending nobody knows, or that a person must end; the oldest first."""
        sql = (
            f"SELECT * FROM {self.table} WHERE state IN ({_listed(self.questions)})"  # noqa: S608
            " AND (state_since, id) > ($2, $3) ORDER BY state_since, id LIMIT $1"
        )
        rows = await reader.fetch(sql, limit, after.since, after.id)
        return [self.watched(row) for row in rows]

    async def find_row(self, tx: Tx, id: UUID) -> Row:  # noqa: A002
        """Raises: NotFound."""
        row = await tx.fetchrow(f"SELECT * FROM {self.table} WHERE id = $1", id)  # noqa: S608
        if row is None:
            raise NotFound
        return row

    def watched(self, row: Row) -> Watched:
        state = self._states(row["state"])
        wire = wire_id(self.prefix, row["id"])
        waits_for, next_step = self.waiting(row)
        return Watched(
            wire,
            f"{self.path}/{wire}",
            KES.units(int(row["amount"])),
            row["phone_masked"],
            state.value.capitalize(),
            self.chips[state][1],
            row["state_since"],
            waits_for,
            next_step,
            state in self.settled,
        )

    async def page(
        self, request: Request, state: S | None, cursor: str | None, *, title: str, lede: str
    ) -> Response:
        """The console's list of those in ``state``, or of all that are open."""
        house, chosen = house_of(request), state.value if state else ""
        found = await self.list_all(house.db, state, limit=PAGE, cursor=cursor)
        here = f"{self.path}?state={chosen}" if state else self.path
        more = f"{here}{'&' if state else '?'}cursor={found.next_cursor}"
        states = [(one.value, one.value.capitalize()) for one in self._states]
        return render(
            request,
            "deposits/watch_list.html",
            title=title,
            lede=lede,
            filters=filters(self.path, chosen, states),
            columns=LIST_COLUMNS,
            rows=list_rows(found.items, house.clock.now()),
            older=more if found.next_cursor else "",
            newer=here if cursor else "",
        )

    @property
    def _states(self) -> type[S]:
        return type(self.settled[0])

    def _where(self, state: S | None) -> str:
        open_ones = " AND ".join(f"state <> '{one.value}'" for one in self.settled)
        if state is None:
            return open_ones
        if state in self.settled:
            return f"state = '{state.value}'"
        return f"state = '{state.value}' AND {open_ones}"


def _listed(states: Sequence[StrEnum]) -> str:
    return ", ".join(f"'{state.value}'" for state in states)
