"""kill -9 in the middle of a purchase and of a sale: each ends, and the books are exact.

The real processes, as `up` runs them; money is asked for, and whoever works on it is killed.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Self

import httpx
import pytest

from hazina.kernel.ids import new_id
from tests.process.running import ROOT, Up, environment
from tests.process.waiting import wait_until

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
PHONE = "254722000111"
PASSWORD = "correct horse battery"
# Short waits, so that what a dead process left is found soon.
QUICK = {
    "HAZINA_MPESA_QUERY_AFTER_S": "1",
    "HAZINA_MPESA_STATUS_AFTER_S": "1",
    "HAZINA_MPESA_TIMEOUT_S": "3",
    "HAZINA_LOGIN_LIMIT": "1000/minute",
    "HAZINA_STK_LIMIT": "1000/minute",
}
ENDED = {"completed", "cancelled", "failed", "kept_as_shillings"}


class Customer:
    """A person with a browser and a handset; asks again when the house does not answer."""

    def __init__(self, up: Up) -> None:
        self.up = up
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{up.ports['wallet']}", timeout=20)
        self.sim = httpx.Client(base_url=f"http://127.0.0.1:{up.ports['daraja']}", timeout=40)
        who = {"username": "demo2", "password": PASSWORD}
        fresh = {**who, "email": "demo2@example.com", "phone": f"+{PHONE}"}
        assert self.api.post("/api/v1/auth/register", json=fresh).status_code == 201
        token = self.api.post("/api/v1/auth/login", json=who).json()["access_token"]
        self.api.headers["Authorization"] = f"Bearer {token}"
        self.sim.put(f"/sim/handsets/{PHONE}", json={"balance": "200000.00"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()
        self.sim.close()

    def order(self, path: str, body: dict[str, object], key: str) -> dict[str, object]:
        """One money command, repeated under its key until it is answered."""
        answers: list[httpx.Response] = []

        def answered() -> bool:
            try:
                answer = self.api.post(
                    f"/api/v1{path}", json=body, headers={"Idempotency-Key": key}
                )
            except httpx.TransportError:
                return False
            if answer.status_code < 500:
                answers.append(answer)
            return bool(answers)

        wait_until("the order is answered", answered, deadline_s=60)
        assert answers[0].status_code == 202, answers[0].text
        found: dict[str, object] = answers[0].json()
        return found

    def trade(self, trade_id: object) -> dict[str, object]:
        try:
            answer = self.api.get(f"/api/v1/gold/trade/{trade_id}")
            found: dict[str, object] = answer.json() if answer.status_code == 200 else {}
        except httpx.TransportError:
            return {}
        return found

    def wait_ended(self, trade_id: object) -> str:
        def ended() -> bool:
            return self.trade(trade_id).get("state") in ENDED

        try:
            wait_until(f"trade {trade_id} has ended", ended, deadline_s=120)
        except AssertionError as stuck:
            log = (self.up.data_dir / "logs" / "worker.log").read_text().splitlines()[-40:]
            raise AssertionError(
                "\n".join([str(stuck), json.dumps(self.trade(trade_id)), self.up.said, *log])
            ) from None
        return str(self.trade(trade_id)["state"])

    def pay(self) -> None:
        """Waits for the prompt and pays it."""

        def prompted() -> bool:
            url = f"/sim/handsets/{PHONE}/wait-prompt"
            answer = self.sim.get(url, params={"timeout": 5}).json()
            return answer["prompt"] is not None

        wait_until("the phone rings", prompted, deadline_s=90)
        action = {"action": "pay", "pin": "1234"}
        answer = self.sim.post(f"/sim/handsets/{PHONE}/prompt", json=action)
        assert answer.status_code == 200, answer.text

    def handset(self) -> str:
        found: str = self.sim.get(f"/sim/handsets/{PHONE}").json()["balance"]
        return found

    def balances(self) -> dict[str, str]:
        answer = self.api.get("/api/v1/user/balance").json()
        return {b["asset"]: b["available"] for b in answer["balances"]}


@pytest.fixture
def house(house_data: Path, free_port: int) -> Iterator[Up]:
    up = Up(house_data, "--port", str(free_port), **QUICK).wait_started()
    yield up
    up.end()


def killer(up: Up, victim: str) -> Callable[[], None]:
    """This will kill the victim, whoever that is by then."""

    def kill() -> None:
        pid = up.postmaster if victim == "postgres" else up.child(victim)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    return kill


def proven(up: Up) -> None:
    """`hazina ledger verify` on the running house, and the simulator's books beside ours."""
    told = environment(HAZINA_DATA_DIR=str(up.data_dir))
    command = [sys.executable, "-P", "-m", "hazina.cli", "ledger"]
    done = subprocess.run(
        [*command, "verify", "--json"], cwd=ROOT, env=told, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    lines = subprocess.run(
        [*command, "trial-balance", "--json"], cwd=ROOT, env=told, capture_output=True, check=True
    )
    ours = {
        line["purpose"]: line["balance"]
        for line in json.loads(lines.stdout)
        if line["asset"] == "KES"
    }
    sim = f"http://127.0.0.1:{up.ports['daraja']}"
    books = httpx.get(f"{sim}/sim/books").json()
    assert books["balanced"]
    theirs = books["organisation"]
    # What was paid by M-Pesa's word alone is in transit until its receipt comes.
    collected = Decimal(ours["mpesa:collection"]) + Decimal(ours["mpesa:in_transit"])
    assert collected == Decimal(theirs["working"])
    assert ours["mpesa:utility"] == theirs["utility"]


@pytest.mark.parametrize("victim", ["web", "worker", "postgres"])
def test_a_purchase_and_a_sale_survive(house: Up, victim: str) -> None:
    kill = killer(house, victim)
    with Customer(house) as customer, ThreadPoolExecutor(1) as beside:
        # The purchase: killed while it is asked for, and again while it is being paid.
        asked = beside.submit(
            customer.order, "/gold/trade/buy", {"amount_kes": "5000"}, new_id().hex
        )
        kill()
        bought = asked.result(90)["trade_id"]
        paying = beside.submit(customer.pay)
        paying.result(120)
        kill()
        assert customer.wait_ended(bought) == "completed"
        assert customer.handset() == "195000.00"
        wait_until("the balance", lambda: customer.balances().get("XAU") == "0.375000")

        # The sale of half of it: killed at once, while the payout is on its way.
        asked = beside.submit(customer.order, "/gold/trade/sell", {"grams": "0.1875"}, new_id().hex)
        kill()
        sold = asked.result(90)["trade_id"]
        kill()
        assert customer.wait_ended(sold) == "completed"
        # 0.1875 × 12900 = 2418.75, in whole shillings
        wait_until("the payout", lambda: customer.handset() == "197418.00")
        assert customer.balances() == {"KES": "0.00", "XAU": "0.187500"}
    proven(house)
