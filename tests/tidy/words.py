"""Laws about words in every committed file: no trace of the workshop, no dead reference."""

import re
from collections.abc import Iterator

from tests.tidy.law import Finding, Source, committed, law


def _built(*parts: str) -> str:
    """A pattern from its pieces, so that this file does not hold what it looks for."""
    return "".join(parts)


WORKSHOP = re.compile(
    "|".join(
        [
            # Folders of a machine on which somebody worked.
            _built(r"(?<![\w./-])/", r"(?:wo", r"rk|ro", r"ot)/\w"),
            _built(r"(?<![\w.])/ho", r"me/\w+"),
            _built(r"/Us", r"ers/\w+"),
            # Who wrote it is in the history, and nowhere else.
            _built(r"\bcla", r"ude\b"),
            _built(r"\banth", r"ropic\b"),
            _built(r"\bchat", r"gpt\b"),
            _built(r"\bcopi", r"lot\b"),
            _built(r"\bassis", r"tants?\b"),
            _built(r"\bsub-?ag", r"ents?\b"),
            _built(r"\blanguage ", r"models?\b"),
            _built(r"\bco-authored", r"-by\b"),
            # Notes to oneself.
            _built(r"\bTO", r"DO\b"),
            _built(r"\bFIX", r"ME\b"),
            # Where packages came from is the installer's business.
            _built(r"\bpy", r"pi\.(?:org|python)"),
            _built(r"\bpython", r"hosted\b"),
            _built(r"\bnpm", r"js\b"),
            _built(r"\bartif", r"actory\b"),
            _built(r"--(?:extra-)?index", r"-url\b(?!s)"),
            _built(r"--find", r"-links\b"),
        ]
    ),
    re.IGNORECASE,
)


@law(
    "workshop-words",
    applies=lambda _: True,
    bad=_built("see /wo", "rk/main for the rest\n"),
    at="docs/glossary.md",
    rooms={
        "tests/tidy/words.py": "names what it looks for, in pieces",
    },
)
def find_workshop_words(source: Source) -> Iterator[Finding]:
    """A path of one machine in a document sends every other reader nowhere, and a package host in
    a requirements file makes every clone ask a server that it cannot reach.
    """
    for number, text in enumerate(source.lines, start=1):
        if found := WORKSHOP.search(text):
            yield number, f"“{found[0]}” speaks of the workshop, not of the product"


REFERENCE = re.compile(r"\b(?:docs|tests|src/hazina)/[\w./-]+\.(?:md|py|mmd|png|json)\b")


@law(
    "dead-reference",
    applies=lambda path: path.endswith((".md", ".py", ".in", ".toml", "run")),
    bad='"""See docs/nowhere.md."""\n',
    at="src/hazina/web/shell.py",
    rooms={
        "tests/tidy/shapes.py": "examples at places",
        "tests/tidy/words.py": "an example of a dead one",
    },
)
def find_dead_references(source: Source) -> Iterator[Finding]:
    """A docstring that says "see the manual" and names a page that was never written teaches its
    reader not to follow any.
    """
    known = set(committed())
    for number, text in enumerate(source.lines, start=1):
        for path in REFERENCE.findall(text):
            if path not in known:
                yield number, f"{path} is not there"
