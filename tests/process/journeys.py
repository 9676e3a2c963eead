"""Every way a trade can go that real processes, one simulated M-Pesa and moved clocks can play.

A journey is a generator: it does something, then yields how many seconds must pass, and nothing
(`REST`) where all must have come to rest before it goes on. Journeys of one batch go on side by
side, in step. Each names the transitions that it is played for; it must bear being led astray,
since whoever works on it may be killed anywhere.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import Any

from hazina.infra.points import HALT
from tests.process.rig import LOOK_S, Person, Rig

REST = 0.0
MINUTE, HOUR = 60.0, 3600.0
ODD, SOLD, OUT = "999", "0.05", "600"
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
SENT = "SELECT count(*) FROM receipts.return_order WHERE state = 'sent' AND receipt = ANY($1)"
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
NOT_BACK: dict[str, Any] = {"result_code": "R000002"}
LOST: Fault = ("drop_after_accept", {})
NEVER: Fault = ("callback_never", {})
ODD_PAID: Fault = ("wrong_amount", {"amount": ODD})
DECLINED: Fault = ("cancel", {})

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


BACK_UNPAID: Fault = ("result_fail", NOT_BACK)
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


# -- an hour in which M-Pesa cannot be asked


@journey(
    Batch.AGED, "deposit.prompted.lost", "deposit.unknown.confirmed", "call.mpesa.token",
    "call.mpesa.balance",
)  # fmt: skip
async def asked_in_vain_for_an_hour(rig: Rig, who: Person) -> Steps:
    await rig.fault("callback_never", "stk", who.phone)
    deaf = await rig.fault("http_500", "query", count=None)
    await buy(rig, who)
    yield 1.1 * HOUR
    await rig.mend(deaf)
    yield REST


@journey(Batch.AGED, "return.unknown.accepted")
async def back_after_its_lease(rig: Rig, who: Person) -> Steps:
    """A worker stood still while M-Pesa answered, and another has given its order up for lost."""
    await rig.pay_bill(who, "SHOP RENT", "70")
    yield REST
    for payment in await suspended(rig, who):
        await rig.fault("callback_never", "reversal")
        rig.order_death(SENT_BACK, HALT)
        await rig.act("send_back", payment=payment, refused="state_moved")
        await rig.died_at(SENT_BACK)
        woken = await rig.overtaken()
        while not woken.ended.is_set() and await rig.one(SENT, who.receipts) == 0:
            rig.check_tending()
            await asyncio.sleep(LOOK_S)
    for payment in await suspended(rig, who, "returning"):
        await rig.act("return_ended", payment=payment, went_back=True, refused="state_moved")


def dismissed(name: str, *passes: str, pay: Callable[[Rig, Person], Any]) -> None:
    """M-Pesa denies it twice and its list lacks it; then the list has it."""

    async def play(rig: Rig, who: Person) -> Steps:
        faults = [await rig.fault("not_found", "status", count=None),
                  await rig.fault("pull_empty", "pull", count=None)]  # fmt: skip
        await pay(rig, who)
        for seconds in (100.0, 100.0, 3800.0, 700.0):
            yield seconds
        await rig.mend(*faults)
        yield MINUTE
        yield REST

    JOURNEYS.append(Journey(name, Batch.AGED, frozenset(passes), play))


async def _to_their_account(rig: Rig, who: Person) -> None:
    await rig.pay_bill(who, await rig.account(who), "70")


async def _to_nobody(rig: Rig, who: Person) -> None:
    await rig.pay_bill(who, "SHOP RENT", "70")


async def _to_a_prompt(rig: Rig, who: Person) -> None:
    await rig.fault("callback_never", "stk", who.phone)
    await rig.fault("stk_and_c2b", "stk", who.phone)
    await buy(rig, who)


dismissed(
    "denied", "payment.incoming.dismissed", "payment.dismissed.credited", pay=_to_their_account
)
dismissed("nobody's, denied", "payment.dismissed.suspended", pay=_to_nobody)
dismissed("a prompt's, denied", "payment.dismissed.bound", pay=_to_a_prompt)


# -- M-Pesa says "failed" of what was paid, and tells late that it was


def contradicted(name: str, *faults: Fault, passes: Sequence[str], gold_gone: bool = False) -> None:
    batch = Batch.SOLD_OUT if gold_gone else Batch.CONTRADICTED

    async def play(rig: Rig, who: Person) -> Steps:
        for fault, how in (("callback_late", {"delay_s": 3000}), *faults):
            await rig.fault(fault, "stk", who.phone, **how)
        lying = [await rig.fault("query_contradicts", "query", count=None),
                 await rig.fault("pull_empty", "pull", count=None)]  # fmt: skip
        await buy(rig, who)
        yield MINUTE
        await rig.mend(*lying)
        if gold_gone:
            await rig.act("empty_lots", username=who.username)
        yield 3000.0
        yield REST
        if gold_gone:
            await rig.act("stock_lots")

    JOURNEYS.append(Journey(name, batch, frozenset(passes), play))


contradicted("failed, and paid", passes=("deposit.failed.paid", "trade.cancelled.booked"))
contradicted("failed, and paid otherwise", ODD_PAID, passes=("deposit.failed.mispaid",))
contradicted("paid when sold out", passes=("trade.cancelled.gold_gone",), gold_gone=True)


@journey(
    Batch.CONTRADICTED, "withdrawal.failed.told_paid", "withdrawal.contradicted.paid_late",
    rich=True,
)  # fmt: skip
async def called_declined_and_paid(rig: Rig, who: Person) -> Steps:
    await rig.fault("callback_late", "b2c", who.phone, delay_s=3000)
    lying = await rig.fault("query_contradicts", "status", count=None)
    await rig.order(who, "/wallet/withdrawals", amount_kes=OUT)
    yield MINUTE
    await rig.mend(lying)
    yield 3000.0
    yield REST


@journey(Batch.CONTRADICTED, "deposit.confirmed.mispaid")
async def closed_before_the_receipt(rig: Rig, _who: Person) -> Steps:
    """More than M-Pesa's bare word is good for is not credited before its receipt comes."""
    who = await rig.customer("closed")
    await rig.fault("callback_late", "stk", who.phone, delay_s=3000)
    empty = await rig.fault("pull_empty", "pull", count=None)
    await rig.order(who, "/wallet/deposits", amount_kes="60000")
    yield 2 * MINUTE
    await rig.act("close", username=who.username)
    await rig.mend(empty)
    yield 3000.0
    yield REST


