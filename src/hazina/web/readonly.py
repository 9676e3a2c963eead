"""What a shell refuses while the house is read-only, and the band that says so on every page.

Maintenance refuses every change in both shells. A recovery refuses those of customers alone:
operators have to work in it. Signing in and out, looks of a page, and M-Pesa's callbacks (which
are only stored here) go on in either.
"""

import re

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import Scope

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

    def __init__(self, shell: FastAPI) -> None:
        self._shell = shell
        self._is_console = bool(shell.state.shell.name == "console")

    async def refuse(self, scope: Scope) -> Response | None:
        """The answer to a change that has to wait; the band for a page is left in the scope."""
        if scope["path"].startswith(UNWATCHED):
            return None
        changes = scope["method"] not in READS and ALLOWED.fullmatch(scope["path"]) is None
        standing = await self._standing(afresh=changes)
        scope["state"]["band"] = band_of(standing)
        refusal = self._refusal(standing) if changes else None
        if refusal is None:
            return None
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return answer(Request(scope), refusal, 503, headers)

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
