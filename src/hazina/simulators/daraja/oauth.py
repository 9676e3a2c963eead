"""OAuth: gives tokens for the consumer key and secret, with Daraja's odd refusals.

A wrong key or secret gets HTTP 400 with an empty body; `expires_in` is a string.
"""

import base64
import binascii
import hmac

from starlette.requests import Request
from starlette.responses import Response

from hazina.simulators.daraja.gate import Product, strike, world_of
from hazina.simulators.daraja.wire import refusal, reply
from hazina.simulators.daraja.world import World

OAUTH = Product("oauth", 400, "400.008.01", "Invalid Authentication passed")


async def generate(request: Request) -> Response:
    """This will answer GET /oauth/v1/generate."""
    world = world_of(request)
    strike(world, OAUTH, None, "")
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        text = "Invalid Authentication passed"
        raise refusal(world.ids.request(), 400, "400.008.01", text)
    if request.query_params.get("grant_type") != "client_credentials":
        raise refusal(world.ids.request(), 400, "400.008.02", "Invalid grant type passed")
    if not _known(world, credentials):
        return Response(status_code=400)
    return reply({"access_token": _issue(world), "expires_in": str(world.config.token_lifetime_s)})


def _known(world: World, credentials: str) -> bool:
    try:
        given = base64.b64decode(credentials, validate=True)
    except binascii.Error:
        return False
    expected = f"{world.config.consumer_key}:{world.config.consumer_secret}".encode()
    return hmac.compare_digest(given, expected)


def _issue(world: World) -> str:
    now = world.now_ms()
    with world.store.transaction():
        if world.settings.revoke_previous_token:
            world.store.run("DELETE FROM tokens")
        world.store.run("DELETE FROM tokens WHERE expires_ms <= ?", now)
        token = world.ids.token()
        world.store.run(
            "INSERT INTO tokens (token, expires_ms) VALUES (?, ?)",
            token, now + world.config.token_lifetime_s * 1000,
        )  # fmt: skip
    return token
