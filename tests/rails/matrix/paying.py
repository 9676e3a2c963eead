"""Money out: 201 and on. Each customer has a thousand shillings in the wallet."""

from typing import TYPE_CHECKING

from tests.rails.matrix.case import Capability, Lie, Outcome, Rows, Trouble

if TYPE_CHECKING:
    from tests.rails.matrix.trial import Trial

rows = Rows()
PAY, STATUS, STATEMENT = Capability.PAY, Capability.STATUS, Capability.STATEMENT
PAID = Outcome("paid", wallet="-600", purse="600")
FREED = Outcome("failed")
HELD = Outcome("unknown", wallet="-600", held="600")


@rows.row(201, PAID, PAY)
async def paid_and_told_once(trial: "Trial") -> None:
    """Does everything as documented."""
    await trial.pay_out()
    await trial.sees("held", wallet="400")
    await trial.settle()


@rows.row(202, PAID, PAY)
async def told_twice(trial: "Trial") -> None:
    """Sends the same result twice."""
    await trial.asks(PAY, Trouble.TOLD_TWICE)


@rows.row(203, PAID, PAY)
async def told_before_the_response(trial: "Trial") -> None:
    """Pays and tells while the request is still being answered."""
    await trial.asks(PAY, Trouble.TOLD_EARLY)


@rows.row(204, PAID, PAY, STATUS)
async def told_after_asking_found_it(trial: "Trial") -> None:
    """Is asked first and says paid; its own result comes ten minutes later."""
    await trial.asks(PAY, Trouble.TOLD_LATE, delay_s=600)
    await trial.later(seconds=61)
    await trial.sees("paid", wallet="400")
    await trial.later(minutes=11)


@rows.row(205, PAID, PAY, STATUS)
async def never_told(trial: "Trial") -> None:
    """Pays and never tells."""
    await trial.asks(PAY, Trouble.NEVER_TOLD)
    await trial.sees("sent")
    await trial.later(seconds=61)


@rows.row(206, FREED, PAY)
async def not_paid(trial: "Trial") -> None:
    """Takes the request, and tells that it did not pay."""
    await trial.asks(PAY, Trouble.NOT_PAID)


@rows.row(207, FREED, PAY, STATUS)
async def forged_success(trial: "Trial") -> None:
    """Is silent; a stranger with the address says paid. Asked, it says that it did not pay."""
    await trial.asks(PAY, Trouble.NOT_PAID, Trouble.NEVER_TOLD)
    await trial.lie_about_payout(Lie("600"))
    await trial.sees("sent", wallet="400")
    await trial.later(seconds=61)


@rows.row(208, PAID, PAY, STATUS)
async def forged_failure(trial: "Trial") -> None:
    """Pays and is silent; a stranger with the address says not paid. Asked, it says paid."""
    await trial.asks(PAY, Trouble.NEVER_TOLD)
    await trial.lie_about_payout(Lie("600", paid=False))
    await trial.sees("sent", wallet="400")
    await trial.later(seconds=61)


@rows.row(209, PAID, PAY, STATUS)
async def replayed_with_another_body(trial: "Trial") -> None:
    """Told once; then its result comes again with another receipt, and as a failure, which makes it
    a question; asked, it says paid."""
    await trial.asks(PAY)
    await trial.lie_about_payout(Lie("600", trusted=True, receipt="UKZREPLAY3"))
    await trial.sees("paid", wallet="400")
    await trial.lie_about_payout(Lie("600", trusted=True, paid=False))
    await trial.sees("doubted", wallet="400")
    await trial.later(seconds=61)


@rows.row(210, PAID, PAY, STATUS)
async def told_of_another_amount(trial: "Trial") -> None:
    """Its address tells of a payout of another amount: that is no ending; asked, it says paid."""
    await trial.asks(PAY, Trouble.NEVER_TOLD)
    await trial.lie_about_payout(Lie("601", trusted=True))
    await trial.sees("sent", wallet="400")
    await trial.later(seconds=61)


@rows.row(211, PAID, PAY)
async def response_lost_and_told(trial: "Trial") -> None:
    """Takes the request, cuts the line, and tells."""
    await trial.asks(PAY, Trouble.ANSWER_LOST)


@rows.row(212, PAID, PAY, STATUS)
async def response_lost_and_never_told(trial: "Trial") -> None:
    """Takes the request, cuts the line, and never tells."""
    await trial.asks(PAY, Trouble.ANSWER_LOST, Trouble.NEVER_TOLD)
    await trial.sees("unknown", wallet="400")
    await trial.later(seconds=1)


