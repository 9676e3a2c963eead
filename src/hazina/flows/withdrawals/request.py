"""Asking for a withdrawal: the money is reserved and the payout queued, in one transaction.

A payout that a product funds (the proceeds of a sale) reserves nothing here; its product did.
"""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

from hazina.desk.limits import Limits
from hazina.desk.limits import Reader as LimitReader
from hazina.desk.switches import Switch, Switches
from hazina.flows.deposits.repository import Reader
from hazina.flows.withdrawals import postings
from hazina.flows.withdrawals import repository as sql
from hazina.flows.withdrawals.repository import WithdrawalView
from hazina.flows.withdrawals.states import MACHINE
from hazina.flows.withdrawals.terms import Fee, check_withdrawal, fee_for
from hazina.identity.customers import Customers
from hazina.identity.outward import OutwardGuard
from hazina.identity.phones import Phone, parse_phone
from hazina.infra.db import Row, Tx
from hazina.infra.jobs import Jobs
from hazina.infra.settings import Settings
from hazina.infra.states import StateTable
from hazina.infra.vault import CustomerVault
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, NotFound, Refusal
from hazina.kernel.ids import new_id, parse_id, wire_id
from hazina.kernel.money import KES, Money
from hazina.kernel.page import Page
from hazina.ledger.chart import customer
from hazina.ledger.core import ResultCode, first_fault
from hazina.ledger.service import Ledger

ADVANCE = "withdrawal.advance"
LIMIT_KIND = "withdrawal"
SWEEP_AFTER = timedelta(seconds=10)
TABLE = StateTable("withdrawals.withdrawal", MACHINE)


class InsufficientFunds(Refusal):
    """The customer's shillings do not cover the amount and the fee."""

    code = "insufficient_funds"
    kind = Kind.INSUFFICIENT
    message = "There is not enough money in the wallet for that."
    action = "Use a smaller amount, or top up first."


class AccountStopped(Refusal):
    """The customer's account is frozen or closed."""

    code = "account_stopped"
    kind = Kind.FORBIDDEN
    message = "This account cannot move money at the moment."
    action = "Contact support."


