"""Mounts every slice's JSON routes under ``/api/v1``, and what they have in common in words."""

from collections.abc import Sequence

from fastapi import FastAPI

from hazina.infra.house import Manifest
from hazina.web.api import user
from hazina.web.shell import include

PREFIX = "/api/v1"
ABOUT = """\
One ledger, several rails. Amounts are decimal strings beside an asset code, lists go on by
`next_cursor`, and every POST that moves money needs an `Idempotency-Key` header (8 to 64 visible
ASCII characters): the same key with the same body gets the same answer.
"""


def install_api(app: FastAPI, manifests: Sequence[Manifest]) -> None:
    """This will mount the JSON routes of all slices; they read the house from the app."""
    for manifest in manifests:
        for router in manifest.routes:
            include(app, router, prefix=PREFIX, shown=True)
    include(app, user.router, prefix=PREFIX, shown=True)