@rows.row(213, HELD, PAY, STATUS)
async def request_lost_on_the_way(trial: "Trial") -> None:
    """Never had the request, and asked knows nothing of it: the money stays held."""
    await trial.asks(PAY, Trouble.REQUEST_LOST)
    await trial.later(minutes=30)
    await trial.later(minutes=30)


@rows.row(214, PAID, PAY, Capability.DEDUP)
async def request_lost_and_sent_again(trial: "Trial") -> None:
    """Never had the request; an operator sends the same bytes again."""
    await trial.asks(PAY, Trouble.REQUEST_LOST)
    await trial.send_again()
    await trial.settle()


@rows.row(215, PAID, PAY, STATUS, Capability.DEDUP)
async def sent_again_is_a_duplicate(trial: "Trial") -> None:
    """Has paid already; the same bytes again it calls a duplicate. Paid once."""
    await trial.asks(PAY, Trouble.ANSWER_LOST, Trouble.NEVER_TOLD)
    await trial.send_again()
    await trial.later(minutes=5)


@rows.row(216, HELD, PAY, STATUS, Capability.DEDUP)
async def sent_again_is_an_internal_error(trial: "Trial") -> None:
    """Never had it; the second sending gets the duplicate's code with the other text."""
    await trial.asks(PAY, Trouble.REQUEST_LOST)
    await trial.trouble(Trouble.REFUSED_BROKEN, PAY)
    await trial.send_again()
    await trial.later(minutes=5)


@rows.row(217, PAID, PAY, STATUS)
async def answered_with_an_internal_error(trial: "Trial") -> None:
    """Takes the request and answers with the duplicate's code and another text."""
    await trial.asks(PAY, Trouble.ANSWER_BROKEN, Trouble.NEVER_TOLD)
    await trial.sees("unknown", wallet="400")
    await trial.later(seconds=1)


@rows.row(218, PAID, PAY, STATUS, Capability.QUEUE)
async def queue_notice_before_the_result(trial: "Trial") -> None:
    """Says first that its queue gave up, then that it paid."""
    await trial.asks(PAY, Trouble.QUEUE_NOTICE, delay_s=90)
    await trial.sees("unknown", wallet="400")
    await trial.later(minutes=2)


@rows.row(219, PAID, PAY, STATUS)
async def message_in_its_other_shape(trial: "Trial") -> None:
    """Sends one object where there is a list, and numbers as text."""
    await trial.asks(PAY, Trouble.ODD_SHAPE)
    await trial.later(seconds=61)


@rows.row(220, PAID, PAY, STATUS)
async def genuine_message_from_a_new_address(trial: "Trial") -> None:
    """Tells from an address that nobody trusts: it is asked."""
    await trial.asks(PAY, Trouble.FROM_AFAR)
    await trial.sees("sent", wallet="400")
    await trial.later(seconds=1)


@rows.row(221, PAID, PAY, STATUS)
async def asking_finds_nothing_at_first(trial: "Trial") -> None:
    """Never tells; asked, it knows nothing of it twice, then says paid."""
    await trial.trouble(Trouble.NEVER_TOLD, PAY)
    await trial.trouble(Trouble.NOT_FOUND, STATUS, count=None)
    await trial.asks(PAY)
    for _ in range(2):
        await trial.later(minutes=5)
        await trial.sees("sent", wallet="400")
    await trial.driver.calm()
    await trial.later(minutes=5)


@rows.row(222, PAID, PAY, STATUS)
async def message_of_another_payout(trial: "Trial") -> None:
    """Its address is told of a payout that is not ours, paid and not paid; asked, it says paid."""
    await trial.asks(PAY, Trouble.NEVER_TOLD)
    for paid in (True, False):
        await trial.lie_about_payout(Lie("600", paid=paid, trusted=True, another=True))
        await trial.sees("sent", wallet="400")
    await trial.later(seconds=61)


@rows.row(223, PAID, PAY, STATUS)
async def called_not_paid_and_paid(trial: "Trial") -> None:
    """Pays; asked, it says not paid, and its own result comes after that. Asked anew, it says
    paid: the shillings that were freed go after it."""
    await trial.trouble(Trouble.CONTRADICTED, STATUS)
    await trial.trouble(Trouble.TOLD_LATE, PAY, delay_s=600)
    await trial.asks(PAY)
    await trial.later(seconds=61)
    await trial.sees("failed", wallet="1000")
    await trial.later(minutes=11)
    await trial.later(seconds=61)


