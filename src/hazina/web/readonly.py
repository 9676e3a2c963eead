"""What a shell refuses while the house is read-only, and the band that says so on every page.

Maintenance refuses every change in both shells. A recovery refuses those of customers alone:
operators have to work in it. Signing in and out, looks of a page, and M-Pesa's callbacks (which
are only stored here) go on in either.
"""

import re

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from hazina.desk.switches import Maintenance, Standing, Switches, band_of, refusal_of
from hazina.desk.webkit.assets import PREFIX as ASSETS
from hazina.infra.db import DatabaseLost
from hazina.kernel.errors import Refusal
from hazina.web.errors import answer

READS = frozenset({"GET", "HEAD", "OPTIONS"})
RETRY_AFTER_S = 60
# Everything that may be posted to a read-only house; a test holds every route against it.
ALLOWED = re.compile(
    r"/hooks/[^/]+/[^/]+|/log(in|out)|/preferences"
    r"|/api/v1(/operator)?/auth/(login|refresh|logout)"
    r"|/internal/ledger/(balances|accounts/query)"  # questions too long for an address
    r"|/switches/[a-z.]+/(off|on)(/review)?"  # in the console: how it ends
)
UNWATCHED = (f"{ASSETS}/", "/healthz", "/readyz", "/metrics")


class ReadOnly:
    """Asks the switches before every change, and at a glance for every page."""

    def __init__(self, app: ASGIApp, shell: FastAPI) -> None:
        self._app = app
        self._shell = shell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNWATCHED):
            await self._app(scope, receive, send)
            return
        changes = scope["method"] not in READS and ALLOWED.fullmatch(scope["path"]) is None
        standing = await self._standing(afresh=changes)
        scope.setdefault("state", {})["band"] = band_of(standing)
        refusal = self._refusal(standing) if changes else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        scope.setdefault("app", self._shell)
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        await answer(Request(scope), refusal, 503, headers)(scope, receive, send)

    @property
    def _is_console(self) -> bool:
        return bool(self._shell.state.shell.name == "console")

    def _refusal(self, standing: Standing) -> Refusal | None:
        refusal = refusal_of(standing)
        return refusal if isinstance(refusal, Maintenance) or not self._is_console else None

    async def _standing(self, *, afresh: bool) -> Standing:
        switches = self._shell.state.house.get(Switches)
        try:
            found: Standing = await (switches.now() if afresh else switches.glance())
        except DatabaseLost:  # whoever needs the database says so better
            return {}
        return found
