"""What M-Pesa takes, by date: rows are added for the future, and the past stays as it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import asyncpg

from hazina.flows.treasury.terms import Band, TariffKind, charge_for, read_bands, written
from hazina.infra.audit import Audit
from hazina.infra.db import Row, Tx
from hazina.infra.settings import Settings
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, Money

IN_FORCE = """
SELECT bands FROM treasury.tariff WHERE kind = $1 AND valid_from <= $2
ORDER BY valid_from DESC LIMIT 1
"""
ADD = """
INSERT INTO treasury.tariff (id, kind, valid_from, bands, made_by, made_at, note)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
LIST = "SELECT * FROM treasury.tariff ORDER BY valid_from DESC, kind LIMIT $1"
MOST_LISTED = 200


class TariffInThePast(Refusal):
    """What was charged is booked: a tariff begins in the future."""

    code = "tariff_in_the_past"
    kind = Kind.INVALID
    message = "A tariff begins in the future; those that were in force are never changed."
    action = "Choose a later time."


class TariffThere(Refusal):
    """Two tariffs of one kind cannot begin at one moment."""

    code = "tariff_there"
    kind = Kind.CONFLICT
    message = "A tariff begins at that very time already."
    action = "Choose a later time: the one that begins last is in force."


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Tariff:
    """One tariff and from when it is in force; ``id`` is None for the setting's."""

    id: UUID | None
    kind: TariffKind
    valid_from: datetime | None
    bands: tuple[Band, ...]
    made_by: str
    note: str


class Tariffs:
    """Reads what is in force. Before the first row of payouts the setting's tariff is."""

    def __init__(self, settings: Settings, audit: Audit) -> None:
        self._first = read_bands(settings.mpesa_b2c_tariff)
        self._audit = audit

    async def charge(self, reader: Reader, kind: TariffKind, amount: Money, at: datetime) -> Money:
        """What M-Pesa takes for ``amount`` at a moment."""
        rows = await reader.fetch(IN_FORCE, kind.value, at)
        if rows:
            return charge_for(amount, read_bands(rows[0]["bands"]))
        return charge_for(amount, self._first) if kind is TariffKind.PAYOUT else KES.units(0)

    async def add(
        self,
        tx: Tx,
        kind: TariffKind,
        valid_from: datetime,
        bands: str,
        note: str,
        *,
        by: str,
        actor: Actor,
        now: datetime,
    ) -> UUID:
        """This will put a tariff in force from a future moment on.

        Raises: TariffInvalid, TariffInThePast, TariffThere.
        """
        read = read_bands(bands)
        if valid_from <= now:
            raise TariffInThePast
        tariff_id = new_id()
        try:
            async with tx.savepoint():
                await tx.execute(
                    ADD, tariff_id, kind.value, valid_from, written(read), by, now, note[:300]
                )
        except asyncpg.UniqueViolationError:
            raise TariffThere from None
        after = {"kind": kind.value, "valid_from": valid_from.isoformat(), "bands": written(read)}
        await self._audit.record(
            tx, actor, "tariff.added", "tariff", tariff_id, after=after, now=now
        )
        return tariff_id

    async def list_all(self, reader: Reader) -> Sequence[Tariff]:
        """All of them, the latest first; the setting's comes last."""
        rows = await reader.fetch(LIST, MOST_LISTED)
        found = [
            Tariff(
                row["id"],
                TariffKind(row["kind"]),
                row["valid_from"],
                read_bands(row["bands"]),
                row["made_by"],
                row["note"],
            )
            for row in rows
        ]
        first = Tariff(None, TariffKind.PAYOUT, None, self._first, "settings", "until the first")
        return [*found, first]
