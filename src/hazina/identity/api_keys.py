"""API keys: a customer's programs, each with what it may do, signing every request.

A request is signed as a service's is (``signing``): over method, target, time, a nonce that works
once, and the body's hash. A key acts as its customer, within its scopes; it never signs in, never
changes what guards the account, and stops at once when revoked or when the account is frozen.

A key that may move money out needs an IP list, and a second factor to be made where one is on.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog

from hazina.identity.credentials import WINDOW, CredentialRefused
from hazina.identity.freeze import Guards
from hazina.identity.people import Customer
from hazina.identity.repository import customer_of
from hazina.identity.second_factor import CustomerFactors
from hazina.identity.signing import SECRET_BYTES, Claim
from hazina.infra.audit import Audit
from hazina.infra.client_ip import is_within, parse_networks
from hazina.infra.db import Database, Row, Tx
from hazina.infra.outbox import Outbox
from hazina.infra.vault import Vault
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Invalid, Kind, NotFound, Refusal
from hazina.kernel.ids import new_id, wire_id

log = structlog.stdlib.get_logger()

PREFIX = "key"
MOST = 20
MAX_LABEL = 64
MAX_NETWORKS = 20
LIFETIMES = (timedelta(days=1), timedelta(days=365))
NOTE_USE_EVERY = timedelta(minutes=1)

COLUMNS = """
k.id, k.label, k.scopes, k.networks, k.created_at, k.expires_at, k.revoked_at, k.last_used_at
"""
# Key, customer and freeze in one statement: all that authentication reads.
FIND = """
SELECT k.id AS key_id, k.secret_sealed, k.scopes, k.networks, k.expires_at, k.revoked_at,
       c.id, c.username, c.email_masked, c.phone_masked, c.kind, c.created_at,
       g.frozen_at IS NOT NULL OR g.blocked_at IS NOT NULL AS frozen