class Withdrawals:
    """What other slices and the shells may ask of withdrawals."""

    def __init__(
        self,
        settings: Settings,
        jobs: Jobs,
        ledger: Ledger,
        limits: Limits,
        customers: Customers,
        sealed: CustomerVault,
        switches: Switches,
        guard: OutwardGuard,
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._ledger = ledger
        self._limits = limits
        self._customers = customers
        self._sealed = sealed
        self._switches = switches
        self._guard = guard

    def fee(self, amount: Money) -> Fee:
        """What withdrawing ``amount`` costs the customer. Raises as ``request`` for its amount."""
        check_withdrawal(amount, self._settings)
        return fee_for(amount, self._settings)

    async def request(
        self,
        tx: Tx,
        *,
        customer_id: UUID,
        amount: Money,
        phone: str | None = None,
        actor: Actor,
        now: datetime,
    ) -> WithdrawalView:
        """This will reserve the customer's money and queue the payout. Posts, as the last act.

        Raises: AmountInvalid, AmountOutOfRange, PhoneInvalid, DailyLimitReached,
        InsufficientFunds, AccountStopped, RailStopped, and what ``OutwardGuard.require`` does.
        """
        fee = self.fee(amount)
        await self._switches.require(tx, Switch.MPESA_OUT)
        await self._admit(tx, customer_id, amount, phone, actor, now)
        withdrawal_id = new_id()
        holds, transfers = postings.asked(withdrawal_id, customer_id, amount, fee)
        held = [h.id if h else None for h in (holds.amount, holds.fee, holds.excise)]
        number = await self._phone(tx, customer_id, phone)
        await self._write(tx, withdrawal_id, customer_id, amount, fee, number, now, actor, held)
        view = await self.get(tx, withdrawal_id, customer_id)
        fault = first_fault(await self._ledger.post(tx, transfers, actor))
        if fault is None:
            return view
        if fault.code is ResultCode.INSUFFICIENT_FUNDS:
            available = (await self._ledger.balance(tx, customer(customer_id, KES))).available
            needed = amount + fee.total
            raise InsufficientFunds(
                f"{needed} is needed and {available} is there.",
                details={
                    "available": available.decimal,
                    "needed": needed.decimal,
                    "asset": KES.code,
                },
            )
        raise AccountStopped(details={"reason": fault.code.value})

    async def request_funded(
        self,
        tx: Tx,
        *,
        customer_id: UUID,
        amount: Money,
        phone: str | None,
        purpose: str,
        purpose_id: UUID,
        actor: Actor,
        now: datetime,
    ) -> WithdrawalView:
        """This will queue a payout that ``purpose`` funds when it is paid. Does not post.

        Raises: AmountInvalid, AmountOutOfRange, PhoneInvalid, DailyLimitReached,
        RailStopped, and what ``OutwardGuard.require`` does.
        """
        check_withdrawal(amount, self._settings)
        await self._switches.require(tx, Switch.MPESA_OUT)
        await self._admit(tx, customer_id, amount, phone, actor, now)
        withdrawal_id, none = new_id(), KES.units(0)
        number = await self._phone(tx, customer_id, phone)
        await self._write(
            tx,
            withdrawal_id,
            customer_id,
            amount,
            Fee(none, none),
            number,
            now,
            actor,
            [None, None, None],
            purpose=purpose,
            purpose_id=purpose_id,
        )
        return await self.get(tx, withdrawal_id, customer_id)

    async def get(self, reader: Reader, withdrawal_id: UUID, customer_id: UUID) -> WithdrawalView:
        """Raises: NotFound, also when it is somebody else's."""
        row = await reader.fetchrow(sql.GET, withdrawal_id, customer_id)
        if row is None:
            raise NotFound
        return WithdrawalView.of(row)

    async def find_for(
        self, reader: Reader, purpose_id: UUID, customer_id: UUID
    ) -> WithdrawalView | None:
        """The payout that was made for ``purpose_id``."""
        row = await reader.fetchrow(sql.BY_PURPOSE, purpose_id, customer_id)
        return None if row is None else WithdrawalView.of(row)

    async def list_of(
        self, reader: Reader, customer_id: UUID, *, limit: int = 50, cursor: str | None = None
    ) -> Page[WithdrawalView]:
        """The customer's withdrawals, newest first."""
        before = parse_id("wdr", cursor) if cursor else None
        rows = await reader.fetch(sql.LIST, customer_id, before, limit + 1)
        views = [WithdrawalView.of(row) for row in rows]
        return Page.of(views, limit, lambda view: wire_id("wdr", view.id))

    async def list_open(
        self, reader: Reader, customer_id: UUID, *, limit: int = 20
    ) -> list[WithdrawalView]:
        """Those that still wait for something, newest first."""
        rows = await reader.fetch(sql.LIST_OPEN, customer_id, limit)
        return [WithdrawalView.of(row) for row in rows]

    async def reveal_msisdn(self, tx: Tx, withdrawal_id: UUID, customer_id: UUID) -> str:
        """This will open the number that is paid, for its own customer. Raises: NotFound."""
        row = await tx.fetchrow(sql.GET, withdrawal_id, customer_id)
        if row is None:
            raise NotFound
        sealed, context = row["phone_sealed"], phone_context(withdrawal_id)
        return (await self._sealed.open(tx, customer_id, sealed, context)).decode()

    async def left_today(self, reader: LimitReader, customer_id: UUID, now: datetime) -> Money:
        """What today's limit leaves a customer to withdraw."""
        limit = KES.units(self._settings.withdrawal_daily_limit_kes * 100)
        used = await self._limits.used(reader, customer_id, LIMIT_KIND, KES, now)
        return max(limit - used, KES.units(0))

    async def timeline(self, tx: Tx, withdrawal_id: UUID, customer_id: UUID) -> list[Row]:
        """Every transition, oldest first. Raises: NotFound."""
        await self.get(tx, withdrawal_id, customer_id)
        return await TABLE.events(tx, withdrawal_id)

    async def _admit(
        self,
        tx: Tx,
        customer_id: UUID,
        amount: Money,
        phone: str | None,
        actor: Actor,
        now: datetime,
    ) -> None:
        to = parse_phone(phone) if phone else None
        await self._guard.require(tx, customer_id, amount, to, actor, now)

    async def _phone(self, tx: Tx, customer_id: UUID, phone: str | None) -> Phone:
        if phone:
            return parse_phone(phone)
        return await self._customers.reveal_phone(tx, customer_id)

    async def _write(
        self,
        tx: Tx,
        withdrawal_id: UUID,
        customer_id: UUID,
        amount: Money,
        fee: Fee,
        number: Phone,
        now: datetime,
        actor: Actor,
        held: list[UUID | None],
        *,
        purpose: str | None = None,
        purpose_id: UUID | None = None,
    ) -> None:
        limit = KES.units(self._settings.withdrawal_daily_limit_kes * 100)
        day = await self._limits.reserve(tx, customer_id, LIMIT_KIND, amount, limit, now)
        phone = await self._sealed.seal(
            tx, customer_id, number.msisdn.encode(), phone_context(withdrawal_id)
        )
        await tx.execute(
            sql.INSERT,
            withdrawal_id,
            customer_id,
            amount.units,
            fee.total.units,
            fee.excise.units,
            phone,
            number.masked,
            secrets.token_hex(16),
            purpose,
            purpose_id,
            day,
            *held,
            now,
            now + SWEEP_AFTER,
        )
        await TABLE.begin(tx, withdrawal_id, now=now, actor=actor)
        await self._jobs.enqueue(tx, ADVANCE, withdrawal_id)


def phone_context(withdrawal_id: UUID) -> str:
    """What the sealed phone is bound to."""
    return f"withdrawals.withdrawal.phone:{withdrawal_id}"
