"""Forged forms: every page POST must carry a token that only our own page could have shown.

The browser holds a random HttpOnly cookie; each form holds a fresh nonce and a signature over
nonce, cookie and session. Another site can make the browser send the cookie but cannot read a
token, and a planted cookie is worthless without the signing key. A fresh nonce per page keeps the
token different in every compressed answer.

**Invariant**: the shells put ``csrf_guard`` on every page router, so no page can forget it.
"""

import re
import secrets
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from hazina.desk.webkit.signing import signer_of
from hazina.kernel.errors import Kind, Refusal

COOKIE = "hz_csrf"
FIELD = "csrf"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{64}", re.ASCII)


class FormForged(Refusal):
    """The form did not come from a page of ours in this browser, or the page is too old."""

    code = "form_expired"
    kind = Kind.FORBIDDEN
    message = "This page was open for too long, or was not opened here."
    action = "Nothing was done. Open the page again and send the form once more."


def browser_secret(request: Request) -> str:
    """The browser's random half; made here for a first visit, and set by ``templates.render``."""
    known = request.cookies.get(COOKIE, "")
    if re.fullmatch(r"[0-9a-f]{32}", known):
        return known
    fresh = getattr(request.state, "csrf_secret", None)
    if fresh is None:
        fresh = request.state.csrf_secret = secrets.token_hex(16)
    return str(fresh)


def make_token(request: Request) -> str:
    """This will make a token for one page; any number of them are good at the same time."""
    nonce = secrets.token_hex(16)
    return f"{nonce}.{signer_of(request).sign('csrf', _bound(request, nonce))}"


def token_is_good(request: Request, token: object) -> bool:
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return False
    if COOKIE not in request.cookies:
        return False
    nonce, _, signature = token.partition(".")
    return signer_of(request).verify("csrf", _bound(request, nonce), signature)


async def csrf_guard(request: Request) -> AsyncIterator[None]:
    """This will let a state-changing page request pass only with a good token, and let go of the
    files that a form brought when it was answered.

    Raises: FormForged.
    """
    try:
        if request.method not in _SAFE:
            await _require_token(request)
        yield
    finally:
        await request.close()


async def _require_token(request: Request) -> None:
    # Browsers say where a request comes from; a page elsewhere needs no further look.
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise FormForged
    token: object = request.headers.get("x-csrf-token")
    if token is None:
        token = (await request.form()).get(FIELD)
    if not token_is_good(request, token):
        raise FormForged


CsrfDep = Annotated[None, Depends(csrf_guard)]


def _bound(request: Request, nonce: str) -> str:
    session = request.cookies.get(request.app.state.session_cookie, "")
    return f"{nonce}\0{browser_secret(request)}\0{session}"