# -- M-Pesa takes a payment back by itself


def taken_back(
    name: str, *passes: str, account: str = "", spends: str = "", then: Sequence[str] = (),
    written_off: bool = False, prompt: bool = False,
) -> None:  # fmt: skip
    """``then``: what is paid in afterwards, one after the other."""

    async def play(rig: Rig, who: Person) -> Steps:
        before = set(await receipts(rig, who))
        if prompt:
            await _to_a_prompt(rig, who)
        else:
            await rig.pay_bill(who, account or await rig.account(who), "1000")
        yield REST
        paid = set(await receipts(rig, who)) - before
        if spends:
            await rig.order(who, "/wallet/withdrawals", amount_kes=spends)
            yield REST
        for receipt in paid:
            await rig.take_back(receipt)
        yield MINUTE
        await rig.statement()
        yield REST
        for amount in then:
            await rig.pay_bill(who, await rig.account(who), amount)
            yield REST
        for row in await rig.run(
            "SELECT id FROM desk.debt WHERE customer_id = $1 AND state = 'open'", who.id
        ):
            if written_off:
                await rig.act("write_off", debt=str(row["id"]), refused="state_moved")

    JOURNEYS.append(Journey(name, Batch.TAKEN_BACK, frozenset(passes), play))


taken_back("repaid", "reversal.created", "reversal.claimed.booked", "payment.credited.reversed",
           "debt.created", "debt.open.part_repaid", "debt.open.repaid",
           spends=OUT, then=("100", "900"))  # fmt: skip
