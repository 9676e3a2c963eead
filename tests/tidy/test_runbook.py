"""Every alarm in the code has its page in the runbook, and every page its alarm."""

import ast
import re

from tests.tidy.law import HOUSE, SIMULATORS, committed, source

FOLDER = "docs/runbook/"
NO_ALARM = {"README", "restore"}
PARTS = (
    "## What it means",
    "## What the customer sees",
    "## What to look at",
    "## What to do",
    "## When it is over",
)


def _alarms() -> list[str]:
    """The name of every ``Alarm(…)`` that the house makes."""
    found = []
    for path in committed():
        if not path.startswith(HOUSE) or path.startswith(SIMULATORS) or not path.endswith(".py"):
            continue
        for node in source(path).nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Alarm":
                assert isinstance(node.args[0], ast.Constant), f"{path}: a name written out"
                found.append(str(node.args[0].value))
    return found


def _pages() -> set[str]:
    pages = (path for path in committed() if path.startswith(FOLDER))
    return {path.removeprefix(FOLDER).removesuffix(".md") for path in pages}


def test_every_alarm_has_its_page_and_every_page_its_alarm() -> None:
    alarms = _alarms()
    assert sorted(set(alarms)) == sorted(alarms), "one alarm is made in one place"
    assert set(alarms) == _pages() - NO_ALARM


def test_every_page_answers_the_five_questions_in_order() -> None:
    for name in _pages() - NO_ALARM:
        said = re.findall(r"^## .*$", source(f"{FOLDER}{name}.md").text, re.MULTILINE)
        assert tuple(said) == PARTS, name


def test_the_index_names_every_page() -> None:
    index = source(f"{FOLDER}README.md").text
    assert not [name for name in _pages() - {"README"} if f"({name}.md)" not in index]
