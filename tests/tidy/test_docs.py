"""The documentation names what is there, all of it, and nothing that is gone."""

import ast
import re
from pathlib import Path

import pytest

from hazina.infra.settings import Settings
from hazina.kernel.errors import Refusal
from tests.tidy import house, pages
from tests.tidy.law import ROOT, committed, source

REQUIREMENTS = {"S0": 97, "S1": 93, "S2": 98, "S3": 63, "S4": 45}
TEST = re.compile(r"`(tests/[\w/]+\.py)((?:::\w+)+)`")
_EACH = re.MULTILINE | re.DOTALL
RANGE = re.compile(r"\b(S[0-4])-(\d+)(?:…(\d+))?")


def _rows(path: str) -> list[list[str]]:
    """The cells of every table row that begins with code."""
    lines = (ROOT / path).read_text().splitlines()
    rows = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in lines if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in rows]


def _default(value: object) -> str:
    """How the page writes a default: a secret or nothing is a dash."""
    if hasattr(value, "get_secret_value") or value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{getattr(value, 'value', value)}`"


@pytest.mark.parametrize("path", pages.PAGES)
def test_a_page_written_from_the_code_is_fresh(path: str) -> None:
    written = (ROOT / path).read_text()
    assert written == pages.PAGES[path](), "write it anew: python -m tests.tidy.pages"


def test_no_code_has_two_kinds() -> None:
    kinds: dict[str, set[str]] = {}
    for refusal in house.refusals():
        kinds.setdefault(refusal.code, set()).add(refusal.kind)
    assert not {code: found for code, found in kinds.items() if len(found) > 1}


def test_every_refusal_has_its_own_code() -> None:
    assert not [one.__name__ for one in house.refusals() if one.code == Refusal.code]


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {row[0].strip("`"): row[1] for row in _rows("docs/settings.md")}
    real = {
        f"HAZINA_{name.upper()}": _default(field.default)
        for name, field in Settings.model_fields.items()
    }
    assert {k: v for k, v in documented.items() if k in real} == real
    assert not {k for k in documented if k.startswith("HAZINA_")} - set(real)


def test_every_job_is_documented_with_its_patience(tmp_path: Path) -> None:
    jobs = house.jobs(tmp_path)
    documented = {row[0].strip("`"): row[1] for row in _rows("docs/jobs.md")}
    real = {
        **{k.name: f"{k.timeout_s} s, {k.attempts} attempts" for k in jobs.kinds.values()},
        **{s.name: f"every {s.seconds} s" for s in jobs.sweepers.values()},
    }
    assert documented == real


def test_every_command_is_documented_with_its_options() -> None:
    said = source("docs/cli.md").text
    sections = dict(re.findall(r"^### `([^`]+)`\n(.*?)(?=^##|\Z)", said, _EACH))
    assert sorted(sections) == sorted(command for command, _ in house.commands())
    for command, options in house.commands():
        for option in options:
            assert f"`{option}`" in sections[command], f"{command} {option}"


def _tests_of(path: str) -> set[str]:
    """``::Class::test`` and ``::test`` of one file, by its syntax tree alone."""
    found: set[str] = set()
    if not path.endswith(".py"):
        return found
    for node in source(path).tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(f"::{node.name}")
        if isinstance(node, ast.ClassDef):
            found.add(f"::{node.name}")
            found |= {
                f"::{node.name}::{child.name}"
                for child in node.body
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return found


def test_every_test_that_is_named_is_there() -> None:
    named = [
        (page, path, test)
        for page in committed()
        if page.endswith(".md")
        for path, test in TEST.findall(source(page).text)
    ]
    assert [one for one in named if one[0] == "docs/coverage.md"]
    assert not [
        one for one in named if one[1] not in committed() or one[2] not in _tests_of(one[1])
    ]


def test_every_requirement_is_accounted_for_once() -> None:
    counted: list[str] = []
    for line in source("docs/coverage.md").lines:
        if line.startswith("| S"):
            for seed, first, last in RANGE.findall(line.split("|")[1]):
                counted += [f"{seed}-{n}" for n in range(int(first), int(last or first) + 1)]
    every = {f"{seed}-{n}" for seed, last in REQUIREMENTS.items() for n in range(1, last + 1)}
    assert sorted(one for one in counted if counted.count(one) > 1) == []
    assert sorted(every - set(counted)) == []
    assert sorted(set(counted) - every) == []


def test_every_link_of_a_page_leads_somewhere() -> None:
    dead = []
    for page in (path for path in committed() if path.endswith(".md")):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", source(page).text):
            if "://" in target:
                continue
            if not (ROOT / page).parent.joinpath(target).resolve().exists():
                dead.append(f"{page}: {target}")
    assert not dead


def test_decisions_are_numbered_once_and_have_four_parts() -> None:
    decisions = [path for path in committed() if re.match(r"docs/decisions/\d{4}-", path)]
    numbers = [path.rsplit("/", 1)[1][:4] for path in decisions]
    assert len(set(numbers)) == len(numbers)
    for path in decisions:
        said = source(path).text
        assert said.startswith(f"# {int(path.rsplit('/', 1)[1][:4])}. "), path
        for part in ("## Context", "## Decision", "## Consequences", "## Alternatives"):
            assert part in said, f"{path}: {part}"


def test_every_posting_says_what_it_moves_and_has_its_page() -> None:
    manual = "".join(source(path).text for path in committed() if path.startswith("docs/money/"))
    mute = []
    for path in committed():
        if not re.fullmatch(r"src/hazina/(flows|products)/\w+/postings\.py", path):
            continue
        if path not in manual:
            mute.append(path)
        for node in source(path).tree.body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            moves = "Transfer" in ast.unparse(node.returns or ast.Constant(None))
            if moves and not ast.get_docstring(node):
                mute.append(f"{path}: {node.name}")
    assert not mute