FROM identity.api_key k
JOIN identity.customer c ON c.id = k.customer_id AND c.disabled_at IS NULL
LEFT JOIN identity.guard g ON g.customer_id = k.customer_id
WHERE k.id = $1
"""
LIST = f"""
SELECT {COLUMNS} FROM identity.api_key k
WHERE k.customer_id = $1 AND k.revoked_at IS NULL ORDER BY k.id DESC LIMIT $2
"""  # noqa: S608 - a constant
COUNT = """
SELECT count(*) FROM identity.api_key
WHERE customer_id = $1 AND revoked_at IS NULL AND expires_at > $2
"""
ADD = """
INSERT INTO identity.api_key
  (id, customer_id, label, secret_sealed, scopes, networks, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
REVOKE = """
UPDATE identity.api_key SET revoked_at = $3
WHERE customer_id = $1 AND id = $2 AND revoked_at IS NULL
"""
REVOKE_ALL = """
UPDATE identity.api_key SET revoked_at = $2 WHERE customer_id = $1 AND revoked_at IS NULL
"""
BURN_NONCE = """
WITH burnt AS (
    INSERT INTO identity.api_nonce (key_id, nonce, expires_at) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING 1
),
used AS (
    UPDATE identity.api_key SET last_used_at = $4
    WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $5)
)
SELECT count(*) FROM burnt
"""
PRUNE_NONCES = """
DELETE FROM identity.api_nonce WHERE (key_id, nonce) IN (
    SELECT key_id, nonce FROM identity.api_nonce WHERE expires_at < $1
    ORDER BY expires_at LIMIT $2)
"""


class KeyScope(StrEnum):
    """What a key may do for its customer."""

    READ = "read"  # balances, lists, prices
    TRADE = "trade"  # buy and sell, add money
    WITHDRAW = "withdraw"  # move money out to phones the customer has listed


class TooManyKeys(Refusal):
    """An account keeps a small number of API keys."""

    code = "too_many_keys"
    kind = Kind.LIMITED
    message = f"An account keeps at most {MOST} API keys."
    action = "Revoke one that you no longer use."


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as its owner sees it; ``networks`` empty: from anywhere."""

    id: UUID
    label: str
    scopes: frozenset[KeyScope]
    networks: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    @property
    def wire_id(self) -> str:
        return wire_id(PREFIX, self.id)


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a customer asks for."""

    label: str
    scopes: frozenset[KeyScope]
    networks: tuple[str, ...] = ()
    lifetime: timedelta = field(default=LIFETIMES[1])


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whose key signed a request, and what it may do."""

    customer: Customer
    key_id: UUID
    scopes: frozenset[str]
    expires_at: datetime


class _Unproven(Exception):
    """Why not, for the log alone."""


class ApiKeys:
    """The key table, and the door that asks it."""

    def __init__(
        self,
        db: Database,
        *,
        vault: Vault,
        guards: Guards,
        factors: CustomerFactors,
        audit: Audit,
        outbox: Outbox,
    ) -> None:
        self._db = db
        self._vault = vault
        self._guards = guards
        self._factors = factors
        self._audit = audit
        self._outbox = outbox

    async def create(
        self, tx: Tx, customer_id: UUID, wanted: NewKey, actor: Actor, now: datetime
    ) -> tuple[ApiKey, str]:
        """This will make a key; its secret (64 hex digits) is never shown again.

        Raises: Invalid, TooManyKeys, SecondFactorNeeded, SecondFactorWrong, AccountFrozen,
        RateLimited.
        """
        _check(wanted)
        await self._guards.require_open(tx, customer_id)
        await self._factors.require(tx, customer_id, actor.otp, actor, now)
        if await tx.fetchval(COUNT, customer_id, now) >= MOST:
            raise TooManyKeys
        made = ApiKey(
            new_id(), wanted.label, wanted.scopes, wanted.networks, now, now + wanted.lifetime
        )
        secret, scopes = secrets.token_bytes(SECRET_BYTES), sorted(wanted.scopes)
        sealed = self._vault.seal(secret, context=_context(made.id))
        await tx.execute(
            ADD, made.id, customer_id, made.label, sealed, scopes, list(made.networks), now,
            made.expires_at,
        )  # fmt: skip
        after = {"label": made.label, "scopes": scopes, "networks": list(made.networks)}
        await self._audit.record(
            tx, actor, "key.created", "customer_key", made.id, after=after, now=now
        )
        payload = {"customer_id": str(customer_id), "label": made.label}
        await self._outbox.emit(tx, "customer.api_key_made", customer_id, payload, now)
        return made, secret.hex()

    async def list_keys(self, tx: Tx, customer_id: UUID) -> list[ApiKey]:
        """Those that are not revoked, newest first."""
        return [_key(row) for row in await tx.fetch(LIST, customer_id, MOST * 5)]

    async def revoke(
        self, tx: Tx, customer_id: UUID, key_id: UUID, actor: Actor, now: datetime
    ) -> None:
        """This will end a key from its next request on. Raises: NotFound."""
        if not await tx.execute(REVOKE, customer_id, key_id, now):
            raise NotFound
        await self._audit.record(tx, actor, "key.revoked", "customer_key", key_id, now=now)

    async def revoke_all(self, tx: Tx, customer_id: UUID, actor: Actor, now: datetime) -> int:
        """This will end every key of an account, as a password reset does."""
        ended = await tx.execute(REVOKE_ALL, customer_id, now)
        if ended:
            await self._audit.record(
                tx, actor, "key.revoked_all", "customer", customer_id, after={"ended": ended},
                now=now,
            )  # fmt: skip
        return ended

    async def authenticate(
        self,
        claim: Claim,
        body: Callable[[], Awaitable[bytes]],
        ip: str | None,
        now: datetime,
    ) -> KeyHolder:
        """This will say whose key signed this request, once: its nonce is used up.

        Raises: CredentialRefused, the same for every reason.
        """
        try:
            row = await self._candidate(claim, ip, now)
            secret = self._vault.open(row["secret_sealed"], context=_context(row["key_id"]))
            if not claim.is_signed_by(secret, await body()):
                raise _Unproven("signature")
            await self._burn(claim, row["key_id"], now)
        except _Unproven as why:
            log.warning(
                "an API key was refused", why=str(why), claimed=claim.credential[:36], ip=ip
            )
            raise CredentialRefused from None
        return KeyHolder(
            customer_of(row), row["key_id"], frozenset(row["scopes"]), row["expires_at"]
        )

    async def prune(self, tx: Tx, *, now: datetime, limit: int) -> int:
        """This will delete nonces whose requests are too old to be taken anyway."""
        return await tx.execute(PRUNE_NONCES, now, limit)

    async def _candidate(self, claim: Claim, ip: str | None, now: datetime) -> Row:
        if not claim.is_readable or not claim.credential.startswith(f"{PREFIX}_"):
            raise _Unproven("headers")
        if abs(now.timestamp() - int(claim.timestamp)) > WINDOW.total_seconds():
            raise _Unproven("timestamp")
        row = await self._db.fetchrow(FIND, claim.credential_id)
        if row is None:
            raise _Unproven("unknown")
        if row["revoked_at"] is not None:
            raise _Unproven("revoked")
        if row["expires_at"] <= now:
            raise _Unproven("expired")
        if row["frozen"]:
            raise _Unproven("frozen")
        if row["networks"] and not is_within(ip, parse_networks(",".join(row["networks"]))):
            raise _Unproven("address")
        return row

    async def _burn(self, claim: Claim, key_id: UUID, now: datetime) -> None:
        at = now + timedelta(seconds=int(claim.timestamp) - int(now.timestamp()))
        fresh = await self._db.fetchval(
            BURN_NONCE, key_id, claim.nonce, at + WINDOW + timedelta(seconds=1), now,
            now - NOTE_USE_EVERY,
        )  # fmt: skip
        if not fresh:
            raise _Unproven("nonce")


def _check(wanted: NewKey) -> None:
    if not 1 <= len(wanted.label) <= MAX_LABEL or not wanted.label.isprintable():
        raise Invalid.field("label", f"A label has 1 to {MAX_LABEL} characters.")
    if not wanted.scopes:
        raise Invalid.field("scopes", "A key without a scope can do nothing.")
    if not LIFETIMES[0] <= wanted.lifetime <= LIFETIMES[1]:
        raise Invalid.field("days", "A key lives from 1 to 365 days.")
    if len(wanted.networks) > MAX_NETWORKS:
        raise Invalid.field("networks", f"A key has at most {MAX_NETWORKS} addresses.")
    try:
        parse_networks(",".join(wanted.networks))
    except ValueError:
        raise Invalid.field("networks", "Write addresses like 198.51.100.7 or a /24.") from None
    if KeyScope.WITHDRAW in wanted.scopes and not wanted.networks:
        raise Invalid.field("networks", "A key that moves money out needs its addresses.")


def parse_scopes(names: list[str]) -> frozenset[KeyScope]:
    """Raises: Invalid."""
    try:
        return frozenset(KeyScope(name) for name in names)
    except ValueError:
        raise Invalid.field("scopes", "Scopes are read, trade and withdraw.") from None


def _key(row: Row) -> ApiKey:
    return ApiKey(
        id=row["id"],
        label=row["label"],
        scopes=frozenset(KeyScope(scope) for scope in row["scopes"]),
        networks=tuple(row["networks"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )


def _context(id_: UUID) -> str:
    return f"identity.api_key.secret:{id_}"
