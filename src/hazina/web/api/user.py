"""What the one who asks owns, and how it came to be so: balances and the ledger as JSON."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from hazina.desk.webkit.current import CurrentCustomer
from hazina.infra.house import House
from hazina.kernel.ids import wire_id
from hazina.ledger.chart import Purpose
from hazina.ledger.history import History, StatementLine
from hazina.ledger.service import Ledger
from hazina.web.statement import assets_of, merged

router = APIRouter(prefix="/user", tags=["user"])

Limit = Annotated[int, Query(ge=1, le=200)]
AssetCode = Annotated[str | None, Query(max_length=8, description="KES or XAU; empty: both.")]
Cursor = Annotated[str | None, Query(max_length=200)]
# How the wire writes the id of the business row that a line belongs to.
REFERENCE_PREFIX = {
    "deposit": "dep",
    "withdrawal": "wdr",
    "payment": "pay",
    "reversal": "rev",
    "debt": "dbt",
    "trade": "trd",
    "lot": "lot",
}


class BalanceLine(BaseModel):
    """``posted`` is booked, ``held`` reserved out of it, ``available`` what is left."""

    asset: str
    available: str
    held: str
    incoming: str = Field(description="Reserved for you elsewhere, not yours yet.")
    posted: str


class Balances(BaseModel):
    """One line for each asset you have an account in."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "balances": [
                    {
                        "asset": "KES",
                        "available": "4500.00",
                        "held": "500.00",
                        "incoming": "0.00",
                        "posted": "5000.00",
                    }
                ]
            }
        }
    )
    balances: list[BalanceLine]


class LedgerReference(BaseModel):
    """The deposit, withdrawal or trade that a line belongs to."""

    type: str
    id: str


class LedgerLine(BaseModel):
    """``change`` is signed from your side and zero for holds; ``amount`` is what was acted on."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "transfer_id": "tfr_0199f1c2a7b47c3e9f7d5b8a6c4e2f10",
                "asset": "KES",
                "kind": "post",
                "code": "deposit",
                "change": "500.00",
                "amount": "500.00",
                "balance": "5000.00",
                "held": "0.00",
                "booked_at": "2026-11-20T09:00:00Z",
                "reference": {
                    "type": "deposit",
                    "id": "dep_0199f1c2a7b47c3e9f7d5b8a6c4e2f11",
                },
            }
        }
    )
    transfer_id: str
    asset: str
    kind: str
    code: str
    change: str
    amount: str
    balance: str
    held: str
    booked_at: datetime
    reference: LedgerReference


class LedgerPage(BaseModel):
    """Newest first."""

    items: list[LedgerLine]
    next_cursor: str | None


@router.get("/balance", response_model=Balances)
async def get_balance(request: Request, me: CurrentCustomer) -> Balances:
    """What you own, per asset."""
    house: House = request.app.state.house
    found = await house.get(Ledger).balances_by_purpose(house.db, me.id)
    return Balances(
        balances=[
            BalanceLine(
                asset=balance.posted.asset.code,
                available=balance.available.decimal,
                held=balance.held.decimal,
                incoming=balance.incoming.decimal,
                posted=balance.posted.decimal,
            )
            for purpose, balance in found
            if purpose == Purpose.WALLET
        ]
    )


@router.get("/ledger", response_model=LedgerPage)
async def get_ledger(
    request: Request,
    me: CurrentCustomer,
    limit: Limit = 50,
    asset: AssetCode = None,
    cursor: Cursor = None,
) -> LedgerPage:
    """Every line of your accounts with the balance after it, holds included."""
    house: House = request.app.state.house
    page = await merged(house.get(History), me.id, assets_of(asset), limit=limit, cursor=cursor)
    return LedgerPage(items=[line_answer(one) for one in page.items], next_cursor=page.next_cursor)


def line_answer(line: StatementLine) -> LedgerLine:
    prefix = REFERENCE_PREFIX.get(line.reference.type, line.reference.type)
    return LedgerLine(
        transfer_id=wire_id("tfr", line.transfer_id),
        asset=line.change.asset.code,
        kind=line.kind.value,
        code=line.code.value,
        change=line.change.decimal,
        amount=line.amount.decimal,
        balance=line.balance.decimal,
        held=line.held.decimal,
        booked_at=line.booked_at,
        reference=LedgerReference(type=line.reference.type, id=wire_id(prefix, line.reference.id)),
    )
