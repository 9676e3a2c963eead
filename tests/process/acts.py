"""What people at the desk do, each act in a process of its own, which can be killed in the middle.

Whoever was killed sits down and does it again: every act here goes on where it was left.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

from hazina.bootstrap.wiring import open_house
from hazina.desk.approvals import Approval, Approvals
from hazina.desk.debts.service import Debts
from hazina.desk.notifications.sending import Delivery
from hazina.desk.recovery import AlreadyRecovering, Recovery
from hazina.flows.receipts.statements import Statements
from hazina.flows.receipts.suspense import Suspense
from hazina.flows.receipts.unanswered import Unanswered
from hazina.flows.withdrawals.resend import Resend
from hazina.identity.operators import Operators
from hazina.identity.people import Operator, Role
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.infra.settings import Settings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.kernel.errors import Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, XAU, Money
from hazina.ledger.accounts import Accounts
from hazina.ledger.chart import Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, first_fault, move
from hazina.ledger.service import Ledger
from hazina.products.gold.buy import Buying, BuyOrder
from hazina.products.gold.lots import Lots
from hazina.products.gold.quotes import Wish
from hazina.products.gold.terms import Via
from hazina.rails.receipts import ReceiptRail

PASSWORD = "correct horse battery"
REASON = "seen in the portal"
MOST_AT_ONCE = KES.money("5000000.00")
CUSTOMER = "SELECT id FROM identity.customer WHERE username = $1"
Ask = Callable[[Tx, dict[str, Any]], Awaitable[Approval]]


async def carry_out(settings: Settings, clock: Clock, order: Mapping[str, Any]) -> str:
    """This will do one act and say that it is done, or the code of its refusal."""
    async with open_house(settings, clock) as house:
        try:
            await ACTS[order["act"]](house, **order["facts"])
        except Refusal as no:
            sys.stderr.write(f"{order['act']}: {no.message}\n")
            return no.code
    return "done"


async def operator(house: House, role: Role = Role.MANAGER) -> Operator:
    """Somebody new at the desk."""
    name = f"clerk{new_id().hex[-12:]}"
    return await house.get(Operators).create(name, PASSWORD, role, SYSTEM, house.clock.now())


async def both(house: House, subject: UUID, ask: Ask) -> None:
    """The first asks, unless that was done before; the second agrees."""
    approvals, now = house.get(Approvals), house.clock.now()
    asked = [one for one in await approvals.list_of(house.db, subject) if one.state == "open"]
    if not asked:
        first = await operator(house)
        told = {"reason": REASON, "operator": first, "actor": first.as_actor(SYSTEM), "now": now}
        asked = [await house.db.run(lambda tx: ask(tx, told))]
    second = await operator(house)
    await house.db.run(
        lambda tx: approvals.approve(
            tx, asked[0].id, operator=second, actor=second.as_actor(SYSTEM), now=now
        )
    )


# -- what two persons decide


async def give(house: House, payment: str, username: str) -> None:
    found, part = UUID(payment), house.get(Suspense)
    await both(house, found, lambda tx, told: part.ask_allocate(tx, found, username, **told))


async def send_back(house: House, payment: str) -> None:
    found, part = UUID(payment), house.get(Suspense)
    await both(house, found, lambda tx, told: part.ask_return(tx, found, **told))


async def return_ended(house: House, payment: str, went_back: bool) -> None:
    found, part = UUID(payment), house.get(Suspense)
    await both(
        house,
        found,
        lambda tx, told: part.ask_return_ended(tx, found, went_back=went_back, **told),
    )


async def prompt_absent(house: House, deposit: str) -> None:
    found, part = UUID(deposit), house.get(Unanswered)
    await both(house, found, lambda tx, told: part.ask_absent(tx, found, **told))


async def payout_absent(house: House, withdrawal: str) -> None:
    found, part = UUID(withdrawal), house.get(Statements)
    await both(house, found, lambda tx, told: part.ask_absent(tx, found, **told))


async def write_off(house: House, debt: str) -> None:
    found, part = UUID(debt), house.get(Debts)
    await both(house, found, lambda tx, told: part.ask_write_off(tx, found, **told))


# -- what one does


async def resend(house: House, withdrawal: str) -> None:
    me = await operator(house)
    actor = me.as_actor(SYSTEM)
    await house.get(Resend).send(UUID(withdrawal), operator=me, actor=actor)


async def statement(house: House, file: str, since: str) -> None:
    """Safe to repeat: the same file is known."""
    begin, end = datetime.fromisoformat(since), house.clock.now()
    part = house.get(Statements)
    await part.take(BytesIO(_content(file)), begin, end, by="clerk", actor=SYSTEM)


async def message_again(house: House, message: str) -> None:
    delivery, now = house.get(Delivery), house.clock.now()
    await house.db.run(lambda tx: delivery.send_again(tx, UUID(message), SYSTEM, now))


async def register(house: House) -> None:
    """M-Pesa is told where to say what was paid unasked."""
    rail: ReceiptRail = house.get(ReceiptRail)  # type: ignore[type-abstract]
    await rail.register_notices()
    await rail.register_pull("254722000000")


async def recover(house: House) -> None:
    """As `hazina restore` does at its end, with the copy being the house as it stands."""
    now = house.clock.now()
    try:
        await house.db.run(
            lambda tx: house.get(Recovery).enter(tx, copied_at=now, actor=SYSTEM, now=now)
        )
    except AlreadyRecovering:
        return


async def release(house: House) -> None:
    me = await operator(house, Role.ADMINISTRATOR)
    await house.db.run(
        lambda tx: house.get(Recovery).release(
            tx, operator=me, actor=me.as_actor(SYSTEM), accept_open=REASON, now=house.clock.now()
        )
    )


async def close(house: House, username: str) -> None:
    """Safe to repeat."""
    wallet = customer(await house.db.fetchval(CUSTOMER, username), KES)

    async def act(tx: Tx) -> None:
        await house.get(Ledger).open_accounts(tx, [wallet])
        await house.get(Accounts).close(tx, wallet, SYSTEM, "they left")

    await house.db.run(act)


async def fund(house: House, usernames: list[str], kes: str, gold: str) -> None:
    """The owner gives customers shillings, for some of which they buy gold."""
    for username in usernames:
        found: UUID = await house.db.fetchval(CUSTOMER, username)
        await _give(house, found, KES.money(kes))
        order = BuyOrder(found, Wish(amount=KES.money(gold)), via=Via.WALLET)
        await _buy(house, order)


async def empty_lots(house: House, username: str) -> None:
    """Somebody buys all the gold there is."""
    found: UUID = await house.db.fetchval(CUSTOMER, username)
    for _ in range(10):
        left = sum(one.available.units for one in await house.get(Lots).stock(house.db))
        if left < XAU.money("0.05").units:
            return
        await _give(house, found, MOST_AT_ONCE)
        await _buy(house, BuyOrder(found, Wish(amount=MOST_AT_ONCE), via=Via.WALLET, partial=True))
    raise AssertionError("there is no end of gold")


async def stock_lots(house: House) -> None:
    lots, now = house.get(Lots), house.clock.now()
    first = await lots.first(house.db)
    gold = XAU.money("500")
    await house.db.run(lambda tx: lots.top_up(tx, first, gold, "bars", SYSTEM, now))


def _content(file: str) -> bytes:
    return Path(file).read_bytes()


async def _give(house: House, owner: UUID, amount: Money) -> None:
    bank, wallet = system(Purpose.BANK), customer(owner, KES)
    transfer = move(bank, wallet, amount, Code.CAPITAL_IN, Reference("test", owner))
    results = await house.db.run(lambda tx: house.get(Ledger).post(tx, [transfer], SYSTEM))
    assert first_fault(results) is None


async def _buy(house: House, order: BuyOrder) -> None:
    now = house.clock.now()
    await house.db.run(lambda tx: house.get(Buying).request(tx, order, SYSTEM, now))


ACTS: Mapping[str, Callable[..., Awaitable[None]]] = {
    act.__name__: act
    for act in (
        give, send_back, return_ended, prompt_absent, payout_absent, write_off, resend, statement,
        message_again, close, register, recover, release, fund, empty_lots, stock_lots,
    )
}  # fmt: skip
