"""What the door for services says of itself: ``/internal/openapi.json``, for services alone.

The bodies are read and proven before they are parsed, so that the routes name them here.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import JSONResponse

from hazina.web.description import REFS
from hazina.web.internal import wire
from hazina.web.internal.door import Caller, signed

ABOUT = """\
The ledger's door for services: transfers in batches, accounts, balances, statements, all in the
books of the credential's own namespace. Every request is signed with four headers; how, and a test
vector, stands in docs/internal-api.md. Amounts are decimal strings beside an asset code; ids are
UUIDv7 that the caller makes. A batch is answered 200 even where all of it is refused: each transfer
has its own result.
"""
BODIES = (wire.TransfersIn, wire.AccountsIn)
HEADERS = {
    "Hazina-Credential": "The credential's id, `crd_…`.",
    "Hazina-Timestamp": "Seconds since 1970, at most 300 away from our clock.",
    "Hazina-Nonce": "16 to 64 of `A-Z a-z 0-9 _ -`, never used before with this credential.",
    "Hazina-Signature": "HMAC-SHA256 over method, target, time, nonce and body, 64 hex digits.",
}

router = APIRouter(prefix="/internal", include_in_schema=False)


@router.get("/openapi.json")
async def description(request: Request, _me: Annotated[Caller, Depends(signed())]) -> JSONResponse:
    """For any service that proves itself, whatever its scopes."""
    return JSONResponse(request.app.openapi())


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """``openapi_extra`` of a route whose body is a ``model``."""
    schema = {"$ref": REFS.format(model=model.__name__)}
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def gives(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """``responses`` of a route that answers a ``model``."""
    return {200: {"model": model}}


def complete(schema: dict[str, Any]) -> None:
    """This will add the bodies and the four headers, all of which every request needs."""
    modes = [(model, "validation") for model in BODIES]
    _, made = models_json_schema(modes, ref_template=REFS)  # type: ignore[arg-type] # a list of Literals
    schema["components"]["schemas"].update(made["$defs"])
    schema["components"]["securitySchemes"] = {
        name: {"type": "apiKey", "in": "header", "name": name, "description": about}
        for name, about in HEADERS.items()
    }
    schema["security"] = [{name: [] for name in HEADERS}]
