"""Operators: made, listed and disabled from the command line of the house's machine.

Their second factor is set up there too. Left out on purpose: any way to do so over the network.
"""

from datetime import datetime
from uuid import UUID

from hazina.identity.names import parse_username
from hazina.identity.passwords import Passwords
from hazina.identity.people import Operator, Role
from hazina.identity.repository import (
    DISABLE_OPERATOR,
    OPERATOR_BY_USERNAME,
    OPERATORS_AFTER,
    Reads,
    insert_operator,
    operator_of,
)
from hazina.identity.sessions import OperatorSessions
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import new_id
from hazina.kernel.page import MAX_LIMIT, Page


class Operators:
    """The operator table."""

    def __init__(
        self, db: Database, *, passwords: Passwords, sessions: OperatorSessions, audit: Audit
    ) -> None:
        self._db = db
        self._passwords = passwords
        self._sessions = sessions
        self._audit = audit

    async def create(
        self, username: str, password: str, role: Role, actor: Actor, now: datetime
    ) -> Operator:
        """This will make one operator; it opens its own transaction, after the hashing.

        Raises: UsernameInvalid, PasswordWeak, UsernameTaken.
        """
        name = parse_username(username)
        self._passwords.check(password, username=name)
        hashed = await self._passwords.hash(password)

        async def write(tx: Tx) -> Operator:
            operator = Operator(new_id(), name, role, created_at=now)
            await insert_operator(tx, operator, hashed)
            after = {"username": name, "role": role.value}
            await self._record(tx, actor, "operator.created", operator.id, after, now)
            return operator

        return await self._db.run(write)

    async def get_by_username(self, db: Reads, username: str) -> Operator:
        """Raises: UsernameInvalid, NotFound."""
        row = await db.fetchrow(OPERATOR_BY_USERNAME, parse_username(username))
        if row is None:
            raise NotFound("There is no operator of that name.", action="List the operators.")
        return operator_of(row)

    async def list_operators(
        self, db: Reads, *, after: str | None = None, limit: int = MAX_LIMIT
    ) -> Page[Operator]:
        """This will list operators by username, disabled ones included."""
        limit = max(1, min(limit, MAX_LIMIT))
        rows = await db.fetch(OPERATORS_AFTER, after or "", limit + 1)
        return Page.of([operator_of(row) for row in rows], limit, lambda one: one.username)

    async def disable(self, tx: Tx, username: str, actor: Actor, now: datetime) -> Operator:
        """This will lock one operator out at once, sessions included; a second time is no harm.

        Raises: UsernameInvalid, NotFound.
        """
        operator = await self.get_by_username(tx, username)
        if await tx.execute(DISABLE_OPERATOR, operator.id, now):
            await self._record(tx, actor, "operator.disabled", operator.id, {}, now)
            await self._sessions.revoke_others(tx, operator.id, actor, now, why="disabled")
        return await self.get_by_username(tx, username)

    async def _record(
        self,
        tx: Tx,
        actor: Actor,
        action: str,
        operator_id: UUID,
        after: dict[str, str],
        now: datetime,
    ) -> None:
        await self._audit.record(
            tx, actor, action, "operator", operator_id, after=after or None, now=now
        )
