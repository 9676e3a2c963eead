"""Service credentials: who of the machines outside may ask for what, proven request by request.

A credential belongs to a namespace: the books of one institution, apart from everybody else's and
from the house's own. Its secret is shown once and kept sealed. Every way a request can fail to
prove itself looks alike from outside; the log says which it was.

Left out on purpose: any way to make a credential over the network.
"""

import re
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog

from hazina.identity.repository import Reads
from hazina.identity.signing import SECRET_BYTES, Claim
from hazina.infra.audit import Audit
from hazina.infra.client_ip import is_within, parse_networks
from hazina.infra.db import Database, Row, Tx
from hazina.infra.vault import Vault
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, NotFound, Refusal
from hazina.kernel.ids import new_id, parse_id, wire_id
from hazina.kernel.page import MAX_LIMIT, Page

log = structlog.stdlib.get_logger()

PREFIX = "crd"
_NAMESPACE = re.compile(r"[a-z0-9][a-z0-9_.-]{1,31}", re.ASCII)
WINDOW = timedelta(minutes=5)  # how far a request's clock may be from ours, either way
NOTE_USE_EVERY = timedelta(minutes=1)  # last_used_at is not worth a write for each request
OPENED_SECRETS = 1_000
LONGEST = timedelta(days=730)  # what is never renewed is never missed when it is stolen

COLUMNS = """
c.id, c.namespace_id, n.name AS namespace, c.label, c.scopes, c.networks, c.created_at,
c.expires_at, c.revoked_at, c.last_used_at
"""
FIND = f"""
SELECT {COLUMNS}, c.secret_sealed
FROM identity.service_credential c JOIN identity.namespace n ON n.id = c.namespace_id
WHERE c.id = $1
"""  # noqa: S608 - a constant
LIST = f"""
SELECT {COLUMNS}
FROM identity.service_credential c JOIN identity.namespace n ON n.id = c.namespace_id
WHERE c.id > $1 ORDER BY c.id LIMIT $2
"""  # noqa: S608 - a constant
ADD_NAMESPACE = """
INSERT INTO identity.namespace (id, name, created_at) VALUES ($1, $2, $3)
ON CONFLICT (name) DO NOTHING
"""
NAMESPACE = "SELECT id FROM identity.namespace WHERE name = $1"
ADD = """
INSERT INTO identity.service_credential
  (id, namespace_id, label, secret_sealed, scopes, networks, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
REVOKE = """
UPDATE identity.service_credential SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL
"""
# Not synced to disk before the answer: what a crash of the server could let through a second time
# are reads, openings and transfers with ids, and those answer as they did before.
BURN_NONCE = """
WITH quick AS (SELECT set_config('synchronous_commit', 'off', true)),
burnt AS (
    INSERT INTO identity.request_nonce (credential_id, nonce, expires_at)
    SELECT $1, $2, $3 FROM quick ON CONFLICT DO NOTHING RETURNING 1
),
used AS (
    UPDATE identity.service_credential SET last_used_at = $4
    WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $5)
)
SELECT count(*) FROM burnt
"""
PRUNE_NONCES = """
DELETE FROM identity.request_nonce WHERE (credential_id, nonce) IN (
    SELECT credential_id, nonce FROM identity.request_nonce WHERE expires_at < $1
    ORDER BY expires_at LIMIT $2)
