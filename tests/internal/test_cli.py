"""`hazina credential`, as a person types it, and that what it shows opens the door."""

import asyncio
import re
import sys
from subprocess import PIPE

import pytest

from hazina.bootstrap.serving import NoInternalPort, run_internal
from hazina.client import Account
from hazina.identity.credentials import Credentials
from hazina.infra.house import House
from hazina.infra.settings import Settings
from hazina.kernel.clock import SystemClock
from hazina.kernel.ids import new_id
from tests.conftest import Place
from tests.internal.conftest import Services
from tests.process.running import ROOT, environment


async def hazina(settings: Settings, place: Place, *words: str) -> tuple[int, str]:
    told = environment(
        HAZINA_DATABASE_URL=place.app, HAZINA_KEY_FILE=str(settings.key_file), COLUMNS="200"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "hazina.cli", "credential", *words,
        cwd=ROOT, env=told, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode() + err.decode()


async def test_a_credential_is_made_used_listed_and_revoked(
    settings: Settings, place: Place, services: Services, house: House
) -> None:
    name = f"n{new_id().hex[-12:]}"
    code, said = await hazina(
        settings, place, "create", "--namespace", name, "--label", "core banking",
        "--scope", "ledger:read", "--allow", "203.0.113.0/24", "--days", "730",
    )  # fmt: skip
    assert code == 0, said
    found = re.search(r"^credential (crd_[0-9a-f]{32})\nsecret     ([0-9a-f]{64})$", said, re.M)
    assert found is not None
    id_, secret = found.groups()
    made = await house.get(Credentials).get(house.db, id_)
    client = await services.client((made, secret))
    house.clock.at = SystemClock().now()  # type: ignore[attr-defined] # the test's own clock
    [balance] = await client.balances([Account("alice", "KES")])
    assert not balance.opened

    code, listed = await hazina(settings, place, "list")
    [line] = [line for line in listed.splitlines() if name in line]
    assert id_ in line
    assert "ledger:read" in line
    assert secret not in listed

    code, ended = await hazina(settings, place, "revoke", id_)
    assert (code, "is revoked" in ended) == (0, True)
    assert (await house.get(Credentials).get(house.db, id_)).revoked_at is not None


async def test_nonsense_is_refused_in_words(settings: Settings, place: Place) -> None:
    code, said = await hazina(
        settings, place, "create", "--namespace", "Not Good", "--label", "x",
        "--scope", "ledger:read",
    )  # fmt: skip
    assert code == 1
    assert "small letters" in said
    assert "Traceback" not in said


async def test_without_a_port_the_door_stays_shut(settings: Settings) -> None:
    assert settings.internal_port is None
    with pytest.raises(NoInternalPort):
        await run_internal(settings)
    assert Settings(internal_port="").internal_port is None  # type: ignore[arg-type]
