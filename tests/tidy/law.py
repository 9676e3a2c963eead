"""What a house law is: a finder over one file's syntax tree, an example it must notice, an escape.

The escape is a comment on the line itself or the line above it, always with a reason:
``# tidy: allow <law> — <reason>``. ``rooms`` are the files a law does not apply to because they are
the one place for the thing; each says why.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOUSE = "src/hazina/"
SIMULATORS = "src/hazina/simulators/"
ESCAPE = re.compile(r"(?:#|--|<!--|\{#) ?tidy: allow ([a-z-]+) — \w")


@dataclass(frozen=True)
class Source:
    """One committed text file; ``path`` is relative to the root, with forward slashes."""

    path: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def docstrings(self) -> set[int]:
        """The ``id()`` of every constant that is documentation, not code."""
        owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        return {
            id(node.body[0].value)
            for node in self.nodes
            if isinstance(node, owners) and node.body and isinstance(node.body[0], ast.Expr)
        }

    @property
    def is_python(self) -> bool:
        return self.path.endswith(".py")

    def allows(self, law: str, line: int) -> bool:
        """Whether this line, or the one above it, carries the escape for ``law``."""
        beside = self.lines[max(line - 2, 0) : line]
        return any(law in ESCAPE.findall(text) for text in beside)

    def texts(self) -> Iterator[tuple[int, str]]:
        """Every string of the code with its line, f-strings with their holes left out."""
        inside = {
            id(part)
            for node in self.nodes
            if isinstance(node, ast.JoinedStr)
            for part in node.values
        }
        for node in self.nodes:
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
                yield node.lineno, "".join(str(part) for part in parts)
            elif (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in inside
                and id(node) not in self.docstrings
            ):
                yield node.lineno, node.value

    def imports(self) -> Iterator[tuple[int, str]]:
        """Every module that is imported, ``from a import b`` as ``a.b``."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((node.lineno, name.name) for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)

    def calls(self) -> Iterator[tuple[int, str]]:
        """Every call, as it is written: ``datetime.now``."""
        for node in self.nodes:
            if isinstance(node, ast.Call):
                yield node.lineno, ast.unparse(node.func)


Finding = tuple[int, str]
Finder = Callable[[Source], Iterator[Finding]]


@dataclass(frozen=True)
class Law:
    """``bad`` is source in which the law must find something, as if it were at ``at``."""

    name: str
    find: Finder
    applies: Callable[[str], bool]
    bad: str
    at: str
    rooms: Mapping[str, str] = field(default_factory=dict)

    def findings(self, source: Source) -> list[str]:
        if source.path in self.rooms or not self.applies(source.path):
            return []
        return [
            f"{source.path}:{line}: {what}"
            for line, what in self.find(source)
            if not source.allows(self.name, line)
        ]


LAWS: dict[str, Law] = {}


def law(
    name: str,
    *,
    applies: Callable[[str], bool],
    bad: str,
    at: str,
    rooms: Mapping[str, str] | None = None,
) -> Callable[[Finder], Finder]:
    """This will make a finder a law; its docstring says what it prevents."""

    def enact(find: Finder) -> Finder:
        assert find.__doc__, f"{name}: a law says what it prevents"
        assert name not in LAWS
        LAWS[name] = Law(name, find, applies, bad, at, rooms or {})
        return find

    return enact


def house_python(path: str) -> bool:
    """Code of the house itself; the simulators are the outside world."""
    return path.startswith(HOUSE) and path.endswith(".py") and not path.startswith(SIMULATORS)


@cache
def committed() -> tuple[str, ...]:
    """Every file that git knows and that is there."""
    listed = subprocess.run(
        ("git", "ls-files", "-z"), cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return tuple(path for path in listed.split("\0") if path and (ROOT / path).is_file())


@cache
def sources() -> tuple[Source, ...]:
    """Every committed text file."""
    found = []
    for path in committed():
        raw = (ROOT / path).read_bytes()
        if b"\0" in raw:
            continue
        found.append(Source(path, raw.decode()))
    return tuple(found)


def source(path: str) -> Source:
    return next(one for one in sources() if one.path == path)