"""


class Scope(StrEnum):
    """What a credential may do, in its own namespace and nowhere else."""

    POST = "ledger:post"  # move money between its accounts
    READ = "ledger:read"  # balances, statements, transfers
    ACCOUNTS = "ledger:accounts"  # open accounts


class CredentialRefused(Refusal):
    """The request does not prove that it may: unknown, unsigned, too old, seen before, revoked,
    from elsewhere or without the scope. They look alike on purpose."""

    code = "credential_refused"
    kind = Kind.UNAUTHENTICATED
    message = "This request is not signed by a credential that may make it."
    action = "Check credential, scope, secret, clock and signature; sign each attempt anew."


class CredentialInvalid(Refusal):
    """A credential cannot be made like this."""

    code = "credential_invalid"
    kind = Kind.INVALID
    message = "A credential cannot be made like this."


@dataclass(frozen=True, slots=True)
class Credential:
    """One machine's way in; ``networks`` empty: from anywhere."""

    id: UUID
    namespace_id: UUID
    namespace: str
    label: str
    scopes: frozenset[Scope]
    networks: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    @property
    def wire_id(self) -> str:
        return wire_id(PREFIX, self.id)


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What somebody asks for."""

    namespace: str
    label: str
    scopes: frozenset[Scope]
    networks: tuple[str, ...] = field(default=())
    lifetime: timedelta = field(default=timedelta(days=365))


class _Unproven(Exception):
    """Why not, for the log alone."""


class Credentials:
    """The credential table, and the door that asks it."""

    def __init__(self, db: Database, *, vault: Vault, audit: Audit) -> None:
        self._db = db
        self._vault = vault
        self._audit = audit
        # A key provider may be far away: what was opened once is kept, in this process only.
        self._opened: dict[UUID, tuple[bytes, bytes]] = {}

    async def create(
        self, tx: Tx, wanted: NewCredential, actor: Actor, now: datetime
    ) -> tuple[Credential, str]:
        """This will make a credential, and its namespace when it is the first there; the secret
        (64 hex digits) is never shown again.

        Raises: CredentialInvalid.
        """
        _check(wanted)
        await tx.execute(ADD_NAMESPACE, new_id(), wanted.namespace, now)
        namespace_id = await tx.fetchval(NAMESPACE, wanted.namespace)
        made = Credential(
            id=new_id(),
            namespace_id=namespace_id,
            namespace=wanted.namespace,
            label=wanted.label,
            scopes=wanted.scopes,
            networks=wanted.networks,
            created_at=now,
            expires_at=now + wanted.lifetime,
        )
        secret = secrets.token_bytes(SECRET_BYTES)
        sealed = self._vault.seal(secret, context=_context(made.id))
        scopes = sorted(wanted.scopes)
        await tx.execute(
            ADD, made.id, made.namespace_id, made.label, sealed, scopes,
            list(made.networks), now, made.expires_at,
        )  # fmt: skip
        after = {
            "namespace": made.namespace,
            "label": made.label,
            "scopes": scopes,
            "networks": list(made.networks),
            "expires_at": made.expires_at.isoformat(),
        }
        await self._audit.record(
            tx, actor, "credential.created", "service_credential", made.id, after=after, now=now
        )
        return made, secret.hex()

    async def get(self, reader: Reads, credential: str) -> Credential:
        """Raises: NotFound."""
        row = await reader.fetchrow(FIND, parse_id(PREFIX, credential))
        if row is None:
            raise NotFound("There is no such credential.", action="List the credentials.")
        return _credential(row)

    async def list_credentials(
        self, reader: Reads, *, after: str | None = None, limit: int = MAX_LIMIT
    ) -> Page[Credential]:
        """This will list credentials, oldest first, revoked ones included."""
        start = UUID(int=0) if after is None else parse_id(PREFIX, after)
        rows = await reader.fetch(LIST, start, limit + 1)
        return Page.of([_credential(row) for row in rows], limit, lambda one: one.wire_id)

    async def revoke(self, tx: Tx, credential: str, actor: Actor, now: datetime) -> Credential:
        """This will end a credential from the next request on; a second time is harmless.

        Raises: NotFound.
        """
        found = await self.get(tx, credential)
        if await tx.execute(REVOKE, found.id, now):
            await self._audit.record(
                tx, actor, "credential.revoked", "service_credential", found.id, now=now
            )
        return await self.get(tx, credential)

    async def authenticate(
        self,
        claim: Claim,
        scope: Scope | None,
        body: Callable[[], Awaitable[bytes]],
        ip: str | None,
        now: datetime,
    ) -> Credential:
        """This will say who signed this request, once: its nonce is used up. ``body`` is not read
        before the rest is right. ``scope`` None: whatever the credential may do.

        Raises: CredentialRefused.
        """
        try:
            found, sealed = await self._candidate(claim, ip, now)
            if not claim.is_signed_by(self._secret(found.id, sealed), await body()):
                raise _Unproven("signature")
            if scope is not None and scope not in found.scopes:
                raise _Unproven(f"scope {scope.value}")
            await self._burn(claim, found, now)
        except _Unproven as why:
            log.warning("a service was refused", why=str(why), claimed=claim.credential[:36], ip=ip)
            raise CredentialRefused from None
        return found

    async def prune(self, tx: Tx, *, now: datetime, limit: int) -> int:
        """This will delete nonces whose requests are too old to be taken anyway."""
        return await tx.execute(PRUNE_NONCES, now, limit)

    async def _candidate(
        self, claim: Claim, ip: str | None, now: datetime
    ) -> tuple[Credential, bytes]:
        if not claim.is_readable or not claim.credential.startswith(f"{PREFIX}_"):
            raise _Unproven("headers")
        if abs(now.timestamp() - int(claim.timestamp)) > WINDOW.total_seconds():
            raise _Unproven("timestamp")
        row = await self._db.fetchrow(FIND, claim.credential_id)
        if row is None:
            raise _Unproven("unknown")
        found = _credential(row)
        if found.revoked_at is not None:
            raise _Unproven("revoked")
        if found.expires_at <= now:
            raise _Unproven("expired")
        if found.networks and not is_within(ip, parse_networks(",".join(found.networks))):
            raise _Unproven("address")
        return found, bytes(row["secret_sealed"])

    async def _burn(self, claim: Claim, found: Credential, now: datetime) -> None:
        at = now + timedelta(seconds=int(claim.timestamp) - int(now.timestamp()))
        fresh = await self._db.fetchval(
            BURN_NONCE, found.id, claim.nonce, at + WINDOW + timedelta(seconds=1), now,
            now - NOTE_USE_EVERY,
        )  # fmt: skip
        if not fresh:
            raise _Unproven("nonce")

    def _secret(self, id_: UUID, sealed: bytes) -> bytes:
        known = self._opened.get(id_)
        if known is None or known[0] != sealed:
            if len(self._opened) >= OPENED_SECRETS:
                self._opened.clear()
            known = self._opened[id_] = (sealed, self._vault.open(sealed, context=_context(id_)))
        return known[1]


def _check(wanted: NewCredential) -> None:
    if not _NAMESPACE.fullmatch(wanted.namespace):
        raise CredentialInvalid("A namespace has 2 to 32 small letters, digits, dots, dashes.")
    if not 1 <= len(wanted.label) <= 64:
        raise CredentialInvalid("A label has 1 to 64 characters.")
    if not wanted.scopes:
        raise CredentialInvalid("A credential without a scope can do nothing.")
    if wanted.lifetime <= timedelta(0):
        raise CredentialInvalid("A credential ends after it begins.")
    if wanted.lifetime > LONGEST:
        raise CredentialInvalid(f"A credential lasts at most {LONGEST.days} days.")
    _check_networks(wanted.networks)


def _check_networks(networks: Iterable[str]) -> None:
    try:
        parse_networks(",".join(networks))
    except ValueError as why:
        raise CredentialInvalid(f"That is not an address or network: {why}.") from None


def _credential(row: Row) -> Credential:
    return Credential(
        id=row["id"],
        namespace_id=row["namespace_id"],
        namespace=row["namespace"],
        label=row["label"],
        scopes=frozenset(Scope(scope) for scope in row["scopes"]),
        networks=tuple(row["networks"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        last_used_at=row["last_used_at"],
    )


def _context(id_: UUID) -> str:
    return f"identity.service_credential.secret:{id_}"