@rows.row(224, Outcome("contradicted"), PAY, STATUS)
async def forged_success_after_not_paid(trial: "Trial") -> None:
    """Did not pay and says so; its address is told of a success. Asked anew, it says not paid."""
    await trial.asks(PAY, Trouble.NOT_PAID)
    await trial.sees("failed", wallet="1000")
    await trial.lie_about_payout(Lie("600", trusted=True, receipt="UKZLATE009"))
    await trial.later(minutes=30)
    await trial.later(minutes=30)


@rows.row(225, FREED, PAY, STATEMENT)
async def called_paid_and_never_made(trial: "Trial") -> None:
    """Did not pay and tells nobody; its address is told of a success from a trusted place, which is
    booked. Its statement lacks the receipt, and two persons give the money back."""
    await _forged_and_booked(trial)
    await trial.later(hours=3)
    assert (await trial.bring_statement()).unlisted == 1
    await trial.sees("doubted", wallet="400")
    await trial.two_call_payout_absent()


@rows.row(226, FREED, PAY, STATUS, STATEMENT)
async def called_paid_by_asking_and_never_made(trial: "Trial") -> None:
    """Did not pay; asked once, it says paid, and asked again, not paid. Its statement lacks it."""
    await trial.trouble(Trouble.CONTRADICTED, STATUS)
    await trial.asks(PAY, Trouble.NOT_PAID, Trouble.NEVER_TOLD)
    await trial.later(seconds=61)
    await trial.sees("paid", wallet="400")
    await trial.later(hours=3)
    assert (await trial.bring_statement()).unlisted == 1
    await trial.later(minutes=30)
    await trial.sees("doubted", wallet="400")
    await trial.two_call_payout_absent()


@rows.row(227, PAID, PAY, STATEMENT)
async def a_statement_has_lost_its_line(trial: "Trial") -> None:
    """Pays and tells; a statement is brought that somebody has cut; then the whole one."""
    await trial.asks(PAY)
    await trial.later(hours=3)
    await trial.bring_statement_without(await trial.receipt())
    await trial.sees("doubted", wallet="400")
    assert (await trial.bring_statement()).unlisted == 0


@rows.row(228, PAID, PAY, STATUS, STATEMENT)
async def given_back_and_paid_after_all(trial: "Trial") -> None:
    """As before; two persons have given the money back. The whole statement opens it again, and
    asked since, it says paid."""
    await trial.asks(PAY)
    await trial.later(hours=3)
    await trial.bring_statement_without(await trial.receipt())
    await trial.two_call_payout_absent()
    await trial.sees("failed", wallet="1000")
    assert (await trial.bring_statement()).doubted
    await trial.sees("contradicted", wallet="1000")
    await trial.later(seconds=61)


@rows.row(229, FREED, PAY, STATUS, STATEMENT)
async def told_again_after_it_was_given_back(trial: "Trial") -> None:
    """As 225; then the success is told again: its word was weighed and moves nothing."""
    await _forged_and_booked(trial)
    await trial.later(hours=3)
    await trial.bring_statement()
    await trial.two_call_payout_absent()
    await trial.lie_about_payout(Lie("600", trusted=True, receipt="UKZNEVER01"))
    await trial.later(minutes=30)


@rows.row(230, Outcome("doubted", wallet="-600", purse="600"), PAY, STATUS)
async def booked_as_paid_and_called_not_paid(trial: "Trial") -> None:
    """Pays and tells; then tells that it did not, and asked, knows nothing of it: a question, and
    nothing moves."""
    await trial.asks(PAY)
    await trial.trouble(Trouble.NOT_FOUND, STATUS, count=None)
    await trial.lie_about_payout(Lie("600", trusted=True, paid=False))
    await trial.later(minutes=30)
    await trial.later(minutes=30)


@rows.row(231, PAID, PAY, STATUS)
async def told_under_the_receipt_of_another(trial: "Trial") -> None:
    """Has paid 50 before; its address is told that the 600 were paid under that receipt, from a
    trusted place. Asked, it says paid, under the right one."""
    await trial.asks(PAY, shillings="50")
    older = await trial.receipt()
    await trial.restart()
    await trial.asks(PAY, Trouble.NEVER_TOLD)
    await trial.lie_about_payout(Lie("600", trusted=True, receipt=older))
    await trial.sees("sent", wallet="350")
    await trial.later(seconds=61)
    assert await trial.receipt() != older


async def _forged_and_booked(trial: "Trial") -> None:
    await trial.asks(PAY, Trouble.NOT_PAID, Trouble.NEVER_TOLD)
    await trial.lie_about_payout(Lie("600", trusted=True, receipt="UKZNEVER01"))
    await trial.sees("paid", wallet="400")
