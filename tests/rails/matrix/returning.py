"""Money that goes back to who paid it: taken by the outside itself (501 and on), or sent (521)."""

from typing import TYPE_CHECKING

from tests.rails.matrix.case import Capability, Outcome, Rows, Trouble

if TYPE_CHECKING:
    from tests.rails.matrix.trial import Trial

rows = Rows()
COLLECT, PAY, LISTEN, PROOF = (
    Capability.COLLECT,
    Capability.PAY,
    Capability.LISTEN,
    Capability.PROOF,
)
REVERSE, TAKE, STATEMENT = Capability.REVERSE, Capability.TAKE, Capability.STATEMENT
SPENT = (COLLECT, PAY, TAKE, STATEMENT)  # each begins with a thousand that were paid in
NOBODYS = (LISTEN, PROOF, REVERSE)
WENT, STAYED = Outcome("returned"), Outcome("suspended", purse="-750", suspense="750")


@rows.row(501, Outcome("taken_back"), COLLECT, TAKE, STATEMENT)
async def taken_back_while_it_is_there(trial: "Trial") -> None:
    """Takes back what was paid on a prompt, and tells nobody: its statement shows it."""
    await trial.asks(COLLECT)
    await trial.is_taken_back(await trial.receipt())


@rows.row(502, Outcome("taken_back", wallet="-1000", purse="1600", owed="600"), *SPENT)
async def taken_back_after_some_was_spent(trial: "Trial") -> None:
    """Takes back 1000 of which 600 were paid out: what is there goes, the rest is owed."""
    await _spent_and_taken_back(trial)


@rows.row(503, Outcome("credited", wallet="-850", purse="850"), *SPENT, LISTEN, PROOF)
async def a_debt_is_repaid_by_the_next_credit(trial: "Trial") -> None:
    """As before; then 750 come in, of which 600 repay."""
    await _spent_and_taken_back(trial)
    await trial.pay_bill()


@rows.row(504, Outcome("taken_back", wallet="-1000", purse="1000"), *SPENT)
async def a_debt_is_repaid_by_a_payout_that_fails(trial: "Trial") -> None:
    """Takes 1000 back while it is asked to pay 600 of them out, and then does not pay."""
    paid_in, receipt = trial.subject, await trial.receipt()
    await trial.asks(PAY, Trouble.NOT_PAID, Trouble.TOLD_LATE, delay_s=600)
    await trial.is_taken_back(receipt)
    assert await trial.owed() == 600
    await trial.later(minutes=11)
    await trial.later(seconds=5)
    trial.subject = paid_in


@rows.row(505, Outcome("taken_back", wallet="-1000", purse="1600"), *SPENT)
async def a_debt_that_two_persons_give_up(trial: "Trial") -> None:
    """As 502; two persons give up what is owed, and the house bears it."""
    await _spent_and_taken_back(trial)
    await trial.two_give_up_the_debt()


@rows.row(506, Outcome("reversed"), LISTEN, PROOF, TAKE, STATEMENT)
async def taken_back_what_came_unasked(trial: "Trial") -> None:
    """Takes back a payment that came unasked and was somebody's."""
    await trial.is_taken_back(await trial.pay_bill())


@rows.row(507, Outcome("returned"), LISTEN, PROOF, TAKE, STATEMENT)
async def taken_back_out_of_suspense(trial: "Trial") -> None:
    """Takes back a payment that was nobody's."""
    await trial.is_taken_back(await trial.pay_bill("SHOP RENT"))


@rows.row(508, Outcome("taken_back"), COLLECT, TAKE, STATEMENT)
async def taken_back_and_shown_twice(trial: "Trial") -> None:
    """Its statement is brought twice, and once more a day later."""
    await trial.asks(COLLECT)
    await trial.is_taken_back(await trial.receipt())
    for hours in (0, 24):
        await trial.later(hours=hours)
        assert (await trial.bring_statement()).returns == ()


@rows.row(509, Outcome("taken_back"), COLLECT, PROOF, TAKE, STATEMENT)
async def taken_back_and_silent_when_asked(trial: "Trial") -> None:
    """Takes it back, and does not answer the first question about it: a statement is a claim."""
    await trial.asks(COLLECT)
    await trial.trouble(Trouble.NEVER_TOLD, PROOF)
    await trial.is_taken_back(await trial.receipt())
    await trial.sees("paid", wallet="500")
    await trial.later(minutes=2)


@rows.row(510, Outcome("credited", wallet="250", purse="-250"), LISTEN, PROOF, TAKE, STATEMENT)
async def a_statement_that_somebody_has_changed(trial: "Trial") -> None:
    """Takes 500 back; a statement is brought that says it was the other payment, of 750; asked, it
    tells otherwise, so that nothing goes; then the true one is brought."""
    genuine = await trial.pay_bill(amount="500")
    await trial.restart()
    receipt = await trial.pay_bill()
    await trial.driver.take_back(genuine)
    await trial.bring_statement(
        lambda body: trial.driver.forged_return(body, genuine, receipt, "750.00")
    )
    await trial.later(minutes=2)
    await trial.sees("credited", wallet="1250")
    assert genuine in (await trial.bring_statement()).returns


