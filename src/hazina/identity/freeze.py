"""Guards of outward money: a cool-down after what a thief would do first, and two brakes.

A cool-down holds back outward moves until a time; a freeze holds back every money command until the
customer lifts it, a block until an operator does: neither lifts the other. What comes in is booked
all the same.
"""

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hazina.identity.repository import Reads
from hazina.infra.audit import Audit
from hazina.infra.db import Tx
from hazina.infra.outbox import Outbox
from hazina.infra.vault import Vault
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Invalid, Kind, Refusal

GUARD = """
SELECT cool_until, cool_why, frozen_at, blocked_at, blocked_by, blocked_why FROM identity.guard
WHERE customer_id = $1
"""
COOL = """
INSERT INTO identity.guard AS g (customer_id, cool_until, cool_why) VALUES ($1, $2, $3)
ON CONFLICT (customer_id) DO UPDATE SET cool_until = excluded.cool_until,
    cool_why = excluded.cool_why
WHERE g.cool_until IS NULL OR g.cool_until < excluded.cool_until
"""
FREEZE = """
INSERT INTO identity.guard AS g (customer_id, frozen_at, frozen_why) VALUES ($1, $2, $3)
ON CONFLICT (customer_id) DO UPDATE SET frozen_at = excluded.frozen_at,
    frozen_why = excluded.frozen_why
WHERE g.frozen_at IS NULL
"""
UNFREEZE = """
UPDATE identity.guard SET frozen_at = NULL, frozen_why = NULL
WHERE customer_id = $1 AND frozen_at IS NOT NULL
"""
BLOCK = """
INSERT INTO identity.guard AS g (customer_id, blocked_at, blocked_by, blocked_why)
VALUES ($1, $2, $3, $4)
ON CONFLICT (customer_id) DO UPDATE SET blocked_at = excluded.blocked_at,
    blocked_by = excluded.blocked_by, blocked_why = excluded.blocked_why
WHERE g.blocked_at IS NULL
"""
UNBLOCK = """
UPDATE identity.guard SET blocked_at = NULL, blocked_by = NULL, blocked_why = NULL
WHERE customer_id = $1 AND blocked_at IS NOT NULL
"""


class CoolingDown(Refusal):
    """Outward money waits after a password reset, a new device or a new payout phone;
    ``details.until`` says until when."""

    code = "cooling_down"
    kind = Kind.FORBIDDEN
    message = "Money cannot leave this account yet."
    action = "Wait until then. If this was not you, freeze the account under Security."

    def __init__(self, why: str, until: datetime) -> None:
        super().__init__(
            f"Money cannot leave yet: {WHY.get(why, why)}.",
            details={"until": until.isoformat(), "reason": why},
        )


class AccountFrozen(Refusal):
    """The customer has frozen the account: no money command is taken until they lift it."""

    code = "account_frozen"
    kind = Kind.FORBIDDEN
    message = "This account is frozen."
    action = "Unfreeze it under Security; that needs a second proof."


class AccountBlocked(Refusal):
    """We have stopped the account: no money command is taken until one of us lifts it."""

    code = "account_blocked"
    kind = Kind.FORBIDDEN
    message = "This account is stopped by us."
    action = "Nothing is lost, and what comes in is booked. Ask us to look at it."


class AlreadyBlocked(Refusal):
    """Somebody was quicker."""

    code = "already_blocked"
    kind = Kind.CONFLICT
    message = "This account is stopped already."
    action = "Reload to see why."


class NotBlocked(Refusal):
    """There is nothing to lift."""

    code = "not_blocked"
    kind = Kind.CONFLICT
    message = "This account is not stopped by us."
    action = "What the customer froze, the customer lifts."


