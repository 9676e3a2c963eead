"""`hazina lock`: both requirements files, resolved anew for every platform with hashes."""

import shutil
from typing import Annotated

import typer

from hazina.cli import screen

OLDEST_PYTHON = "3.11.0"  # the oldest patch release: resolving on a later one broke on an earlier


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=screen.DEVELOP)(lock)


def lock(
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Take newer releases too.")] = False,
) -> None:
    """Resolve requirements*.in into the hashed requirements*.txt."""
    from hazina.cli.tree import run

    uv = shutil.which("uv")
    if uv is None:
        raise screen.fail("needs uv: install it (pipx install uv, or your system's package)")
    for name in ("requirements", "requirements-dev"):
        with screen.step(f"{name}.txt"):
            code = run(
                *(uv, "pip", "compile", "--quiet", "--no-header", "--universal"),
                *("--python-version", OLDEST_PYTHON, "--generate-hashes"),
                *("--no-emit-index-url", "--no-emit-find-links"),
                *(["--upgrade"] if upgrade else []),
                *(f"{name}.in", "--output-file", f"{name}.txt"),
            )
            if code != 0:
                raise screen.fail(f"uv could not resolve {name}.in")
