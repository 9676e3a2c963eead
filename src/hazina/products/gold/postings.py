"""Gold's accounting manual: each event and its transfers, as named pure functions.

Reading this file alone is reading docs/money/gold.md in code. Amounts of nothing are left out; a
group's shillings always add up to what the customer paid or was paid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from hazina.kernel.money import KES, XAU, Money
from hazina.ledger.chart import AccountRef, Purpose, customer, lot, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Hold, Reference, Transfer, hold, move
from hazina.products.gold.terms import Terms

POSITION = system(Purpose.GOLD_POSITION, KES)
SPREAD = system(Purpose.INCOME_GOLD_SPREAD, KES)
ROUNDING = system(Purpose.ROUNDING, KES)
VAULT = system(Purpose.VAULT, XAU)


@dataclass(frozen=True, slots=True)
class Part:
    """Grams of a trade that come from, or go back to, one lot. ``id`` is its transfer or hold."""

    id: UUID
    lot_id: UUID
    grams: Money


@dataclass(frozen=True, slots=True)
class Deal:
    """What a posting must know of a trade."""

    id: UUID
    customer_id: UUID
    terms: Terms

    @property
    def reference(self) -> Reference:
        return Reference("trade", self.id)

    @property
    def shillings(self) -> AccountRef:
        return customer(self.customer_id, KES)

    @property
    def gold(self) -> AccountRef:
        return customer(self.customer_id, XAU)


def lot_stocked(top_up_id: UUID, lot_id: UUID, grams: Money) -> list[Transfer]:
    """Bars came into the vault: vault:xau → lot."""
    reference = Reference("lot", lot_id)
    return [move(VAULT, lot(lot_id), grams, Code.GOLD_STOCKED, reference, id=top_up_id)]


def buy_asked(deal: Deal, parts: Sequence[Part]) -> list[Transfer]:
    """Gold is reserved while M-Pesa asks the buyer: hold lot → customer XAU, without an expiry,
    for only M-Pesa's word ends it."""
    return [
        hold(lot(p.lot_id), deal.gold, p.grams, Code.GOLD_BOUGHT, deal.reference, id=p.id)[1]
        for p in parts
    ]


def buy_paid(deal: Deal, parts: Sequence[Part]) -> list[Transfer]:
    """The reserved gold is paid for, out of shillings the customer now has."""
    return [*_price_paid(deal), *(_held_gold(deal, part).post() for part in parts)]


def buy_at_once(deal: Deal, parts: Sequence[Part]) -> list[Transfer]:
    """Gold nobody reserved is paid for: from the wallet, or by a payment that came late."""
    gold = [
        move(lot(p.lot_id), deal.gold, p.grams, Code.GOLD_BOUGHT, deal.reference, id=p.id)
        for p in parts
    ]
    return [*_price_paid(deal), *gold]


def buy_ended(deal: Deal, parts: Sequence[Part]) -> list[Transfer]:
    """Nobody paid: the reserved gold is let go."""
    return [_held_gold(deal, part).void() for part in parts]


def sale_asked(deal: Deal, parts: Sequence[Part], proceeds_id: UUID) -> list[Transfer]:
    """While M-Pesa pays: hold customer XAU → lots, hold gold:position → customer KES."""
    gold = [
        hold(deal.gold, lot(p.lot_id), p.grams, Code.GOLD_SOLD, deal.reference, id=p.id)[1]
        for p in parts
    ]
    proceeds = hold(
        POSITION, deal.shillings, deal.terms.at_mid, Code.GOLD_PROCEEDS, deal.reference,
        id=proceeds_id,
    )[1]  # fmt: skip
    return [*gold, proceeds]


def sale_paid(deal: Deal, parts: Sequence[Part], proceeds_id: UUID) -> list[Transfer]:
    """M-Pesa has paid: the gold is back in its lots and the customer is owed exactly the payout,
    which the withdrawal takes from here in the same group."""
    gold = [_held_sale(deal, part).post() for part in parts]
    return [*gold, _held_proceeds(deal, proceeds_id).post(), *_price_taken(deal)]


def sale_paid_around(
    deal: Deal, parts: Sequence[Part], proceeds_id: UUID, payer: AccountRef
) -> list[Transfer]:
    """The same where the customer's wallet is frozen, and nothing can be taken out of it again: the
    proceeds do not pass through it, but through ``payer``, from where the payout takes them."""
    gold = [_held_sale(deal, part).post() for part in parts]
    let_go = _held_proceeds(deal, proceeds_id).void()
    proceeds = move(POSITION, payer, deal.terms.at_mid, Code.GOLD_PROCEEDS, deal.reference)
    return [*gold, let_go, proceeds, *_price_taken(deal, payer)]


def sale_at_once(deal: Deal, parts: Sequence[Part], proceeds_id: UUID) -> list[Transfer]:
    """Sold to the wallet: everything moves in one group."""
    gold = [
        move(deal.gold, lot(p.lot_id), p.grams, Code.GOLD_SOLD, deal.reference, id=p.id)
        for p in parts
    ]
    proceeds = move(
        POSITION, deal.shillings, deal.terms.at_mid, Code.GOLD_PROCEEDS, deal.reference,
        id=proceeds_id,
    )  # fmt: skip
    return [*gold, proceeds, *_price_taken(deal)]


def sale_failed(deal: Deal, parts: Sequence[Part], proceeds_id: UUID) -> list[Transfer]:
    """M-Pesa paid nothing: the customer has the gold again and nobody owes the proceeds."""
    gold = [_held_sale(deal, part).void() for part in parts]
    return [*gold, _held_proceeds(deal, proceeds_id).void()]


def _price_paid(deal: Deal) -> list[Transfer]:
    """customer KES → gold:position at mid, → income:gold-spread, → rounding."""
    return _moves(
        deal,
        (POSITION, deal.terms.at_mid, Code.GOLD_PAID),
        (SPREAD, deal.terms.spread, Code.GOLD_SPREAD),
        (ROUNDING, deal.terms.rounding, Code.ROUNDING),
    )


def _price_taken(deal: Deal, owner: AccountRef | None = None) -> list[Transfer]:
    """Of the proceeds at mid: customer KES → income:gold-spread, → rounding."""
    return _moves(
        deal,
        (SPREAD, deal.terms.spread, Code.GOLD_SPREAD),
        (ROUNDING, deal.terms.rounding, Code.ROUNDING),
        owner=owner,
    )


def _moves(
    deal: Deal, *lines: tuple[AccountRef, Money, Code], owner: AccountRef | None = None
) -> list[Transfer]:
    return [
        move(owner or deal.shillings, to, amount, code, deal.reference)
        for to, amount, code in lines
        if amount
    ]


def _held_gold(deal: Deal, part: Part) -> Hold:
    return Hold(part.id, Code.GOLD_BOUGHT, deal.reference)


def _held_sale(deal: Deal, part: Part) -> Hold:
    return Hold(part.id, Code.GOLD_SOLD, deal.reference)


def _held_proceeds(deal: Deal, proceeds_id: UUID) -> Hold:
    return Hold(proceeds_id, Code.GOLD_PROCEEDS, deal.reference)
