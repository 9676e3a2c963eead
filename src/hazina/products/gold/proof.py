"""What gold claims about itself: the vault to the microgram, the lots, and each trade (C17)."""

from hazina.infra.db import Tx
from hazina.ledger.chart import Purpose
from hazina.ledger.codes import Code
from hazina.ledger.proof import Proof
from hazina.ledger.reading import BOOKED, POSTED, POSTED_UNBOUNDED
from hazina.products.gold.states import LIVING

_LIVING = ", ".join(f"'{state.value}'" for state in LIVING)
LIVING_TRADES = f"SELECT t.id FROM gold.trade t WHERE t.state IN ({_LIVING})"  # noqa: S608 - constants, here and below
# Debit-normal accounts show as negative credits: everything of XAU adds up to nothing.
VAULT_EXACT = f"""
SELECT format('vault %s, lots %s, customers %s, rounding %s: off by %s',
              -s.vault, s.lots, s.customers, s.rounding,
              s.vault + s.lots + s.customers + s.rounding)
FROM (
    SELECT coalesce(sum(p.posted) FILTER (WHERE p.purpose = '{Purpose.VAULT.value}'), 0) AS vault,
           coalesce(sum(p.posted) FILTER (WHERE p.purpose = '{Purpose.LOT.value}'), 0) AS lots,
           coalesce(sum(p.posted) FILTER (WHERE p.purpose = '{Purpose.WALLET.value}'), 0)
               AS customers,
           coalesce(sum(p.posted) FILTER (WHERE p.purpose = '{Purpose.ROUNDING.value}'), 0)
               AS rounding
    FROM (SELECT b.purpose, b.posted FROM ({POSTED}) b WHERE b.asset = 'XAU'
          UNION ALL
          SELECT u.purpose, u.posted FROM ({POSTED_UNBOUNDED}) u WHERE u.asset = 'XAU') p
) s
WHERE s.vault + s.lots + s.customers + s.rounding <> 0
"""  # noqa: S608
LOTS_EXACT = f"""
SELECT format('lot %s: topped up %s, in the ledger %s, allocated %s', l.name, coalesce(u.grams, 0),
              coalesce(b.posted, 0), coalesce(a.grams, 0))
FROM gold.lot l
LEFT JOIN (SELECT t.lot_id, sum(t.grams) AS grams FROM gold.top_up t GROUP BY 1) u
       ON u.lot_id = l.id
LEFT JOIN (SELECT p.owner_id, p.posted FROM ({POSTED}) p
           WHERE p.purpose = '{Purpose.LOT.value}' AND p.asset = 'XAU') b ON b.owner_id = l.id
LEFT JOIN (SELECT x.lot_id, sum(CASE x.side WHEN 'buy' THEN x.grams ELSE -x.grams END) AS grams
           FROM gold.allocation x WHERE x.state = 'booked' GROUP BY 1) a ON a.lot_id = l.id
WHERE coalesce(u.grams, 0) - coalesce(b.posted, 0) <> coalesce(a.grams, 0)
"""  # noqa: S608
RETURNS_EXACT = """
SELECT format('allocation %s: returned %s, sales say %s', b.id, b.returned, coalesce(s.grams, 0))
FROM gold.allocation b
LEFT JOIN (SELECT a.source_id, sum(a.grams) AS grams FROM gold.allocation a
           WHERE a.side = 'sell' AND a.state <> 'released' GROUP BY 1) s ON s.source_id = b.id
WHERE b.side = 'buy' AND b.returned <> coalesce(s.grams, 0)
"""
TRADES_EXACT = f"""
SELECT format('trade %s is %s: grams %s, shillings %s, spread %s, rounding %s', t.id, t.state,
              b.grams, b.at_mid, b.spread, b.rounding)
FROM gold.trade t
LEFT JOIN (
    SELECT k.reference_id,
           sum(k.amount) FILTER (WHERE k.code = '{Code.GOLD_BOUGHT.value}'
                                 OR k.code = '{Code.GOLD_SOLD.value}') AS grams,
           sum(k.amount) FILTER (WHERE k.code = '{Code.GOLD_PAID.value}'
                                 OR k.code = '{Code.GOLD_PROCEEDS.value}') AS at_mid,
           sum(k.amount) FILTER (WHERE k.code = '{Code.GOLD_SPREAD.value}') AS spread,
           sum(k.amount) FILTER (WHERE k.code = '{Code.ROUNDING.value}') AS rounding
    FROM ({BOOKED}) k WHERE k.reference_type = 'trade' GROUP BY 1
) b ON b.reference_id = t.id
CROSS JOIN LATERAL (SELECT (t.state = 'completed')::integer AS done) d
WHERE coalesce(b.grams, 0) <> d.done * t.grams
   OR coalesce(b.at_mid, 0) <> d.done * t.at_mid
   OR coalesce(b.spread, 0) <> d.done * abs(t.worth - t.at_mid)
   OR coalesce(b.rounding, 0) <> d.done * abs(t.total - t.worth)
"""  # noqa: S608
CLAIMS = {
    "gold in the vault is gold in lots and with customers, to the microgram": VAULT_EXACT,
    "each lot is its top-ups less what its allocations took": LOTS_EXACT,
    "what purchases gave back is what sales say they took": RETURNS_EXACT,
    "each trade booked its own figures, once, or nothing": TRADES_EXACT,
}


def claim(proof: Proof) -> None:
    """This will have the proof check gold's claims and know the owners of its holds."""
    proof.add_owner("trade", LIVING_TRADES)
    for words, text in CLAIMS.items():
        proof.add(words, _Check(text).lines)


class _Check:
    """One query, each row a line that contradicts the claim."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def lines(self, tx: Tx) -> list[str]:
        return [row[0] for row in await tx.fetch(f"{self._text} LIMIT 20")]
