"""``openapi.json`` made truthful, for every shell that has one.

FastAPI's own 422 is taken out: a request that does not parse is 400 in our envelope, like
everything else that is wrong with a request.
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import hazina
from hazina.web.errors import ErrorEnvelope

REFS = "#/components/schemas/{model}"
Complete = Callable[[dict[str, Any]], None]


def install_description(app: FastAPI, about: str, complete: Complete | None = None) -> None:
    """This will make ``app.openapi()`` say what is really answered; ``complete`` adds what the
    routes cannot say of themselves."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = _described(app, about)
            if complete is not None:
                complete(made)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign] # FastAPI's documented way


def _described(app: FastAPI, about: str) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title, version=hazina.__version__, description=about, routes=app.routes
    )
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    ours = ErrorEnvelope.model_json_schema(ref_template=REFS)
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
