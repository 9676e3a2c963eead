"""Registering a customer: one account per username, e-mail address and phone number."""

from dataclasses import dataclass, field
from datetime import datetime

from hazina.identity.customers import (
    EMAIL_INDEX,
    PHONE_INDEX,
    email_context,
    phone_context,
)
from hazina.identity.names import Email, parse_email, parse_username
from hazina.identity.passwords import Passwords
from hazina.identity.people import Customer, CustomerKind
from hazina.identity.phones import Phone, parse_phone
from hazina.identity.repository import NewCustomer, insert_customer
from hazina.infra.audit import Audit
from hazina.infra.client_ip import network_of
from hazina.infra.db import Database, Tx
from hazina.infra.ratelimit import RateLimiter
from hazina.infra.vault import CustomerVault, Vault
from hazina.kernel.actor import Actor
from hazina.kernel.ids import new_id


@dataclass(frozen=True, slots=True)
class Application:
    """What a person typed, unread."""

    username: str
    email: str = field(repr=False)
    phone: str = field(repr=False)
    password: str = field(repr=False)


class Registration:
    """Makes customers. Nobody registers as a developer: that is an operator's to grant."""

    def __init__(
        self,
        db: Database,
        *,
        passwords: Passwords,
        vault: Vault,
        sealed: CustomerVault,
        limiter: RateLimiter,
        limit: str,
        audit: Audit,
    ) -> None:
        self._db = db
        self._passwords = passwords
        self._vault = vault
        self._sealed = sealed
        self._limiter = limiter
        self._limit = limit
        self._audit = audit

    async def register(
        self,
        application: Application,
        origin: Actor,
        now: datetime,
        *,
        kind: CustomerKind = CustomerKind.REGULAR,
    ) -> Customer:
        """This will make one customer, or refuse and change nothing.

        It opens its own transaction: hashing a password takes long, and no connection may wait for
        that. Of two at once with one phone the database lets one win.

        Raises: RateLimited, UsernameInvalid, EmailInvalid, PhoneInvalid, PasswordWeak,
        UsernameTaken, EmailTaken, PhoneTaken.
        """
        username = parse_username(application.username)
        email, phone = parse_email(application.email), parse_phone(application.phone)
        self._passwords.check(application.password, username=username, email=email, phone=phone)
        await self._limiter.check(self._limit, "register", "ip", network_of(origin.ip))
        hashed = await self._passwords.hash(application.password)

        async def write(tx: Tx) -> Customer:
            new = await self._seal(tx, username, email, phone, hashed, kind)
            customer = await insert_customer(tx, new, now)
            await self._record(tx, customer, origin, now)
            return customer

        return await self._db.run(write)

    async def _seal(
        self, tx: Tx, username: str, email: Email, phone: Phone, hashed: str, kind: CustomerKind
    ) -> NewCustomer:
        id_ = new_id()
        email_sealed = await self._sealed.seal(tx, id_, email.address.encode(), email_context(id_))
        phone_sealed = await self._sealed.seal(tx, id_, phone.e164.encode(), phone_context(id_))
        return NewCustomer(
            id=id_,
            username=username,
            kind=kind,
            email_sealed=email_sealed,
            email_index=self._vault.blind_index(email.key, purpose=EMAIL_INDEX),
            email_masked=email.masked,
            phone_sealed=phone_sealed,
            phone_index=self._vault.blind_index(phone.e164, purpose=PHONE_INDEX),
            phone_masked=phone.masked,
            password_hash=hashed,
        )

    async def _record(self, tx: Tx, customer: Customer, origin: Actor, now: datetime) -> None:
        await self._audit.record(
            tx,
            customer.as_actor(origin),
            "customer.registered",
            "customer",
            customer.id,
            after={"username": customer.username, "kind": customer.kind.value},
            now=now,
        )
