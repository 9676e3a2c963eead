"""Outward calls of a house restored from a copy: what may have gone out since is not sent again.

A row that was waiting to be sent in the copy may have been sent a moment later; the copy cannot
know, nor how a call ended that was under way. Both become unknown, and the outside is asked, or
people say. A flow says which rows are its own and what could tell.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from hazina.desk.recovery import Moved, Question, Reader
from hazina.infra.attempts import Attempts
from hazina.infra.db import Tx
from hazina.infra.states import StateTable
from hazina.kernel.actor import SYSTEM


class RecoverCalls(ABC):
    """What ``desk.recovery`` may ask of a flow. ``ready`` and ``sending`` are as in ``OutwardCall``
    and its machine has an event called recovered; ``open_where`` are the rows of which nobody knows
    the ending; ``changes`` go with the event."""

    table: ClassVar[StateTable[Any, Any]]
    attempts: ClassVar[Attempts]
    ready: ClassVar[str]
    sending: ClassVar[str]
    open_where: ClassVar[str]
    note: ClassVar[str]
    changes: ClassVar[Mapping[str, object]] = {}

    async def recover(self, tx: Tx, now: datetime) -> int:
        """This will move what could be sent to unknown and make all that is open due."""
        unsent = await tx.fetch(
            f"SELECT * FROM {self.table.table} WHERE state IN ($1, $2)"  # noqa: S608
            " ORDER BY id FOR UPDATE",
            self.ready,
            self.sending,
        )
        for row in unsent:
            if row["state"] == self.sending:
                await self.attempts.end(
                    tx, row["id"], row["attempts"], outcome="lost", note=self.note, now=now
                )
            event = self.table.machine.events("recovered")
            await self.table.move(
                tx, row, event, now=now, actor=SYSTEM, note=self.note, changes=self.changes
            )
        await self.ask_now(tx, now)
        return await self.count(tx)

    async def count(self, reader: Reader) -> int:
        row = await reader.fetchrow(
            f"SELECT count(*) AS n FROM {self.table.table} WHERE {self.open_where}"  # noqa: S608
        )
        return int(row["n"]) if row else 0

    @abstractmethod
    async def ask_now(self, tx: Tx, now: datetime) -> None:
        """This will make every open row that can be asked about due."""

    @abstractmethod
    async def questions(self, reader: Reader, limit: int) -> list[Question]:
        """What is open, the oldest first."""

    @abstractmethod
    async def explained(self, reader: Reader, moved: Sequence[Moved]) -> set[str]:
        """The receipts of those lines of the outside's statement that a row of ours explains."""
