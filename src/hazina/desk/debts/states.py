"""The life of a debt, in one table."""

from enum import StrEnum

from hazina.kernel.machine import Machine


class DebtState(StrEnum):
    """Where a debt stands."""

    OPEN = "open"  # owed: nothing leaves the customer, and what comes repays it first
    REPAID = "repaid"  # all of it came back
    WRITTEN_OFF = "written_off"  # two persons gave up what was left


class DebtEvent(StrEnum):
    """What can happen to a debt."""

    PART_REPAID = "part_repaid"  # some of it came back
    REPAID = "repaid"  # the last of it came back
    WRITTEN_OFF = "written_off"  # two persons gave up what was left


S, E = DebtState, DebtEvent
MACHINE = Machine(
    "debt",
    S.OPEN,
    {
        (S.OPEN, E.PART_REPAID): S.OPEN,
        (S.OPEN, E.REPAID): S.REPAID,
        (S.OPEN, E.WRITTEN_OFF): S.WRITTEN_OFF,
    },
)
