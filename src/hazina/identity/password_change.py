"""Changing a customer's password: with the current one, and every other session ends."""

from datetime import datetime
from uuid import UUID

from hazina.identity.customers import Customers
from hazina.identity.own_password import OwnPassword, PasswordWrong
from hazina.identity.passwords import Passwords
from hazina.identity.people import WALLET
from hazina.identity.repository import Accounts, Credentials
from hazina.identity.sessions import CustomerSessions
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Tx
from hazina.infra.outbox import Outbox
from hazina.kernel.actor import Actor


class PasswordChange:
    """One use case: prove the old password, set the new one, end what the old one opened."""

    def __init__(
        self,
        db: Database,
        *,
        customers: Customers,
        own: OwnPassword,
        passwords: Passwords,
        sessions: CustomerSessions,
        audit: Audit,
        outbox: Outbox,
    ) -> None:
        self._db = db
        self._accounts = Accounts(WALLET)
        self._customers = customers
        self._passwords = passwords
        self._sessions = sessions
        self._own = own
        self._audit = audit
        self._outbox = outbox

    async def change(
        self,
        customer_id: UUID,
        *,
        current: str,
        new: str,
        keep_session: UUID,
        actor: Actor,
        now: datetime,
    ) -> int:
        """This will set the password, end every session but ``keep_session``, and count them.

        It opens its own transactions (hashing takes long). Of two changes at once one wins and the
        other finds its current password wrong. Raises: RateLimited, PasswordWrong, PasswordWeak.
        """
        # Whoever holds a stolen session must not be able to guess the password through it.
        known = await self._own.prove(customer_id, current, actor, now, act="password_change")
        await self._check(known, new)
        hashed = await self._passwords.hash(new)
        return await self._db.run(lambda tx: self._set(tx, known, hashed, keep_session, actor, now))

    async def _check(self, known: Credentials, new: str) -> None:
        async with self._db.transaction(readonly=True) as tx:
            email = await self._customers.reveal_email(tx, known.account_id)
            phone = await self._customers.reveal_phone(tx, known.account_id)
        self._passwords.check(new, username=known.username, email=email, phone=phone)

    async def _set(
        self, tx: Tx, known: Credentials, hashed: str, keep: UUID, actor: Actor, now: datetime
    ) -> int:
        if not await self._accounts.set_password(tx, known, hashed, now):
            raise PasswordWrong
        customer_id = known.account_id
        await self._audit.record(
            tx, actor, "customer.password_changed", "customer", customer_id, now=now
        )
        payload = {"customer_id": str(customer_id)}
        await self._outbox.emit(tx, "customer.password_changed", customer_id, payload, now)
        return await self._sessions.revoke_others(
            tx, customer_id, actor, now, keep=keep, why="password changed"
        )
