"""The words of the wire as values: what is sent, and what is answered.

Amounts are ``Decimal`` here and plain decimal strings in JSON; never a float.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from hazina.client.local import new_id

WORLD = "$world"  # everything outside your own books; it may owe without limit
BOOKED = frozenset({"created", "exists"})


@dataclass(frozen=True, slots=True)
class Account:
    """One of your accounts: your own name for its owner, and an asset code."""

    owner: str
    asset: str

    def json(self) -> dict[str, str]:
        return {"owner": self.owner, "asset": self.asset}


@dataclass(frozen=True, slots=True)
class Transfer:
    """One instruction. Its id is made here, so that sending it again can never book it twice."""

    kind: str
    id: UUID = field(default_factory=new_id)
    debit: str | None = None
    credit: str | None = None
    asset: str | None = None
    amount: Decimal | None = None
    pending_id: UUID | None = None
    keep_rest: bool = False
    expires_at: datetime | None = None
    group: UUID | None = None
    reference: UUID | None = None
    metadata: Mapping[str, str] | None = None

    @classmethod
    def post(cls, debit: str, credit: str, asset: str, amount: Decimal) -> "Transfer":
        """This will move an amount from ``debit`` to ``credit``."""
        return cls("post", debit=debit, credit=credit, asset=asset, amount=amount)

    @classmethod
    def hold(
        cls,
        debit: str,
        credit: str,
        asset: str,
        amount: Decimal,
        *,
        expires_at: datetime | None = None,
    ) -> "Transfer":
        """This will reserve an amount; the transfer's id is the hold's."""
        return cls(
            "pending", debit=debit, credit=credit, asset=asset, amount=amount,
            expires_at=expires_at,
        )  # fmt: skip

    @classmethod
    def post_hold(
        cls,
        hold: UUID,
        asset: str | None = None,
        amount: Decimal | None = None,
        *,
        keep_rest: bool = False,
    ) -> "Transfer":
        """This will move what is held, or an amount of it; the rest is let go unless kept."""
        return cls("post_pending", pending_id=hold, asset=asset, amount=amount, keep_rest=keep_rest)

    @classmethod
    def void_hold(cls, hold: UUID) -> "Transfer":
        """This will let go of whatever is still held."""
        return cls("void_pending", pending_id=hold)

    def json(self) -> dict[str, Any]:
        """Without what is not given."""
        told: dict[str, Any] = {"id": str(self.id), "kind": self.kind}
        for name in ("debit", "credit", "asset"):
            if (value := getattr(self, name)) is not None:
                told[name] = value
        for name in ("pending_id", "group", "reference"):
            if (value := getattr(self, name)) is not None:
                told[name] = str(value)
        if self.amount is not None:
            told["amount"] = format(self.amount, "f")
        if self.keep_rest:
            told["keep_rest"] = True
        if self.expires_at is not None:
            told["expires_at"] = self.expires_at.isoformat()
        if self.metadata is not None:
            told["metadata"] = dict(self.metadata)
        return told


def linked(transfers: Sequence[Transfer], group: UUID | None = None) -> list[Transfer]:
    """This will link transfers so that they are booked whole or not at all."""
    group = group or new_id()
    return [replace(one, group=group) for one in transfers]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one transfer: a code, and amount and time where it is booked."""

    id: UUID
    result: str
    asset: str | None
    amount: Decimal | None
    booked_at: datetime | None

    @property
    def booked(self) -> bool:
        return self.result in BOOKED

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Result":
        return cls(
            UUID(told["id"]), told["result"], told["asset"], _decimal(told["amount"]),
            _time(told["booked_at"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountFound:
    """An account as the ledger knows it; nothing but ``opened`` false where it does not."""

    owner: str
    asset: str
    opened: bool
    id: UUID | None
    state: str | None
    version: int | None
    created_at: datetime | None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "AccountFound":
        return cls(
            told["owner"], told["asset"], told["opened"], _uuid(told["id"]), told["state"],
            told["version"], _time(told["created_at"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Balance:
    """All amounts are None where the account was never opened, and for the world."""

    owner: str
    asset: str
    opened: bool
    posted: Decimal | None
    held: Decimal | None
    incoming: Decimal | None
    available: Decimal | None
    version: int | None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Balance":
        return cls(
            told["owner"], told["asset"], told["opened"], _decimal(told["posted"]),
            _decimal(told["held"]), _decimal(told["incoming"]), _decimal(told["available"]),
            told["version"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Booked:
    """One booked transfer."""

    id: UUID
    kind: str
    debit: str
    credit: str
    asset: str
    amount: Decimal
    pending_id: UUID | None
    keep_rest: bool
    expires_at: datetime | None
    group: UUID | None
    reference: UUID
    booked_at: datetime

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Booked":
        return cls(
            UUID(told["id"]), told["kind"], told["debit"], told["credit"], told["asset"],
            Decimal(told["amount"]), _uuid(told["pending_id"]), told["keep_rest"],
            _time(told["expires_at"]), _uuid(told["group"]), UUID(told["reference"]),
            datetime.fromisoformat(told["booked_at"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement: ``change`` is signed from the owner's side."""

    version: int
    transfer_id: UUID
    kind: str
    change: Decimal
    amount: Decimal
    balance: Decimal
    held: Decimal
    booked_at: datetime
    reference: UUID

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Line":
        return cls(
            told["version"], UUID(told["transfer_id"]), told["kind"], Decimal(told["change"]),
            Decimal(told["amount"]), Decimal(told["balance"]), Decimal(told["held"]),
            datetime.fromisoformat(told["booked_at"]), UUID(told["reference"]),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statement:
    """One page, newest first; ``next_cursor`` is None on the last."""

    owner: str
    asset: str
    items: Sequence[Line]
    next_cursor: str | None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Statement":
        lines = [Line.of(line) for line in told["items"]]
        return cls(told["owner"], told["asset"], lines, told["next_cursor"])


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
