"""Withdrawals as JSON."""

from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from hazina.desk.webkit.current import CurrentCustomer, CustomerActor
from hazina.flows.deposits.routes import IdempotencyKey, Limit
from hazina.flows.withdrawals.repository import WithdrawalView
from hazina.flows.withdrawals.request import Withdrawals
from hazina.identity.bearer import key_scope
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.infra.idempotency import once
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES

router = APIRouter(prefix="/wallet/withdrawals", tags=["withdrawals"])


class WithdrawalRequest(BaseModel):
    """Shillings to pay out to a phone."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"amount_kes": "500", "phone": "0712345678"}},
    )
    amount_kes: str = Field(max_length=40, description="Whole shillings, as a decimal string.")
    phone: str | None = Field(
        default=None, max_length=32, description="Who is paid; empty: your own number."
    )


class WithdrawalAnswer(BaseModel):
    """A withdrawal and where it stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "withdrawal_id": "wdr_0199f1c2a7b47c3e9f7d5b8a6c4e2f10",
                "amount": "500.00",
                "fee": "0.00",
                "asset": "KES",
                "phone": "+254 7•• ••• 678",
                "state": "held",
                "receipt": None,
                "words": None,
                "requested_at": "2026-11-20T09:00:00Z",
                "state_since": "2026-11-20T09:00:00Z",
            }
        }
    )
    withdrawal_id: str
    amount: str
    fee: str
    asset: str
    phone: str
    state: str
    receipt: str | None
    words: str | None
    requested_at: datetime
    state_since: datetime


class WithdrawalPage(BaseModel):
    """Newest first."""

    items: list[WithdrawalAnswer]
    next_cursor: str | None


def answer(view: WithdrawalView) -> WithdrawalAnswer:
    return WithdrawalAnswer(
        withdrawal_id=wire_id("wdr", view.id),
        amount=view.amount.decimal,
        fee=view.fee.decimal,
        asset=view.amount.asset.code,
        phone=view.phone_masked,
        state=view.state.value,
        receipt=view.receipt,
        words=view.words,
        requested_at=view.requested_at,
        state_since=view.state_since,
    )


@router.post(
    "",
    status_code=202,
    response_model=WithdrawalAnswer,
    openapi_extra=key_scope("withdraw"),
)
async def request_withdrawal(
    body: WithdrawalRequest,
    request: Request,
    customer: CurrentCustomer,
    actor: CustomerActor,
    key: IdempotencyKey = None,
) -> Response:
    """Reserves the money and asks M-Pesa to pay it out."""
    house: House = request.app.state.house
    withdrawals = house.get(Withdrawals)

    async def ask(tx: Tx) -> tuple[int, dict[str, object]]:
        view = await withdrawals.request(
            tx,
            customer_id=customer.id,
            amount=KES.money(body.amount_kes),
            phone=body.phone,
            actor=actor,
            now=house.clock.now(),
        )
        return 202, answer(view).model_dump(mode="json")

    status, content = await once(
        house, actor, "POST /wallet/withdrawals", key, await request.body(), ask
    )
    return JSONResponse(content, status)


@router.get("", response_model=WithdrawalPage)
async def list_withdrawals(
    request: Request,
    customer: CurrentCustomer,
    limit: Limit = 50,
    cursor: str | None = None,
) -> WithdrawalPage:
    """The customer's withdrawals, newest first."""
    house: House = request.app.state.house
    page = await house.get(Withdrawals).list_of(house.db, customer.id, limit=limit, cursor=cursor)
    items = [answer(view) for view in page.items]
    return WithdrawalPage(items=items, next_cursor=page.next_cursor)


@router.get("/{withdrawal_id}", response_model=WithdrawalAnswer)
async def get_withdrawal(
    withdrawal_id: str, request: Request, customer: CurrentCustomer
) -> WithdrawalAnswer:
    """One withdrawal of the customer's."""
    house: House = request.app.state.house
    found = parse_id("wdr", withdrawal_id)
    return answer(await house.get(Withdrawals).get(house.db, found, customer.id))
