"""Asking for a deposit: the row is written, the limit reserved, the prompt queued. No money moves.

The prompt itself is sent by a worker after the commit (``send``).
"""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from hazina.desk.limits import Limits
from hazina.desk.switches import Switch, Switches
from hazina.flows.deposits import repository as sql
from hazina.flows.deposits.repository import DepositView, Reader
from hazina.flows.deposits.states import MACHINE, DepositState
from hazina.flows.deposits.terms import check_deposit
from hazina.identity.customers import Customers
from hazina.identity.phones import Phone, parse_phone
from hazina.infra.db import Row, Tx
from hazina.infra.jobs import Jobs
from hazina.infra.settings import Settings
from hazina.infra.states import StateTable
from hazina.infra.vault import CustomerVault, Vault
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, NotFound, Refusal
from hazina.kernel.ids import new_id, parse_id, wire_id
from hazina.kernel.money import KES, Money
from hazina.kernel.page import Page
from hazina.ledger.chart import customer
from hazina.ledger.service import Ledger

ADVANCE = "deposit.advance"
LIMIT_KIND = "deposit"
# No customer's account number begins with these letters, so a payment to the paybill that carries
# such a reference belongs to its prompt or to suspense, never to a customer.
REFERENCE_PREFIX = "HZD"
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
# The job comes at once; should it be lost, the sweeper finds the row after this.
SWEEP_AFTER = timedelta(seconds=10)
TABLE = StateTable("deposits.deposit", MACHINE)


class PromptOpen(Refusal):
    """The phone has a prompt of ours on it; M-Pesa allows one at a time."""

    code = "prompt_open"
    kind = Kind.CONFLICT
    message = "That phone already has a payment request from us."
    action = "Answer or cancel it on the phone, then try again in a minute."


class PromptUnresolved(Refusal):
    """The same amount may still be paid by an earlier prompt; asking again could charge twice."""

    code = "prompt_unresolved"
    kind = Kind.CONFLICT
    message = "We do not yet know whether an earlier request of this amount was paid."
    action = "Wait until it is settled, or use another amount."


class AccountClosed(Refusal):
    """Nothing can be booked to the customer's shillings any more: no phone is asked for them."""

    code = "account_closed"
    kind = Kind.FORBIDDEN
    message = "This account is closed: nothing can be paid into it."
    action = "Contact support."


class Deposits:
    """What other slices and the shells may ask of deposits."""

    def __init__(
        self,
        settings: Settings,
        jobs: Jobs,
        limits: Limits,
        ledger: Ledger,
        customers: Customers,
        vault: Vault,
        sealed: CustomerVault,
        switches: Switches,
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._limits = limits
        self._ledger = ledger
        self._customers = customers
        self._vault = vault
        self._sealed = sealed
        self._switches = switches

    async def request(
        self,
        tx: Tx,
        *,
        customer_id: UUID,
        amount: Money,
        phone: str | None = None,
        purpose: str | None = None,
        purpose_id: UUID | None = None,
        actor: Actor,
        now: datetime,
    ) -> DepositView:
        """This will write a deposit down and queue its prompt. ``phone`` empty: the customer's own.

        Does not post. Locks the day's limit row. Raises: AmountInvalid, AmountOutOfRange,
        PhoneInvalid, PromptOpen, PromptUnresolved, DailyLimitReached, RailStopped, AccountClosed.
        """
        check_deposit(amount, self._settings)
        await self._switches.require(tx, Switch.MPESA_IN)
        if await self._ledger.list_closed(tx, [customer(customer_id, KES)]):
            raise AccountClosed
        number = await self._phone(tx, customer_id, phone)
        index = self._vault.blind_index(number.e164, purpose="deposits.deposit.phone")
        await self._refuse_second_prompt(tx, index, amount)
        limit = KES.units(self._settings.deposit_daily_limit_kes * 100)
        day = await self._limits.reserve(tx, customer_id, LIMIT_KIND, amount, limit, now)
        deposit_id = new_id()
        await tx.execute(
            sql.INSERT,
            deposit_id,
            customer_id,
            amount.units,
            await self._sealed.seal(
                tx, customer_id, number.msisdn.encode(), phone_context(deposit_id)
            ),
            number.masked,
            index,
            new_reference(),
            secrets.token_hex(16),
            purpose,
            purpose_id,
            day,
            now,
            now + SWEEP_AFTER,
        )
        await TABLE.begin(tx, deposit_id, now=now, actor=actor)
        await self._jobs.enqueue(tx, ADVANCE, deposit_id)
        return await self.get(tx, deposit_id, customer_id)

    async def get(self, reader: Reader, deposit_id: UUID, customer_id: UUID) -> DepositView:
        """Raises: NotFound, also when it is somebody else's."""
        row = await reader.fetchrow(sql.GET, deposit_id, customer_id)
        if row is None:
            raise NotFound
        return DepositView.of(row)

    async def find_for(
        self, reader: Reader, purpose_id: UUID, customer_id: UUID
    ) -> DepositView | None:
        """The deposit that was made to pay for ``purpose_id``."""
        row = await reader.fetchrow(sql.BY_PURPOSE, purpose_id, customer_id)
        return None if row is None else DepositView.of(row)

    async def list_of(
        self, reader: Reader, customer_id: UUID, *, limit: int = 50, cursor: str | None = None
    ) -> Page[DepositView]:
        """The customer's deposits, newest first."""
        before = parse_id("dep", cursor) if cursor else None
        rows = await reader.fetch(sql.LIST, customer_id, before, limit + 1)
        views = [DepositView.of(row) for row in rows]
        return Page.of(views, limit, lambda view: wire_id("dep", view.id))

    async def list_open(
        self, reader: Reader, customer_id: UUID, *, limit: int = 20
    ) -> list[DepositView]:
        """Those that still wait for something, newest first."""
        return [
            DepositView.of(row) for row in await reader.fetch(sql.LIST_OPEN, customer_id, limit)
        ]

    async def reveal_msisdn(self, tx: Tx, deposit_id: UUID, customer_id: UUID) -> str:
        """This will open the number that was prompted, for its own customer. Raises: NotFound."""
        row = await tx.fetchrow(sql.GET, deposit_id, customer_id)
        if row is None:
            raise NotFound
        sealed, context = row["phone_sealed"], phone_context(deposit_id)
        return (await self._sealed.open(tx, customer_id, sealed, context)).decode()

    async def timeline(self, tx: Tx, deposit_id: UUID, customer_id: UUID) -> list[Row]:
        """Every transition, oldest first. Raises: NotFound."""
        await self.get(tx, deposit_id, customer_id)
        return await TABLE.events(tx, deposit_id)

    async def _phone(self, tx: Tx, customer_id: UUID, phone: str | None) -> Phone:
        if phone:
            return parse_phone(phone)
        return await self._customers.reveal_phone(tx, customer_id)

    async def _refuse_second_prompt(self, tx: Tx, index: bytes, amount: Money) -> None:
        for row in await tx.fetch(sql.OPEN_ON_PHONE, index):
            if row["state"] != DepositState.UNKNOWN.value:
                raise PromptOpen
            if int(row["amount"]) == amount.units:
                raise PromptUnresolved


def new_reference() -> str:
    """Twelve characters for the payer's screen, without letters that look like digits."""
    length = 12 - len(REFERENCE_PREFIX)
    return REFERENCE_PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(length))


def phone_context(deposit_id: UUID) -> str:
    """What the sealed phone is bound to."""
    return f"deposits.deposit.phone:{deposit_id}"
