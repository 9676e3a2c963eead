"""Customers: found by id, username or phone; their contacts opened for the few who must."""

from datetime import datetime
from uuid import UUID

from hazina.identity.names import Email
from hazina.identity.people import Customer
from hazina.identity.phones import Phone
from hazina.identity.repository import (
    CUSTOMER_BY_ID,
    CUSTOMER_BY_PHONE,
    CUSTOMER_BY_USERNAME,
    CUSTOMERS_BEFORE,
    CUSTOMERS_NAMED,
    REGISTERED,
    SEALED_CONTACTS,
    Reads,
    customer_of,
)
from hazina.infra.db import Tx
from hazina.infra.vault import CustomerVault, Vault
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.page import Page

EMAIL_INDEX = "identity.customer.email"
PHONE_INDEX = "identity.customer.phone"
PREFIX = "cus"
LAST = UUID(int=2**128 - 1)


def email_context(customer_id: UUID) -> str:
    """What a sealed e-mail is bound to: copied to another row it does not open."""
    return f"identity.customer.email:{customer_id}"


def phone_context(customer_id: UUID) -> str:
    return f"identity.customer.phone:{customer_id}"


class Customers:
    """Reads of the customer table; new rows come from ``Registration``."""

    def __init__(self, vault: Vault, sealed: CustomerVault) -> None:
        self._vault = vault
        self._sealed = sealed

    async def get(self, db: Reads, customer_id: UUID) -> Customer:
        """Raises: NotFound."""
        row = await db.fetchrow(CUSTOMER_BY_ID, customer_id)
        if row is None:
            raise NotFound
        return customer_of(row)

    async def find_by_username(self, db: Reads, username: str) -> Customer | None:
        """``username`` in the form ``parse_username`` gives."""
        row = await db.fetchrow(CUSTOMER_BY_USERNAME, username)
        return customer_of(row) if row else None

    async def list_named(self, db: Reads, beginning: str, *, limit: int) -> list[Customer]:
        """Customers whose username begins like that, in the order of their names."""
        rows = await db.fetch(CUSTOMERS_NAMED, beginning, limit)
        return [customer_of(row) for row in rows]

    async def list_newest(
        self, db: Reads, *, limit: int, cursor: str | None = None
    ) -> Page[Customer]:
        """All customers, the newest first."""
        before = parse_id(PREFIX, cursor) if cursor else LAST
        rows = await db.fetch(CUSTOMERS_BEFORE, before, limit + 1)
        return Page.of([customer_of(row) for row in rows], limit, lambda c: wire_id(PREFIX, c.id))

    async def find_by_phone(self, db: Reads, phone: Phone) -> Customer | None:
        index = self._vault.blind_index(phone.e164, purpose=PHONE_INDEX)
        row = await db.fetchrow(CUSTOMER_BY_PHONE, index)
        return customer_of(row) if row else None

    async def list_registered(
        self, tx: Tx, *, after: UUID, before: datetime, limit: int
    ) -> list[UUID]:
        """The ids of who registered before a moment, in order, behind ``after``."""
        rows = await tx.fetch(REGISTERED, after, before, limit)
        return [row["id"] for row in rows]

    async def reveal_phone(self, tx: Tx, customer_id: UUID) -> Phone:
        """This will open the customer's number, to pay to it or prompt it. Raises: NotFound."""
        sealed = await self._contact(tx, customer_id, "phone_sealed")
        plain = await self._sealed.open(tx, customer_id, sealed, phone_context(customer_id))
        return Phone(plain.decode())

    async def reveal_email(self, tx: Tx, customer_id: UUID) -> Email:
        """This will open the customer's address, to write to it or show it them."""
        sealed = await self._contact(tx, customer_id, "email_sealed")
        plain = await self._sealed.open(tx, customer_id, sealed, email_context(customer_id))
        return Email(plain.decode())

    async def _contact(self, tx: Tx, customer_id: UUID, column: str) -> bytes:
        row = await tx.fetchrow(SEALED_CONTACTS, customer_id)
        if row is None:
            raise NotFound
        return bytes(row[column])
