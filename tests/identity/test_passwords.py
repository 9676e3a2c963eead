"""Hashing: bounded, salted, and the same effort for nobody as for somebody."""

import asyncio

import pytest

from hazina.identity.names import parse_email, parse_username
from hazina.identity.passwords import COMMON, MIN_LENGTH, Cost, Passwords, PasswordWeak
from hazina.identity.passwords import check_password as check
from hazina.identity.phones import parse_phone

CHEAP = Cost(memory_kib=8, time=1, lanes=1)


async def test_a_password_matches_its_own_hash_only() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("gravel orbit lantern")
    assert stored != await passwords.hash("gravel orbit lantern")
    assert await passwords.matches(stored, "gravel orbit lantern")
    assert not await passwords.matches(stored, "gravel orbit lantern ")
    assert not await passwords.matches(stored, "Gravel orbit lantern")


async def test_nobody_has_a_password() -> None:
    passwords = Passwords(CHEAP)
    assert not await passwords.matches(None, "nobody has this password")
    assert not await passwords.matches("not a hash", "gravel orbit lantern")


async def test_the_same_word_from_two_keyboards_is_the_same_password() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("caf\u00e9 lantern maize")
    assert await passwords.matches(stored, "cafe\u0301 lantern maize")


async def test_text_that_is_no_text_is_a_wrong_password_not_a_crash() -> None:
    passwords = Passwords(CHEAP)
    stored = await passwords.hash("lantern maize ?")
    assert not await passwords.matches(stored, "lantern maize \ud800")


async def test_a_hash_of_other_parameters_is_outdated() -> None:
    old, new = Passwords(CHEAP), Passwords(Cost(memory_kib=16, time=1, lanes=1))
    stored = await old.hash("gravel orbit lantern")
    assert new.outdated(stored)
    assert not old.outdated(stored)


async def test_no_more_hashes_run_at_a_time_than_allowed() -> None:
    running = most = 0

    class Counted(Passwords):
        def _verify(self, stored: str, password: str) -> bool:
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                return super()._verify(stored, password)
            finally:
                running -= 1

    passwords = Counted(Cost(memory_kib=1024, time=2, lanes=1), parallel=2)
    stored = await passwords.hash("gravel orbit lantern")
    right = await asyncio.gather(
        *(passwords.matches(stored, "gravel orbit lantern") for _ in range(12))
    )
    assert all(right)
    assert most <= 2


async def test_the_loop_goes_on_while_a_password_is_hashed() -> None:
    passwords = Passwords(Cost(memory_kib=19_456, time=4, lanes=1))
    hashing, turns = asyncio.ensure_future(passwords.hash("gravel orbit lantern")), 0
    while not hashing.done():
        turns += 1
        await asyncio.sleep(0)
    assert (await hashing).startswith("$argon2id$")
    assert turns > 10


def test_the_short_list_holds_only_what_the_length_rule_lets_through() -> None:
    assert all(len(word) >= MIN_LENGTH and word == word.casefold() for word in COMMON)


@pytest.mark.parametrize("password", ["0712 345 678", "+254712345678", "DEMO.USER@example.com"])
def test_a_persons_own_contacts_are_no_password(password: str) -> None:
    with pytest.raises(PasswordWeak):
        check(
            password,
            username="demo.user.one",
            email=parse_email("demo.user@example.com"),
            phone=parse_phone("0712345678"),
        )


def test_what_nobody_would_guess_is_taken() -> None:
    for password in (
        "gravel orbit",
        "gravel orbit lantern maize" * 4,
        "ugali na sukuma",
        "密码密码不是密码真的",
    ):
        check(password, username="demo", email=parse_email("demo@example.com"))


def test_usernames_are_kept_in_lower_case() -> None:
    assert parse_username(" Demo.User-1_x ") == "demo.user-1_x"


def test_addresses_differ_only_by_more_than_capitals() -> None:
    one, two = parse_email("Demo@Example.com"), parse_email("demo@example.COM")
    assert one.key == two.key
    assert one.address == "Demo@Example.com"
    assert "Demo@" not in f"{one!r} {one}"
