"""The ledger's own claims, checked after everything a benchmark did to it."""

from hazina.infra.db import Database
from hazina.ledger.proof import Proof, Verdict


async def prove(readonly_url: str) -> list[Verdict]:
    """Every claim of the ledger itself over all of history, in one snapshot, however long."""
    db = await Database.connect(readonly_url, size=1, command_timeout_s=None)
    try:
        async with db.transaction(readonly=True) as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # Everything is read: rows just written are not counted in the planner's statistics.
            await tx.execute("SET LOCAL enable_nestloop = off")
            return await Proof().verify(tx)
    finally:
        await db.close()
