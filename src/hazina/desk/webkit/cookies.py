"""The session cookie of each shell: its name, and nothing but the secret in it."""

from datetime import datetime

from fastapi import Request, Response

from hazina.identity.people import Realm
from hazina.identity.sessions import PageSession
from hazina.infra.settings import Settings

DEVICE_COOKIE = "hz_device"
DEVICE_AGE_S = 400 * 86_400  # as long as browsers keep any cookie


def set_session_cookie(
    response: Response, realm: Realm, session: PageSession, settings: Settings, now: datetime
) -> None:
    """This will hand the browser its session: unreadable to scripts, not sent by other sites."""
    response.set_cookie(
        realm.cookie,
        session.secret,
        max_age=int((session.expires_at - now).total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=settings.cookie_secure,
    )


def device_of(request: Request) -> str | None:
    """The token by which this browser is known as a device, if it has one."""
    return request.cookies.get(DEVICE_COOKIE)


def set_device_cookie(response: Response, session: PageSession, settings: Settings) -> None:
    """This will have the browser keep a new device's token; it opens nothing."""
    if session.device_token is not None:
        response.set_cookie(
            DEVICE_COOKIE,
            session.device_token,
            max_age=DEVICE_AGE_S,
            path="/",
            httponly=True,
            samesite="lax",
            secure=settings.cookie_secure,
        )


def clear_session_cookie(response: Response, realm: Realm, settings: Settings) -> None:
    """This will make the browser forget it; the session itself is ended by ``Sessions.revoke``."""
    response.delete_cookie(
        realm.cookie, path="/", httponly=True, samesite="lax", secure=settings.cookie_secure
    )
