"""State machines: one table of (state, event) → state; what is not in it cannot happen."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Generic, TypeVar

from hazina.kernel.errors import Kind, Refusal

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


class StateMoved(Refusal):
    """The thing is no longer in a state where this can happen."""

    code = "state_moved"
    kind = Kind.CONFLICT
    message = "That is no longer possible: it has moved on."
    action = "Reload to see where it stands."


class Machine(Generic[S, E]):
    """One transition table; ``initial`` is where a new row starts.

    Invariant: final states have no way out, and every state can be reached.
    """

    def __init__(self, name: str, initial: S, table: Mapping[tuple[S, E], S]) -> None:
        self.name = name
        self.initial = initial
        self.table = dict(table)
        self.states = type(initial)
        self.events = type(next(event for _, event in table))
        if missing := set(self.states) - self._reached():
            raise ValueError(f"{name}: no way leads to {sorted(missing)}")
        self.final = frozenset(set(self.states) - {state for state, _ in self.table})

    def _reached(self) -> set[S]:
        """Every state that some chain of events leads to from the initial one."""
        reached, last = {self.initial}, set[S]()
        while reached != last:
            last = set(reached)
            reached |= {to for (state, _), to in self.table.items() if state in last}
        return reached

    def find_next(self, state: S, event: E) -> S | None:
        """Where ``event`` leads from ``state``, or None where the table has no such edge."""
        return self.table.get((state, event))

    def next(self, state: S, event: E) -> S:
        """Where ``event`` leads from ``state``. Raises: StateMoved when there is no such edge."""
        following = self.find_next(state, event)
        if following is None:
            raise StateMoved(details={"state": state.value, "event": event.value})
        return following

    def mermaid(self) -> str:
        """The table as a diagram for docs/money/."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial.value}"]
        lines += [f"    {a.value} --> {b.value}: {e.value}" for (a, e), b in self.table.items()]
        lines += [f"    {state.value} --> [*]" for state in sorted(self.final)]
        return "\n".join(lines)
