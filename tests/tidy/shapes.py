"""Laws about shape: sizes, migrations, and words where words are owed."""

import ast
import re
from collections.abc import Iterator

from tests.tidy.law import HOUSE, Finding, Source, law

MAX_FUNCTION = 70
MAX_FILE = 600


def _ours(path: str) -> bool:
    return path.startswith(HOUSE) and path.endswith(".py")


def _migration(path: str) -> bool:
    return re.fullmatch(r"src/hazina/.*/migrations/\w+\.py", path) is not None


@law(
    "function-size",
    applies=_ours,
    bad="def long():\n" + "    pass\n" * MAX_FUNCTION,
    at="src/hazina/web/shell.py",
)
def find_long_functions(source: Source) -> Iterator[Finding]:
    """Median functions are short everywhere; what separates houses is the tail. A function of 200
    lines is where the one branch without a test hides.
    """
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION:
                yield node.lineno, f"{node.name} has {length} lines, more than {MAX_FUNCTION}"


@law("file-size", applies=_ours, bad="x = 1\n" * (MAX_FILE + 1), at="src/hazina/web/shell.py")
def find_long_files(source: Source) -> Iterator[Finding]:
    """A file that passes a few hundred lines holds two use cases; whoever changes one has to read
    both. Split by use case, never by technique.
    """
    if len(source.lines) > MAX_FILE:
        yield 1, f"{len(source.lines)} lines, more than {MAX_FILE}"


def _statements(sql: str) -> int:
    """How many statements there are, semicolons in bodies, literals and comments left aside."""
    bare = re.sub(r"\$(\w*)\$.*?\$\1\$", "''", sql, flags=re.DOTALL)
    bare = re.sub(r"--[^\n]*", "", re.sub(r"'(?:[^']|'')*'", "''", bare))
    return len([part for part in bare.split(";") if part.strip()])


@law(
    "migration",
    applies=_migration,
    bad=(
        '"""Doc."""\nrevision = "gold_0001"\n\n\ndef upgrade() -> None:\n'
        '    op.execute("CREATE SCHEMA gold; CREATE TABLE gold.lot (id uuid)")\n\n\n'
        'def downgrade() -> None:\n    op.execute("DROP SCHEMA gold CASCADE")\n'
    ),
    at="src/hazina/products/gold/migrations/0001_gold.py",
)
def find_loose_migrations(source: Source) -> Iterator[Finding]:
    """The engine takes one statement at a time: the second of two was a syntax error on the
    machine where it mattered. And a way down that drops a table is a way to lose money by typing
    one command: there is none.
    """
    for line, text in source.texts():
        if _statements(text) > 1:
            yield line, "more than one statement"
    down = [n for n in source.tree.body if isinstance(n, ast.FunctionDef) and n.name == "downgrade"]
    if not down:
        yield 1, "no downgrade that refuses"
    for function in down:
        if not isinstance(function.body[-1], ast.Raise) or len(function.body) != 1:
            yield function.lineno, "downgrade does not refuse"
    slice_ = source.path.split("/")[-3]
    number = source.path.rsplit("/", 1)[1][:4]
    if f'revision = "{slice_}_{number}"' not in source.text:
        yield 1, f'its revision is not "{slice_}_{number}"'


@law(
    "enum-words",
    applies=_ours,
    bad='class State(StrEnum):\n    """Where it stands."""\n\n    SUSPENDED = "suspended"\n',
    at="src/hazina/flows/deposits/states.py",
)
def find_mute_members(source: Source) -> Iterator[Finding]:
    """A state without a sentence means to each reader what its name suggests: "suspended" was read
    as a blocked customer and means shillings in suspense.
    """
    for node in source.nodes:
        if not isinstance(node, ast.ClassDef):
            continue
        if "StrEnum" not in [ast.unparse(base) for base in node.bases]:
            continue
        words = (ast.get_docstring(node) or "").lower()
        for member in node.body:
            if not isinstance(member, ast.Assign) or not isinstance(member.value, ast.Constant):
                continue
            first, last = source.lines[member.lineno - 1], source.lines[member.end_lineno - 1]  # type: ignore[operator]
            above = source.lines[member.lineno - 2].strip()
            named = str(member.value.value).lower() in words
            if not ("#" in first or "#" in last or above.startswith("#") or named):
                yield member.lineno, f"{node.name}.{ast.unparse(member.targets[0])} says nothing"


@law("module-words", applies=_ours, bad="x = 1\n", at="src/hazina/web/shell.py")
def find_mute_modules(source: Source) -> Iterator[Finding]:
    """Whoever opens a file asks first what it owns and what it leaves out. Without an answer they
    put the next thing here that belongs next door.
    """
    if source.text.strip() and ast.get_docstring(source.tree) is None:
        yield 1, "a module says what it owns"
