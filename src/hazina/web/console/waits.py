"""What waits for a person anywhere in the house: how much of it, for how long, and where it ends.

Each list has its own page with what is known and the ways out; here they are counted, so that
nobody has to open every one to know that all are empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from hazina.desk.approvals import Approvals
from hazina.desk.debts.service import Debts
from hazina.desk.notifications.sending import Delivery
from hazina.desk.switches import Switches
from hazina.desk.webkit.filters import age
from hazina.desk.webkit.view import Column, Value
from hazina.flows.receipts.waiting import list_waiting
from hazina.infra.house import House
from hazina.infra.jobs import Jobs

MOST = 200  # what is counted one by one; above that it is "more than"
COLUMNS = [Column("What waits"), Column("How many", numeric=True), Column("The oldest for"),
           Column("Next step")]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Heap:
    """One list: since when each of it waits, in any order."""

    label: str
    path: str
    next_step: str
    since: Sequence[datetime]


async def heaps(house: House) -> list[Heap]:
    """Every list of things that only a person ends, empty ones included."""
    db, jobs = house.db, house.get(Jobs)
    questions = await list_waiting(db, limit=MOST + 1)
    approvals = await house.get(Approvals).list_open(db, limit=MOST + 1)
    held = (await jobs.list_held(db, limit=MOST)).items
    debts = await house.get(Debts).list_open(db)
    lost = (await house.get(Delivery).list_lost(db, limit=MOST)).items
    stopped = (await house.get(Switches).now()).values()
    return [
        Heap("Questions about M-Pesa", "/open-questions", "Ask again, or end it on evidence",
             [one.since for one in questions]),
        Heap("Jobs whose every attempt failed", "/open-questions", "Find out why, and retry",
             [one.since for one in held]),
        Heap("Approvals", "/approvals", "A second person decides",
             [one.asked_at for one in approvals]),
        Heap("Debts of customers", "/debts", "Wait for what comes in, or give it up",
             [one.since for one in debts]),
        Heap("Messages that did not arrive", "/messages", "Send again",
             [one.since for one in lost]),
        Heap("What is stopped", "/switches", "A manager lets it go on",
             [one.since for one in stopped]),
    ]  # fmt: skip


def rows(found: Sequence[Heap], now: datetime) -> list[list[Value]]:
    """Those lists that are not empty, the longest wait first."""
    full = sorted((one for one in found if one.since), key=lambda one: min(one.since))
    return [
        [
            one.label,
            str(len(one.since)) if len(one.since) <= MOST else f"more than {MOST}",
            age(min(one.since), now),
            Markup('<a href="{}">{}</a>').format(one.path, one.next_step),
        ]
        for one in full
    ]
