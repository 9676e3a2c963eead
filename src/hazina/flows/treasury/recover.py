"""Movements of the house's own money, of a house restored from a copy.

They are made in M-Pesa's portal and booked here afterwards: nothing goes out, and nothing has to be
asked. What is booked explains a line of M-Pesa's statement.
"""

from collections.abc import Sequence

from hazina.desk.recovery import Moved, NobodyAsked, Reader

EXPLAINED = """
SELECT reference FROM treasury.movement WHERE reference = ANY($1) AND back_group IS NULL
"""


class RecoverMovements(NobodyAsked):
    """What ``desk.recovery`` may ask of the treasury."""

    async def explained(self, reader: Reader, moved: Sequence[Moved]) -> set[str]:
        rows = await reader.fetch(EXPLAINED, [line.receipt for line in moved])
        return {row["reference"] for row in rows}
