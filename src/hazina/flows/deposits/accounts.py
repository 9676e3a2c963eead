"""Account numbers: one for each customer, made when it is first asked for, the same for ever."""

from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from hazina.flows.deposits.account_number import new_number, read_number
from hazina.flows.deposits.repository import Reader
from hazina.identity.customers import Customers
from hazina.infra.db import Tx
from hazina.infra.vault import Vault, VaultError
from hazina.rails.receipts import ReceiptRail

PAYER_INDEX, MASK_INDEX = "deposits.payer", "deposits.payer-mask"
FIRST, BATCH = UUID(int=0), 200
SETTLED = timedelta(minutes=1)  # registrations under way have smaller ids than finished ones
TRIES = 20
FIND = "SELECT number FROM deposits.account_number WHERE customer_id = $1"
OWNER = "SELECT customer_id FROM deposits.account_number WHERE number = $1"
PAYERS = """
SELECT customer_id FROM deposits.account_number WHERE payer_index = $1 OR mask_index = $1
ORDER BY made_at LIMIT 2
"""
CURSOR = "SELECT upto FROM deposits.account_number_cursor FOR UPDATE"
MOVE_CURSOR = """
INSERT INTO deposits.account_number_cursor AS c (one, upto) VALUES (true, $1)
ON CONFLICT (one) DO UPDATE SET upto = greatest(c.upto, excluded.upto)
"""
ADD = """
INSERT INTO deposits.account_number (customer_id, number, payer_index, mask_index, made_at)
VALUES ($1, $2, $3, $4, $5) ON CONFLICT (customer_id) DO NOTHING
"""


class AccountNumbers:
    """Makes and finds them. What M-Pesa hashes is kept as a keyed index: a bare SHA-256 of a phone
    number is undone by trying all numbers."""

    def __init__(self, customers: Customers, vault: Vault, rail: ReceiptRail) -> None:
        self._customers, self._vault, self._rail = customers, vault, rail

    async def of(self, tx: Tx, customer_id: UUID, now: datetime) -> str:
        """This will give the customer's number, making it the first time. Raises: NotFound."""
        found = await tx.fetchval(FIND, customer_id)
        if found is not None:
            return str(found)
        phone = await self._customers.reveal_phone(tx, customer_id)
        index = self.index_of_payer(self._rail.payer_digest(phone.msisdn), None)
        mask = self.index_of_payer(None, self._rail.payer_mask(phone.msisdn))
        for _ in range(TRIES):
            try:
                async with tx.savepoint():
                    await tx.execute(ADD, customer_id, new_number(), index, mask, now)
            except asyncpg.UniqueViolationError:
                continue  # somebody else's already
            return str(await tx.fetchval(FIND, customer_id))
        raise RuntimeError("no free account number in twenty draws: they must grow longer")

    async def find_owner(self, reader: Reader, typed: str) -> UUID | None:
        """Whose number a payer typed, if anybody's."""
        number = read_number(typed)
        row = await reader.fetchrow(OWNER, number) if number else None
        return row["customer_id"] if row else None

    async def find_payer(self, reader: Reader, index: bytes | None) -> UUID | None:
        """The one customer whose own phone a payment came from; a hint for people, no more."""
        rows = await reader.fetch(PAYERS, index) if index is not None else []
        return rows[0]["customer_id"] if len(rows) == 1 else None

    def index_of_payer(self, digest: str | None, mask: str | None) -> bytes | None:
        """What is kept of a sender that M-Pesa hashes or masks; None where it tells neither."""
        if digest is not None:
            return self._vault.blind_index(digest, purpose=PAYER_INDEX)
        return self._vault.blind_index(mask, purpose=MASK_INDEX) if mask is not None else None

    async def make_missing(self, tx: Tx, now: datetime) -> int:
        """This will give numbers to customers who never asked for theirs, a few at a time, so that
        whoever pays from their own phone is known by it. Says how many were looked at."""
        after = await tx.fetchval(CURSOR) or FIRST
        found = await self._customers.list_registered(
            tx, after=after, before=now - SETTLED, limit=BATCH
        )
        for customer_id in found:
            with suppress(VaultError):  # erased: nobody can know the phone any more
                await self.of(tx, customer_id, now)
        if found:
            await tx.execute(MOVE_CURSOR, found[-1])
        return len(found)
