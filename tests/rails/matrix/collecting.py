"""Money in that we asked for: 101 and on."""

from typing import TYPE_CHECKING

from tests.rails.matrix.case import Capability, Lie, Outcome, Rows, Trouble

if TYPE_CHECKING:
    from tests.rails.matrix.trial import Trial

rows = Rows()
COLLECT, QUERY, PULL = Capability.COLLECT, Capability.QUERY, Capability.PULL
PAID = Outcome("paid", wallet="500", purse="-500")
NOT_PAID = Outcome("failed")


@rows.row(101, PAID, COLLECT)
async def paid_and_told_once(trial: "Trial") -> None:
    """Does everything as documented."""
    await trial.asks(COLLECT)


@rows.row(102, PAID, COLLECT)
async def told_twice(trial: "Trial") -> None:
    """Sends the same message twice."""
    await trial.asks(COLLECT, Trouble.TOLD_TWICE)


@rows.row(103, PAID, COLLECT, QUERY)
async def told_before_the_response(trial: "Trial") -> None:
    """Tells that it was paid while the request is still being answered."""
    await trial.asks(COLLECT, Trouble.TOLD_EARLY)
    await trial.later(minutes=3)


@rows.row(104, PAID, COLLECT, QUERY)
async def told_after_asking_found_it(trial: "Trial") -> None:
    """Is asked first and says paid, without a receipt; the message comes two minutes later."""
    await trial.asks(COLLECT, Trouble.TOLD_LATE, delay_s=120)
    await trial.later(seconds=21)
    await trial.sees("confirmed", wallet="500")
    await trial.later(minutes=3)


@rows.row(105, PAID, COLLECT, QUERY, PULL)
async def never_told(trial: "Trial") -> None:
    """Never tells; asked, it says paid; its list has the receipt."""
    await trial.asks(COLLECT, Trouble.NEVER_TOLD)
    await trial.sees("prompted", wallet="0")
    await trial.later(seconds=21)
    await trial.sees("confirmed", wallet="500")
    await trial.read_list()


@rows.row(106, Outcome("paid", wallet="60000", purse="-60000"), COLLECT, QUERY, PULL)
async def never_told_of_more_than_its_bare_word_is_good_for(trial: "Trial") -> None:
    """As before, with more money than is credited without a receipt."""
    await trial.asks(COLLECT, Trouble.NEVER_TOLD, shillings="60000")
    await trial.later(seconds=21)
    await trial.sees("confirmed", wallet="0")
    await trial.read_list()


@rows.row(107, NOT_PAID, COLLECT)
async def declined_on_the_phone(trial: "Trial") -> None:
    """Tells that the payer declined."""
    await trial.asks(COLLECT, rings=True)
    await trial.answers(pay=False)


@rows.row(108, NOT_PAID, COLLECT)
async def unanswered(trial: "Trial") -> None:
    """Tells, when its prompt has expired, that nobody answered."""
    await trial.asks(COLLECT, Trouble.UNANSWERED)
    await trial.later(minutes=2)


@rows.row(109, Outcome("suspended", purse="-499", suspense="499"), COLLECT)
async def another_amount_is_paid(trial: "Trial") -> None:
    """Lets one shilling less be paid, and says so."""
    await trial.asks(COLLECT, Trouble.OTHER_AMOUNT, amount="499")


@rows.row(110, PAID, COLLECT)
async def another_phone_is_told(trial: "Trial") -> None:
    """Names a phone that was not asked: our id, the amount and the receipt decide."""
    await trial.asks(COLLECT, Trouble.OTHER_PHONE)


@rows.row(111, NOT_PAID, COLLECT, QUERY)
async def forged_success(trial: "Trial") -> None:
    """Is silent; a stranger who knows address, id and amount says paid. The payer then declines."""
    await trial.asks(COLLECT, rings=True)
    await trial.lie_about_collection(Lie("500"))
    await trial.sees("prompted", wallet="0")
    await trial.answers(pay=False)


@rows.row(112, PAID, COLLECT, QUERY)
async def forged_failure(trial: "Trial") -> None:
    """Is silent; a stranger who knows address and id says declined. The payer then pays."""
    await trial.asks(COLLECT, rings=True)
    await trial.lie_about_collection(Lie("500", paid=False))
    await trial.sees("prompted")
    await trial.answers()


@rows.row(113, PAID, COLLECT)
async def replayed_with_another_body(trial: "Trial") -> None:
    """Told once; then the message comes again with more money, another receipt, a failure."""
    await trial.asks(COLLECT)
    for lie in (
        Lie("90000", trusted=True, receipt="UKZREPLAY1"),
        Lie("500", trusted=True, receipt="UKZREPLAY2"),
        Lie("500", trusted=True, paid=False),
    ):
        await trial.lie_about_collection(lie)


@rows.row(114, PAID, COLLECT, QUERY)
async def asking_contradicts_and_the_message_is_in_time(trial: "Trial") -> None:
    """Asked, it says not paid of what was paid; its message comes within the prompt's window."""
    await trial.trouble(Trouble.TOLD_LATE, COLLECT, delay_s=120)
    await trial.trouble(Trouble.CONTRADICTED, QUERY, count=None)
    await trial.asks(COLLECT)
    await trial.later(seconds=30)
    await trial.sees("prompted")
    await trial.later(minutes=3)


