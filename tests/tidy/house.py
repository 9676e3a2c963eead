"""The house as it is, asked rather than read: refusals, machines, jobs, settings, commands.

Everything is imported and assembled, nothing is connected to.
"""

import ast
import importlib
import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import typer.main

from hazina.bootstrap.wiring import assemble
from hazina.infra.db import Database
from hazina.infra.jobs import Jobs
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import Settings
from hazina.kernel.clock import SettableClock
from hazina.kernel.errors import Refusal, all_refusals
from hazina.kernel.machine import Machine
from tests.tidy.law import committed, house_python

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


@cache
def modules() -> tuple[ModuleType, ...]:
    """Every committed module of the house; not migrations, or what runs when imported."""
    names = [
        path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in committed()
        if house_python(path) and "/migrations/" not in path and not path.endswith("__main__.py")
    ]
    return tuple(importlib.import_module(name) for name in names)


def refusals() -> list[type[Refusal]]:
    """Every refusal class of the house, by code."""
    assert modules()
    ours = {one for one in all_refusals() if one.__module__.startswith("hazina.")}
    return sorted(ours, key=lambda one: (one.code, one.__module__))


def machines() -> list[Machine[Any, Any]]:
    """Every state machine of the house, by name."""
    found = {
        id(value): value
        for module in modules()
        for value in vars(module).values()
        if isinstance(value, Machine)
    }
    return sorted(found.values(), key=lambda machine: machine.name)


def sentences(members: type[StrEnum]) -> dict[str, str]:
    """The comment beside (or above) each member of an enum, by its value."""
    lines = inspect.getsource(members).splitlines()
    tree = ast.parse("\n".join(lines))
    assert isinstance(tree.body[0], ast.ClassDef)
    found = {}
    for node in tree.body[0].body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            beside = lines[node.lineno - 1].partition("  # ")[2]
            above = lines[node.lineno - 2].strip().removeprefix("# ")
            found[str(node.value.value)] = beside or above
    return found


def jobs(folder: Path) -> Jobs:
    """The jobs and sweepers that the slices register; ``folder`` gets a key file."""
    keys = folder / "keys.json"
    if not keys.exists():
        LocalKeyProvider.generate(keys, AT)
    settings = Settings(data_dir=folder, key_file=keys)
    unconnected = cast("Database", object())
    return assemble(settings, unconnected, SettableClock(AT)).get(Jobs)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command a person can type, with the long names of its options."""
    from hazina.cli.main import app

    yield from _commands(typer.main.get_command(app), "hazina")


def _commands(group: Any, said: str) -> Iterator[tuple[str, list[str]]]:
    for name, command in sorted(getattr(group, "commands", {}).items()):
        words = f"{said} {name}"
        if getattr(command, "commands", None):
            yield from _commands(command, words)
        else:
            options = [
                option
                for parameter in command.params
                for option in (*parameter.opts, *parameter.secondary_opts)
                if option.startswith("--")
            ]
            yield words, options
