"""The SQL of customers and operators; sessions have theirs in ``session_rows``."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

import asyncpg

from hazina.identity.people import Customer, CustomerKind, Operator, Realm, Role
from hazina.infra.db import Row, Tx
from hazina.kernel.errors import Kind, Refusal


class Reads(Protocol):
    """A transaction, or the pool where one statement is enough."""

    async def fetchrow(self, sql: str, *args: object) -> Row | None: ...

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...


class UsernameTaken(Refusal):
    """Somebody has this username; capital letters make no difference."""

    code = "username_taken"
    kind = Kind.CONFLICT
    message = "That username is taken."
    action = "Choose another one."


class EmailTaken(Refusal):
    """An account with this e-mail address exists."""

    code = "email_taken"
    kind = Kind.CONFLICT
    message = "There is already an account with that e-mail address."
    action = "Sign in, or use another address."


class PhoneTaken(Refusal):
    """An account with this phone number exists."""

    code = "phone_taken"
    kind = Kind.CONFLICT
    message = "There is already an account with that phone number."
    action = "Sign in, or use another number."


_TAKEN: dict[str, tuple[type[Refusal], str]] = {
    "customer_username_key": (UsernameTaken, "username"),
    "customer_email_key": (EmailTaken, "email"),
    "customer_phone_key": (PhoneTaken, "phone"),
    "operator_username_key": (UsernameTaken, "username"),
}


@dataclass(frozen=True, slots=True)
class NewCustomer:
    """A customer row about to be written; contacts are sealed already."""

    id: UUID
    username: str
    kind: CustomerKind
    email_sealed: bytes
    email_index: bytes
    email_masked: str
    phone_sealed: bytes
    phone_index: bytes
    phone_masked: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a login is checked against."""

    account_id: UUID
    username: str
    password_hash: str = field(repr=False)
    password_version: int
    disabled: bool


INSERT_CUSTOMER = """
    INSERT INTO identity.customer (
      id, username, kind, email_sealed, email_index, email_masked,
      phone_sealed, phone_index, phone_masked, password_hash, password_changed_at, created_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
"""
REGISTERED = """
    SELECT id FROM identity.customer WHERE id > $1 AND created_at < $2 ORDER BY id LIMIT $3
"""
CUSTOMER_BY_ID = """
    SELECT id, username, email_masked, phone_masked, kind, created_at
      FROM identity.customer WHERE id = $1
"""
CUSTOMER_BY_USERNAME = """
    SELECT id, username, email_masked, phone_masked, kind, created_at
      FROM identity.customer WHERE username = $1
"""
# Usernames are ASCII below the tilde, so that this is one stretch of the unique index.
CUSTOMERS_NAMED = """
    SELECT id, username, email_masked, phone_masked, kind, created_at
      FROM identity.customer WHERE username >= $1 AND username < $1 || '~'
     ORDER BY username LIMIT $2
"""
CUSTOMERS_BEFORE = """
    SELECT id, username, email_masked, phone_masked, kind, created_at
      FROM identity.customer WHERE id < $1 ORDER BY id DESC LIMIT $2
"""
CUSTOMER_BY_PHONE = """
    SELECT id, username, email_masked, phone_masked, kind, created_at
      FROM identity.customer WHERE phone_index = $1
"""
SEALED_CONTACTS = "SELECT email_sealed, phone_sealed FROM identity.customer WHERE id = $1"

INSERT_OPERATOR = """
    INSERT INTO identity.operator (
      id, username, role, password_hash, password_changed_at, created_at)
    VALUES ($1, $2, $3, $4, $5, $5)
"""
OPERATOR_BY_USERNAME = """
    SELECT id, username, role, created_at, disabled_at
      FROM identity.operator WHERE username = $1
"""
OPERATORS_AFTER = """
    SELECT id, username, role, created_at, disabled_at
      FROM identity.operator WHERE username > $1 ORDER BY username LIMIT $2
"""
DISABLE_OPERATOR = """
    UPDATE identity.operator SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL
"""

