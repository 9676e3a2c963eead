"""Giving a debt up on the command line, by two persons who each prove themselves."""

import asyncio
import json

import pyotp
import pytest
from click.testing import Result
from typer.testing import CliRunner

from hazina.cli.main import app
from hazina.desk.approvals import Approvals
from hazina.identity.second_factor import OperatorFactors
from hazina.infra.settings import Settings, load_settings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import SystemClock
from hazina.kernel.ids import wire_id
from tests.conftest import Place
from tests.journeys.test_claw_back import in_debt, owed
from tests.journeys.test_suspense import Desk, desk
from tests.journeys.world import PASSWORD, World

__all__ = ["desk"]


async def test_two_persons_give_a_debt_up(
    world: World, desk: Desk, fresh_place: Place, settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The second has a second factor: their code is asked for after the password."""
    person = await in_debt(world)
    monkeypatch.setenv("HAZINA_DATABASE_URL", fresh_place.app)
    monkeypatch.setenv("HAZINA_KEY_FILE", str(settings.key_file))
    monkeypatch.setenv("HAZINA_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("HAZINA_PASSWORD_MEMORY_KIB", "8")
    load_settings.cache_clear()

    async def run(*words: str, typed: str = "") -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, list(words), input=typed)

    def signed(by: str) -> list[str]:
        return ["--operator", by, "--password-stdin"]

    listed = await run("debts", "list", "--json")
    assert listed.exit_code == 0, listed.output
    [debt] = json.loads(listed.stdout.splitlines()[-1])
    assert (debt["customer"], debt["owed"]) == (person.username, "600.00")
    first, second = desk.first.username, desk.second.username
    asked = await run(
        "debts", "give-up", debt["id"], "--reason", "gone", *signed(first), typed=f"{PASSWORD}\n"
    )
    assert asked.exit_code == 0, asked.output
    [waiting] = await world.house.get(Approvals).list_open(world.house.db)
    approval = wire_id("apr", waiting.id)
    assert approval in asked.output
    own = await run("mpesa", "approve", approval, *signed(first), typed=f"{PASSWORD}\n")
    assert own.exit_code == 1
    now, factors = SystemClock().now(), world.house.get(OperatorFactors)
    begun = await world.house.db.run(
        lambda tx: factors.begin(tx, desk.second.id, desk.second.username, now)
    )
    totp, before = pyotp.TOTP(begun.secret), now.timestamp() - 30
    await world.house.db.run(
        lambda tx: factors.confirm(tx, desk.second.id, totp.at(int(before)), SYSTEM, now)
    )
    bare = await run("mpesa", "approve", approval, *signed(second), typed=f"{PASSWORD}\n\n")
    assert bare.exit_code == 1
    done = await run(
        "mpesa", "approve", approval, *signed(second), typed=f"{PASSWORD}\n{totp.now()}\n"
    )
    load_settings.cache_clear()
    assert done.exit_code == 0, done.output
    assert await owed(world, person) == []
