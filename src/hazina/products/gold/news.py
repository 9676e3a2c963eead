"""What gold tells the house of a trade that came to an end."""

from datetime import datetime

from hazina.infra.db import Row, Tx
from hazina.infra.outbox import Outbox
from hazina.kernel.money import KES
from hazina.products.gold.repository import grams_of
from hazina.products.gold.states import TradeState


class TradeNews:
    """States ends of trades in the outbox, with the transaction that made them."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def tell(self, tx: Tx, row: Row, state: TradeState, now: datetime) -> None:
        """This will say that ``row`` (as it was read) has become ``state``."""
        payload = {
            "customer_id": str(row["customer_id"]),
            "side": row["side"],
            "grams": grams_of(row, "grams").decimal,
            "total": KES.units(int(row["total"])).decimal,
        }
        await self._outbox.emit(tx, f"trade.{state.value}", row["id"], payload, now)
