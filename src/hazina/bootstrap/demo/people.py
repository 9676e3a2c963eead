"""The people of the demonstration and what is in their hands: the wallet's HTTP, and a phone.

They know nothing of the house but its addresses.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hazina.bootstrap.demo.checks import PATIENCE_S, seen_by
from hazina.infra.http import Http
from hazina.kernel.ids import new_id

CALL_S = 20.0
PASSWORD = "four random words here"  # noqa: S105 - of people who live for a minute
PIN = "1234"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over the wire."""

    status: int
    body: dict[str, Any]

    @property
    def short(self) -> str:
        """``202``, or ``409 quote_expired``."""
        error = self.body.get("error")
        return str(self.status) if error is None else f"{self.status} {error['code']}"


@dataclass(frozen=True, slots=True)
class Wire:
    """One server's address."""

    http: Http
    base: str

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Raises: HttpNotSent, HttpUnknown."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.http.request(
            method, f"{self.base}{path}", headers=named, json=body, timeout_s=CALL_S
        )
        try:
            found = answer.json()
        except ValueError:
            found = None
        return Answer(answer.status, found if isinstance(found, dict) else {})

    async def text(self, path: str) -> str:
        """A file, as it is. Raises: HttpNotSent, HttpUnknown."""
        answer = await self.http.request("GET", f"{self.base}{path}", timeout_s=CALL_S)
        return answer.body.decode()


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an access token."""

    username: str
    wallet: Wire
    token: str

    async def get(self, path: str) -> Answer:
        return await self.wallet.call("GET", f"/api/v1{path}", authorization=self._bearer)

    async def post(self, path: str, body: object, key: str | None = None) -> Answer:
        """One command, under a key of its own unless one is given."""
        return await self._send("POST", path, body, key)

    async def patch(self, path: str, body: object) -> Answer:
        return await self._send("PATCH", path, body, None)

    async def _send(self, method: str, path: str, body: object, key: str | None) -> Answer:
        named = {"authorization": self._bearer, "idempotency_key": key or new_id().hex}
        return await self.wallet.call(method, f"/api/v1{path}", body, **named)

    @property
    def _bearer(self) -> str:
        return f"Bearer {self.token}"


@dataclass(frozen=True, slots=True)
class Handset:
    """A phone with M-Pesa, by the simulator's control."""

    sim: Wire
    phone: str

    async def balance(self) -> str:
        return str((await self._look()).get("balance"))

    async def prompt(self) -> str:
        """The amount on the screen, ``none`` without a prompt."""
        prompt = (await self._look()).get("prompt")
        return "none" if prompt is None else str(prompt["amount"])

    async def answer(self, action: str) -> Answer:
        """``pay``, ``cancel`` or ``ignore`` what is on the screen."""
        body = {"action": action, "pin": PIN}
        return await self.sim.call("POST", f"/sim/handsets/{self.phone}/prompt", body)

    async def change(self, **how: str) -> None:
        await self.sim.call("PUT", f"/sim/handsets/{self.phone}", how)

    async def fault(self, name: str, operation: str, **how: object) -> None:
        """Something goes wrong with this phone's next request."""
        body = {"fault": name, "operation": operation, "phone": self.phone, **how}
        answer = await self.sim.call("PUT", "/sim/faults", body)
        if answer.status != 200:
            raise ValueError(f"no such fault: {answer.body}")

    async def _look(self) -> dict[str, Any]:
        return (await self.sim.call("GET", f"/sim/handsets/{self.phone}")).body


@dataclass(frozen=True, slots=True)
class Customer(Person):
    """A customer and their phone."""

    handset: Handset

    async def balance(self, asset: str) -> str:
        """``0.370919``, and ``, 0.185459 held`` where something is."""
        answer = await self.get("/user/balance")
        for line in answer.body.get("balances", []):
            if line["asset"] == asset:
                held = "" if not line["held"].strip("0.") else f", {line['held']} held"
                return f"{line['posted']}{held}"
        return f"nothing ({answer.short})" if answer.status != 200 else "nothing"

    async def trade(self, trade_id: str) -> dict[str, Any]:
        return (await self.get(f"/gold/trade/{trade_id}")).body

    def state_of(self, trade_id: str) -> Callable[[], Awaitable[str]]:
        """A way to look at a trade's state, for waiting."""

        async def state() -> str:
            answer = await self.get(f"/gold/trade/{trade_id}")
            return str(answer.body.get("state") or answer.short)

        return state

    async def deposit(self, number: int = 0) -> dict[str, Any]:
        """The newest deposit, or the one ``number`` before it."""
        items = (await self.get("/wallet/deposits")).body.get("items", [])
        return items[number] if len(items) > number else {}

    async def withdrawal(self) -> dict[str, Any]:
        items = (await self.get("/wallet/withdrawals")).body.get("items", [])
        return items[0] if items else {}

    async def insist(self, path: str, body: object, key: str) -> Answer:
        """This will repeat one command under one key until the house answers, as an app does
        whose answer was lost."""
        last: list[Answer] = []

        async def answered() -> str:
            last[:] = [await self.post(path, body, key)]
            return "yes" if last[0].status < 500 else last[0].short

        await seen_by(answered, "yes", within_s=PATIENCE_S)
        return last[0] if last else Answer(0, {})


@dataclass(frozen=True, slots=True)
class Town:
    """Where people come from."""

    wallet: Wire
    sim: Wire

    async def customer(self, name: str, number: int, *, auto: str = "none") -> Customer:
        """Somebody new, registered and signed in, with KES 100,000 on a phone of their own."""
        username, phone = f"demo-{name}", f"254711{number:06d}"
        fresh = {
            "username": username, "email": f"{username}@example.com", "phone": f"+{phone}",
            "password": PASSWORD,
        }  # fmt: skip
        await self.wallet.call("POST", "/api/v1/auth/register", fresh)
        known = await self.sign_in(username, PASSWORD)
        handset = Handset(self.sim, phone)
        await handset.change(auto=auto, balance="100000")
        return Customer(known.username, known.wallet, known.token, handset)

    async def sign_in(self, username: str, password: str, realm: str = "auth") -> Person:
        """Raises: PermissionError."""
        given = {"username": username, "password": password}
        answer = await self.wallet.call("POST", f"/api/v1/{realm}/login", given)
        if answer.status != 200:
            raise PermissionError(f"{username} cannot sign in: {answer.short}")
        return Person(username, self.wallet, str(answer.body["access_token"]))