WHY = {
    "password_reset": "the password was reset a short time ago",
    "new_device": "the account was opened on a new device a short time ago",
    "new_phone": "this payout phone was added a short time ago",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds an account back now."""

    frozen_at: datetime | None = None
    cool_until: datetime | None = None
    cool_why: str = ""
    blocked_at: datetime | None = None
    blocked_by: str = ""
    blocked_why: str = ""

    def require_open(self) -> None:
        """Raises: AccountBlocked, AccountFrozen."""
        if self.blocked_at is not None:
            raise AccountBlocked
        if self.frozen_at is not None:
            raise AccountFrozen

    def cooling(self, now: datetime) -> bool:
        return self.cool_until is not None and self.cool_until > now


class Guards:
    """The guard rows. ``cool_down`` zero: nothing is ever cooled down (demonstrations)."""

    def __init__(self, *, audit: Audit, outbox: Outbox, cool_down: timedelta) -> None:
        self._audit = audit
        self._outbox = outbox
        self.cool_down = cool_down

    async def standing(self, reader: Reads, customer_id: UUID) -> Standing:
        row = await reader.fetchrow(GUARD, customer_id)
        if row is None:
            return Standing()
        return Standing(
            row["frozen_at"],
            row["cool_until"],
            row["cool_why"] or "",
            row["blocked_at"],
            row["blocked_by"] or "",
            row["blocked_why"] or "",
        )

    async def cool(
        self, tx: Tx, customer_id: UUID, why: str, actor: Actor, now: datetime
    ) -> datetime:
        """This will hold outward money back from now on; a longer wait is never shortened."""
        until = now + self.cool_down
        if self.cool_down:
            await tx.execute(COOL, customer_id, until, why)
            after = {"why": why, "until": until.isoformat()}
            await self._audit.record(
                tx, actor, "customer.cooled_down", "customer", customer_id, after=after, now=now
            )
        return until

    async def require_open(self, reader: Reads, customer_id: UUID) -> None:
        """Raises: AccountBlocked, AccountFrozen."""
        (await self.standing(reader, customer_id)).require_open()

    async def require_warm(self, reader: Reads, customer_id: UUID, now: datetime) -> None:
        """Raises: AccountBlocked, AccountFrozen, CoolingDown."""
        standing = await self.standing(reader, customer_id)
        standing.require_open()
        if standing.cooling(now):
            assert standing.cool_until is not None
            raise CoolingDown(standing.cool_why, standing.cool_until)

    async def freeze(
        self, tx: Tx, customer_id: UUID, why: str, actor: Actor, now: datetime
    ) -> bool:
        """This will stop every money command of the account; False: it was frozen already."""
        if not await tx.execute(FREEZE, customer_id, now, why):
            return False
        await self._tell(tx, "frozen", customer_id, {"why": why}, actor, now)
        return True

    async def unfreeze(self, tx: Tx, customer_id: UUID, actor: Actor, now: datetime) -> bool:
        """This will lift the freeze; whoever calls has seen a second proof."""
        if not await tx.execute(UNFREEZE, customer_id):
            return False
        await self._tell(tx, "unfrozen", customer_id, {}, actor, now)
        return True

    async def block(
        self, tx: Tx, customer_id: UUID, why: str, *, by: str, actor: Actor, now: datetime
    ) -> None:
        """This will stop every money command of the account in the house's name; ``by`` is the
        operator. Raises: AlreadyBlocked, Invalid without a reason."""
        reason = _reason(why)
        if not await tx.execute(BLOCK, customer_id, now, by, reason):
            raise AlreadyBlocked
        await self._tell(tx, "blocked", customer_id, {"why": reason}, actor, now)

    async def unblock(
        self, tx: Tx, customer_id: UUID, why: str, actor: Actor, now: datetime
    ) -> None:
        """This will lift a block; a freeze of the customer's own stays.
        Raises: NotBlocked, Invalid without a reason."""
        reason = _reason(why)
        if not await tx.execute(UNBLOCK, customer_id):
            raise NotBlocked
        await self._tell(tx, "unblocked", customer_id, {"why": reason}, actor, now)

    async def _tell(
        self,
        tx: Tx,
        what: str,
        customer_id: UUID,
        after: dict[str, str],
        actor: Actor,
        now: datetime,
    ) -> None:
        await self._audit.record(
            tx, actor, f"customer.{what}", "customer", customer_id, after=after or None, now=now
        )
        payload = {"customer_id": str(customer_id)}
        await self._outbox.emit(tx, f"customer.{what}", customer_id, payload, now)


def _reason(why: str) -> str:
    if not why.strip():
        raise Invalid.field("reason", "Say why: whoever looks later has only your word.")
    return why.strip()[:300]


class StopCodes:
    """Codes that do one thing: freeze the account that a notice was about. They follow from the
    notice's id and a key of the vault, so that they are written nowhere but in the notice."""

    def __init__(self, vault: Vault) -> None:
        self._key = vault.derive("identity.stop-code")

    def code(self, stop_id: UUID) -> str:
        """Ten letters and digits in two groups: 50 bits."""
        text = base64.b32encode(hmac.digest(self._key, stop_id.bytes, "sha256")).decode()
        return f"{text[:5]}-{text[5:10]}"

    def matches(self, stop_id: UUID, code: str) -> bool:
        plain = code.upper().replace("-", "").replace(" ", "")
        own = self.code(stop_id).replace("-", "")
        return hmac.compare_digest(plain.encode("utf-8", "surrogatepass"), own.encode())
