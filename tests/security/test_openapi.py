"""Requests made out of our own description, sent to all of it: no 5xx, and what comes back is what
``/openapi.json`` promises.

Seeded and bounded here; ``HAZINA_FUZZ_EXAMPLES=500 ./hazina test tests/security/test_openapi.py``
takes long.
"""

import os
from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup

from hazina.identity.credentials import Scope
from hazina.kernel.ids import new_id
from tests.security.doors import DOORS, LAST, MAY_BE_503, ROLES, SERVICE, Door
from tests.security.estate import Estate, Knocker

EXAMPLES = int(os.environ.get("HAZINA_FUZZ_EXAMPLES", "3"))
KEPT = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")
SEED = 20_261_121


@pytest.mark.parametrize(("shell", "least"), [("wallet", 100), ("internal", 20)])
async def test_nothing_made_from_the_description_breaks_it(
    estate: Estate, shell: str, least: int
) -> None:
    schema = schemathesis.openapi.from_dict(estate.apps[shell].openapi())
    load_all_checks()
    checks = [CHECKS.get_one(name) for name in KEPT]
    wrong, sent = [], 0
    for found in schema.get_all_operations():
        operation = found.ok()
        name = f"{operation.method.upper()} {operation.path}"
        who = await sender(estate, shell, name)
        for case in made_of(operation):
            sent += 1
            answer = await send(estate, shell, case, who)
            if answer.status_code == 401 and shell == "internal":
                wrong.append(f"{name}: not signed as the description says: {answer.text}")
            if answer.status_code >= 500 and name not in MAY_BE_503:
                wrong.append(f"{name}: {answer.status_code} to {case.body!r} {case.query!r}")
            try:
                case.validate_response(answer, checks=checks)
            except FailureGroup as failed:
                said = "; ".join(str(one).splitlines()[0] for one in failed.exceptions)
                wrong.append(f"{name}: {said}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(sorted(set(wrong)))
    assert sent > least


async def test_the_door_for_services_describes_every_route_to_services_alone(
    estate: Estate,
) -> None:
    bank, path = await estate.service(Scope.READ), "/internal/openapi.json"
    told = (await estate.knock("internal", "GET", path, bank)).json()
    described = {
        f"{verb.upper()} {path}" for path, verbs in told["paths"].items() for verb in verbs
    }
    assert described == {
        door.name for door, whom in DOORS.items() if door.shell == "internal" and whom in SERVICE
    }
    assert len(told["security"][0]) == 4
    assert "TransferIn" in told["components"]["schemas"]
    for shell, who in (("internal", Knocker("nobody")), ("wallet", bank), ("console", bank)):
        answer = await estate.knock(shell, "GET", path, who)
        assert answer.status_code in (401, 404)


def made_of(operation: Any) -> list[Case]:
    """Some requests that fit the description, and some that do not."""
    cases: list[Case] = []
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @seed(SEED)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def collect(case: Case) -> None:
            cases.append(case)

        with suppress(Unsatisfiable):  # nothing is asked that could be wrong
            collect()
    return list({repr(case): case for case in cases}.values())


async def sender(estate: Estate, shell: str, name: str) -> Knocker:
    """Who a route is for; whoever leaves by it is somebody new."""
    whom = DOORS[Door(shell, *name.split())]
    if whom in SERVICE:
        return await estate.service(SERVICE[whom])
    if name in LAST:
        return (await estate.customer("leaving"))[1]
    return estate.knockers["administrator" if whom in ROLES else "customer"]


async def send(estate: Estate, shell: str, case: Case, who: Knocker) -> httpx.Response:
    parts = case.as_transport_kwargs(base_url=f"http://{shell}.test")
    headers = {str(k): v for k, v in dict(parts.pop("headers", {})).items()}
    headers = {k: v for k, v in headers.items() if is_sendable(v)}
    headers.setdefault("Idempotency-Key", new_id().hex)
    raw = parts.get("data")
    request = estate.shells[shell].build_request(
        parts["method"], parts["url"], headers=headers, params=parts.get("params"),
        json=parts.get("json"), content=raw if isinstance(raw, bytes | str) else None,
    )  # fmt: skip
    # Proven over what is really sent: what cannot be read must fail for that, and not unsigned.
    target = request.url.raw_path.decode("ascii")
    request.headers.update(who.headers(request.method, target, request.content))
    return await estate.shells[shell].send(request)


def is_sendable(value: str) -> bool:
    return value.isascii() and value.isprintable()
