"""The house laws, each over every committed file, and each shown to notice what it forbids."""

import re

import pytest

from tests.tidy import doors, layers, shapes, words
from tests.tidy.law import ESCAPE, LAWS, Source, committed, sources

ROOMS = (doors, layers, shapes, words)  # importing them enacts their laws


@pytest.mark.parametrize("name", LAWS)
def test_the_house_keeps_the_law(name: str) -> None:
    found = [line for source in sources() for line in LAWS[name].findings(source)]
    assert not found, f"{name}: {LAWS[name].find.__doc__}\n" + "\n".join(found)


@pytest.mark.parametrize("name", LAWS)
def test_the_law_notices_what_it_forbids(name: str) -> None:
    law = LAWS[name]
    assert law.applies(law.at)
    assert list(law.find(Source(law.at, law.bad)))


@pytest.mark.parametrize("name", LAWS)
def test_an_escape_with_a_reason_silences_one_line(name: str) -> None:
    law = LAWS[name]
    source = Source(law.at, law.bad)
    line = next(iter(law.find(source)))[0]
    source.lines.insert(line - 1, f"# tidy: allow {name} — an example")
    assert source.allows(name, line + 1)
    assert not source.allows(f"{name}-other", line + 1)


def test_every_escape_names_a_law_says_why_and_is_needed() -> None:
    loose = []
    for source in sources():
        if source.path.startswith("tests/tidy/") or source.path.endswith(".md"):
            continue
        for number, text in enumerate(source.lines, start=1):
            if not re.search(r"tidy: ?allow", text):
                continue
            laws = [LAWS[name] for name in ESCAPE.findall(text) if name in LAWS]
            caught = {line for law in laws for line, _ in law.find(source)}
            if not caught & {number, number + 1}:
                loose.append(f"{source.path}:{number}: {text.strip()}")
    assert not loose


def test_every_schema_has_its_owner() -> None:
    made = {
        schema
        for source in sources()
        if "/migrations/" in source.path and source.path.endswith(".py")
        for _, text in source.texts()
        for schema in re.findall(r"CREATE SCHEMA (\w+)", text)
    }
    assert made == set(layers.SCHEMA_OWNER)


def test_every_room_of_a_law_is_there() -> None:
    known = set(committed())
    gone = [(law.name, room) for law in LAWS.values() for room in law.rooms if room not in known]
    assert not gone
