"""Nonsense in every field of every route and form: refused in words, never a 5xx or an echo."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from hazina.identity.credentials import Scope
from hazina.identity.people import Role
from hazina.web.reference import example_of
from tests.security.doors import DOORS, LAST, MAY_BE_503, ROLES, Door
from tests.security.estate import Estate, Knocker
from tests.security.hostile import SCRIPT, few, forms_in, values

BROKEN = ("", "[]", "null", '"x"', "{", "[" * 5_000, '{"a":1,"a":2}', "\ufeff{}")
QUERY = ("cursor", "limit", "state", "amount", "grams", "next", "asset", "from", "to", "kind", "q")


def json_bodies(estate: Estate) -> Iterator[tuple[Door, dict[str, Any]]]:
    """Every described route with a body, and the example its author wrote."""
    schema = estate.apps["wallet"].openapi()
    for path, verbs in schema["paths"].items():
        for verb, operation in verbs.items():
            content = operation.get("requestBody", {}).get("content", {})
            door = Door("wallet", verb.upper(), path)
            if "application/json" in content and door.name not in LAST:
                body = example_of(schema, content["application/json"]["schema"])
                yield door, dict(body)


async def test_in_json_is_refused_in_words(estate: Estate) -> None:
    wrong, sent = [], 0
    for door, body in json_bodies(estate):
        who = at(estate, door)
        path = re.sub(r"\{(\w+)\}", lambda found: estate.ids[found[1]], door.path)
        fields = enumerate(body, len(body))
        bodies = [json.dumps({**body, name: one}) for n, name in fields for one in values(n)]
        for text in (*bodies, *BROKEN):
            sent += 1
            raw = text.encode("utf-8", "surrogatepass")
            answer = await estate.knock("wallet", door.method, path, who, json=raw)
            wrong += faults(door, answer, text)
    assert not wrong, "\n".join(wrong)
    assert sent > 300


async def test_in_a_path_or_query_is_refused_in_words(estate: Estate) -> None:
    wrong = []
    doors = sorted(one for one in DOORS if one.shell != "internal" and one.name not in LAST)
    for turn, door in enumerate(doors):
        who = at(estate, door)
        if "{" in door.path:
            start = door.path.partition("{")[0]
            targets = [start + encoded(text) for text in few(turn)]
        elif door.method == "GET":
            targets = [
                f"{door.path}?" + "&".join(f"{name}={encoded(text)}" for name in QUERY)
                for text in few(turn)
            ]
        else:
            continue
        for target in targets:
            answer = await estate.knock(door.shell, door.method, target, who, page=door.is_page)
            wrong += faults(door, answer, target)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("shell", ["wallet", "console"])
async def test_in_a_form_is_refused_in_words(estate: Estate, shell: str) -> None:
    wrong, seen = [], set()
    # Somebody of this test's own: a form that is in order all the same may end their session.
    if shell == "console":
        own = await estate.operator(Role.ADMINISTRATOR)
    else:
        own = (await estate.customer("hostile"))[1]
    for door in sorted(one for one in DOORS if one.shell == shell and one.method == "GET"):
        if not door.is_page or "{" in door.path:
            continue
        for who in (own, estate.knockers["anonymous"]):
            page = await estate.knock(shell, "GET", door.path, who, page=True)
            for form in forms_in(page.text):
                if (form.action, who.name) in seen or f"POST {form.action}" in LAST:
                    continue
                seen.add((form.action, who.name))
                for turn, name in enumerate(form.fields):
                    for text in few(turn):
                        sent = form.fields | {name: text.encode("utf-8", "replace").decode()}
                        answer = await estate.knock(
                            shell, "POST", form.action, who, form=sent, page=True
                        )
                        wrong += faults(Door(shell, "POST", form.action), answer, f"{name}={text}")
    assert not wrong, "\n".join(wrong)
    assert len(seen) > 3


async def test_from_a_service_is_refused_in_words(estate: Estate) -> None:
    service = await estate.service(*Scope)
    transfer = {
        "id": "x", "kind": "post", "debit": "$world", "credit": "bob", "asset": "KES",
        "amount": "5", "pending_id": None, "keep_rest": False, "expires_at": None, "group": None,
        "reference": None, "metadata": {},
    }  # fmt: skip
    account = {"owner": "bob", "asset": "KES"}
    wrong = []
    for path, name, one in (
        ("/transfers", "transfers", transfer),
        ("/accounts", "accounts", account),
        ("/accounts/query", "accounts", account),
        ("/balances", "accounts", account),
    ):
        door = Door("internal", "POST", f"/internal/ledger{path}")
        fields = enumerate(one)
        bodies = [{name: [{**one, key: value}]} for n, key in fields for value in values(n)]
        for body in (*bodies, *values(0), *({name: value} for value in values(1))):
            raw = json.dumps(body).encode()
            answer = await estate.knock("internal", "POST", door.path, service, json=raw)
            wrong += faults(door, answer, raw.decode())
    assert not wrong, "\n".join(wrong)


def encoded(text: str) -> str:
    return quote(text[:300], safe="", errors="replace")


def at(estate: Estate, door: Door) -> Knocker:
    """Somebody whom a route is for."""
    whom = DOORS[door]
    return estate.knockers["administrator" if whom in ROLES else "customer"]


def faults(door: Door, answer: httpx.Response, sent: str) -> list[str]:
    """What is wrong with an answer to nonsense."""
    found = []
    if answer.status_code >= 500 and door.name not in MAY_BE_503:
        found.append(f"{door.name}: {answer.status_code} to {sent[:120]!r}")
    if SCRIPT in answer.text and "html" in answer.headers.get("content-type", ""):
        found.append(f"{door.name}: shows what was sent unescaped: {sent[:120]!r}")
    return found
