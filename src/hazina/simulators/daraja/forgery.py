"""Callbacks M-Pesa never sent: the bodies a liar would post, for the fault `forge`.

Each claims success with a receipt that is in no book. Sent outside the other faults' reach.
"""

import sqlite3
from collections.abc import Mapping

from hazina.simulators.daraja.books import PAY_BILL
from hazina.simulators.daraja.callbacks import Letter
from hazina.simulators.daraja.faults import FaultOrder, Plan
from hazina.simulators.daraja.money import decimal_text, parse_cents
from hazina.simulators.daraja.wire import (
    SUCCESS,
    Json,
    payout_parameters,
    result,
    stk_callback,
    stk_metadata,
)
from hazina.simulators.daraja.world import World

RECEIPT = "ZZZ0F0RGED"


def forge_stk(world: World, plan: Plan, prompt: sqlite3.Row) -> None:
    """This will queue a forged "paid" for a push that was just accepted."""
    order = plan.get("forge")
    if order is None:
        return
    amount = parse_cents(order.amount) if order.amount else int(prompt["amount"])
    metadata = stk_metadata(amount, RECEIPT, world.now_ms(), prompt["phone"])
    body = stk_callback(prompt["merchant_id"], prompt["checkout_id"], "0", SUCCESS, metadata)
    _post(world, order, prompt["checkout_id"], prompt["callback_url"], body)


def forge_b2c(world: World, plan: Plan, payout: sqlite3.Row) -> None:
    """This will queue a forged "paid" for a payout that was just accepted."""
    order = plan.get("forge")
    if order is None:
        return
    amount = parse_cents(order.amount) if order.amount else int(payout["amount"])
    receiver = f"{payout['phone']} - JOHN FORGED"
    parameters = payout_parameters(amount, RECEIPT, receiver, world.now_ms(), (0, 0, 0))
    body = result(
        "0", SUCCESS, payout["originator_id"], payout["conversation_id"], RECEIPT, parameters
    )
    _post(world, order, payout["originator_id"], payout["result_url"], body)


def forge_receipt_twice(world: World, plan: Plan, prompt: sqlite3.Row) -> None:
    """This will queue a "paid" for this push that carries the receipt of an older payment.

    The payment of the same phone before it, else the newest of any; without one, no book knows it.
    """
    order = plan.get("receipt_twice")
    if order is None:
        return
    older = world.store.row(
        "SELECT receipt FROM transactions WHERE kind = ? ORDER BY phone = ? DESC, at_ms DESC,"
        " rowid DESC LIMIT 1",
        PAY_BILL, prompt["phone"],
    )  # fmt: skip
    receipt = RECEIPT if older is None else str(older["receipt"])
    amount = parse_cents(order.amount) if order.amount else int(prompt["amount"])
    metadata = stk_metadata(amount, receipt, world.now_ms(), prompt["phone"])
    body = stk_callback(prompt["merchant_id"], prompt["checkout_id"], "0", SUCCESS, metadata)
    _post(world, order, prompt["checkout_id"], prompt["callback_url"], body)


def forge_c2b(
    world: World, plan: Plan, receipt: str, url: str, genuine: Mapping[str, Json]
) -> None:
    """This will queue a forged confirmation beside a genuine one, its receipt in no book."""
    order = plan.get("forge")
    if order is None:
        return
    amount = {"TransAmount": decimal_text(parse_cents(order.amount))} if order.amount else {}
    _post(world, order, receipt, url, {**genuine, "TransID": RECEIPT, **amount})


def told_phone(phone: str, order: FaultOrder) -> str:
    """This will return the phone a callback names wrongly: the one given, or its neighbour."""
    return order.told_phone or f"{phone[:-1]}{(int(phone[-1]) + 1) % 10}"


def _post(world: World, order: FaultOrder, subject: str, url: str, body: Json) -> None:
    given = body if order.body is None else order.body
    letter = Letter("forged", subject, order.url or url, given, source=order.source)
    world.callbacks.post(letter, world.now_ms())
