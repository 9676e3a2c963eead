"""People for tests: fresh usernames, addresses and numbers each time, and how they sign in."""

from dataclasses import dataclass

import httpx

from hazina.kernel.ids import new_id

PASSWORD = "gravel orbit lantern maize"
API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Person:
    username: str
    email: str
    phone: str
    password: str = PASSWORD

    def form(self, **changed: str) -> dict[str, str]:
        own = {
            "username": self.username,
            "email": self.email,
            "phone": self.phone,
            "password": self.password,
        }
        return own | changed


@dataclass(frozen=True, slots=True)
class Tokens:
    access: str
    refresh: str
    session_id: str

    @property
    def header(self) -> dict[str, str]:
        return bearer(self.access)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def new_person() -> Person:
    number = new_id().int
    name = f"demo-{number:032x}"[:24] + f"{number % 2**24:06x}"[-6:]
    return Person(name, f"{name}@example.com", f"+2547{number % 10**8:08d}")


async def sign_in(
    web: httpx.AsyncClient, person: Person, *, realm: str = "", password: str | None = None
) -> Tokens:
    """``realm`` is empty for the wallet and ``/operator`` for the console."""
    form = {"username": person.username, "password": password or person.password}
    answer = await web.post(f"{API}{realm}/auth/login", json=form)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return Tokens(body["access_token"], body["refresh_token"], body["session_id"])


def code_of(answer: httpx.Response) -> str:
    code = answer.json()["error"]["code"]
    assert isinstance(code, str)
    return code
