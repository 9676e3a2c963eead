"""The commands, on real processes: copied, lost, restored, looked at, released, paying again."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.kernel.ids import new_id
from tests.process.running import ROOT, Up, environment
from tests.process.waiting import wait_until

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
PHONE = "254722000222"
PASSWORD = "correct horse battery"


def hazina(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "hazina.cli", *words],
        cwd=ROOT, env=environment(), input=stdin, capture_output=True, text=True, check=False,
    )  # fmt: skip


class Person:
    """A customer with a browser and a handset."""

    def __init__(self, up: Up, *, new: bool) -> None:
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{up.ports['wallet']}", timeout=30)
        self.sim = httpx.Client(base_url=f"http://127.0.0.1:{up.ports['daraja']}", timeout=30)
        who = {"username": "demo3", "password": PASSWORD}
        if new:
            fresh = {**who, "email": "demo3@example.com", "phone": f"+{PHONE}"}
            assert self.api.post("/api/v1/auth/register", json=fresh).status_code == 201
            self.sim.put(f"/sim/handsets/{PHONE}", json={"balance": "2000.00", "auto": "pay"})
        token = self.api.post("/api/v1/auth/login", json=who).json()["access_token"]
        self.api.headers["Authorization"] = f"Bearer {token}"

    def ask(self, what: str, amount: str) -> httpx.Response:
        headers = {"Idempotency-Key": new_id().hex}
        return self.api.post(f"/api/v1/wallet/{what}", json={"amount_kes": amount}, headers=headers)

    def on_phone(self, amount: str) -> None:
        def there() -> bool:
            return bool(self.sim.get(f"/sim/handsets/{PHONE}").json()["balance"] == amount)

        wait_until(f"{amount} on the phone", there, deadline_s=60)

    def in_wallet(self, amount: str) -> None:
        def there() -> bool:
            found = self.api.get("/api/v1/user/balance").json()["balances"]
            return any(b["asset"] == "KES" and b["available"] == amount for b in found)

        wait_until(f"{amount} in the wallet", there, deadline_s=60)

    def close(self) -> None:
        self.api.close()
        self.sim.close()


@pytest.fixture
def house(house_data: Path, free_port: int) -> Iterator[Up]:
    """Of one test that tells all, since each first start costs seconds."""
    up = Up(house_data, "--port", str(free_port))
    try:
        yield up.wait_started()
    finally:
        if up.process.poll() is None:
            up.end()
        EmbeddedPostgres(house_data).discard()


def test_switched_off_drilled_copied_lost_and_restored(house: Up, room: Path) -> None:
    person = Person(house, new=True)
    a_switch_and_maintenance_reach_the_running_processes(house, person)
    the_drill_tries_it_all_and_leaves_nothing(house, room)
    from_the_copy_to_the_first_payout_after_the_release(house, room, person)


def from_the_copy_to_the_first_payout_after_the_release(
    house: Up, room: Path, person: Person
) -> None:
    copies, back = room / "copies", room / "back"
    assert person.ask("deposits", "900").status_code == 202
    person.on_phone("1000.00")
    person.in_wallet("1000.00")
    assert person.ask("withdrawals", "600").status_code == 202
    person.on_phone("1600.00")
    data = ("--data", str(house.data_dir))
    copied = hazina("backup", str(copies), *data, "--json")
    assert copied.returncode == 0, copied.stderr
    assert json.loads(copied.stdout)["how"] == "physical"
    assert person.ask("withdrawals", "300").status_code == 202
    person.on_phone("1900.00")
    person.close()
    house.kill_everything()

    restored = hazina(
        "restore", str(copies), "--data", str(back), "--keys", str(house.data_dir / "keys.json"),
        "--json",
    )  # fmt: skip
    assert restored.returncode == 0, restored.stderr
    told = json.loads(restored.stdout)
    assert (told["faults"], told["claims"] > 10) == ([], True)
    # The outside world is still there, where it was.
    shutil.copytree(house.data_dir / "simulators", back / "simulators")
    shutil.copy(house.data_dir / "ports.json", back / "ports.json")
    again = Up(back, "--port", str(house.ports["wallet"])).wait_started()
    try:
        _look_and_release(again, back)
    finally:
        again.end()
        EmbeddedPostgres(back).discard()


def _look_and_release(again: Up, back: Path) -> None:
    person, data = Person(again, new=False), ("--data", str(back))
    refused = person.ask("withdrawals", "100")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "recovering")
    report = json.loads(hazina("recovery", "report", *data, "--json").stdout)
    assert (report["recovering"], report["open"]) == (True, [])
    release = ("recovery", "release", *data, "--operator", "demo-admin", "--password-stdin")
    wrong = hazina(*release, stdin="not the password\n")
    assert (wrong.returncode, "do not belong" in wrong.stderr) == (1, True)
    right = hazina(*release, stdin=f"{_demo_password(again)}\n")
    assert right.returncode == 0, right.stderr
    person.in_wallet("400.00")  # what was paid after the copy is for a person to book
    assert person.ask("withdrawals", "100").status_code == 202
    person.on_phone("2000.00")
    person.close()


def _demo_password(up: Up) -> str:
    line = next(line for line in up.said.splitlines() if line.strip().startswith("console  "))
    return line.split()[2]


def a_switch_and_maintenance_reach_the_running_processes(house: Up, person: Person) -> None:
    data = ("--data", str(house.data_dir))
    assert hazina("switch", "off", "mpesa.in", "--reason", "a test", *data).returncode == 0
    assert person.ask("deposits", "100").json()["error"]["code"] == "rail_stopped"
    listed = json.loads(hazina("switch", "list", "--json", *data).stdout)
    assert listed["mpesa.in"]["reason"] == "a test"
    assert listed["mpesa.out"] is None
    assert hazina("maintenance", "on", *data).returncode == 0
    refused = person.ask("deposits", "100")
    assert (refused.json()["error"]["code"], refused.headers["Retry-After"]) == (
        "maintenance",
        "60",
    )
    assert person.api.get("/api/v1/user/balance").status_code == 200
    assert hazina("maintenance", "off", *data).returncode == 0
    assert hazina("switch", "on", "mpesa.in", *data).returncode == 0
    assert person.ask("deposits", "100").status_code == 202
    person.in_wallet("100.00")


def the_drill_tries_it_all_and_leaves_nothing(house: Up, room: Path) -> None:
    done = hazina("drill", "--data", str(house.data_dir), "--room", str(room), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["claims"] > 10
    assert 0 < told["rpo_s"] < told["rpo_s"] + told["rto_s"]
    assert not list(room.glob("hz-drill-*"))
