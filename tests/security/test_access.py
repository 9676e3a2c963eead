"""Every route × everybody × somebody else's ids: who gets through, and that nothing leaks.

``doors.py`` says which route is for whom. What a customer may do is tried with the ids of another
customer, so that getting through means finding nothing there.
"""

import json
import re

import httpx
import pytest

from hazina.identity.people import Role
from hazina.kernel.ids import new_id
from tests.security.doors import DOORS, KEYS, LAST, MAY_BE_503, ROLES, SERVICE, Door, For, doors_of
from tests.security.estate import Estate, Knocker

THROUGH, UNKNOWN, STRANGER, NOT_ALLOWED = "through", "nothing there", "who are you", "not for you"


def test_every_route_is_classified(estate: Estate) -> None:
    found = {door for shell, app in estate.apps.items() for door in doors_of(shell, app)}
    assert found - set(DOORS) == set(), "say in tests/security/doors.py for whom these are"
    assert set(DOORS) - found == set(), "these routes are gone"


@pytest.mark.parametrize("shell", ["wallet", "console", "internal"])
async def test_only_whom_a_route_is_for_gets_through(estate: Estate, shell: str) -> None:
    before = await estate.belongings()
    wrong = []
    for door in sorted(one for one in DOORS if one.shell == shell):
        for who in those_at(door, estate):
            wanted = expected(door, DOORS[door], who)
            if door.name in LAST and wanted is THROUGH:
                who = await again(estate, who)
            answer = await knock(estate, door, who)
            found = outcome(door, answer)
            if found != wanted:
                wrong.append(f"{door.name} by {who.name}: {found}, not {wanted}: {brief(answer)}")
            leaks = [marker for marker in estate.markers if marker in answer.text]
            if leaks and who.role is None:
                wrong.append(f"{door.name} by {who.name} shows {leaks}")
    assert not wrong, "\n".join(wrong)
    assert await estate.belongings() == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/gold/trade/buy", {"quote_id": "quote_id", "pay_from": "wallet"}),
        ("/gold/trade/sell", {"quote_id": "quote_id", "payout_to": "wallet"}),
        ("/user/unfreeze", {"challenge_id": "recovery_id", "code": "000000"}),
    ],
)
async def test_anothers_id_in_a_body_is_nobodys(
    estate: Estate, path: str, body: dict[str, object]
) -> None:
    """It is answered as an id is that nothing has, to the letter."""
    answers = []
    for ids in (estate.ids, dict.fromkeys(estate.ids, new_id().hex)):
        sent = json.dumps(body)
        for name, id_ in ids.items():
            sent = sent.replace(f': "{name}"', f': "{id_}"')
        who = estate.knockers["customer"]
        answer = await estate.knock("wallet", "POST", f"/api/v1{path}", who, json=sent.encode())
        answers.append((answer.status_code, code_in(answer)))
    assert answers[0] == answers[1]
    assert answers[0][0] < 500


def those_at(door: Door, estate: Estate) -> list[Knocker]:
    """Everybody; of machines at a door that is for none of them, one of each kind."""
    everybody = [*estate.knockers.values()]
    if door.is_page:
        return [one for one in everybody if one.key is None] + [estate.knockers["key read"]]
    others = [one for one in everybody if one.scopes is None]
    machines = [one for one in everybody if one.scopes is not None]
    if door.shell == "wallet":
        return others + [one for one in machines if one.customer] + [machines[-1]]
    return others[:5] + [one for one in machines if not one.customer] + [machines[0]]


def expected(door: Door, whom: For, who: Knocker) -> str:
    """What ``who`` must meet at ``door``, by the table alone."""
    theirs = "{" in door.path
    if whom is For.ANYBODY:
        return THROUGH
    if whom is For.SERVICE:
        return THROUGH if who.key and who.key[0].startswith("crd_") else STRANGER
    if whom in SERVICE:
        if SERVICE[whom].value not in (who.scopes or ()):
            return STRANGER
        return UNKNOWN if theirs else THROUGH
    if whom in ROLES:
        if who.role is None:
            return STRANGER
        return THROUGH if who.role in ROLES[whom] else NOT_ALLOWED
    if not who.customer or (door.is_page and who.key):
        return STRANGER
    if who.scopes is not None:
        needed = "read" if door.method == "GET" else KEYS.get(door.name)
        if needed not in who.scopes:
            return NOT_ALLOWED
    return UNKNOWN if theirs else THROUGH


def outcome(door: Door, answer: httpx.Response) -> str:
    """What the answer means, page or JSON."""
    status, to = answer.status_code, answer.headers.get("location", "")
    if status == 401 and code_in(answer).startswith("second_factor_"):
        return THROUGH
    if status == 401 or (door.is_page and status == 303 and to.startswith("/login?")):
        return STRANGER
    if status == 403:
        return NOT_ALLOWED
    if DOORS[door] in (For.CUSTOMER, *SERVICE) and "{" in door.path:
        # A page that removes something answers the same whether it was there or not.
        gone = door.method == "POST" and status == 303
        return UNKNOWN if status == 404 or gone else f"status {status}"
    fine = status < 500 or (status == 503 and door.name in MAY_BE_503)
    return THROUGH if fine else f"status {status}"


def code_in(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"]["code"])
    except ValueError:
        return ""


async def knock(estate: Estate, door: Door, who: Knocker) -> httpx.Response:
    """``door`` with the victim's ids in its path, and no more in it than it must have."""
    path = re.sub(r"\{(\w+)\}", lambda found: estate.ids.get(found[1], "x" * 32), door.path)
    form = {"name": "mine now"}
    body = json.dumps(form).encode() if "{device_id}" in door.path else None
    return await estate.knock(
        door.shell, door.method, path, who, json=body, form=form, page=door.is_page
    )


async def again(estate: Estate, who: Knocker) -> Knocker:
    """Somebody new of the same kind."""
    if who.role is not None:
        return await estate.operator(Role(who.role))
    return (await estate.customer(who.name))[1]


def brief(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.headers.get('location', '')} {answer.text[:160]}"