@rows.row(511, Outcome("taken_back"), COLLECT, PROOF, TAKE, STATEMENT)
async def taken_back_and_told_in_another_shape(trial: "Trial") -> None:
    """Takes it back; asked, its first answer says completed and nothing else: it is asked again."""
    await trial.asks(COLLECT)
    await trial.trouble(Trouble.ODD_SHAPE, PROOF)
    await trial.is_taken_back(await trial.receipt())
    await trial.sees("paid", wallet="500")
    await trial.later(minutes=2)


@rows.row(521, WENT, *NOBODYS)
async def sent_back_and_told_once(trial: "Trial") -> None:
    """Does everything as documented."""
    await _sends_back(trial)


@rows.row(522, WENT, *NOBODYS)
async def sent_back_and_told_twice(trial: "Trial") -> None:
    """Sends the same result twice."""
    await _sends_back(trial, Trouble.TOLD_TWICE)


@rows.row(523, STAYED, *NOBODYS)
async def not_sent_back(trial: "Trial") -> None:
    """Takes the order, and tells that it did not send it back: it waits for a person again."""
    await _sends_back(trial, Trouble.NOT_REVERSED)


@rows.row(524, WENT, *NOBODYS, Capability.QUEUE)
async def queue_notice_before_it_went_back(trial: "Trial") -> None:
    """Says first that its queue gave up, then that it sent it back."""
    await _is_left_open(trial, Trouble.QUEUE_NOTICE, delay_s=90)
    await trial.later(minutes=2)


@rows.row(525, WENT, *NOBODYS, STATEMENT)
async def sent_back_and_never_told(trial: "Trial") -> None:
    """Sends it back and never tells: its statement shows it."""
    await _is_left_open(trial, Trouble.NEVER_TOLD)
    await trial.bring_statement()


@rows.row(526, WENT, *NOBODYS)
async def sent_back_and_two_persons_say_so(trial: "Trial") -> None:
    """Takes the order, cuts the line, never tells: two persons have seen that it went back."""
    await trial.trouble(Trouble.NEVER_TOLD, REVERSE)
    await _is_left_open(trial, Trouble.ANSWER_LOST)
    await trial.two_say(went_back=True)


@rows.row(527, STAYED, *NOBODYS)
async def the_order_was_lost_and_two_persons_say_so(trial: "Trial") -> None:
    """Never had the order: two persons have seen that nothing went back."""
    await _is_left_open(trial, Trouble.REQUEST_LOST)
    await trial.two_say(went_back=False)


@rows.row(528, Outcome("reversed"), *NOBODYS)
async def sent_back_after_it_was_called_kept(trial: "Trial") -> None:
    """Tells late that it sent it back; meanwhile it was called kept, and given to somebody."""
    await _sends_back(trial, Trouble.TOLD_LATE, delay_s=3600)
    await trial.later(minutes=16)
    await trial.two_say(went_back=False)
    await trial.two_give_it()
    await trial.sees("credited", wallet="750")
    await trial.later(hours=1)


@rows.row(529, WENT, *NOBODYS, STATEMENT)
async def sent_back_and_told_from_a_new_address(trial: "Trial") -> None:
    """Tells from an address that nobody trusts: its statement decides."""
    await _is_left_open(trial, Trouble.FROM_AFAR)
    await trial.bring_statement()


@rows.row(530, WENT, *NOBODYS, Capability.GATE)
async def sent_back_at_the_second_try(trial: "Trial") -> None:
    """Refuses the order for the rate, and takes it later."""
    await _is_left_open(trial, Trouble.BUSY)
    await trial.later(minutes=2)


@rows.row(531, Outcome("failed"), COLLECT, REVERSE, Capability.PULL)
async def another_amount_is_sent_back(trial: "Trial") -> None:
    """Lets one shilling less be paid than was asked; two persons have it sent back."""
    await trial.asks(COLLECT, Trouble.OTHER_AMOUNT, amount="499")
    asked, receipt = trial.subject, await trial.receipt()
    await trial.later(minutes=14)
    await trial.read_list()
    await trial.watch_payment(receipt)
    await trial.send_back()
    trial.subject = asked


async def _spent_and_taken_back(trial: "Trial") -> None:
    """Of the thousand that were paid in 600 are paid out; then the outside takes it all back."""
    paid_in, receipt = trial.subject, await trial.receipt()
    await trial.asks(PAY)
    await trial.is_taken_back(receipt)
    assert await trial.owed() == 600
    trial.subject = paid_in


async def _sends_back(trial: "Trial", trouble: Trouble | None = None, **how: object) -> None:
    """Somebody pays to nobody's account, and two persons have it sent back."""
    await trial.pay_bill("SHOP RENT")
    if trouble is not None:
        await trial.trouble(trouble, REVERSE, **how)
    await trial.send_back()


async def _is_left_open(trial: "Trial", trouble: Trouble, **how: object) -> None:
    """The order was given, and nobody knows how it ended."""
    await _sends_back(trial, trouble, **how)
    await trial.sees("returning")
