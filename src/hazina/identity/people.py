"""The people of the house as values, and the two realms that never mix.

**Invariant:** customers and operators have tables, sessions, tokens and cookies of their own; no
function takes the one for the other.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from hazina.kernel.actor import Actor, ActorKind


class CustomerKind(StrEnum):
    """What a customer is here for."""

    REGULAR = "regular"  # holds and moves their own money
    DEVELOPER = "developer"  # also trades for others; an operator grants it


class Role(StrEnum):
    """What an operator may do."""

    ADMINISTRATOR = "administrator"  # everything, operators included
    MANAGER = "manager"  # prices, lots, approvals
    OPERATOR = "operator"  # daily work: payouts, reconciliation, questions
    AUDITOR = "auditor"  # reads everything, changes nothing


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as every request sees them: without one clear secret or contact in it.

    The full phone and e-mail are sealed with the customer's own key; `Customers.reveal_phone` and
    `Customers.reveal_email` open them for the few who must have them.
    """

    id: UUID
    username: str
    email_masked: str
    phone_masked: str
    kind: CustomerKind
    created_at: datetime

    def as_actor(self, origin: Actor) -> Actor:
        """This customer, acting from where ``origin`` stands."""
        return acting(ActorKind.CUSTOMER, self.id, origin)


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator of the console."""

    id: UUID
    username: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None = None

    def as_actor(self, origin: Actor) -> Actor:
        return acting(ActorKind.OPERATOR, self.id, origin)


@dataclass(frozen=True, slots=True)
class Realm:
    """One of the two worlds of accounts; the names are constants, never input."""

    name: str
    audience: str
    cookie: str
    kind: ActorKind
    accounts: str
    sessions: str
    refresh_tokens: str
    person_columns: str


WALLET = Realm(
    name="wallet",
    audience="hazina:wallet",
    cookie="hz_wallet",
    kind=ActorKind.CUSTOMER,
    accounts="identity.customer",
    sessions="identity.customer_session",
    refresh_tokens="identity.customer_refresh_token",
    person_columns="a.username, a.email_masked, a.phone_masked, a.kind, a.created_at",
)
CONSOLE = Realm(
    name="console",
    audience="hazina:console",
    cookie="hz_console",
    kind=ActorKind.OPERATOR,
    accounts="identity.operator",
    sessions="identity.operator_session",
    refresh_tokens="identity.operator_refresh_token",
    person_columns="a.username, a.role, a.created_at, a.disabled_at",
)


def acting(kind: ActorKind, id: UUID, origin: Actor) -> Actor:  # noqa: A002 - the word of Actor
    return replace(origin, kind=kind, id=id)
