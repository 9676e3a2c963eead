"""Pages that are written from the code: the errors, and the states with their diagrams.

``python -m tests.tidy.pages`` in the root writes them; a test fails when one is stale.
"""

import inspect
from collections import defaultdict
from typing import Any

from hazina.infra.envelope import STATUS
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.machine import Machine
from tests.rails.matrix import cases
from tests.tidy import house
from tests.tidy.law import ROOT

WRITTEN = "<!-- Written by `python -m tests.tidy.pages` from the code; change the code. -->"

KINDS = {
    Kind.INVALID: "The request can never succeed as it stands: change it.",
    Kind.UNAUTHENTICATED: "Say who you are.",
    Kind.FORBIDDEN: "You may not, and saying it again does not help.",
    Kind.NOT_FOUND: "There is no such thing, or it is not yours.",
    Kind.CONFLICT: "It was possible; the state has moved on.",
    Kind.INSUFFICIENT: "Not enough money, gold or room.",
    Kind.LIMITED: "Too often or too much: later.",
    Kind.UNAVAILABLE: "Ours to repair: try again.",
}

ERRORS = """\
# Every no, by its code

{written}

Every refusal is one envelope:
`{{"error": {{"code", "message", "action"?, "details", "timestamp", "request_id"}}}}`.
`code` never changes its meaning; `message` and `action` are for a person and may become clearer.
`details` are facts for a program: amounts are decimal strings, `details.field` names a field. Where
"what to do" is a dash it depends on the figures and is said in the answer, if there is something.

Besides the refusals below, HTTP itself answers `method_not_allowed` (405) and
`media_type_unknown` (415), and what nobody foresaw is `internal_error` (500) with a `request_id`
that finds it in the log. A failed deposit, withdrawal or trade is not a refusal: it is a state
([states](money/states.md)), and its `code` is one of the rail's ([M-Pesa](rails/mpesa.md)).
"""

STATES = """\
# States: deposit, withdrawal, trade

{written}

Each thing that takes time is a row that moves along one table of (state, event) → state. What is
not in the table cannot happen; there is no way to set a state but by an event. Every transition
leaves a row in `<table>_event`: that is the timeline which people see.
"""


def errors() -> str:
    """docs/errors.md."""
    by_kind: dict[Kind, list[type[Refusal]]] = defaultdict(list)
    for refusal in house.refusals():
        if refusal.code != "internal_error":
            by_kind[refusal.kind].append(refusal)
    parts = [ERRORS.format(written=WRITTEN)]
    for kind, words in KINDS.items():
        heading = f"## {kind.value} ({STATUS[kind]})\n\n{words}\n"
        parts.append(heading + "\n" + _table(by_kind[kind]))
    return "\n".join(parts)


def states() -> str:
    """docs/money/states.md."""
    return "\n".join([STATES.format(written=WRITTEN), *map(_machine, house.machines())])


def _table(refusals: list[type[Refusal]]) -> str:
    lines = ["| code | when | what to do | where |", "|---|---|---|---|"]
    for one in refusals:
        when = " ".join((inspect.getdoc(one) or "").partition("\n\n")[0].split())
        where = one.__module__.removeprefix("hazina.").replace(".", "/")
        lines.append(f"| `{one.code}` | {when} | {one.action or '–'} | `{where}` |")
    return "\n".join(lines) + "\n"


def _machine(machine: Machine[Any, Any]) -> str:
    lines = [f"## {machine.name}", "", "```mermaid", machine.mermaid(), "```", ""]
    for title, members in (("state", machine.states), ("event", machine.events)):
        said = house.sentences(members)
        lines += [f"| {title} | means |", "|---|---|"]
        lines += [f"| `{member.value}` | {said[member.value]} |" for member in members]
        lines.append("")
    return "\n".join(lines)


PAGES = {
    "docs/errors.md": errors,
    "docs/money/states.md": states,
    "docs/rails/matrix.md": cases.page,
}


def main() -> None:
    """This will write every page."""
    for path, write in PAGES.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(write())


if __name__ == "__main__":
    main()
