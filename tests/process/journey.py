"""What a journey is, and what the journeys of both rooms share.

A journey is a generator: it does something, then yields how many seconds must pass, and nothing
(`REST`) where all must have come to rest before it goes on. Journeys of one batch go on side by
side, in step. Each names the transitions that it is played for; it must bear being led astray,
since whoever works on it may be killed anywhere.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import Any

from tests.process.rig import Person, Rig

REST = 0.0
MINUTE, HOUR = 60.0, 3600.0
ODD, SOLD, OUT = "999", "0.05", "600"
Steps = AsyncIterator[float]


class Batch(IntEnum):
    """Those of one batch are played together; what a batch spoils for all, others do not see."""

    SIMPLE = 1
    INTERRUPTED = 2  # a worker dies while the outside is asked
    RETURNED = 3  # sent back by two persons
    AGED = 4  # an hour in which M-Pesa cannot be asked
    CONTRADICTED = 5  # M-Pesa says "failed" of what was paid
    SOLD_OUT = 6  # the same, and there is no gold left
    TAKEN_BACK = 7  # reversed by M-Pesa
    ABSENT = 8  # two days
    DOUBTED = 9  # booked as paid, and told otherwise
    TOLD = 10  # messages go out
    RECOVERED = 11  # as after a restore


@dataclass(frozen=True, slots=True)
class Journey:
    """``passes``: what it is played for."""

    name: str
    batch: Batch
    passes: frozenset[str]
    play: Callable[[Rig, Person], Steps]
    rich: bool = False  # has shillings and gold to begin with


JOURNEYS: list[Journey] = []


def journey(
    batch: Batch, *passes: str, rich: bool = False
) -> Callable[[Callable[[Rig, Person], Steps]], Callable[[Rig, Person], Steps]]:
    """The function's name is the journey's."""

    def add(play: Callable[[Rig, Person], Steps]) -> Callable[[Rig, Person], Steps]:
        name = str(getattr(play, "__name__", "")).replace("_", " ")
        JOURNEYS.append(Journey(name, batch, frozenset(passes), play, rich))
        return play

    return add


Fault = tuple[str, dict[str, Any]]


def bought(name: str, *faults: Fault, batch: Batch = Batch.SIMPLE, passes: Sequence[str]) -> None:
    """Gold bought by a prompt, with whatever M-Pesa does wrong about it."""

    async def play(rig: Rig, who: Person) -> Steps:
        for fault, how in faults:
            await rig.fault(fault, "stk", who.phone, **how)
        await buy(rig, who)
        yield REST

    JOURNEYS.append(Journey(name, batch, frozenset(passes), play))


def paid_out(
    name: str,
    *faults: Fault,
    gold: bool = False,
    batch: Batch = Batch.SIMPLE,
    passes: Sequence[str],
) -> None:
    """A payout, of gold sold or out of the wallet."""

    async def play(rig: Rig, who: Person) -> Steps:
        for fault, how in faults:
            await rig.fault(fault, "b2c", who.phone, **how)
        if gold:
            await rig.order(who, "/gold/trade/sell", grams=SOLD)
        else:
            await rig.order(who, "/wallet/withdrawals", amount_kes=OUT)
        yield REST

    JOURNEYS.append(Journey(name, batch, frozenset(passes), play, rich=True))


AMOUNTS = count(1001)  # never the same twice: one that is unknown forbids a second of it


async def buy(rig: Rig, who: Person) -> None:
    await rig.order(who, "/gold/trade/buy", amount_kes=str(next(AMOUNTS)))


UNPAID: Fault = ("b2c_fail", {"result_code": "2040"})
LOST: Fault = ("drop_after_accept", {})
NEVER: Fault = ("callback_never", {})
ODD_PAID: Fault = ("wrong_amount", {"amount": ODD})
DECLINED: Fault = ("cancel", {})


async def deposit(rig: Rig, who: Person) -> None:
    await rig.order(who, "/wallet/deposits", amount_kes=str(next(AMOUNTS)))


async def suspended(rig: Rig, who: Person, state: str = "suspended") -> list[str]:
    """The ids of a person's payments that wait for two others."""
    sql = (
        "SELECT p.id FROM receipts.payment p LEFT JOIN deposits.deposit d ON d.id = p.deposit_id"
        " WHERE p.state = $3 AND (d.customer_id = $1 OR p.receipt = ANY($2))"
    )
    return [str(row["id"]) for row in await rig.run(sql, who.id, who.receipts, state)]


async def receipts(rig: Rig, who: Person) -> list[str]:
    """What a person has paid that was not yet taken back."""
    sql = (
        "SELECT r.receipt FROM deposits.mpesa_receipt r"
        " LEFT JOIN deposits.deposit d ON d.id = r.deposit_id"
        " WHERE d.customer_id = $1 OR r.receipt = ANY($2)"
    )
    return [row["receipt"] for row in await rig.run(sql, who.id, who.receipts)]
