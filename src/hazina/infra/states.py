"""Rows that live by a state machine: compare-and-set on the state, an event row per transition.

A slice's table has ``id, state, state_since, next_attempt_at``; beside it ``<table>_event`` with
``(<subject>_id, seq, at, state_from, event, state_to, actor, note)``. There is no way to set a
state but through its machine's table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar
from uuid import UUID

from hazina.infra import points
from hazina.infra.db import Row, Tx
from hazina.infra.points import Phase
from hazina.kernel.actor import Actor
from hazina.kernel.errors import NotFound
from hazina.kernel.machine import Machine, StateMoved

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class StateTable(Generic[S, E]):
    """One table and its machine. Names come from code, never from a request."""

    def __init__(self, table: str, machine: Machine[S, E]) -> None:
        self.table = table
        self.machine = machine

    async def lock(self, tx: Tx, id: UUID) -> Row:  # noqa: A002
        """This will lock the row until the transaction ends. Raises: NotFound."""
        row = await tx.fetchrow(
            f"SELECT * FROM {self.table} WHERE id = $1 FOR NO KEY UPDATE",  # noqa: S608
            id,
        )
        if row is None:
            raise NotFound
        return row

    async def begin(self, tx: Tx, id: UUID, *, now: datetime, actor: Actor) -> None:  # noqa: A002
        """This will write the first event of a row that was just inserted."""
        await self._record(tx, id, None, "created", self.machine.initial, now, actor, None)
        enter(tx, f"{self.machine.name}.created")

    async def move(
        self,
        tx: Tx,
        row: Row,
        event: E,
        *,
        now: datetime,
        actor: Actor,
        note: str | None = None,
        changes: Mapping[str, object] | None = None,
    ) -> S:
        """This will take the row (locked before) to where ``event`` leads.

        Raises: StateMoved when its state has no such way out, or is no longer what was read.
        """
        state = self.machine.states(row["state"])
        following = self.machine.next(state, event)
        point = leave(self.machine, state, event)
        columns = {"state": following.value, "state_since": now, **(changes or {})}
        assignments = ", ".join(f"{name} = ${i}" for i, name in enumerate(columns, start=3))
        touched = await tx.execute(
            f"UPDATE {self.table} SET {assignments} WHERE id = $1 AND state = $2",  # noqa: S608
            row["id"],
            state.value,
            *columns.values(),
        )
        if touched != 1:
            raise StateMoved
        await self._record(tx, row["id"], state, event, following, now, actor, note)
        enter(tx, point)
        return following

    async def events(self, tx: Tx, id: UUID) -> list[Row]:  # noqa: A002
        """Every transition of one row, oldest first: its timeline."""
        return await tx.fetch(
            f"SELECT * FROM {self.table}_event WHERE subject_id = $1 ORDER BY seq",  # noqa: S608
            id,
        )

    async def _record(
        self,
        tx: Tx,
        id: UUID,  # noqa: A002
        before: S | None,
        event: E | str,
        after: S,
        now: datetime,
        actor: Actor,
        note: str | None,
    ) -> None:
        await tx.execute(
            f"""
            INSERT INTO {self.table}_event
                (subject_id, seq, at, state_from, event, state_to, actor, note)
            SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, $6, $7
            FROM {self.table}_event WHERE subject_id = $1
            """,  # noqa: S608
            id,
            now,
            before,
            str(event),
            str(after),
            str(actor),
            note,
        )


@dataclass(frozen=True, slots=True)
class _Committed:
    """The moment after a commit: one for all transitions that it made durable."""

    tx: Tx
    point: str

    def __call__(self) -> None:
        together = [one.point for one in self.tx.callbacks if isinstance(one, _Committed)]
        points.reach(Phase.COMMITTED, *together)


def leave(machine: Machine[S, E], state: S, event: E) -> str:
    """This will pass the point before a transition is written, and name the transition."""
    point = f"{machine.name}.{state.value}.{event.value}"
    points.reach(Phase.LEAVING, point)
    return point


def enter(tx: Tx, point: str) -> None:
    """This will pass the points after a transition was written and, later, committed."""
    points.reach(Phase.ENTERED, point)
    if points.is_armed():
        tx.after_commit(_Committed(tx, point))


def state_tables(schema: str, name: str) -> list[str]:
    """The SQL of the event table that goes with ``schema.name``, for its migration."""
    return [
        f"""
        CREATE TABLE {schema}.{name}_event (
            subject_id uuid NOT NULL,
            seq        integer NOT NULL,
            at         timestamptz NOT NULL,
            state_from text,
            event      text NOT NULL,
            state_to   text NOT NULL,
            actor      text NOT NULL,
            note       text,
            PRIMARY KEY (subject_id, seq)
        )
        """,
        f"GRANT SELECT, INSERT ON {schema}.{name}_event TO hazina_app",
        f"GRANT SELECT ON {schema}.{name}_event TO hazina_read",
    ]
