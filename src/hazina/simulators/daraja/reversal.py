"""Reversal of a customer's payment: asked for by the organisation, or by the customer at M-Pesa.

The organisation's way is asynchronous and fails when Working no longer has the money. The
customer's way (in reality a message to 456 and a word from Safaricom) is done by the control API:
the books move back and nobody calls back. Leaves out payouts: those go back in the portal only.
"""

import sqlite3

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from hazina.simulators.daraja import errands, messages
from hazina.simulators.daraja.books import REVERSAL, WORKING, Posting
from hazina.simulators.daraja.clock import compact
from hazina.simulators.daraja.gate import REVERSAL as PRODUCT
from hazina.simulators.daraja.gate import bad_request, enter, text_field, world_of
from hazina.simulators.daraja.money import json_number
from hazina.simulators.daraja.wire import account_line, queue_reference
from hazina.simulators.daraja.world import World

ORGANISATION = "11"
"""RecieverIdentifierType of an organisation, the only receiver of payments here."""


async def request(http: HttpRequest) -> Response:
    """This will answer POST /mpesa/reversal/v1/request."""
    fields = await enter(http, PRODUCT)
    world = world_of(http)
    command = errands.check_operator(world, fields, "TransactionReversal")
    original = text_field(world, fields, "TransactionID")
    amount = errands.amount_field(world, fields)
    party = text_field(world, fields, "ReceiverParty")
    if not party.isdecimal():
        raise bad_request(world, "ReceiverParty")
    if text_field(world, fields, "RecieverIdentifierType") != ORGANISATION:  # sic
        raise bad_request(world, "RecieverIdentifierType")
    payment = world.books.find_payment(original)
    asked = errands.Request(
        command, amount, party, str(fields["Remarks"]), original,
        None if payment is None else payment["phone"],
    )  # fmt: skip
    return errands.accept(world, KIND, fields, asked, (party,))


def _do(world: World, errand: sqlite3.Row) -> errands.Outcome:
    payment = world.books.find_payment(errand["original"])
    if payment is None:
        return errands.Outcome("R000002")
    if world.books.is_reversed(errand["original"]):
        return errands.Outcome("R000001")
    amount = int(errand["amount"])
    if amount != int(payment["amount"]):
        return errands.Outcome("25", text="The format of parameter Amount is invalid.")
    if world.books.balance(WORKING) < amount:
        return errands.Outcome("1")
    posting = Posting(
        REVERSAL, amount, payment["phone"], reference=payment["reference"],
        detail=errand["remarks"], originator_id=errand["originator_id"],
        conversation_id=errand["conversation_id"], started_ms=int(errand["created_ms"]),
    )  # fmt: skip
    now = world.now_ms()
    receipt = _move_back(world, payment, posting)
    account = account_line("Working Account", world.books.balance(WORKING))
    return errands.Outcome(
        "0",
        receipt,
        (
            {"Key": "DebitAccountBalance", "Value": account},
            {"Key": "Amount", "Value": json_number(amount)},
            {"Key": "TransCompletedTime", "Value": int(compact(now))},
            {"Key": "OriginalTransactionID", "Value": payment["receipt"]},
            {"Key": "Charge", "Value": json_number(0)},
            {
                "Key": "CreditPartyPublicName",
                "Value": f"{payment['phone']} - {world.handset(payment['phone']).name}",
            },
            {
                "Key": "DebitPartyPublicName",
                "Value": f"{world.config.shortcode} - {world.config.organisation}",
            },
        ),
    )


KIND = errands.Kind(PRODUCT, _do, queue_reference("reversal"))
errands.KINDS[PRODUCT.operation] = KIND


class NotReversed(Exception):
    """Why a payment cannot go back."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def by_customer(world: World, receipt: str) -> str:
    """This will send a payment back as a customer's complaint does and return the new receipt.

    Nobody is called back. Raises: NotReversed (not_a_payment, already_reversed, swept).
    """
    with world.store.transaction():
        payment = world.books.find_payment(receipt)
        if payment is None:
            raise NotReversed("not_a_payment")
        if world.books.is_reversed(receipt):
            raise NotReversed("already_reversed")
        amount = int(payment["amount"])
        if world.books.balance(WORKING) < amount:
            raise NotReversed("swept")
        posting = Posting(
            REVERSAL, amount, payment["phone"], reference=payment["reference"],
            detail="Customer initiated reversal",
        )  # fmt: skip
        made = _move_back(world, payment, posting)
        world.changed()
    return made


def _move_back(world: World, payment: sqlite3.Row, posting: Posting) -> str:
    now, phone = world.now_ms(), str(payment["phone"])
    receipt = world.books.reverse(payment, posting, now)
    text = messages.reversed_payment(
        receipt, payment["receipt"], posting.amount, world.config.organisation, now,
        world.handset(phone).balance,
    )  # fmt: skip
    world.books.send_message(phone, text, now)
    return receipt
