"""`hazina check`: everything that judges the code without running the house."""

import sys

import typer

from hazina.cli import screen


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=screen.DEVELOP)(check)


def check() -> None:
    """Lint, format, types, imports and the house laws of tests/tidy."""
    from hazina.cli.tree import run, tool

    python = sys.executable
    checks = {
        "lint (ruff check)": (python, "-m", "ruff", "check", "."),
        "format (ruff format --check)": (python, "-m", "ruff", "format", "--check", "."),
        "types (mypy --strict)": (python, "-m", "mypy"),
        "imports (import-linter)": (tool("lint-imports"),),
        "house laws (tests/tidy)": (python, "-m", "pytest", "-q", "tests/tidy"),
    }
    failed = []
    for what, command in checks.items():
        screen.console.rule(f"[bold]{what}", align="left")
        if run(*command) != 0:
            failed.append(what)
    screen.console.rule(align="left")
    if failed:
        raise screen.fail("failed: " + ", ".join(failed))
    screen.console.print(f"[green]✓[/green] all {len(checks)} checks passed")
