"""Every case of the matrix, by number, and docs/rails/matrix.md, which is written from them."""

from tests.rails.matrix import collecting, gate, paying, returning, unasked
from tests.rails.matrix.case import Capability, Case

ROOMS = (collecting, paying, unasked, gate, returning)
CASES: tuple[Case, ...] = tuple(
    sorted((case for room in ROOMS for case in room.rows.cases), key=lambda case: case.number)
)
HEAD = """\
# What every rail must survive

<!-- Written by `python -m tests.tidy.pages` from `tests/rails/matrix/`; change the cases. -->

Each row is played against the real house over HTTP, with the rail's simulator as the outside
(`tests/rails/matrix/`). Afterwards these must be true: the state; the customer's free money
(wallet, the change in shillings) and theirs outside (purse, the change); what is held, what is
owed, and what lies in suspense; the outside's own books equal ours but for what is said to be not
booked; and the ledger's proof. A rail inherits every row whose capabilities its driver declares;
M-Pesa's (`tests/rails/matrix/mpesa.py`) declares all of them.
"""


def page() -> str:
    """docs/rails/matrix.md."""
    lines = [HEAD, "| # | name | needs | the outside | outcome |", "|---|---|---|---|---|"]
    lines += [
        f"| {case.number} | {case.name} | {', '.join(case.needs)} | {case.outside} |"
        f" {case.outcome} |"
        for case in CASES
    ]
    lines += ["", "| capability | what a rail can do that has it |", "|---|---|"]
    lines += [f"| {one.value} | {said} |" for one, said in _capabilities().items()]
    return "\n".join(lines) + "\n"


def _capabilities() -> dict[Capability, str]:
    from tests.tidy.house import sentences

    found = sentences(Capability)
    return {one: found[one.value] for one in Capability}
