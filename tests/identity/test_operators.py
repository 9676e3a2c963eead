"""Operators: made, listed and disabled from the command line; never over the network."""

import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pyotp
import pytest

from hazina.bootstrap.wiring import assemble
from hazina.identity.login import OperatorLogin, SecondFactorMissing
from hazina.identity.operators import Operators
from hazina.identity.passwords import PasswordWeak
from hazina.identity.people import Role
from hazina.identity.repository import UsernameTaken
from hazina.identity.second_factor import OperatorFactors
from hazina.infra.audit import Audit
from hazina.infra.house import House
from hazina.infra.settings import Mode, Settings
from hazina.kernel.actor import SYSTEM, Actor
from hazina.kernel.errors import NotFound
from tests.identity.people import PASSWORD, new_person

MODULE = "import typer, hazina.cli.operator as o; m = typer.Typer(); o.register(m); m()"


def hazina(settings: Settings, *words: str, stdin: str = "") -> tuple[int, str]:
    """The command as a process of its own, on the test's database."""
    url = settings.database_url
    assert url is not None
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "HAZINA_DATABASE_URL": url.get_secret_value(),
        "HAZINA_DATA_DIR": str(settings.data_dir),
        "HAZINA_KEY_FILE": str(settings.key_file),
        "COLUMNS": "200",
    }
    done = subprocess.run(
        [sys.executable, "-c", MODULE, "operator", *words],
        input=stdin,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


async def test_an_operator_is_made_from_the_command_line_and_signs_in(
    settings: Settings, house: House, origin: Actor
) -> None:
    name = new_person().username
    words = ("create", "--username", name, "--role", "manager", "--password-stdin")
    code, said = hazina(settings, *words, stdin=f"{PASSWORD}\n")
    assert code == 0, said
    assert PASSWORD not in said
    login, now = house.get(OperatorLogin), house.clock.now()
    opened = await login.for_page(name, PASSWORD, origin, now)
    assert opened.secret.startswith("hzs_")
    found = await house.get(Operators).get_by_username(house.db, name)
    assert found.role is Role.MANAGER
    page = await house.get(Audit).list_of_object(house.db, "operator", found.id)
    assert page.items[-1].action == "operator.created"
    assert page.items[-1].after == {"username": name, "role": "manager"}

    code, said = hazina(settings, "list")
    assert code == 0
    assert any(name in line and "manager" in line and "active" in line for line in said.split("\n"))

    code, said = hazina(settings, "disable", "--username", name)
    assert code == 0
    _, said = hazina(settings, "list")
    assert any(name in line and "disabled" in line for line in said.split("\n"))


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (("create", "--role", "auditor", "--password-stdin"), "short\n"),
        (("disable",), ""),
    ],
)
def test_the_command_says_what_is_wrong_and_fails(
    settings: Settings, words: tuple[str, ...], stdin: str
) -> None:
    name = new_person().username
    code, said = hazina(settings, *words, "--username", name, stdin=stdin)
    assert code in (1, 2)
    assert "Traceback" not in said
    assert len(said.strip()) > 20


async def test_an_operators_name_is_taken_once_and_disabling_twice_is_no_harm(
    house: House, origin: Actor
) -> None:
    operators, now, name = house.get(Operators), house.clock.now(), new_person().username
    await operators.create(name, PASSWORD, Role.AUDITOR, SYSTEM, now)
    with pytest.raises(UsernameTaken):
        await operators.create(name.upper(), PASSWORD, Role.ADMINISTRATOR, SYSTEM, now)
    with pytest.raises(PasswordWeak):
        await operators.create(name + "x", name + "x", Role.AUDITOR, SYSTEM, now)
    for _ in range(2):
        gone = await house.db.run(lambda tx: operators.disable(tx, name, origin, now))
        assert gone.disabled_at == now
    with pytest.raises(NotFound):
        await operators.get_by_username(house.db, "nobody-at-all")


async def test_a_customer_and_an_operator_may_share_a_name(
    house: House, web: httpx.AsyncClient
) -> None:
    person = new_person()
    answer = await web.post("/api/v1/auth/register", json=person.form())
    assert answer.status_code == 201
    now = house.clock.now()
    made = await house.get(Operators).create(person.username, PASSWORD, Role.AUDITOR, SYSTEM, now)
    assert made.username == person.username


async def test_the_list_of_operators_goes_on_from_its_cursor(house: House) -> None:
    operators, now = house.get(Operators), house.clock.now()
    names = [
        (
            await operators.create(new_person().username, PASSWORD, Role.AUDITOR, SYSTEM, now)
        ).username
        for _ in range(3)
    ]
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await operators.list_operators(house.db, after=after, limit=2)
        assert len(page.items) <= 2
        seen += [one.username for one in page.items]
        after = page.next_cursor
        if after is None:
            break
    assert seen == sorted(seen)
    assert set(names) <= set(seen)


async def test_production_lets_nobody_in_without_a_second_factor(
    settings: Settings, house: House, origin: Actor
) -> None:
    name, now = new_person().username, house.clock.now()
    made = await house.get(Operators).create(name, PASSWORD, Role.AUDITOR, SYSTEM, now)
    strict = assemble(settings.model_copy(update={"mode": Mode.PRODUCTION}), house.db, house.clock)
    login = strict.get(OperatorLogin)
    with pytest.raises(SecondFactorMissing):
        await login.for_page(name, PASSWORD, origin, now)
    factors = strict.get(OperatorFactors)
    begun = await house.db.run(lambda tx: factors.begin(tx, made.id, name, now))
    code = pyotp.TOTP(begun.secret).at(now)
    await house.db.run(lambda tx: factors.confirm(tx, made.id, code, SYSTEM, now))
    later = now + timedelta(minutes=1)
    with_code = replace(origin, otp=pyotp.TOTP(begun.secret).at(later))
    assert (await login.for_page(name, PASSWORD, with_code, later)).secret.startswith("hzs_")
    await strict.close()


async def test_a_second_factor_is_shown_and_switched_off_on_the_command_line(
    settings: Settings, house: House, origin: Actor
) -> None:
    name, now = new_person().username, house.clock.now()
    made = await house.get(Operators).create(name, PASSWORD, Role.AUDITOR, SYSTEM, now)
    code, said = hazina(settings, "second-factor", "--username", name, stdin="000000\n")
    assert code != 0
    assert re.search(r"type this key into the app: [A-Z2-7]{32}", said)
    assert "That code is not right" in said
    factors = house.get(OperatorFactors)
    begun = await house.db.run(lambda tx: factors.begin(tx, made.id, name, now))
    first = pyotp.TOTP(begun.secret).at(now)
    await house.db.run(lambda tx: factors.confirm(tx, made.id, first, SYSTEM, now))
    code, said = hazina(settings, "second-factor", "--username", name, "--off")
    assert code == 0, said
    assert not await factors.is_on(house.db, made.id)