taken_back("written off", "debt.open.written_off", spends=OUT, written_off=True)
taken_back("nobody's, taken back", "payment.suspended.reversed", account="SHOP RENT")
taken_back("a prompt's, taken back", "payment.bound.reversed", "deposit.paid.taken_back",
           prompt=True, written_off=True)  # fmt: skip


@journey(Batch.TAKEN_BACK, "trade.requested.booking_refused", "trade.releasing.released")
async def owing_while_buying(rig: Rig, who: Person) -> Steps:
    """What is paid for the gold repays a debt first, and the rest is too little for the gold."""
    receipt = await rig.pay_bill(who, await rig.account(who), "1000")
    yield REST
    await rig.handset(who, auto="none")
    await rig.order(who, "/wallet/withdrawals", amount_kes="900")
    yield REST
    await rig.take_back(receipt)
    await buy(rig, who)
    await rig.drained()
    await rig.statement()
    await rig.drained()
    await rig.handset(who, auto="pay")
    yield REST


# -- two days later


@journey(Batch.ABSENT, "deposit.unknown.absent")
async def prompt_that_never_was(rig: Rig, who: Person) -> Steps:
    await rig.fault("drop_before_accept", "stk", who.phone)
    await buy(rig, who)
    yield REST
    yield 49 * HOUR
    sql = "SELECT id FROM deposits.deposit WHERE customer_id = $1 AND state = 'unknown'"
    for row in await rig.run(sql, who.id):
        await rig.act("prompt_absent", deposit=str(row["id"]), refused="prompt_may_be_paid")


@journey(Batch.ABSENT, "withdrawal.unknown.absent", rich=True)
async def payout_that_never_was(rig: Rig, who: Person) -> Steps:
    await rig.fault("drop_before_accept", "b2c", who.phone)
    await rig.order(who, "/wallet/withdrawals", amount_kes=str(next(AMOUNTS)))
    yield REST
    yield 49 * HOUR
    await rig.statement()
    sql = "SELECT id FROM withdrawals.withdrawal WHERE customer_id = $1 AND state = 'unknown'"
    for row in await rig.run(sql, who.id):
        await rig.act("payout_absent", withdrawal=str(row["id"]), refused="not_proven_absent")


@journey(Batch.ABSENT, "deposit.confirmed.absent")
async def called_paid_and_never_was(rig: Rig, who: Person) -> Steps:
    for fault in ("cancel", "callback_never"):
        await rig.fault(fault, "stk", who.phone)
    lying = await rig.fault("query_contradicts", "query", count=None)
    await buy(rig, who)
    yield MINUTE
    await rig.mend(lying)
    yield 49 * HOUR
    await rig.statement()
    sql = "SELECT id FROM deposits.deposit WHERE customer_id = $1 AND state = 'confirmed'"
    for row in await rig.run(sql, who.id):
        await rig.act("prompt_absent", deposit=str(row["id"]), refused="prompt_may_be_paid")


@journey(Batch.ABSENT, "withdrawal.contradicted.absent", rich=True)
async def forged_after_the_end(rig: Rig, who: Person) -> Steps:
    await rig.fault("b2c_fail", "b2c", who.phone, result_code="2040")
    amount = str(next(AMOUNTS))
    await rig.order(who, "/wallet/withdrawals", amount_kes=amount)
    yield REST
    sql = (
        "SELECT id, token FROM withdrawals.withdrawal"
        " WHERE customer_id = $1 AND state = $2 AND amount = $3::numeric * 100"
    )
    for row in await rig.run(sql, who.id, "failed", amount):
        forged = success(row["id"], amount)
        answer = await rig.api.post(f"/hooks/{row['token']}/r", json=forged)
        assert answer.status_code == 200, answer.text
    yield 3 * HOUR
    await rig.statement()
    for row in await rig.run(sql, who.id, "contradicted", amount):
        await rig.act("payout_absent", withdrawal=str(row["id"]), refused="not_proven_absent")


