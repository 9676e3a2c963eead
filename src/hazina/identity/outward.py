"""The one question before money leaves to somewhere outside: may this customer, this way, now?

Asked first in every outward use case, so that nothing is written when the answer is no.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.identity.customers import PHONE_INDEX
from hazina.identity.freeze import CoolingDown, Guards
from hazina.identity.phones import Phone
from hazina.identity.repository import Reads
from hazina.identity.second_factor import CustomerFactors
from hazina.infra.audit import Audit
from hazina.infra.db import Tx
from hazina.infra.outbox import Outbox
from hazina.infra.vault import Vault
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, NotFound, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import Money

PREFIX = "pph"
MOST = 20
WITHDRAW = "withdraw"  # the scope of an API key that may move money out

IS_OWN = "SELECT id FROM identity.customer WHERE id = $1 AND phone_index = $2"
FIND = """
SELECT id, usable_from FROM identity.payout_phone WHERE customer_id = $1 AND phone_index = $2
"""
ADD = """
INSERT INTO identity.payout_phone
  (id, customer_id, phone_index, phone_masked, added_at, usable_from)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (customer_id, phone_index) DO NOTHING
"""
LIST = """
SELECT id, phone_masked, added_at, usable_from FROM identity.payout_phone
WHERE customer_id = $1 ORDER BY id DESC LIMIT $2
"""
COUNT = "SELECT count(*) FROM identity.payout_phone WHERE customer_id = $1"
REMOVE = "DELETE FROM identity.payout_phone WHERE customer_id = $1 AND id = $2"


class PayoutPhoneUnknown(Refusal):
    """Money goes to the account's own phone, or to one that was added before."""

    code = "payout_phone_unknown"
    kind = Kind.FORBIDDEN
    message = "That phone is not among the ones you may pay."
    action = "Add it under Security first; it can be paid after a day."

    def __init__(self) -> None:
        super().__init__(details={"field": "phone"})


class TooManyPayoutPhones(Refusal):
    """An account keeps a small number of payout phones."""

    code = "too_many_payout_phones"
    kind = Kind.LIMITED
    message = f"An account keeps at most {MOST} payout phones."
    action = "Remove one that you no longer pay."


class KeyScopeMissing(Refusal):
    """The API key was not made for this."""

    code = "key_scope_missing"
    kind = Kind.FORBIDDEN
    message = "This API key may not do that."
    action = "Make a key that has the scope, or sign in."


@dataclass(frozen=True, slots=True)
class PayoutPhone:
    """A number that may be paid, as its customer sees it."""

    id: UUID
    phone_masked: str
    added_at: datetime
    usable_from: datetime


class OutwardGuard:
    """Freeze, cool-down, payout phones and the second factor, in this order."""

    def __init__(
        self,
        *,
        guards: Guards,
        factors: CustomerFactors,
        vault: Vault,
        audit: Audit,
        outbox: Outbox,
        factor_from: Money,
    ) -> None:
        self._guards = guards
        self._factors = factors
        self._vault = vault
        self._audit = audit
        self._outbox = outbox
        self._factor_from = factor_from

    async def require(
        self,
        tx: Tx,
        customer_id: UUID,
        amount: Money,
        phone: Phone | None,
        actor: Actor,
        now: datetime,
    ) -> None:
        """This will let ``amount`` leave to ``phone`` (None: the customer's own), using up the
        code that came with the request where one is asked for.

        Raises: KeyScopeMissing, AccountFrozen, CoolingDown, PayoutPhoneUnknown,
        SecondFactorNeeded, SecondFactorWrong, RateLimited.
        """
        if actor.scopes is not None and WITHDRAW not in actor.scopes:
            raise KeyScopeMissing(details={"needed": WITHDRAW})
        await self._guards.require_warm(tx, customer_id, now)
        other = await self._is_other(tx, customer_id, phone)
        if other and phone is not None and self._guards.cool_down:
            await self._require_known(tx, customer_id, phone, now)
        # A key proves itself by its secret, was made with a second factor, and is a machine.
        if actor.scopes is None and (other or amount >= self._factor_from):
            await self._factors.require(tx, customer_id, actor.otp, actor, now)

    async def asks(
        self, reader: Reads, customer_id: UUID, amount: Money, phone: Phone | None
    ) -> bool:
        """Whether ``require`` will ask for a code: pages show the field then."""
        other = await self._is_other(reader, customer_id, phone)
        if not other and amount < self._factor_from:
            return False
        return await self._factors.is_on(reader, customer_id)

    async def add(
        self,
        tx: Tx,
        customer_id: UUID,
        phone: Phone,
        actor: Actor,
        now: datetime,
    ) -> datetime:
        """This will let ``phone`` be paid from the answered time on; known already, it stays as
        it is. Raises: SecondFactorNeeded, SecondFactorWrong, TooManyPayoutPhones, RateLimited."""
        await self._guards.require_open(tx, customer_id)
        await self._factors.require(tx, customer_id, actor.otp, actor, now)
        if await tx.fetchval(COUNT, customer_id) >= MOST:
            raise TooManyPayoutPhones
        return await self._write(tx, customer_id, phone, actor, now)

    async def list_phones(self, tx: Tx, customer_id: UUID) -> list[PayoutPhone]:
        """Newest first."""
        return [PayoutPhone(**row) for row in await tx.fetch(LIST, customer_id, MOST)]

    async def remove(
        self, tx: Tx, customer_id: UUID, phone_id: UUID, actor: Actor, now: datetime
    ) -> None:
        """Raises: NotFound."""
        if not await tx.execute(REMOVE, customer_id, phone_id):
            raise NotFound
        await self._audit.record(
            tx, actor, "payout_phone.removed", "payout_phone", phone_id, now=now
        )

    async def _is_other(self, reader: Reads, customer_id: UUID, phone: Phone | None) -> bool:
        if phone is None:
            return False
        return await reader.fetchrow(IS_OWN, customer_id, self._index(phone)) is None

    async def _require_known(self, tx: Tx, customer_id: UUID, phone: Phone, now: datetime) -> None:
        row = await tx.fetchrow(FIND, customer_id, self._index(phone))
        if row is None:
            raise PayoutPhoneUnknown
        if row["usable_from"] > now:
            raise CoolingDown("new_phone", row["usable_from"])

    async def _write(
        self, tx: Tx, customer_id: UUID, phone: Phone, actor: Actor, now: datetime
    ) -> datetime:
        phone_id, usable = new_id(), now + self._guards.cool_down
        index = self._index(phone)
        added = await tx.execute(ADD, phone_id, customer_id, index, phone.masked, now, usable)
        if not added:
            row = await tx.fetchrow(FIND, customer_id, index)
            assert row is not None
            known: datetime = row["usable_from"]
            return known
        await self._audit.record(
            tx, actor, "payout_phone.added", "payout_phone", phone_id,
            after={"masked": phone.masked, "usable_from": usable.isoformat()}, now=now,
        )  # fmt: skip
        if self._guards.cool_down:
            payload = {
                "customer_id": str(customer_id),
                "phone": phone.masked,
                "until": usable.isoformat(),
            }
            await self._outbox.emit(tx, "customer.payout_phone_added", customer_id, payload, now)
        return usable

    def _index(self, phone: Phone) -> bytes:
        return self._vault.blind_index(phone.e164, purpose=PHONE_INDEX)
