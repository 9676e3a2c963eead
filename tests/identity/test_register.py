"""Registering: what is taken, what is refused, and what the tables hold afterwards."""

import asyncio
import json
import logging

import httpx
import pytest

from hazina.identity.customers import Customers
from hazina.infra.db import Database
from hazina.infra.house import House
from tests.identity.people import API, PASSWORD, Person, code_of, new_person, sign_in

REGISTER = f"{API}/auth/register"


async def test_a_person_registers_and_sees_themselves(web: httpx.AsyncClient) -> None:
    person = new_person()
    answer = await web.post(REGISTER, json=person.form())
    assert answer.status_code == 201
    made = answer.json()
    assert made["username"] == person.username
    assert made["phone"] == f"+254 7•• ••• {person.phone[-3:]}"
    assert made["email"] == "d•••@example.com"
    assert made["kind"] == "regular"
    tokens = await sign_in(web, person)
    me = await web.get(f"{API}/user/me", headers=tokens.header)
    assert me.json() == made


@pytest.mark.parametrize(
    ("field", "spelled", "code"),
    [
        ("username", lambda p: p.username.upper(), "username_taken"),
        ("email", lambda p: p.email.upper(), "email_taken"),
        ("phone", lambda p: "0" + p.phone[4:], "phone_taken"),
    ],
)
async def test_a_taken_name_address_or_number_is_refused_however_it_is_spelled(
    web: httpx.AsyncClient, person: Person, field: str, spelled: object, code: str
) -> None:
    assert callable(spelled)
    answer = await web.post(REGISTER, json=new_person().form(**{field: spelled(person)}))
    assert answer.status_code == 409
    assert code_of(answer) == code
    assert answer.json()["error"]["details"]["field"] == field


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("username", "ab", "username_invalid"),
        ("username", "a" * 33, "username_invalid"),
        ("username", "two words", "username_invalid"),
        ("username", "\u212aelvin", "username_invalid"),  # the Kelvin sign lowers to a plain k
        ("email", "nobody", "email_invalid"),
        ("email", "a@b", "email_invalid"),
        ("email", "a b@example.com", "email_invalid"),
        ("email", "a..b@example.com", "email_invalid"),
        ("email", "a@-example.com", "email_invalid"),
        ("email", "a@192.0.2.7", "email_invalid"),
        ("phone", "020 222 2222", "phone_invalid"),
        ("phone", "+255712345678", "phone_invalid"),
        ("password", "short", "password_weak"),
        ("password", "x" * 129, "password_weak"),
        ("password", "aaaaaaaaaaaa", "password_weak"),
        ("password", "Password123", "password_weak"),
    ],
)
async def test_a_field_that_cannot_be_used_is_named(
    web: httpx.AsyncClient, field: str, value: str, code: str
) -> None:
    answer = await web.post(REGISTER, json=new_person().form(**{field: value}))
    assert answer.status_code == 400
    assert code_of(answer) == code
    assert answer.json()["error"]["details"]["field"] == field


async def test_the_password_is_none_of_the_persons_own_names(web: httpx.AsyncClient) -> None:
    person = new_person()
    local = "0" + person.phone[4:7] + " " + person.phone[7:10] + "-" + person.phone[10:]
    for password in (person.username.upper(), person.email.upper(), person.phone, local):
        answer = await web.post(REGISTER, json=person.form(password=password))
        assert code_of(answer) == "password_weak", password


async def test_nobody_makes_themselves_a_developer(web: httpx.AsyncClient) -> None:
    answer = await web.post(REGISTER, json=new_person().form(kind="developer"))
    assert answer.status_code == 400


async def test_of_many_at_once_with_one_phone_one_wins(
    web: httpx.AsyncClient, db: Database
) -> None:
    phone = new_person().phone
    forms = [new_person().form(phone=phone) for _ in range(8)]
    answers = await asyncio.gather(*(web.post(REGISTER, json=form) for form in forms))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert {code_of(a) for a in answers if a.status_code == 409} == {"phone_taken"}
    names = [form["username"] for form in forms]
    rows = "SELECT count(*) FROM identity.customer WHERE username = ANY($1)"
    assert await db.fetchval(rows, names) == 1


async def test_phone_and_address_are_nowhere_in_clear(
    web: httpx.AsyncClient, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    person = new_person()
    with caplog.at_level(logging.DEBUG):
        made = await web.post(REGISTER, json=person.form())
        await web.post(REGISTER, json=person.form(username=new_person().username))
        await sign_in(web, person)
    row = await db.fetchrow("SELECT * FROM identity.customer WHERE username = $1", person.username)
    assert row is not None
    trail = await db.fetch(
        "SELECT to_jsonb(e)::text AS line FROM infra.audit_event e WHERE object_id = $1",
        str(row["id"]),
    )
    assert trail
    stored = b"\n".join(
        value if isinstance(value, bytes) else str(value).encode()
        for value in [*dict(row).values(), *(one["line"] for one in trail)]
    )
    told = stored + caplog.text.encode() + json.dumps(made.json()).encode()
    for secret in (person.phone, person.phone[4:], PASSWORD, person.email):
        assert secret.encode() not in told
    assert row["password_hash"].startswith("$argon2id$v=19$")


async def test_phone_and_address_open_again_for_those_who_must(
    web: httpx.AsyncClient, house: House, db: Database, person: Person
) -> None:
    customers = house.get(Customers)
    customer = await customers.find_by_username(db, person.username)
    assert customer is not None
    async with db.transaction() as tx:
        assert (await customers.reveal_phone(tx, customer.id)).e164 == person.phone
        assert (await customers.reveal_email(tx, customer.id)).address == person.email


async def test_a_sealed_phone_does_not_open_in_another_customers_row(
    web: httpx.AsyncClient, house: House, owner_db: Database, person: Person
) -> None:
    other = new_person()
    await web.post(REGISTER, json=other.form())
    await owner_db.fetch(
        """UPDATE identity.customer t SET phone_sealed = s.phone_sealed
             FROM identity.customer s WHERE s.username = $1 AND t.username = $2""",
        person.username,
        other.username,
    )
    customers = house.get(Customers)
    customer = await customers.find_by_username(house.db, other.username)
    assert customer is not None
    async with house.db.transaction() as tx:
        with pytest.raises(Exception, match="does not open"):
            await customers.reveal_phone(tx, customer.id)


async def test_registering_is_in_the_audit_trail(
    web: httpx.AsyncClient, db: Database, person: Person
) -> None:
    row = await db.fetchrow(
        """SELECT e.* FROM infra.audit_event e
             JOIN identity.customer c ON e.object_id = c.id::text
            WHERE c.username = $1""",
        person.username,
    )
    assert row is not None
    assert (row["action"], row["actor_kind"]) == ("customer.registered", "customer")
    assert row["after"] == {"username": person.username, "kind": "regular"}