def success(payout: object, amount: str) -> dict[str, Any]:
    """A result in Daraja's shape, of a payout that was never made."""
    receipt = f"UKZNEVER{amount}"
    told = [
        {"Key": "TransactionAmount", "Value": int(amount)},
        {"Key": "TransactionReceipt", "Value": receipt},
    ]
    return {
        "Result": {
            "ResultType": 0,
            "ResultCode": 0,
            "ResultDesc": "The service request is processed successfully.",
            "OriginatorConversationID": str(payout),
            "ConversationID": "AG_never",
            "TransactionID": receipt,
            "ResultParameters": {"ResultParameter": told},
        }
    }


def booked_unpaid(name: str, *passes: str, whole: bool) -> None:
    """M-Pesa did not pay, and somebody with its address told it paid; or it paid, and told
    afterwards that it did not. The statement of the time lacks the one and has the other."""

    async def play(rig: Rig, who: Person) -> Steps:
        faults = [] if whole else [UNPAID, NEVER]
        for fault, how in faults:
            await rig.fault(fault, "b2c", who.phone, **how)
        deaf = await rig.fault("callback_never", "status", count=None)
        amount = str(next(AMOUNTS))
        await rig.order(who, "/wallet/withdrawals", amount_kes=amount)
        await rig.drained()
        sql = (
            "SELECT id, token FROM withdrawals.withdrawal"
            " WHERE customer_id = $1 AND state = ANY($2) AND amount = $3::numeric * 100"
        )
        for row in await rig.run(sql, who.id, ["paid"] if whole else ["sent", "unknown"], amount):
            forged = success(row["id"], amount)
            if whole:
                forged["Result"] |= {"ResultCode": 2040, "ResultParameters": {}}
            answer = await rig.api.post(f"/hooks/{row['token']}/r", json=forged)
            assert answer.status_code == 200, answer.text
        await rig.drained()
        yield 3 * HOUR
        await rig.statement()
        for row in await rig.run(sql, who.id, ["doubted"], amount):
            await rig.act("payout_absent", withdrawal=str(row["id"]), refused="not_proven_absent")
        await rig.mend(deaf)
        yield REST

    JOURNEYS.append(Journey(name, Batch.DOUBTED, frozenset(passes), play, rich=True))


booked_unpaid(
    "booked and never made", "withdrawal.paid.unlisted", "withdrawal.doubted.given_back",
    whole=False,
)  # fmt: skip
booked_unpaid(
    "booked and in the statement", "withdrawal.paid.told_failed", "withdrawal.doubted.listed",
    whole=True,
)  # fmt: skip


@journey(Batch.CONTRADICTED, "withdrawal.doubted.told_paid", rich=True)
async def called_not_paid_and_paid_again(rig: Rig, who: Person) -> Steps:
    amount = str(next(AMOUNTS))
    await rig.order(who, "/wallet/withdrawals", amount_kes=amount)
    yield REST
    sql = (
        "SELECT id, token FROM withdrawals.withdrawal"
        " WHERE customer_id = $1 AND state = 'paid' AND amount = $2::numeric * 100"
    )
    for row in await rig.run(sql, who.id, amount):
        forged = success(row["id"], amount)
        forged["Result"] |= {"ResultCode": 2040, "ResultParameters": {}}
        answer = await rig.api.post(f"/hooks/{row['token']}/r", json=forged)
        assert answer.status_code == 200, answer.text
    yield MINUTE
    yield REST


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


async def deposit(rig: Rig, who: Person) -> None:
    await rig.order(who, "/wallet/deposits", amount_kes=str(next(AMOUNTS)))


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


# -- what is seen of them


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
