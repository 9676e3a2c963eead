"""Which schema this code is written for, read off its migrations without running them.

Every process asks at its start, for ``/readyz``. What it takes to migrate, Alembic and SQLAlchemy,
would be a third of that start and is left to ``bootstrap.migrate``.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hazina.bootstrap.registry import manifests

NAMES = ("revision", "down_revision", "depends_on")


@dataclass(frozen=True, slots=True)
class Revision:
    """One migration: its name, and those that it comes after, of its own branch or of others."""

    name: str
    after: frozenset[str]


@cache
def revisions() -> tuple[Revision, ...]:
    """Every migration of every slice."""
    folders = [one.migrations for one in manifests() if one.migrations is not None]
    files = (path for folder in folders for path in sorted(folder.glob("*.py")))
    return tuple(_read(path) for path in files if path.name != "__init__.py")


def expected_heads() -> set[str]:
    """The revisions a database must be at for this code to run. One that another comes after, be it
    of another slice, is implied and not kept as a row."""
    implied = {name for one in revisions() for name in one.after}
    return {one.name for one in revisions()} - implied


def known_revisions() -> set[str]:
    """Every revision this code has: a database with another one is a newer house's."""
    return {one.name for one in revisions()}


def _read(path: Path) -> Revision:
    told = dict(_assigned(path))
    after = {name for key in NAMES[1:] for name in _names(told.get(key))}
    return Revision(str(told["revision"]), frozenset(after))


def _assigned(path: Path) -> Iterator[tuple[str, object]]:
    for statement in ast.parse(path.read_bytes()).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            target, value = statement.targets[0].id, statement.value
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            target, value = statement.target.id, statement.value or ast.Constant(None)
        else:
            continue
        if target in NAMES:
            yield target, ast.literal_eval(value)


def _names(told: object) -> tuple[str, ...]:
    """As Alembic takes them: none, one, or several."""
    if told is None:
        return ()
    return (told,) if isinstance(told, str) else tuple(told)  # type: ignore[arg-type]
