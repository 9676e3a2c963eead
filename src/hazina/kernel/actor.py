"""Who acts: the one value that services, audit and the ledger take for "by whom"."""

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class ActorKind(StrEnum):
    CUSTOMER = "customer"  # a person acting on their own money
    OPERATOR = "operator"  # a person of the house, through the console or the CLI
    SERVICE = "service"  # another machine with service credentials
    SYSTEM = "system"  # a job, a sweeper, a callback being worked on


@dataclass(frozen=True, slots=True)
class Actor:
    """``id`` is None only for the system.

    What came with the request and is never written down: ``otp``, a one-time code that the act may
    ask for, and ``scopes``, what an API key was made for (None: a person, who may do everything).
    """

    kind: ActorKind
    id: UUID | None = None
    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    otp: str | None = field(default=None, repr=False, compare=False)
    scopes: frozenset[str] | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return self.kind.value if self.id is None else f"{self.kind.value}:{self.id}"


SYSTEM = Actor(ActorKind.SYSTEM)
