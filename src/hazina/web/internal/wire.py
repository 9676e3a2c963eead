"""What the door for services reads and writes as JSON. Sizes are bounded, unknown fields refused.

Accounts are named by their owner in the caller's own books, ``$world`` being all that is outside
them; amounts are decimal strings beside an asset code; ids are UUIDv7 that the caller made.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from hazina.ledger.core import TransferKind
from hazina.ledger.service import MAX_BATCH

MAX_ACCOUNTS = 1_000
WORLD = "$world"
_TRANSFER = {
    "id": "0199f1c2-a7b4-7c3e-9f7d-5b8a6c4e2f10",
    "kind": "post",
    "debit": WORLD,
    "credit": "alice",
    "asset": "KES",
    "amount": "250.00",
}


def _is_v7(value: UUID) -> UUID:
    if value.version != 7:
        raise ValueError("an id is a UUIDv7: ids that are not ordered by time cost everybody speed")
    return value


# A name cannot begin with "$": nobody is called $world.
Owner = Annotated[str, Field(pattern=r"^(\$world|[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63})$")]
AssetCode = Annotated[str, Field(pattern=r"^[A-Z]{2,8}$")]
Amount = Annotated[str, Field(min_length=1, max_length=80)]
ClientId = Annotated[UUID, AfterValidator(_is_v7)]
# No NUL: the database cannot keep one.
Metadata = Annotated[
    dict[
        Annotated[str, Field(max_length=64, pattern=r"^[^\x00]*$")],
        Annotated[str, Field(max_length=256, pattern=r"^[^\x00]*$")],
    ],
    Field(max_length=8),
]


def _config(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [example]}
    )


class TransferIn(BaseModel):
    """One transfer: a movement (``post``, ``pending``) or an act on a hold (the other two)."""

    model_config = _config(_TRANSFER)
    id: ClientId
    kind: TransferKind = TransferKind.POST
    debit: Owner | None = None
    credit: Owner | None = None
    asset: AssetCode | None = None
    amount: Amount | None = None
    pending_id: ClientId | None = None
    keep_rest: bool = False
    expires_at: AwareDatetime | None = None
    group: ClientId | None = None
    reference: UUID | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _shape(self) -> "TransferIn":
        if (self.asset is None) != (self.amount is None):
            raise ValueError("amount and asset are given together")
        acts = self.kind in (TransferKind.POST_PENDING, TransferKind.VOID_PENDING)
        if acts:
            self._must_act()
        elif None in (self.debit, self.credit, self.amount):
            raise ValueError(f"{self.kind.value} needs debit, credit, asset and amount")
        if acts != (self.pending_id is not None):
            raise ValueError("exactly post_pending and void_pending name a pending_id")
        if self.keep_rest and self.kind is not TransferKind.POST_PENDING:
            raise ValueError("only post_pending can keep_rest")
        if self.expires_at is not None and self.kind is not TransferKind.PENDING:
            raise ValueError("only pending has expires_at")
        return self

    def _must_act(self) -> None:
        if self.debit is not None or self.credit is not None:
            raise ValueError("an act on a hold moves between the hold's accounts: name none")
        if self.kind is TransferKind.VOID_PENDING and self.amount is not None:
            raise ValueError("void_pending lets go of all that is left: it has no amount")


class TransfersIn(BaseModel):
    """Transfers in the order in which they are to be decided; a group's members stand together."""

    model_config = _config({"transfers": [_TRANSFER]})
    transfers: Annotated[list[TransferIn], Field(min_length=1, max_length=MAX_BATCH)]

    @model_validator(mode="after")
    def _groups_stand_together(self) -> "TransfersIn":
        seen, last = set[UUID](), None
        for one in self.transfers:
            if one.group is not None and one.group != last:
                if one.group in seen:
                    raise ValueError("the members of a group stand together")
                seen.add(one.group)
            last = one.group
        return self


class ResultOut(BaseModel):
    """What became of one transfer; amount and time where it is booked, now or before."""

    id: UUID
    result: str
    asset: str | None = None
    amount: str | None = None
    booked_at: datetime | None = None


class ResultsOut(BaseModel):
    """One result for each transfer, in the same order."""

    results: Sequence[ResultOut]


class AccountIn(BaseModel):
    """An account: whose, and of what."""

    model_config = _config({"owner": "alice", "asset": "KES"})
    owner: Owner
    asset: AssetCode


class AccountsIn(BaseModel):
    """A list of accounts."""

    model_config = _config({"accounts": [{"owner": "alice", "asset": "KES"}]})
    accounts: Annotated[list[AccountIn], Field(min_length=1, max_length=MAX_ACCOUNTS)]


class AccountOut(BaseModel):
    """An account; ``opened`` false and nothing else where it was never opened."""

    owner: str
    asset: str
    opened: bool
    id: UUID | None = None
    state: str | None = None
    version: int | None = None
    created_at: datetime | None = None


class AccountsOut(BaseModel):
    """In the order in which they were asked for."""

    accounts: Sequence[AccountOut]


class BalanceOut(BaseModel):
    """``available`` is posted less held. The world has no balance: all four are null."""

    owner: str
    asset: str
    opened: bool
    posted: str | None = None
    held: str | None = None
    incoming: str | None = None
    available: str | None = None
    version: int | None = None


class BalancesOut(BaseModel):
    """In the order in which they were asked for."""

    balances: Sequence[BalanceOut]


class TransferOut(BaseModel):
    """One booked transfer."""

    id: UUID
    kind: TransferKind
    debit: str
    credit: str
    asset: str
    amount: str
    pending_id: UUID | None
    keep_rest: bool
    expires_at: datetime | None
    group: UUID | None
    reference: UUID
    booked_at: datetime


class LineOut(BaseModel):
    """One line of a statement: ``change`` is signed from the owner's side and zero for holds."""

    version: int
    transfer_id: UUID
    kind: TransferKind
    change: str
    amount: str
    balance: str
    held: str
    booked_at: datetime
    reference: UUID


class StatementOut(BaseModel):
    """Newest first; go on with ``next_cursor``."""

    owner: str
    asset: str
    items: Sequence[LineOut]
    next_cursor: str | None
