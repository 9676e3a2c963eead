"""Deposits as JSON."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from hazina.desk.webkit.current import CurrentCustomer, CustomerActor
from hazina.flows.deposits.accounts import AccountNumbers
from hazina.flows.deposits.repository import DepositView
from hazina.flows.deposits.request import Deposits
from hazina.identity.bearer import key_scope
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.infra.idempotency import once
from hazina.infra.ratelimit import RateLimiter
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES
from hazina.rails.receipts import ReceiptRail

router = APIRouter(prefix="/wallet/deposits", tags=["deposits"])


class PaybillOff(Refusal):
    """There is no M-Pesa here, so nothing can be paid to it."""

    code = "paybill_off"
    kind = Kind.UNAVAILABLE
    message = "M-Pesa is switched off here."
    action = "Ask whoever runs this house."


IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", description="New for every new act, 8 to 64.")
]
Limit = Annotated[int, Field(ge=1, le=200)]


class DepositRequest(BaseModel):
    """Shillings to collect from a phone."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"amount_kes": "500", "phone": "0712345678"}},
    )
    amount_kes: str = Field(max_length=40, description="Whole shillings, as a decimal string.")
    phone: str | None = Field(
        default=None, max_length=32, description="Who is prompted; empty: your own number."
    )


class DepositAnswer(BaseModel):
    """A deposit and where it stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "deposit_id": "dep_0199f1c2a7b47c3e9f7d5b8a6c4e2f10",
                "amount": "500.00",
                "asset": "KES",
                "phone": "+254 7•• ••• 678",
                "state": "requested",
                "reference": "HZD7K2M9PQR4",
                "receipt": None,
                "words": None,
                "requested_at": "2026-11-20T09:00:00Z",
                "state_since": "2026-11-20T09:00:00Z",
            }
        }
    )
    deposit_id: str
    amount: str
    asset: str
    phone: str
    state: str
    reference: str
    receipt: str | None
    words: str | None
    requested_at: datetime
    state_since: datetime


class DepositPage(BaseModel):
    """Newest first."""

    items: list[DepositAnswer]
    next_cursor: str | None


def answer(view: DepositView) -> DepositAnswer:
    return DepositAnswer(
        deposit_id=wire_id("dep", view.id),
        amount=view.amount.decimal,
        asset=view.amount.asset.code,
        phone=view.phone_masked,
        state=view.state.value,
        reference=view.reference,
        receipt=view.receipt,
        words=view.words,
        requested_at=view.requested_at,
        state_since=view.state_since,
    )


@router.post("", status_code=202, response_model=DepositAnswer, openapi_extra=key_scope("trade"))
async def request_deposit(
    body: DepositRequest,
    request: Request,
    customer: CurrentCustomer,
    actor: CustomerActor,
    key: IdempotencyKey = None,
) -> Response:
    """Asks M-Pesa to prompt a phone. Nothing is booked until it is paid."""
    house: House = request.app.state.house
    await house.get(RateLimiter).check(house.settings.stk_limit, "stk", str(customer.id))
    deposits = house.get(Deposits)

    async def ask(tx: Tx) -> tuple[int, dict[str, object]]:
        view = await deposits.request(
            tx,
            customer_id=customer.id,
            amount=KES.money(body.amount_kes),
            phone=body.phone,
            actor=actor,
            now=house.clock.now(),
        )
        return 202, answer(view).model_dump(mode="json")

    status, content = await once(
        house, actor, "POST /wallet/deposits", key, await request.body(), ask
    )
    return JSONResponse(content, status)


@router.get("", response_model=DepositPage)
async def list_deposits(
    request: Request,
    customer: CurrentCustomer,
    limit: Limit = 50,
    cursor: str | None = None,
) -> DepositPage:
    """The customer's deposits, newest first."""
    house: House = request.app.state.house
    page = await house.get(Deposits).list_of(house.db, customer.id, limit=limit, cursor=cursor)
    return DepositPage(items=[answer(view) for view in page.items], next_cursor=page.next_cursor)


class PaybillAnswer(BaseModel):
    """How to pay in from M-Pesa's own menu."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"paybill": "600123", "account_number": "12345672"}}
    )
    paybill: str = Field(description="The business number.")
    account_number: str = Field(description="Yours, for ever; whoever pays to it pays you.")


@router.get("/paybill", response_model=PaybillAnswer)
async def get_paybill(request: Request, customer: CurrentCustomer) -> PaybillAnswer:
    """The business number and the customer's own account number."""
    house: House = request.app.state.house
    paybill = house.get(ReceiptRail).shortcode  # type: ignore[type-abstract]
    if not paybill:
        raise PaybillOff
    number = await house.db.run(
        lambda tx: house.get(AccountNumbers).of(tx, customer.id, house.clock.now())
    )
    return PaybillAnswer(paybill=paybill, account_number=number)


@router.get("/{deposit_id}", response_model=DepositAnswer)
async def get_deposit(
    deposit_id: str, request: Request, customer: CurrentCustomer
) -> DepositAnswer:
    """One deposit of the customer's."""
    house: House = request.app.state.house
    found = parse_id("dep", deposit_id)
    return answer(await house.get(Deposits).get(house.db, found, customer.id))
