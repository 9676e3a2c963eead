"""Movements of the house's own money, of a house restored from a copy.

They are made in M-Pesa's portal and booked here afterwards: nothing goes out, and nothing has to be
asked. What is booked explains a line of M-Pesa's statement.
"""

from collections.abc import Sequence
from datetime import datetime

from hazina.desk.recovery import Moved, Question, Reader
from hazina.infra.db import Tx

EXPLAINED = "SELECT reference FROM treasury.movement WHERE reference = ANY($1)"


class RecoverMovements:
    """What ``desk.recovery`` may ask of the treasury."""

    async def recover(self, tx: Tx, now: datetime) -> int:  # noqa: ARG002
        return 0

    async def ask_now(self, tx: Tx, now: datetime) -> None:
        """There is nobody to ask."""

    async def questions(self, reader: Reader, limit: int) -> list[Question]:  # noqa: ARG002
        return []

    async def count(self, reader: Reader) -> int:  # noqa: ARG002
        return 0

    async def explained(self, reader: Reader, moved: Sequence[Moved]) -> set[str]:
        rows = await reader.fetch(EXPLAINED, [line.receipt for line in moved])
        return {row["reference"] for row in rows}
