"""Machines: only what the table says can happen, and every state can be reached."""

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hazina.kernel.errors import Kind
from hazina.kernel.machine import Machine, StateMoved


class S(StrEnum):
    NEW = "new"
    HELD = "held"
    SENT = "sent"
    DONE = "done"


class E(StrEnum):
    HOLD = "hold"
    SEND = "send"
    SETTLE = "settle"


TABLE = {(S.NEW, E.HOLD): S.HELD, (S.HELD, E.SEND): S.SENT, (S.SENT, E.SETTLE): S.DONE}
MACHINE = Machine("test", S.NEW, TABLE)


class TestAMachine:
    @given(st.sampled_from(S), st.sampled_from(E))
    def test_moves_only_along_its_table(self, state: S, event: E) -> None:
        wanted = TABLE.get((state, event))
        assert MACHINE.find_next(state, event) is wanted
        if wanted is not None:
            assert MACHINE.next(state, event) is wanted
            return
        with pytest.raises(StateMoved) as refused:
            MACHINE.next(state, event)
        assert refused.value.kind is Kind.CONFLICT
        assert refused.value.details == {"state": state.value, "event": event.value}

    def test_knows_its_ends(self) -> None:
        assert MACHINE.final == {S.DONE}

    def test_must_reach_every_state(self) -> None:
        table = {(S.NEW, E.HOLD): S.HELD, (S.HELD, E.SEND): S.SENT}
        with pytest.raises(ValueError, match=r"no way leads to.*done"):
            Machine("test", S.NEW, table)

    def test_must_reach_every_state_from_its_start(self) -> None:
        """Two states that lead only to each other once passed for reachable."""
        table = {(S.NEW, E.HOLD): S.HELD, (S.SENT, E.SEND): S.DONE, (S.DONE, E.SEND): S.SENT}
        with pytest.raises(ValueError, match="no way leads to"):
            Machine("test", S.NEW, table)

    def test_is_not_changed_by_what_happens_to_the_table(self) -> None:
        table = dict(TABLE)
        machine = Machine("test", S.NEW, table)
        table.clear()
        assert machine.next(S.NEW, E.HOLD) is S.HELD

    def test_draws_every_edge_and_end(self) -> None:
        drawn = MACHINE.mermaid().splitlines()
        assert drawn[0] == "stateDiagram-v2"
        assert [line.strip() for line in drawn[1:]] == [
            "[*] --> new",
            "new --> held: hold",
            "held --> sent: send",
            "sent --> done: settle",
            "done --> [*]",
        ]
