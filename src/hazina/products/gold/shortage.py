"""How much gold is left to sell, for whoever watches: a lot is filled before buyers are refused."""

from prometheus_client import Gauge

from hazina.infra.db import Database
from hazina.infra.observability import REGISTRY
from hazina.kernel.money import XAU
from hazina.products.gold.allocation import total_of
from hazina.products.gold.lots import Lots

SWEEP, SWEEP_EVERY_S = "gold.measure", 60
FOR_SALE = Gauge(
    "hazina_gold_for_sale_grams",
    "Whole grams that can be bought now, over all lots.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
SHORT = Gauge(
    "hazina_gold_short",
    "1 while less gold can be bought than its setting wants.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)


class Shortage:
    """Measures the lots; ``low_grams`` is from when on they count as short."""

    def __init__(self, db: Database, lots: Lots, low_grams: int) -> None:
        self._db, self._lots, self._low_grams = db, lots, low_grams

    async def sweep(self) -> None:
        """This will set the gauges."""
        for_sale = total_of(await self._lots.supplies(self._db))
        grams = for_sale.units // 10**XAU.scale
        FOR_SALE.set(grams)
        SHORT.set(grams < self._low_grams)
