"""B2B as far as an organisation needs it to pay out: Working to Utility, in its two commands.

BusinessTransferFromMMFToUtility moves within the collecting shortcode, BusinessPayToBulk to the
paying one. Payments to other businesses are accepted and fail with 2028, as without the product.
"""

import sqlite3

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from hazina.simulators.daraja import errands
from hazina.simulators.daraja.books import MMF_TRANSFER, PAY_TO_BULK, UTILITY, WORKING, Posting
from hazina.simulators.daraja.clock import compact
from hazina.simulators.daraja.gate import B2B as PRODUCT
from hazina.simulators.daraja.gate import bad_request, enter, phone_field, text_field, world_of
from hazina.simulators.daraja.money import decimal_text
from hazina.simulators.daraja.wire import account_line, amount_object, pair, queue_reference
from hazina.simulators.daraja.world import World

TO_UTILITY, TO_BULK = "BusinessTransferFromMMFToUtility", "BusinessPayToBulk"
COMMANDS = (TO_UTILITY, TO_BULK, "BusinessPayBill", "BusinessBuyGoods")
ORGANISATION, TILL = "4", "2"


async def payment_request(http: HttpRequest) -> Response:
    """This will answer POST /mpesa/b2b/v1/paymentrequest."""
    fields = await enter(http, PRODUCT)
    world = world_of(http)
    command = errands.check_operator(world, fields, COMMANDS)
    if text_field(world, fields, "SenderIdentifierType") != ORGANISATION:
        raise bad_request(world, "SenderIdentifierType")
    wanted = TILL if command == "BusinessBuyGoods" else ORGANISATION
    if text_field(world, fields, "RecieverIdentifierType") != wanted:  # sic
        raise bad_request(world, "RecieverIdentifierType")
    amount = errands.amount_field(world, fields)
    sender, receiver = (text_field(world, fields, name) for name in ("PartyA", "PartyB"))
    for name, party in (("PartyA", sender), ("PartyB", receiver)):
        if not party.isdecimal():
            raise bad_request(world, name)
    reference = fields.get("AccountReference") or ""
    if len(str(reference)) > 13:
        raise bad_request(world, "AccountReference")
    if fields.get("Requester"):
        phone_field(world, fields, "Requester")
    asked = errands.Request(command, amount, receiver, str(fields["Remarks"]))
    return errands.accept(world, KIND, fields, asked, (sender,))


def _do(world: World, errand: sqlite3.Row) -> errands.Outcome:
    command, amount = str(errand["command"]), int(errand["amount"])
    receivers = {TO_UTILITY: world.config.shortcode, TO_BULK: world.config.payout_shortcode}
    if command not in receivers:
        return errands.Outcome("2028")
    if errand["party"] != receivers[command]:
        return errands.Outcome("SFC_IC0003")
    if world.books.balance(WORKING) < amount:
        return errands.Outcome("1")
    now = world.now_ms()
    posting = Posting(
        MMF_TRANSFER if command == TO_UTILITY else PAY_TO_BULK, amount,
        detail=errand["remarks"], originator_id=errand["originator_id"],
        conversation_id=errand["conversation_id"], started_ms=int(errand["created_ms"]),
    )  # fmt: skip
    receipt = world.books.post(posting, [(WORKING, -amount), (UTILITY, amount)], now)
    working = world.books.balance(WORKING)
    party = f"{errand['party']} - {world.config.organisation}"
    return errands.Outcome(
        "0",
        receipt,
        (
            pair("DebitAccountBalance", amount_object(working)),
            pair("Amount", decimal_text(amount)),
            pair("DebitPartyAffectedAccountBalance", account_line("Working Account", working)),
            pair("TransCompletedTime", compact(now)),
            pair("DebitPartyCharges", ""),
            pair("ReceiverPartyPublicName", party),
            pair("Currency", "KES"),
            pair("InitiatorAccountCurrentBalance", amount_object(working)),
        ),
    )


KIND = errands.Kind(
    PRODUCT, _do, [queue_reference("b2b"), {"Key": "Occassion"}], text_codes=True
)  # fmt: skip
errands.KINDS[PRODUCT.operation] = KIND
