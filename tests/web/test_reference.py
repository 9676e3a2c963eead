"""/docs and /openapi.json: our own page, and the truth."""

import re

from fastapi import FastAPI

from hazina.web.reference import chapters, example_of
from tests.web.conftest import Browser


async def test_every_operation_is_on_the_page(wallet: Browser, wallet_app: FastAPI) -> None:
    page = (await wallet.http.get("/docs")).text
    paths = wallet_app.openapi()["paths"]
    assert "/api/v1/auth/login" in paths
    for path in paths:
        assert f"<code>{path}</code>" in page


async def test_the_page_needs_nobody_else(wallet: Browser) -> None:
    page = (await wallet.http.get("/docs")).text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)


def test_every_body_has_an_example(wallet_app: FastAPI) -> None:
    for chapter in chapters(wallet_app.openapi()):
        for one in chapter.operations:
            if one.verb in ("post", "put", "patch") and one.request:
                assert one.request not in ("null", "{}"), one.path


def test_the_description_tells_our_refusals_and_not_the_frameworks(wallet_app: FastAPI) -> None:
    schema = wallet_app.openapi()
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    for path in schema["paths"].values():
        for operation in path.values():
            assert "422" not in operation["responses"]
            assert "default" in operation["responses"]


def test_pages_and_callbacks_are_not_part_of_the_api(wallet_app: FastAPI) -> None:
    assert all(path.startswith("/api/v1/") for path in wallet_app.openapi()["paths"])


def test_an_example_is_made_from_types_where_none_is_given() -> None:
    schema = {
        "components": {
            "schemas": {
                "A": {
                    "type": "object",
                    "properties": {
                        "n": {"type": "integer"},
                        "at": {"type": "string", "format": "date-time"},
                        "many": {"type": "array", "items": {"$ref": "#/components/schemas/B"}},
                        "self": {"$ref": "#/components/schemas/A"},
                    },
                },
                "B": {"enum": ["x", "y"]},
            }
        }
    }
    found = example_of(schema, {"$ref": "#/components/schemas/A"})
    assert (found["n"], found["many"]) == (1, ["x"])
    assert found["at"].startswith("2026")
