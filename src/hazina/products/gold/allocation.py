"""Which gold: from which lots a purchase is filled, and to which lots a sale gives back. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from hazina.kernel.ids import new_id
from hazina.kernel.money import XAU, Money
from hazina.products.gold.postings import Part

PLENTY = 20  # times what is wanted; below it buyers queue for the lots


@dataclass(frozen=True, slots=True)
class Supply:
    """Grams that can be taken from one lot; ``source_id`` names the purchase they belong to."""

    lot_id: UUID
    grams: Money
    source_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a trade and, of a sale, the purchase it gives back."""

    part: Part
    source_id: UUID | None


def total_of(supplies: Sequence[Supply]) -> Money:
    return XAU.units(sum(supply.grams.units for supply in supplies))


def is_plenty(supplies: Sequence[Supply], grams: Money) -> bool:
    """Whether the lot whose turn it is has so much that a few buyers at once cannot empty it."""
    first = next((supply for supply in supplies if supply.grams.units > 0), None)
    return first is not None and first.grams.units >= PLENTY * grams.units


def fill(supplies: Sequence[Supply], grams: Money) -> list[Share]:
    """This will take ``grams`` from ``supplies`` in their order, as far as they go."""
    shares, left = [], grams.units
    for supply in supplies:
        taken = min(left, max(supply.grams.units, 0))
        if taken:
            part = Part(new_id(), supply.lot_id, XAU.units(taken))
            shares.append(Share(part, supply.source_id))
            left -= taken
    return shares
