"""Which passwords are refused by rule, and by a list on disk."""

import hashlib
from pathlib import Path

import pytest

from hazina.identity.breached import BreachedList
from hazina.identity.lockout import LONGEST, wait_after
from hazina.identity.names import Email
from hazina.identity.passwords import Passwords, PasswordWeak, check_password


@pytest.mark.parametrize(
    "password",
    [
        "qwertyuiopasdfghjkl",
        "abcdefghijkl1234",
        "zyxwvutsrqpo",
        "abcabcabcabcabc",
        "1qaz2wsx3edc4rfv",
        "aaaaaaaaaabbbbbbbbbb",
        "demo.person1",
        "Demo.Person2026",
        "personpersonperson",
        "0987654321qwerty",
    ],
)
def test_what_follows_from_itself_or_from_the_name_is_refused(password: str) -> None:
    with pytest.raises(PasswordWeak):
        check_password(password, username="demo.person", email=Email("demo.person@example.com"))


@pytest.mark.parametrize(
    "password", ["four random words here", "gravel orbit lantern", "Xk7!pQ2vZ9", "mti wa mwembe 88"]
)
def test_what_nobody_would_guess_is_taken(password: str) -> None:
    check_password(password, username="demo.person", email=Email("demo.person@example.com"))


@pytest.fixture
def breached(tmp_path: Path) -> BreachedList:
    lost = [f"lost password {number}" for number in range(2_000)]
    hashes = sorted(hashlib.sha1(one.encode()).hexdigest().upper() for one in lost)
    path = tmp_path / "lost.txt"
    path.write_text("".join(f"{one}:{index}\n" for index, one in enumerate(hashes)))
    return BreachedList(path)


def test_a_list_finds_each_of_its_own_and_none_else(breached: BreachedList) -> None:
    assert all(breached.contains(f"lost password {number}") for number in range(2_000))
    assert not any(breached.contains(f"kept password {number}") for number in range(2_000))


def test_a_listed_password_is_refused(breached: BreachedList) -> None:
    with pytest.raises(PasswordWeak, match="others have lost"):
        Passwords(breached=breached).check("lost password 7", username="demo")


def test_an_empty_list_has_none_and_a_missing_one_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert not BreachedList(tmp_path / "empty").contains("lost password 7")
    with pytest.raises(FileNotFoundError, match="HAZINA_BREACHED_PASSWORDS_FILE"):
        BreachedList(tmp_path / "none")


def test_waits_double_up_to_a_quarter_of_an_hour() -> None:
    assert [wait_after(n).total_seconds() for n in (1, 5, 6, 7, 8)] == [0, 0, 2, 4, 8]
    assert wait_after(10_000) == LONGEST
