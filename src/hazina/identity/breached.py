"""Passwords that others have lost: what a rule can tell, and a list on disk where there is one.

The list is any file of SHA-1 hashes, one upper-case hex hash to a line in ascending order, with
or without ``:count`` behind it: the form in which such lists are published. It is searched where it
lies, by halving; nothing is loaded and nothing leaves the machine.
"""

import hashlib
import mmap
from pathlib import Path

LEAST_RUN = 4  # "1234" is a run, "123" is not
ROWS = (
    "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "qazwsxedcrfvtgbyhnujmikolp", "147258369", "159357",
)  # fmt: skip
LINE_MAX = 64
HASH_LENGTH = 40


class BreachedList:
    """One sorted file of hashes, looked at in place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            raise FileNotFoundError(f"HAZINA_BREACHED_PASSWORDS_FILE: there is no file {path}")

    def contains(self, password: str) -> bool:
        """Whether the list has ``password``; about thirty reads for a thousand million lines."""
        digest = hashlib.sha1(password.encode("utf-8", "surrogatepass"), usedforsecurity=False)
        wanted = digest.hexdigest().upper().encode()
        with self._path.open("rb") as file:
            if not self._path.stat().st_size:
                return False
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
                return _search(lines, wanted)


def _search(lines: mmap.mmap, wanted: bytes) -> bool:
    low, high = 0, len(lines)
    while low < high:
        start = lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
        end = lines.find(b"\n", start, start + LINE_MAX)
        end = end if end >= 0 else min(high, start + LINE_MAX)
        found = lines[start:end].strip()[:HASH_LENGTH].upper()
        if found == wanted:
            return True
        if found < wanted:
            low = end + 1
        else:
            high = start
    return False


def is_guessable(password: str, own: set[str]) -> bool:
    """Whether what is left of a password without runs, repeats, keyboard walks and the person's
    own names is too little to hold anybody up. ``password`` is folded already."""
    rest = password
    for name in sorted((name for name in own if len(name) >= LEAST_RUN), key=len, reverse=True):
        rest = rest.replace(name, "")
    return _weight(rest) < LEAST_WEIGHT


LEAST_WEIGHT = 6  # signs that follow from nothing before them


def _weight(text: str) -> int:
    """How many signs do not follow from those before: a run, walk or repeat counts two."""
    weight, at = 0, 0
    while at < len(text):
        length = max(_walk(text, at), _repeat(text, at))
        weight += 2 if length >= LEAST_RUN else 1
        at += length if length >= LEAST_RUN else 1
    return weight


def _walk(text: str, at: int) -> int:
    """The longest piece from ``at`` that lies on one row, forwards or backwards."""
    longest = 1
    for row in ROWS:
        for line in (row, row[::-1]):
            length = longest + 1
            while at + length <= len(text) and text[at : at + length] in line:
                longest = length
                length += 1
    return longest


def _repeat(text: str, at: int) -> int:
    """How far the first one to eight signs from ``at`` go on repeating themselves."""
    longest = 1
    for size in range(1, 9):
        unit, length = text[at : at + size], size
        while len(unit) == size and text[at + length : at + length + size] == unit:
            length += size
        if length > size:
            longest = max(longest, length)
    return longest
