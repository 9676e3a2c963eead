"""Journeys in which M-Pesa does what it is asked, or says at once that it does not: bought, paid
out, sent back, told; a worker dies while it answers; and what a restored copy does with all that.
"""

from collections.abc import Sequence
from typing import Any

from tests.process.journey import (
    AMOUNTS,
    DECLINED,
    JOURNEYS,
    LOST,
    MINUTE,
    NEVER,
    ODD,
    ODD_PAID,
    OUT,
    REST,
    UNPAID,
    Batch,
    Fault,
    Journey,
    Steps,
    bought,
    buy,
    deposit,
    journey,
    paid_out,
    suspended,
)
from tests.process.rig import Person, Rig

COLLECTED, PAID, SENT_BACK = (f"call.mpesa.{name}:after" for name in ("collect", "pay", "return"))
RETURN_BEFORE = "call.mpesa.return:before"
REFUSED = {
    "status": 400,
    "body": {
        "requestId": "1",
        "errorCode": "400.002.02",
        "errorMessage": "Bad Request - Invalid Amount",
    },
}

bought("bought", passes=(
    "deposit.created", "deposit.requested.claim", "deposit.sending.accepted",
    "deposit.sending.paid", "deposit.prompted.paid", "trade.created", "trade.requested.booked",
    "call.mpesa.collect", "call.mpesa.pull",
))  # fmt: skip
bought("declined", DECLINED, passes=("deposit.prompted.declined", "trade.requested.payment_failed"))
bought("asked before it was told", ("callback_late", {"delay_s": 150}), passes=(
    "deposit.prompted.confirmed", "deposit.confirmed.paid", "call.mpesa.query",
))  # fmt: skip
bought("refused for now", ("http_500", {}), passes=("deposit.sending.deferred",))
bought("refused for good", ("answer", REFUSED), passes=("deposit.sending.rejected",))
bought("response lost", LOST, passes=("deposit.sending.lost", "deposit.unknown.paid"))
bought("declined, response lost", DECLINED, LOST, passes=("deposit.unknown.declined",))
bought("another amount, response lost", ODD_PAID, LOST, passes=("deposit.unknown.mispaid",))
bought("told as a payment", NEVER, ("stk_and_c2b", {}), passes=("payment.incoming.bound",))
paid_out("withdrawn", passes=(
    "withdrawal.created", "withdrawal.held.claim", "withdrawal.sending.accepted",
    "withdrawal.sending.paid", "withdrawal.sent.paid", "call.mpesa.pay",
))  # fmt: skip
paid_out("sold", gold=True, passes=("trade.requested.booked",))
paid_out("not paid", UNPAID, gold=True, passes=(
    "withdrawal.sent.failed", "trade.requested.payout_failed",
))  # fmt: skip
paid_out("payout refused for now", ("http_500", {}), passes=("withdrawal.sending.deferred",))
paid_out("payout refused for good", ("answer", REFUSED), passes=("withdrawal.sending.rejected",))
paid_out(
    "payout's response lost", LOST, passes=("withdrawal.sending.lost", "withdrawal.unknown.paid")
)
paid_out("not paid, response lost", UNPAID, LOST, passes=("withdrawal.unknown.failed",))
paid_out("queue notice", ("b2c_timeout_notice", {"delay_s": 60}), passes=("withdrawal.sent.lost",))
paid_out("never told", NEVER, passes=("call.mpesa.status",))


@journey(Batch.SIMPLE, "payment.created", "payment.incoming.credited")
async def paid_to_an_account(rig: Rig, who: Person) -> Steps:
    await rig.pay_bill(who, await rig.account(who), "70")
    yield REST


@journey(
    Batch.SIMPLE, "deposit.prompted.mispaid", "payment.incoming.suspended",
    "payment.suspended.allocated", "deposit.suspended.resolved",
)  # fmt: skip
async def given_by_two_persons(rig: Rig, who: Person) -> Steps:
    await rig.fault("wrong_amount", "stk", who.phone, amount=ODD)
    await buy(rig, who)
    yield REST
    yield MINUTE  # M-Pesa's list tells of it
    for payment in await suspended(rig, who):
        await rig.act("give", payment=payment, username=who.username, refused="state_moved")


