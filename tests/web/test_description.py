"""The description of the API: every request and answer has an example that fits its schema."""

from collections.abc import Iterator
from typing import Any

from hazina.bootstrap.registry import manifests
from hazina.infra.house import House
from hazina.web.wallet.app import create_wallet_app


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    found: dict[str, Any] = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
    return found


def test_every_request_has_an_example_with_its_required_fields(house: House) -> None:
    schema = create_wallet_app(house, manifests()).openapi()
    faults, seen = [], 0
    for name, operation in operations(schema):
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            continue
        seen += 1
        body = resolved(schema, content["application/json"]["schema"])
        example = body.get("example") or next(iter(body.get("examples", [])), None)
        if example is None:
            faults.append(f"{name} has no example")
            continue
        missing = set(body.get("required", [])) - set(example)
        strange = set(example) - set(body.get("properties", {}))
        if missing or strange:
            faults.append(f"{name}: missing {missing}, strange {strange}")
    assert faults == []
    assert seen > 5


def test_every_operation_says_what_it_does(house: House) -> None:
    schema = create_wallet_app(house, manifests()).openapi()
    silent = [name for name, operation in operations(schema) if not operation.get("description")]
    assert silent == []
