"""A sentence that survives one redirect: a signed cookie, shown once."""

import base64
import json
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hazina.desk.webkit.signing import Signer, signer_of

COOKIE = "hz_flash"
MAX_LENGTH = 500


class Tone(StrEnum):
    """How a message, a chip or a callout speaks. Amber and red only for what needs a person."""

    NEUTRAL = "neutral"  # a fact
    WAIT = "wait"  # something is on its way and needs nothing from anybody
    GOOD = "good"  # done
    WARN = "warn"  # a person should look
    BAD = "bad"  # it did not happen


def redirect(
    request: Request, to: str, message: str | None = None, tone: Tone = Tone.GOOD
) -> RedirectResponse:
    """This will answer 303 to ``to`` (a path of ours) and show ``message`` there once."""
    response = RedirectResponse(to, status_code=303)
    if message is not None:
        set_flash(request, response, message, tone)
    return response


def set_flash(request: Request, response: Response, message: str, tone: Tone) -> None:
    text = json.dumps([tone.value, message[:MAX_LENGTH]])
    body = base64.urlsafe_b64encode(text.encode()).decode()
    response.set_cookie(
        COOKIE,
        f"{body}.{signer_of(request).sign('flash', body)}",
        max_age=60,
        httponly=True,
        samesite="lax",
        secure=request.app.state.cookie_secure,
    )


def read_flash(request: Request) -> tuple[Tone, str] | None:
    """The message that the last redirect left, or None; anything unsigned is nothing."""
    return _open(signer_of(request), request.cookies.get(COOKIE, ""))


def _open(signer: Signer, cookie: str) -> tuple[Tone, str] | None:
    body, _, signature = cookie.rpartition(".")
    if not body or not signer.verify("flash", body, signature):
        return None
    tone, text = json.loads(base64.urlsafe_b64decode(body))
    return Tone(tone), str(text)