@rows.row(115, PAID, COLLECT, QUERY)
async def asking_contradicts_and_the_message_comes_after_the_end(trial: "Trial") -> None:
    """Asked, it says not paid of what was paid, beyond the window; the message comes later."""
    await trial.trouble(Trouble.TOLD_LATE, COLLECT, delay_s=900)
    await trial.trouble(Trouble.CONTRADICTED, QUERY, count=None)
    await trial.asks(COLLECT)
    await trial.later(minutes=6)
    await trial.sees("failed", wallet="0")
    await trial.later(minutes=10)


@rows.row(116, PAID, COLLECT, QUERY)
async def response_lost_and_told(trial: "Trial") -> None:
    """Takes the request, cuts the line, and tells."""
    await trial.asks(COLLECT, Trouble.ANSWER_LOST, rings=True)
    await trial.sees("unknown", wallet="0")
    await trial.answers()


@rows.row(117, PAID, COLLECT, PULL)
async def response_lost_and_never_told(trial: "Trial") -> None:
    """Takes the request, cuts the line, never tells: its list has our reference."""
    await trial.asks(COLLECT, Trouble.ANSWER_LOST, Trouble.NEVER_TOLD)
    await trial.sees("unknown", wallet="0")
    await trial.later(minutes=14)
    await trial.read_list()


@rows.row(118, Outcome("unknown"), COLLECT)
async def request_lost_on_the_way(trial: "Trial") -> None:
    """Never had the request; nothing that can be asked proves it, so it waits, by name."""
    await trial.asks(COLLECT, Trouble.REQUEST_LOST)
    await trial.later(minutes=30)


@rows.row(119, PAID, COLLECT, QUERY)
async def same_receipt_twice(trial: "Trial") -> None:
    """Somebody says paid with the receipt of an older payment; the genuine message follows."""
    await trial.asks(COLLECT, shillings="300")
    await trial.restart()
    await trial.asks(COLLECT, Trouble.OLD_RECEIPT, rings=True)
    await trial.settle()
    await trial.sees("prompted", wallet="300")
    await trial.answers()


@rows.row(120, PAID, COLLECT, Capability.SHARED)
async def told_as_a_prompt_and_as_a_payment(trial: "Trial") -> None:
    """Tells of one payment twice: as the prompt's, and as one that came unasked."""
    await trial.asks(COLLECT, Trouble.TOLD_AS_NOTICE)


@rows.row(121, PAID, COLLECT, QUERY, Capability.SHARED)
async def told_only_as_a_payment(trial: "Trial") -> None:
    """Never tells of the prompt, but of a payment with its reference."""
    await trial.asks(COLLECT, Trouble.TOLD_AS_NOTICE, Trouble.NEVER_TOLD)


@rows.row(122, PAID, COLLECT, QUERY)
async def answered_with_nonsense(trial: "Trial") -> None:
    """Takes the request and answers success without any id; it tells later."""
    await trial.asks(COLLECT, Trouble.ANSWER_NONSENSE, rings=True)
    await trial.sees("unknown")
    await trial.answers()


@rows.row(123, PAID, COLLECT, QUERY)
async def answered_with_an_internal_error(trial: "Trial") -> None:
    """Takes the request and answers with an internal error; it tells later."""
    await trial.asks(COLLECT, Trouble.ANSWER_BROKEN, rings=True)
    await trial.sees("unknown")
    await trial.answers()


@rows.row(124, PAID, COLLECT, QUERY)
async def genuine_message_from_a_new_address(trial: "Trial") -> None:
    """Tells from an address that nobody trusts: it is asked, and its list gives the receipt."""
    await trial.asks(COLLECT, Trouble.FROM_AFAR)
    await trial.sees("confirmed", wallet="500")
    await trial.read_list()


@rows.row(125, PAID, COLLECT)
async def phone_in_another_session(trial: "Trial") -> None:
    """Refuses because the phone is busy: asked again after a minute, not before."""
    await trial.asks(COLLECT, Trouble.PHONE_BUSY)
    await trial.later(seconds=55)
    await trial.sees("requested")
    await trial.later(seconds=10)


@rows.row(126, PAID, COLLECT)
async def message_of_another_request(trial: "Trial") -> None:
    """Its address is told of a request that is not ours, paid and not paid; then ours is paid."""
    await trial.asks(COLLECT, rings=True)
    for paid in (True, False):
        await trial.lie_about_collection(Lie("500", paid=paid, trusted=True, another=True))
        await trial.sees("prompted", wallet="0")
    await trial.answers()


@rows.row(127, NOT_PAID, COLLECT, PULL)
async def request_lost_and_ended_by_two_persons(trial: "Trial") -> None:
    """Never had the request; two days later its list has nothing, and two persons end it."""
    await trial.asks(COLLECT, Trouble.REQUEST_LOST)
    await trial.two_call_it_absent(refused="48 hours have not passed")
    await trial.later(hours=49)
    await trial.read_list()
    await trial.two_call_it_absent()