CREDENTIALS = """
    SELECT id, username, password_hash, password_version, disabled_at IS NOT NULL AS disabled
      FROM {accounts} WHERE username = $1
"""
CREDENTIALS_BY_ID = """
    SELECT id, username, password_hash, password_version, disabled_at IS NOT NULL AS disabled
      FROM {accounts} WHERE id = $1
"""
# Locked: a password change waits for a login that is being booked, and then ends its session.
STILL_HOLDS = """
    SELECT id FROM {accounts}
     WHERE id = $1 AND password_version = $2 AND disabled_at IS NULL FOR NO KEY UPDATE
"""
REHASH = "UPDATE {accounts} SET password_hash = $3 WHERE id = $1 AND password_version = $2"
CHANGE = """
    UPDATE {accounts}
       SET password_hash = $3, password_changed_at = $4, password_version = password_version + 1
     WHERE id = $1 AND password_version = $2 AND disabled_at IS NULL
"""


def customer_of(row: Row) -> Customer:
    return Customer(
        id=row["id"],
        username=row["username"],
        email_masked=row["email_masked"],
        phone_masked=row["phone_masked"],
        kind=CustomerKind(row["kind"]),
        created_at=row["created_at"],
    )


def operator_of(row: Row) -> Operator:
    return Operator(
        id=row["id"],
        username=row["username"],
        role=Role(row["role"]),
        created_at=row["created_at"],
        disabled_at=row["disabled_at"],
    )


async def insert_customer(tx: Tx, new: NewCustomer, now: datetime) -> Customer:
    """Raises: UsernameTaken, EmailTaken, PhoneTaken; the transaction is then lost."""
    try:
        await tx.execute(
            INSERT_CUSTOMER,
            new.id,
            new.username,
            new.kind.value,
            new.email_sealed,
            new.email_index,
            new.email_masked,
            new.phone_sealed,
            new.phone_index,
            new.phone_masked,
            new.password_hash,
            now,
        )
    except asyncpg.UniqueViolationError as violation:
        raise _taken(violation) from None
    return Customer(
        new.id, new.username, new.email_masked, new.phone_masked, new.kind, created_at=now
    )


async def insert_operator(tx: Tx, new: Operator, password_hash: str) -> None:
    """Raises: UsernameTaken; the transaction is then lost."""
    try:
        await tx.execute(
            INSERT_OPERATOR, new.id, new.username, new.role.value, password_hash, new.created_at
        )
    except asyncpg.UniqueViolationError as violation:
        raise _taken(violation) from None


def _taken(violation: asyncpg.UniqueViolationError) -> Refusal:
    refusal, name = _TAKEN[violation.constraint_name]
    return refusal(details={"field": name})


class Accounts:
    """The credentials of one realm."""

    def __init__(self, realm: Realm) -> None:
        self._credentials = _for(realm, CREDENTIALS)
        self._credentials_by_id = _for(realm, CREDENTIALS_BY_ID)
        self._still_holds = _for(realm, STILL_HOLDS)
        self._rehash = _for(realm, REHASH)
        self._new_password = _for(realm, CHANGE)

    async def find(self, db: Reads, username: str) -> Credentials | None:
        row = await db.fetchrow(self._credentials, username)
        return _credentials_of(row) if row else None

    async def find_by_id(self, db: Reads, account_id: UUID) -> Credentials | None:
        row = await db.fetchrow(self._credentials_by_id, account_id)
        return _credentials_of(row) if row else None

    async def still_holds(self, tx: Tx, known: Credentials) -> bool:
        """Whether the password that was checked outside is still the account's, now locked."""
        row = await tx.fetchrow(self._still_holds, known.account_id, known.password_version)
        return row is not None

    async def rehash(self, tx: Tx, known: Credentials, better: str) -> None:
        await tx.execute(self._rehash, known.account_id, known.password_version, better)

    async def set_password(
        self, tx: Tx, known: Credentials, password_hash: str, now: datetime
    ) -> bool:
        """This will set it only where the old one is still the one that was checked."""
        changed = await tx.execute(
            self._new_password, known.account_id, known.password_version, password_hash, now
        )
        return changed == 1


def _credentials_of(row: Row) -> Credentials:
    return Credentials(
        account_id=row["id"],
        username=row["username"],
        password_hash=row["password_hash"],
        password_version=row["password_version"],
        disabled=row["disabled"],
    )


def _for(realm: Realm, sql: str) -> str:
    # The realm's names are constants of people.py; nothing from outside ever gets in here.
    return sql.replace("{accounts}", realm.accounts)
