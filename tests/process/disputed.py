"""Journeys in which M-Pesa keeps silent for long, contradicts itself or its statement, or takes
back what was paid; people and its statement decide.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hazina.infra.points import HALT
from tests.journeys.paying import payout_result
from tests.process.answered import SENT_BACK
from tests.process.journey import (
    AMOUNTS,
    HOUR,
    JOURNEYS,
    MINUTE,
    NEVER,
    ODD_PAID,
    OUT,
    REST,
    UNPAID,
    Batch,
    Fault,
    Journey,
    Steps,
    buy,
    journey,
    receipts,
    suspended,
)
from tests.process.rig import LOOK_S, Person, Rig

SENT = "SELECT count(*) FROM receipts.return_order WHERE state = 'sent' AND receipt = ANY($1)"


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
        forged = payout_result(row["id"], f"UKZNEVER{amount}", amount)
        answer = await rig.api.post(f"/hooks/{row['token']}/r", json=forged)
        assert answer.status_code == 200, answer.text
    yield 3 * HOUR
    await rig.statement()
    for row in await rig.run(sql, who.id, "contradicted", amount):
        await rig.act("payout_absent", withdrawal=str(row["id"]), refused="not_proven_absent")


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
            forged = payout_result(row["id"], f"UKZNEVER{amount}", amount, paid=not whole)
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
        forged = payout_result(row["id"], f"UKZNEVER{amount}", amount, paid=False)
        answer = await rig.api.post(f"/hooks/{row['token']}/r", json=forged)
        assert answer.status_code == 200, answer.text
    yield MINUTE
    yield REST
