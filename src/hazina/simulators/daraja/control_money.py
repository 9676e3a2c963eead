"""The control API of what people do: pay from the PayBill menu, complain, delete a registration.

Also the forger's door: a C2B confirmation that M-Pesa never sent. The same trust as control.py.
"""

import sqlite3
from collections.abc import Mapping

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from hazina.simulators.daraja import c2b, forgery, reversal
from hazina.simulators.daraja.books import OPENING, UTILITY, Posting
from hazina.simulators.daraja.callbacks import Letter
from hazina.simulators.daraja.clock import in_eat
from hazina.simulators.daraja.control import Phone, Shown, TheWorld, show_handset
from hazina.simulators.daraja.faults import Amount, Plan
from hazina.simulators.daraja.money import decimal_text, parse_cents
from hazina.simulators.daraja.wire import Json
from hazina.simulators.daraja.world import World

router = APIRouter()

REASONS = {
    "business": "no business has this number",
    "account": "an account number has 1 to 20 characters",
    "amount": "whole shillings from 1 to 250,000",
    "pin": "wrong PIN",
    "unregistered": "this phone is not registered for M-Pesa",
    "funds": "not enough money",
    "limit": "over the daily limit",
}


class PayBillOrder(BaseModel):
    """What a person types into the menu."""

    model_config = ConfigDict(extra="forbid")
    business_number: str | None = Field(None, max_length=20)
    """The simulated paybill when left out."""
    account_number: str = Field(max_length=60)
    amount: str = Field(max_length=20)
    pin: str = Field(max_length=8)


def show_payment(world: World, receipt: str) -> Shown:
    """This will describe a PayBill payment. Raises: HTTPException 404."""
    row = c2b.find(world, receipt)
    if row is None:
        raise HTTPException(404, "no such payment")
    return {
        "receipt": row["receipt"],
        "phone": row["phone"],
        "amount": decimal_text(row["amount"]),
        "account_number": row["reference"],
        "state": _state(row),
        "result_code": row["result_code"],
        "result_desc": row["result_desc"],
        "third_party_id": row["third_party_id"],
        "at": in_eat(row["created_ms"]).isoformat(),
    }


def _state(row: sqlite3.Row) -> str:
    """`validating`, `paid` or `rejected`."""
    if row["state"] != "done":
        return str(row["state"])
    return "paid" if row["result_code"] == "0" else "rejected"


@router.post("/sim/handsets/{phone}/paybill")
async def pay_bill(world: TheWorld, phone: Phone, order: PayBillOrder) -> Shown:
    """This will pay from the PayBill menu; 409 with a reason when the menu itself says no."""
    number = world.config.shortcode if order.business_number is None else order.business_number
    typed = c2b.PayBill(number, order.account_number, order.amount, order.pin)
    try:
        receipt = c2b.pay(world, phone, typed)
    except c2b.MenuRefusal as no:
        raise HTTPException(409, {"reason": no.reason, "text": REASONS[no.reason]}) from None
    return show_payment(world, receipt)


@router.get("/sim/c2b/payments/{receipt}")
async def get_payment(world: TheWorld, receipt: str) -> Shown:
    """This will show what became of a PayBill payment."""
    return show_payment(world, receipt)


@router.get("/sim/c2b/urls")
async def get_urls(world: TheWorld) -> Shown:
    """This will show the registration, or null."""
    urls = c2b.find_urls(world)
    return {"urls": None if urls is None else dict(urls)}


@router.delete("/sim/c2b/urls")
async def delete_urls(world: TheWorld) -> Shown:
    """This will delete the registration, as the portal's URL Management does."""
    return {"deleted": c2b.forget_urls(world)}


@router.post("/sim/books/{receipt}/reverse")
async def reverse(world: TheWorld, receipt: str) -> Shown:
    """This will send a payment back as after a customer's complaint; nobody is called back."""
    try:
        made = reversal.by_customer(world, receipt)
    except reversal.NotReversed as no:
        status = 404 if no.reason == "not_a_payment" else 409
        raise HTTPException(status, no.reason) from None
    payment = world.books.find_payment(receipt)
    phone = "" if payment is None else str(payment["phone"])
    return {"receipt": made, "reverses": receipt, "handset": show_handset(world, phone)}


class UtilityFunds(BaseModel):
    """What the organisation's utility account shall hold."""

    model_config = ConfigDict(extra="forbid")
    balance: str = Field(pattern=r"^\d{1,12}(\.\d{1,2})?$")


@router.put("/sim/utility")
async def set_utility(world: TheWorld, funds: UtilityFunds) -> Shown:
    """This will fill the utility account from the bank, or empty it to there."""
    with world.store.transaction():
        change = parse_cents(funds.balance) - world.books.balance(UTILITY)
        if change:
            kind = "Funds Received from Bank" if change > 0 else "Withdraw Funds to Bank"
            lines = [(OPENING, -change), (UTILITY, change)]
            world.books.post(Posting(kind, abs(change)), lines, world.now_ms())
        world.changed()
    return {"utility": decimal_text(world.books.balance(UTILITY))}


class ForgedConfirmation(BaseModel):
    """A C2B confirmation that M-Pesa never sent."""

    model_config = ConfigDict(extra="forbid")
    phone: str = Field(pattern=r"^254[17]\d{8}$")
    amount: Amount
    account_number: str = Field(max_length=200)
    receipt: str = Field(forgery.RECEIPT, min_length=1, max_length=40)
    url: str | None = Field(None, max_length=2000)
    """Where to; the registered ConfirmationURL when left out."""
    source: str | None = Field(None, max_length=64)
    """Its X-Forwarded-For."""
    body: dict[str, str] | None = None
    """Replaces fields of the payload."""


@router.post("/sim/c2b/forge")
async def forge(world: TheWorld, lie: ForgedConfirmation) -> Shown:
    """This will send a forged confirmation: any receipt, a real one included; no money moves."""
    urls = c2b.find_urls(world)
    url = lie.url or (None if urls is None else str(urls["confirmation_url"]))
    if url is None:
        raise HTTPException(409, "no C2B URL is registered and none was given")
    version = "v2" if urls is None else str(urls["version"])
    with world.store.transaction():
        body: Mapping[str, Json] = c2b.payload(
            world, version, lie.receipt, world.now_ms(), parse_cents(lie.amount),
            lie.account_number, lie.phone, Plan({}), balance=0,
        )  # fmt: skip
        letter = Letter("forged", lie.receipt, url, {**body, **(lie.body or {})}, lie.source)
        world.callbacks.post(letter, world.now_ms())
    return {"sent": {**body, **(lie.body or {})}, "url": url}
