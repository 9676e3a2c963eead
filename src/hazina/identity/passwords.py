"""Passwords: the rules they keep, and Argon2id in a thread, a few at a time.

The rules are length, not signs: nobody is asked for a capital letter. Refused is what a machine
tries first: common ones, runs and keyboard walks, own names, and what a list on disk knows.

**Invariant:** nothing here logs, stores or returns a password; a hash carries its own parameters.
"""

import asyncio
import os
import re
import unicodedata
from dataclasses import dataclass

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from hazina.identity.breached import BreachedList, is_guessable
from hazina.identity.names import Email
from hazina.identity.phones import Phone, PhoneInvalid, parse_phone
from hazina.kernel.errors import Kind, Refusal

MIN_LENGTH = 10
MAX_LENGTH = 128

# The commonest of at least MIN_LENGTH signs; shorter ones fall to the length rule. A short list
# that is checked offline beats a long one that is not there.
COMMON = frozenset(
    """
    0123456789 01234567890 1029384756 1111111111 1122334455 1212121212 123123123123 123321123321
    1234512345 123456123456 12345654321 12345678900 1234567890 1234567891 12345678910 123456789a
    123456789q 123456789012 1234abcd1234 123qweasdzxc 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc
    1qazxsw23edc 9876543210 987654321a abc123456789 abcd123456 abcd1234567 abcdefghij
    administrator asdfghjkl1 asdfghjkl123 basketball changeme123 changeme1234 football123
    hello12345 iloveyou123 iloveyou12 internet123 kenya12345 letmein123 letmein1234 liverpool1
    liverpool123 manchester manchester1 mpesa12345 mpesa123456 nairobi123 nairobi1234
    passw0rd123 password00 password01 password10 password11 password12 password123 password1234
    password12345 password1! password123! passwordpassword p@ssw0rd123 p@ssword123 princess12
    q1w2e3r4t5 q1w2e3r4t5y6 qazwsxedc123 qazwsxedcrfv qwe123qwe123 qweasdzxc123 qwerty1234
    qwerty12345 qwerty123456 qwertyqwerty qwertyuiop qwertyuiop1 qwertyuiop123 qwertyuiopasdf
    safaricom1 safaricom123 sunshine123 superman123 trustno1trustno1 unknown123 welcome123
    welcome1234 zaq12wsxcde3 zxcvbnm123 zxcvbnm1234
    """.split()  # noqa: SIM905 - a list of quoted words is not easier to read
)


class PasswordWeak(Refusal):
    """The password is too short, too long, too common, or one of the person's own names."""

    code = "password_weak"
    kind = Kind.INVALID
    action = "Take 10 to 128 signs that nobody would guess: four random words are good."

    def __init__(self, why: str) -> None:
        super().__init__(why, details={"field": "password"})


@dataclass(frozen=True, slots=True)
class Cost:
    """Argon2id parameters; a hash made with others is made anew at the next login."""

    memory_kib: int
    time: int
    lanes: int


# OWASP Password Storage Cheat Sheet: Argon2id with m = 19 MiB, t = 2, p = 1.
OWASP = Cost(memory_kib=19_456, time=2, lanes=1)
# Hashing is bound by memory bandwidth: more at a time than cores only makes everyone wait longer.
PARALLEL = max(1, min(4, os.cpu_count() or 1))


def check_password(
    password: str, *, username: str, email: Email | None = None, phone: Phone | None = None
) -> None:
    """This will refuse what is easily guessed. Raises: PasswordWeak."""
    plain = _normal(password)
    if not MIN_LENGTH <= len(plain) <= MAX_LENGTH:
        raise PasswordWeak(f"A password has {MIN_LENGTH} to {MAX_LENGTH} signs.")
    folded = plain.strip().casefold()
    if folded in COMMON or is_guessable(folded, set()):
        raise PasswordWeak("That password is one of the first that others would try.")
    if folded in {username, email.key if email else username}:
        raise PasswordWeak("The password must not be your username or e-mail address.")
    if phone is not None and _as_phone(plain) == phone:
        raise PasswordWeak("The password must not be your phone number.")
    if is_guessable(folded, _names(username, email)):
        raise PasswordWeak("The password is your own name with little beside it.")


class Passwords:
    """Hashes and checks, off the event loop and a bounded number at a time.

    ``parallel`` bounds memory as well: each hash takes ``cost.memory_kib``.
    """

    def __init__(
        self,
        cost: Cost = OWASP,
        *,
        parallel: int = PARALLEL,
        breached: BreachedList | None = None,
    ) -> None:
        self._breached = breached
        self._hasher = PasswordHasher(
            time_cost=cost.time,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            type=Type.ID,
        )
        self._turn = asyncio.Semaphore(parallel)
        # Checked against when there is no such account, so that the answer takes as long.
        self._nobody = self._hasher.hash("nobody has this password")

    def check(
        self,
        password: str,
        *,
        username: str,
        email: Email | None = None,
        phone: Phone | None = None,
    ) -> None:
        """This will refuse what is easily guessed or known to be lost. Raises: PasswordWeak."""
        check_password(password, username=username, email=email, phone=phone)
        if self._breached is not None and self._breached.contains(_normal(password)):
            raise PasswordWeak("That password is in a list of passwords that others have lost.")

    def check_shape(self, password: str) -> None:
        """The same without knowing whose it will be. Raises: PasswordWeak."""
        self.check(password, username="")

    async def hash(self, password: str) -> str:
        """This will hash ``password`` with a fresh salt."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """This will check ``password``; with None stored it works as long and says no."""
        async with self._turn:
            right = await asyncio.to_thread(self._verify, stored or self._nobody, password)
        return right and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether ``stored`` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, _bytes(password))
        except (VerificationError, InvalidHashError):
            return False


def _names(username: str, email: Email | None) -> set[str]:
    """A person's own names, whole and in parts."""
    names = {username} | ({email.key.partition("@")[0]} if email else set())
    return {part for name in names for part in (name, *re.split(r"[^a-z0-9]+", name)) if part}


def _normal(password: str) -> str:
    # NFKC: the same word typed on two keyboards is the same password (NIST SP 800-63B).
    return unicodedata.normalize("NFKC", password)


def _bytes(password: str) -> bytes:
    # A lone surrogate is not text, but it must not become a 500 nor equal another password.
    return _normal(password).encode("utf-8", "surrogatepass")


def _as_phone(text: str) -> Phone | None:
    try:
        return parse_phone(text)
    except PhoneInvalid:
        return None
