"""One namespace's books: its names in, the ledger's accounts and transfers out, and back.

Invariant: every account that leaves here is external and of this namespace, by construction: its
owner's id follows from the namespace. An act on a hold that is not of this namespace goes to the
ledger under an id that nothing has, and is answered as if the hold were not there.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from hazina.identity.external import names_of, owner_id
from hazina.infra.db import Database
from hazina.kernel.errors import Invalid
from hazina.kernel.money import ASSETS, AmountInvalid, Asset, Money
from hazina.ledger.chart import AccountRef
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, Result, Transfer
from hazina.ledger.external import REFERENCE_TYPE, WALLET, WORLD, Sides, sides_of
from hazina.web.internal import wire


@dataclass(frozen=True, slots=True)
class Namespace:
    """The books of one institution."""

    id: UUID

    def account(self, owner: str, asset: Asset) -> AccountRef:
        if owner == wire.WORLD:
            return AccountRef(WORLD, asset, self.id)
        return AccountRef(WALLET, asset, owner_id(self.id, owner))

    def accounts(self, asked: Sequence[wire.AccountIn]) -> list[AccountRef]:
        """Raises: Invalid, naming the place of an unknown asset."""
        return [
            self.account(one.owner, _asset(one.asset, f"accounts.{place}.asset"))
            for place, one in enumerate(asked)
        ]

    async def names(self, db: Database, refs: Sequence[AccountRef]) -> dict[AccountRef, str]:
        """What this namespace calls those of ``refs`` that are its own."""
        owners = [ref.owner for ref in refs if ref.purpose is WALLET and ref.owner is not None]
        known = await names_of(db, self.id, owners) if owners else {}
        found = {}
        for ref in refs:
            if ref.purpose is WORLD and ref.owner == self.id:
                found[ref] = wire.WORLD
            elif ref.purpose is WALLET and ref.owner in known:
                found[ref] = known[ref.owner]
        return found

    async def transfers(self, db: Database, asked: Sequence[wire.TransferIn]) -> list[Transfer]:
        """What is asked for, in the ledger's words. Raises: Invalid, AmountInvalid."""
        made = [self._transfer(place, one) for place, one in enumerate(asked)]
        named = {one.pending_id for one in made if one.pending_id is not None}
        if not named:
            return made
        foreign = await self._foreign(db, await sides_of(db, list(named)))
        return [
            replace(one, pending_id=self._nobodys(one.pending_id))
            if one.pending_id in foreign
            else one
            for one in made
        ]

    async def _foreign(self, db: Database, stored: dict[UUID, Sides]) -> set[UUID]:
        refs = [ref for sides in stored.values() for ref in (sides.debit, sides.credit)]
        ours = await self.names(db, refs)
        return {
            id_
            for id_, sides in stored.items()
            if sides.debit not in ours or sides.credit not in ours
        }

    def _nobodys(self, hold: UUID) -> UUID:
        """Always the same one, so that a repeat is answered like the first time. Version 8: no id
        that a caller or the house makes."""
        told = hashlib.sha256(b"hazina/nobodys-hold\0" + self.id.bytes + hold.bytes).digest()
        value = int.from_bytes(told[:16], "big") & ~(0xF << 76) | 0x8 << 76
        return UUID(int=value & ~(0b11 << 62) | 0b10 << 62)

    def _transfer(self, place: int, one: wire.TransferIn) -> Transfer:
        amount = None
        if one.asset is not None and one.amount is not None:
            asset = _asset(one.asset, f"transfers.{place}.asset")
            amount = _money(asset, one.amount, f"transfers.{place}.amount")
        return Transfer(
            one.kind,
            Code.EXTERNAL,
            Reference(REFERENCE_TYPE, one.reference or one.pending_id or one.id),
            id=one.id,
            debit=self._side(one.debit, amount),
            credit=self._side(one.credit, amount),
            amount=amount,
            pending_id=one.pending_id,
            keep_rest=one.keep_rest,
            expires_at=one.expires_at,
            group=one.group,
            metadata=one.metadata,
        )

    def _side(self, owner: str | None, amount: Money | None) -> AccountRef | None:
        if owner is None or amount is None:
            return None
        return self.account(owner, amount.asset)


async def results(
    db: Database, transfers: Sequence[Transfer], found: Sequence[Result]
) -> list[wire.ResultOut]:
    """The ledger's answers in words of the wire; an act without an amount has its hold's asset."""
    assets = {one.id: one.amount.asset for one in transfers if one.amount is not None}
    silent = [
        one.pending_id
        for one, result in zip(transfers, found, strict=True)
        if result.booked and one.amount is None and one.pending_id not in assets
    ]
    if silent:
        stored = await sides_of(db, [id_ for id_ in silent if id_ is not None])
        assets |= {id_: sides.asset for id_, sides in stored.items()}
    return [
        _result(result, one.amount.asset if one.amount else assets.get(one.pending_id or one.id))
        for one, result in zip(transfers, found, strict=True)
    ]


def _result(result: Result, asset: Asset | None) -> wire.ResultOut:
    made = wire.ResultOut(id=result.id, result=result.code.value, booked_at=result.booked_at)
    if asset is not None and result.amount_units is not None:
        made.asset, made.amount = asset.code, asset.units(result.amount_units).decimal
    return made


def _asset(code: str, field: str) -> Asset:
    found = ASSETS.get(code)
    if found is None:
        raise Invalid.field(field, f"We do not keep {code}.")
    return found


def _money(asset: Asset, text: str, field: str) -> Money:
    try:
        return asset.money(text)
    except AmountInvalid as no:
        raise AmountInvalid(no.message, details={**no.details, "field": field}) from None
