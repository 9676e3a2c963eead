"""Every named point of the house, derived: nobody has to remember to list one.

Each edge of each transition table in three phases, the birth of a row in two, each call outside
before and after. Calls are found where the code makes them.
"""

import ast
from collections.abc import Iterator
from enum import EnumMeta
from functools import cache
from types import ModuleType

from hazina.infra.points import Phase
from tests.tidy.house import machines, modules
from tests.tidy.law import ROOT

INSIDE = (Phase.LEAVING, Phase.ENTERED, Phase.COMMITTED)
BORN = (Phase.ENTERED, Phase.COMMITTED)
AROUND = (Phase.BEFORE, Phase.AFTER)


@cache
def edges() -> frozenset[str]:
    """Every way out of every state, by machine, state and event."""
    return frozenset(
        f"{machine.name}.{state.value}.{event.value}"
        for machine in machines()
        for state, event in machine.table
    )


@cache
def births() -> frozenset[str]:
    return frozenset(f"{machine.name}.created" for machine in machines())


@cache
def calls() -> frozenset[str]:
    """Every call that leaves the house: `call.mpesa.pay`."""
    sources = [(module, _source(module)) for module in modules()]
    trees = [(module, ast.parse(text)) for module, text in sources if "operation=" in text]
    passed_on = {
        _constant(call, "operation")
        for _, tree in trees
        for call in _calls(tree)
        if not _has(call, "rail")
    }
    found: set[str] = set()
    for module, tree in trees:
        for call in _calls(tree):
            rail = _constant(call, "rail")
            if rail:
                found |= {f"call.{rail}.{one}" for one in _operations(module, call, passed_on)}
    found |= {
        value
        for module in modules()
        for name, value in vars(module).items()
        if name == "CALL" and isinstance(value, str) and value.startswith("call.")
    }
    return frozenset(found)


@cache
def points() -> frozenset[str]:
    """Every point and phase, as its order is called."""
    every = ((edges(), INSIDE), (births(), BORN), (calls(), AROUND))
    return frozenset(
        f"{name}:{phase.value}" for names, phases in every for name in names for phase in phases
    )


def _source(module: ModuleType) -> str:
    assert module.__file__ is not None
    assert module.__file__.startswith(str(ROOT))
    with open(module.__file__) as file:
        return file.read()


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _has(node, "operation"):
            yield node


def _has(call: ast.Call, name: str) -> bool:
    return any(keyword.arg == name for keyword in call.keywords)


def _constant(call: ast.Call, name: str) -> str:
    for keyword in call.keywords:
        if keyword.arg == name and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return ""


def _operations(module: ModuleType, call: ast.Call, passed_on: set[str]) -> set[str]:
    """What the call is called: a word, a member of the module's `Call`, or what callers say."""
    if word := _constant(call, "operation"):
        return {word}
    [value] = [keyword.value for keyword in call.keywords if keyword.arg == "operation"]
    if isinstance(value, ast.Attribute):
        kinds = vars(module)["Call"]
        assert isinstance(kinds, EnumMeta)
        return {str(kind.value) for kind in kinds}
    return passed_on - {""}
