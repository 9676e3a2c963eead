"""Mounts every slice's JSON routes under ``/api/v1`` and describes them truthfully.

FastAPI's own 422 is taken out of the description: a request that does not parse is 400 in our
envelope, like everything else that is wrong with a request.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import hazina
from hazina.infra.house import Manifest
from hazina.web.api import user
from hazina.web.errors import ErrorEnvelope
from hazina.web.shell import include

PREFIX = "/api/v1"
_DESCRIPTION = """\
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


def install_description(app: FastAPI) -> None:
    """This will make ``/openapi.json`` say what is really answered."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign] # FastAPI's documented way


def _described(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title="Hazina",
        version=hazina.__version__,
        description=_DESCRIPTION,
        routes=app.routes,
    )
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    ours = ErrorEnvelope.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(ours.pop("$defs", {}))
    schemas["ErrorEnvelope"] = ours
    refusal = {
        "description": "Refused: the code says why, the action what to do.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorEnvelope"}}},
    }
    for path in schema.get("paths", {}).values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = refusal
    return schema
