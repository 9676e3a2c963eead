"""Proving that who is signed in knows the account's password: before what a stolen session must not
be able to change. Guessing through it is bounded for each account, and every wrong one is written
down."""

from datetime import datetime
from uuid import UUID

from hazina.identity.passwords import Passwords
from hazina.identity.people import WALLET
from hazina.identity.repository import Accounts, Credentials
from hazina.infra.audit import Audit
from hazina.infra.db import Database
from hazina.infra.ratelimit import RateLimiter
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, NotFound, Refusal


class PasswordWrong(Refusal):
    """The current password that was given is not the current one."""

    code = "password_wrong"
    kind = Kind.FORBIDDEN
    message = "That is not your current password."
    action = "Type the password you sign in with."

    def __init__(self, field: str = "current_password") -> None:
        super().__init__(details={"field": field})


class OwnPassword:
    """One question, asked by the acts that need it."""

    def __init__(
        self, db: Database, *, passwords: Passwords, limiter: RateLimiter, limit: str, audit: Audit
    ) -> None:
        self._db, self._passwords, self._audit = db, passwords, audit
        self._accounts = Accounts(WALLET)
        self._limiter, self._limit = limiter, limit

    async def prove(
        self,
        customer_id: UUID,
        password: str,
        actor: Actor,
        now: datetime,
        *,
        act: str,
        field: str = "current_password",
    ) -> Credentials:
        """This will say whose password it is; ``act`` is what was wanted, for the trail.

        It opens its own transactions, since hashing takes long. Raises: RateLimited, PasswordWrong.
        """
        await self._limiter.check(self._limit, "password", str(customer_id))
        known = await self._accounts.find_by_id(self._db, customer_id)
        if known is None:
            raise NotFound
        if not await self._passwords.matches(known.password_hash, password):
            await self._db.run(
                lambda tx: self._audit.record(
                    tx, actor, f"customer.{act}_refused", "customer", customer_id, now=now
                )
            )
            raise PasswordWrong(field)
        return known