@journey(Batch.SIMPLE, "withdrawal.unknown.accepted", rich=True)
async def sent_again(rig: Rig, who: Person) -> Steps:
    await rig.fault("drop_before_accept", "b2c", who.phone)
    await rig.order(who, "/wallet/withdrawals", amount_kes=OUT)
    yield REST
    sql = "SELECT id FROM withdrawals.withdrawal WHERE customer_id = $1 AND state = 'unknown'"
    for row in await rig.run(sql, who.id):
        # Whose first try was killed has one under way, until its lease ends.
        again = "state_moved nothing_to_resend"
        await rig.act("resend", withdrawal=str(row["id"]), refused=again)
    yield REST


@journey(Batch.SIMPLE, "call.mpesa.register", "call.mpesa.pull_register", "call.webhook.head")
async def told_where_to_tell(rig: Rig, _who: Person) -> Steps:
    await rig.act("register")
    for sweep in ("ledger.seal", "ledger.head"):
        sql = "UPDATE infra.sweep SET started_at = '-infinity' WHERE name = $1"
        await rig.run(sql, sweep)
        yield MINUTE


@journey(Batch.SIMPLE, "call.mpesa.code")
async def shown_a_code(rig: Rig, who: Person) -> Steps:
    await rig.show_code(who)
    yield REST


# -- a worker dies while M-Pesa is asked, and the answer comes to nobody


def interrupted(
    name: str,
    point: str,
    *faults: Fault,
    passes: str,
    path: str,
    body: dict[str, str] | None = None,
) -> None:
    async def play(rig: Rig, who: Person) -> Steps:
        for fault, how in faults:
            await rig.fault(fault, "b2c" if body else "stk", who.phone, **how)
        rig.order_death(point)
        if body is None:
            await buy(rig, who)
        else:
            await rig.order(who, path, **body)
        await rig.died_at(point)
        await rig.drained()
        yield REST

    JOURNEYS.append(
        Journey(name, Batch.INTERRUPTED, frozenset((passes,)), play, rich=body is not None)
    )


interrupted("paid meanwhile", COLLECTED, passes="deposit.sending.paid", path="")
interrupted("declined meanwhile", COLLECTED, DECLINED, passes="deposit.sending.declined", path="")
interrupted(
    "another amount meanwhile", COLLECTED, ODD_PAID, passes="deposit.sending.mispaid", path=""
)
interrupted("paid out meanwhile", PAID, passes="withdrawal.sending.paid",
            path="/wallet/withdrawals", body={"amount_kes": OUT})  # fmt: skip
interrupted("not paid meanwhile", PAID, UNPAID, passes="withdrawal.sending.failed",
            path="/wallet/withdrawals", body={"amount_kes": OUT})  # fmt: skip


# -- sent back by two persons


def sent_back(
    name: str,
    *faults: Fault,
    passes: Sequence[str],
    point: str = "",
    ends: bool | None = None,
    late: float = 0,
) -> None:
    """``ends``: two persons say so, ``late`` seconds after; else M-Pesa does."""

    async def play(rig: Rig, who: Person) -> Steps:
        await rig.pay_bill(who, "SHOP RENT", "70")
        yield REST
        for payment in await suspended(rig, who):
            placed = [await rig.fault(fault, "reversal", **how) for fault, how in faults]
            if point:
                rig.order_death(point)
            await rig.act("send_back", payment=payment, refused="state_moved")
            if point:
                await rig.died_at(point)
            await rig.drained()
            await rig.mend(*placed)
        yield late or REST if ends is None or late else 1.0
        if ends is not None:
            for payment in await suspended(rig, who, "returning"):
                await rig.act(
                    "return_ended", payment=payment, went_back=ends, refused="state_moved"
                )

    JOURNEYS.append(Journey(name, Batch.RETURNED, frozenset(passes), play))


