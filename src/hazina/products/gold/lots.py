"""Lots: gold that lies in the vault and is for sale, made and topped up by operators.

How many grams a lot has is a balance of the ledger, never a column. Lots are drawn on in order of
priority (a smaller number first), then age. S2 calls them pools.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.infra.audit import Audit
from hazina.infra.db import Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Invalid, Kind, NotFound, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import XAU, AmountInvalid, Money
from hazina.ledger.chart import lot as lot_account
from hazina.ledger.core import Transfer, first_fault
from hazina.ledger.reading import balances_of
from hazina.ledger.service import Ledger
from hazina.products.gold import postings
from hazina.products.gold import repository as sql
from hazina.products.gold.allocation import Supply
from hazina.products.gold.repository import Lot, Reader, grams_of
from hazina.products.gold.terms import note_of, some_grams

MOST = XAU.units(10**8 * 10**XAU.scale)  # a hundred tonnes: more is a slipped finger
PURITY = re.compile(r"([1-9]|1[0-9]|2[0-4])k|[1-9][0-9]{2}(\.[0-9])?", re.ASCII)
PRIORITIES = range(1, 10_001)
MAX_NAME = 80


class LotNameTaken(Refusal):
    """Another lot has that name."""

    code = "lot_name_taken"
    kind = Kind.CONFLICT
    message = "There is a lot of that name already."
    action = "Choose another name, or top up the lot that is there."


@dataclass(frozen=True, slots=True)
class NewLot:
    """What an operator wants to bring in."""

    name: str
    purity: str
    grams: Money
    priority: int = 100
    note: str = ""


@dataclass(frozen=True, slots=True)
class LotStock:
    """A lot and its grams: all that came in = available + held + sold."""

    lot: Lot
    total: Money
    available: Money
    held: Money

    @property
    def sold(self) -> Money:
        return self.total - self.available - self.held


class Lots:
    """Every method joins the caller's transaction or reads."""

    def __init__(self, ledger: Ledger, audit: Audit) -> None:
        self._ledger = ledger
        self._audit = audit

    async def create(self, tx: Tx, wanted: NewLot, actor: Actor, now: datetime) -> Lot:
        """This will make a lot and book its gold: vault:xau → lot. Posts.

        Raises: Invalid, AmountInvalid, LotNameTaken.
        """
        lot = Lot(
            new_id(),
            _name(wanted.name),
            _purity(wanted.purity),
            _priority(wanted.priority),
            note_of(wanted.note),
            now,
        )
        made = await tx.execute(
            sql.INSERT_LOT, lot.id, lot.name, lot.purity, lot.priority, lot.note, actor.id, now
        )
        if made != 1:
            raise LotNameTaken
        facts = {**_facts(lot), "grams": wanted.grams.decimal}
        await self._audit.record(tx, actor, "lot.created", "lot", lot.id, after=facts, now=now)
        await self._stock(tx, lot.id, wanted.grams, lot.note, actor, now)
        return lot

    async def top_up(
        self, tx: Tx, lot_id: UUID, grams: Money, note: str, actor: Actor, now: datetime
    ) -> Lot:
        """This will bring more gold into a lot; the note says what and why. Posts.

        Raises: NotFound, AmountInvalid, Invalid.
        """
        lot = await self._lock(tx, lot_id)
        note = note_of(note)
        if not note:
            raise Invalid.field("note", "Say what was brought in and by whom.")
        facts = {"added_grams": grams.decimal, "note": note}
        await self._audit.record(tx, actor, "lot.topped_up", "lot", lot.id, after=facts, now=now)
        await self._stock(tx, lot.id, grams, note, actor, now)
        return lot

    async def change(
        self,
        tx: Tx,
        lot_id: UUID,
        *,
        purity: str | None = None,
        priority: int | None = None,
        note: str | None = None,
        actor: Actor,
        now: datetime,
    ) -> Lot:
        """This will change what is written about a lot, not what is in it. Raises: NotFound."""
        before = await self._lock(tx, lot_id)
        after = Lot(
            before.id,
            before.name,
            before.purity if purity is None else _purity(purity),
            before.priority if priority is None else _priority(priority),
            before.note if note is None else note_of(note),
            before.created_at,
        )
        await tx.execute(sql.CHANGE_LOT, lot_id, after.purity, after.priority, after.note, now)
        await self._audit.record(
            tx, actor, "lot.changed", "lot", lot_id,
            before=_facts(before), after=_facts(after), now=now,
        )  # fmt: skip
        return after

    async def stock(self, reader: Reader) -> list[LotStock]:
        """Every lot with its grams, in the order in which they are drawn on."""
        lots = [Lot.of(row) for row in await reader.fetch(sql.LIST_LOTS)]
        totals = {row["lot_id"]: grams_of(row) for row in await reader.fetch(sql.TOPPED_UP)}
        balances = await balances_of(reader, [lot_account(lot.id) for lot in lots])
        found = []
        for lot in lots:
            balance = balances[lot_account(lot.id)]
            total = totals.get(lot.id, XAU.units(0))
            found.append(LotStock(lot, total, balance.available, balance.held))
        return found

    async def get(self, reader: Reader, lot_id: UUID) -> Lot:
        """Raises: NotFound."""
        row = await reader.fetchrow(sql.GET_LOT, lot_id)
        if row is None:
            raise NotFound
        return Lot.of(row)

    async def supplies(self, reader: Reader) -> list[Supply]:
        """What could be bought just now, in the order to take it; locks and promises nothing."""
        return await self._supplies(reader, sql.LIST_LOTS)

    async def lock_supplies(self, tx: Tx) -> list[Supply]:
        """What can be bought now, in the order to take it.

        Locks every lot, in id order: until the transaction ends only sellers move their gold, and
        they only add. The ledger would refuse too much all the same.
        """
        return await self._supplies(tx, sql.LOCK_LOTS)

    async def _supplies(self, reader: Reader, query: str) -> list[Supply]:
        lots = [Lot.of(row) for row in await reader.fetch(query)]
        balances = await balances_of(reader, [lot_account(lot.id) for lot in lots])
        lots.sort(key=lambda lot: (lot.priority, lot.id))
        return [Supply(lot.id, balances[lot_account(lot.id)].available) for lot in lots]

    async def first(self, reader: Reader) -> UUID:
        """The lot of the highest priority. Raises: NotFound when there is none at all."""
        row = await reader.fetchrow(sql.FIRST_LOT)
        if row is None:
            raise NotFound
        found: UUID = row["id"]
        return found

    async def _lock(self, tx: Tx, lot_id: UUID) -> Lot:
        row = await tx.fetchrow(sql.LOCK_LOT, lot_id)
        if row is None:
            raise NotFound
        return Lot.of(row)

    async def _stock(
        self, tx: Tx, lot_id: UUID, grams: Money, note: str, actor: Actor, now: datetime
    ) -> None:
        if some_grams(grams) > MOST:
            raise AmountInvalid(
                "That is more gold than one lot takes at once.",
                action=f"Use at most {MOST.decimal} grams.",
                details={"field": "grams"},
            )
        top_up_id = new_id()
        await tx.execute(sql.INSERT_TOP_UP, top_up_id, lot_id, grams.units, note, actor.id, now)
        await self._post(tx, postings.lot_stocked(top_up_id, lot_id, grams), actor)

    async def _post(self, tx: Tx, transfers: Sequence[Transfer], actor: Actor) -> None:
        fault = first_fault(await self._ledger.post(tx, transfers, actor))
        if fault is not None:
            raise AssertionError(f"stocking a lot was refused: {fault.code.value}")


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise Invalid.field("name", f"A lot needs a name of at most {MAX_NAME} characters.")
    return name


def _purity(text: str) -> str:
    purity = text.strip().lower()
    if not PURITY.fullmatch(purity):
        raise Invalid.field("purity", "Write the purity as 24k or as 999.9.")
    return purity


def _priority(value: int) -> int:
    if value not in PRIORITIES:
        raise Invalid.field("priority", "The priority is a whole number from 1 to 10000.")
    return value


def _facts(lot: Lot) -> dict[str, object]:
    return {
        "name": lot.name,
        "purity": lot.purity,
        "priority": lot.priority,
        "note": lot.note,
    }
