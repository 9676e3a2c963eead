"""Dynamic QR: a PNG in base64 for a till or paybill, answered at once.

What Safaricom draws into the code is its own format; ours says the same in words, and a phone's
camera shows them.
"""

import base64
import io

import segno
from starlette.requests import Request
from starlette.responses import Response

from hazina.simulators.daraja.faults import travelling
from hazina.simulators.daraja.gate import QR, accepted, bad_request, enter, text_field, world_of
from hazina.simulators.daraja.money import whole_shillings
from hazina.simulators.daraja.wire import Json, reply

TRX_CODES = ("BG", "WA", "PB", "SM", "SB")
"""Buy goods, withdraw at an agent, pay bill, send money, send to business."""
_BORDER = 4


async def generate(request: Request) -> Response:
    """This will answer POST /mpesa/qrcode/v1/generate."""
    fields = await enter(request, QR)
    world = world_of(request)
    merchant = text_field(world, fields, "MerchantName")
    reference = text_field(world, fields, "RefNo")
    amount = whole_shillings(fields.get("Amount"))
    if amount is None or not 1 <= amount <= 250_000:
        raise bad_request(world, "Amount")
    code = text_field(world, fields, "TrxCode")
    if code not in TRX_CODES:
        raise bad_request(world, "TrxCode")
    party = text_field(world, fields, "CPI")
    if not party.isdecimal():
        raise bad_request(world, "CPI")
    size = text_field(world, fields, "Size")
    if not size.isdecimal() or not 50 <= int(size) <= 2000:
        raise bad_request(world, "Size")
    if len(merchant) > 100 or len(reference) > 100:
        raise bad_request(world, "MerchantName" if len(merchant) > 100 else "RefNo")
    with world.store.transaction():
        plan = world.faults.take("qr", None, travelling())
        request_id, moment = world.ids.merchant(), world.ids.conversation(world.now_ms())
    picture = draw(f"{code} {party} {reference} KES {amount} {merchant}", int(size))
    answer: dict[str, Json] = {
        "ResponseCode": "00" if world.settings.qr_code == "00" else moment,
        "RequestID": request_id,
        "ResponseDescription": "QR Code Successfully Generated.",
        "QRCode": base64.b64encode(picture).decode(),
    }
    return accepted(reply(answer), plan)


def draw(text: str, pixels: int) -> bytes:
    """This will draw a PNG of at most so many pixels a side, the smallest code when less."""
    drawn = segno.make(text, error="m", micro=False)
    modules = drawn.symbol_size(border=_BORDER)[0]
    out = io.BytesIO()
    drawn.save(out, kind="png", border=_BORDER, scale=max(1, pixels // modules))
    return out.getvalue()