BACK_UNPAID: Fault = ("result_fail", {"result_code": "R000002"})
sent_back("sent back", passes=(
    "payment.suspended.returning", "return.created", "return.ordered.claim",
    "return.sending.accepted", "return.sending.done", "return.sent.done",
    "payment.returning.returned", "call.mpesa.return",
))  # fmt: skip
sent_back("kept", BACK_UNPAID, passes=("return.sent.failed", "payment.returning.kept"))
sent_back("sending back deferred", ("http_500", {}), passes=("return.sending.deferred",))
sent_back("sending back refused", ("answer", REFUSED), passes=("return.sending.rejected",))
sent_back("sent back, response lost", LOST, passes=("return.sending.lost", "return.unknown.done"))
sent_back("kept, response lost", LOST, BACK_UNPAID, passes=("return.unknown.failed",))
sent_back("kept meanwhile", BACK_UNPAID, point=SENT_BACK, passes=("return.sending.failed",))
sent_back("seen in the portal", NEVER, ends=True, passes=("return.sent.found",))
sent_back("not in the portal", NEVER, BACK_UNPAID, ends=False, passes=("return.sent.absent",))
sent_back(
    "seen late", NEVER, ends=True, late=1000, passes=("return.sent.lost", "return.unknown.found")
)
sent_back(
    "not seen late", NEVER, BACK_UNPAID, ends=False, late=1000, passes=("return.unknown.absent",)
)


# -- messages


def told(
    name: str, *passes: str, sms: dict[str, Any] | None = None, mail_lost: bool = False,
    again: bool = False,
) -> None:  # fmt: skip
    """A customer is told of a deposit; ``sms``: what the gateway does about it."""

    async def play(rig: Rig, who: Person) -> Steps:
        await rig.sms.put("/sim/faults", json={"next": [sms] if sms else []})
        rig.mail.drop_after_data = mail_lost
        await deposit(rig, who)
        await rig.drained()
        rig.mail.drop_after_data = False
        yield REST
        sql = (
            "SELECT id FROM desk.message WHERE customer_id = $1 AND state IN ('failed', 'unknown')"
        )
        for row in await rig.run(sql, who.id) if again else ():
            await rig.act("message_again", message=str(row["id"]), refused="state_moved")
        yield REST

    JOURNEYS.append(Journey(name, Batch.TOLD, frozenset(passes), play))


told("told", "message.created", "message.queued.claim", "message.sending.accepted",
     "call.sms.send", "call.mail.send")  # fmt: skip
told("told later", "message.sending.deferred", sms={"kind": "recipient", "code": 405})
told("not told", "message.sending.rejected", "message.failed.again", again=True,
     sms={"kind": "recipient", "code": 403})  # fmt: skip
told("perhaps told", "message.sending.lost", "message.unknown.again", again=True,
     sms={"kind": "http", "code": 500, "taken": True})  # fmt: skip
told("told twice", "message.sending.repeated", mail_lost=True)


# -- as after a restore: whatever might have gone out since the copy was made


@journey(
    Batch.RECOVERED, "deposit.requested.recovered", "deposit.sending.recovered",
    "withdrawal.held.recovered", "withdrawal.sending.recovered", "message.queued.recovered",
    "message.sending.recovered", "return.ordered.recovered", "return.sending.recovered",
    rich=True,
)  # fmt: skip
async def restored(rig: Rig, who: Person) -> Steps:
    first, second, third = [await rig.customer("restored") for _ in range(3)]
    for person in (first, second):
        await rig.pay_bill(person, "SHOP RENT", "70")
    yield REST
    for point, person, path in (
        ("call.sms.send:before", first, "/wallet/deposits"),
        ("call.mpesa.collect:before", second, "/wallet/deposits"),
        ("call.mpesa.pay:before", who, "/wallet/withdrawals"),
    ):
        rig.order_death(point)
        await rig.order(person, path, amount_kes=str(next(AMOUNTS)))
        await rig.died_at(point)
        await rig.drained()
    rig.order_death(RETURN_BEFORE)
    for payment in await suspended(rig, first):
        await rig.act("send_back", payment=payment, refused="state_moved")
    await rig.died_at(RETURN_BEFORE)
    await rig.drained()
    rig.may_live.clear()
    rig.order_death("message.queued.claim:leaving")
    await deposit(rig, first)
    await rig.died_at("message.queued.claim:leaving")
    await deposit(rig, third)
    await rig.order(who, "/wallet/withdrawals", amount_kes=OUT)
    for payment in await suspended(rig, second):
        await rig.act("send_back", payment=payment, refused="state_moved")
    await rig.act("recover")
    rig.may_live.set()
    yield REST
    await rig.act("release")
    yield REST
