"""The reference at ``/docs``: our own page from ``openapi.json``, since a strict content policy
and a slow link both rule out the usual page from a CDN.

``chapters`` is pure: the description in, what the page shows out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse

from hazina.desk.webkit.templates import render

router = APIRouter()
_MAX_DEPTH = 6
_VERBS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    place: str
    required: bool
    about: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb on one path, with what to send and what comes back."""

    verb: str
    path: str
    summary: str
    about: str
    signed_in: bool
    parameters: tuple[Parameter, ...]
    request: str
    responses: tuple[tuple[str, str, str], ...]  # status, words, example

    @property
    def anchor(self) -> str:
        return f"{self.verb}{self.path}".replace("/", "-").replace("{", "").replace("}", "")


@dataclass(frozen=True, slots=True)
class Chapter:
    title: str
    operations: tuple[Operation, ...]


@router.get("/openapi.json")
async def description(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    schema = request.app.openapi()
    return render(
        request,
        "reference.html",
        about=schema["info"]["description"],
        chapters=chapters(schema),
        refusal=_pretty(_refusal_example(schema)),
    )


def chapters(schema: Mapping[str, Any]) -> list[Chapter]:
    """This will order every operation by its first tag, in the order the slices come."""
    found: dict[str, list[Operation]] = {}
    for path, verbs in schema.get("paths", {}).items():
        for verb in _VERBS:
            if verb in verbs:
                title = (verbs[verb].get("tags") or ["other"])[0]
                found.setdefault(title, []).append(_operation(schema, verb, path, verbs[verb]))
    return [Chapter(title.capitalize(), tuple(rows)) for title, rows in found.items()]


def example_of(schema: Mapping[str, Any], node: Mapping[str, Any], depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """An example of a schema node: the author's own where there is one, else made from types."""
    if "$ref" in node:
        node = _named(schema, node)
    if node.get("examples"):
        return _ordered(schema, node, node["examples"][0])
    for key in ("example", "const", "default"):
        if node.get(key) is not None:
            return node[key]
    if node.get("enum"):
        return node["enum"][0]
    if depth > _MAX_DEPTH:
        return None
    for key in ("anyOf", "oneOf", "allOf"):
        if key in node:
            return example_of(schema, node[key][0], depth + 1)
    return _example_by_type(schema, node, depth)


def _ordered(schema: Mapping[str, Any], node: Mapping[str, Any], example: Any) -> Any:  # noqa: ANN401
    """An author's example in the order of its fields: Pydantic sorts it by the alphabet."""
    if "$ref" in node:
        return _ordered(schema, _named(schema, node), example)
    fields = node.get("properties", {})
    if not isinstance(example, dict) or not fields:
        return example
    names = [
        *(name for name in fields if name in example),
        *(n for n in example if n not in fields),
    ]
    return {name: _ordered(schema, fields.get(name, {}), example[name]) for name in names}


def _named(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(node["$ref"]).rsplit("/", 1)[-1]
    found: Mapping[str, Any] = schema.get("components", {}).get("schemas", {}).get(name, {})
    return found


def _example_by_type(schema: Mapping[str, Any], node: Mapping[str, Any], depth: int) -> Any:  # noqa: ANN401
    match node.get("type"):
        case "object":
            properties = node.get("properties", {})
            return {name: example_of(schema, one, depth + 1) for name, one in properties.items()}
        case "array":
            return [example_of(schema, node.get("items", {}), depth + 1)]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "string":
            return {"date-time": "2026-11-20T09:00:00Z", "uuid": "0199aa00-…"}.get(
                str(node.get("format")), "…"
            )
    return None


def _operation(
    schema: Mapping[str, Any], verb: str, path: str, node: Mapping[str, Any]
) -> Operation:
    body = _json_schema(node.get("requestBody", {}))
    return Operation(
        verb=verb,
        path=path,
        summary=node.get("summary", path),
        about=node.get("description", ""),
        signed_in=bool(node.get("security")),
        parameters=tuple(_parameter(one) for one in node.get("parameters", ())),
        request=_pretty(example_of(schema, body)) if body else "",
        responses=tuple(
            (status, one.get("description", ""), _response(schema, one))
            for status, one in node.get("responses", {}).items()
            if status != "default"
        ),
    )


def _parameter(node: Mapping[str, Any]) -> Parameter:
    about = str(node.get("description", ""))
    return Parameter(node["name"], node["in"], bool(node.get("required")), about)


def _response(schema: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    body = _json_schema(node)
    return _pretty(example_of(schema, body)) if body else ""


def _json_schema(node: Mapping[str, Any]) -> Mapping[str, Any]:
    content = node.get("content", {}).get("application/json", {})
    found: Mapping[str, Any] = content.get("schema", {})
    own = content.get("examples") or content.get("example")
    if isinstance(own, dict) and own and "value" in next(iter(own.values()), {}):
        own = next(iter(own.values()))["value"]
    return {"examples": [own]} if own else found


def _refusal_example(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    return example_of(schema, {"$ref": "#/components/schemas/ErrorEnvelope"})


def _pretty(value: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps(value, indent=2, ensure_ascii=False)
