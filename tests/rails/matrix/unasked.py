"""Money in that nobody asked for: 301 and on."""

from typing import TYPE_CHECKING

from tests.rails.matrix.case import Capability, Lie, Outcome, Rows, Trouble

if TYPE_CHECKING:
    from tests.rails.matrix.trial import Trial

rows = Rows()
LISTEN, PROOF, PULL = Capability.LISTEN, Capability.PROOF, Capability.PULL
CREDITED = Outcome("credited", wallet="750", purse="-750")


@rows.row(301, CREDITED, LISTEN, PROOF)
async def paid_and_told_once(trial: "Trial") -> None:
    """Tells of a payment, and asked about it agrees."""
    await trial.pay_bill()


@rows.row(302, CREDITED, LISTEN, PROOF)
async def told_twice(trial: "Trial") -> None:
    """Sends the same notice twice."""
    await trial.trouble(Trouble.TOLD_TWICE, LISTEN)
    await trial.pay_bill()


@rows.row(303, CREDITED, LISTEN, PROOF)
async def silent_when_asked(trial: "Trial") -> None:
    """Tells, but does not answer the first question."""
    await trial.trouble(Trouble.NEVER_TOLD, PROOF)
    await trial.pay_bill()
    await trial.sees("incoming", wallet="0")
    await trial.later(seconds=31)


@rows.row(304, CREDITED, LISTEN, PULL)
async def never_told(trial: "Trial") -> None:
    """Never tells: its list has it."""
    await trial.trouble(Trouble.NEVER_TOLD, LISTEN)
    receipt = await trial.pay_bill()
    await trial.sees("unheard of", wallet="0")
    await trial.later(minutes=14)
    await trial.read_list()
    await trial.watch_payment(receipt)


@rows.row(305, CREDITED, LISTEN, PROOF)
async def another_phone_is_told(trial: "Trial") -> None:
    """Names another payer: the account number decides whose it is."""
    await trial.trouble(Trouble.OTHER_PHONE, LISTEN)
    await trial.pay_bill()


@rows.row(306, Outcome("dismissed"), LISTEN, PROOF, PULL)
async def forged_notice_from_a_stranger(trial: "Trial") -> None:
    """Never had that payment; a stranger tells of it."""
    await trial.invents(Lie("9000", receipt="UKZNEVER01"))


@rows.row(307, Outcome("dismissed"), LISTEN, PROOF, PULL)
async def forged_notice_from_a_trusted_address(trial: "Trial") -> None:
    """Never had that payment; somebody tells of it from where genuine notices come from."""
    await trial.invents(Lie("9000", receipt="UKZNEVER02", trusted=True))


@rows.row(308, CREDITED, LISTEN, PULL)
async def forged_notice_with_a_real_receipt(trial: "Trial") -> None:
    """Has lost its notice; a stranger tells of that receipt, for an account of their own."""
    await trial.trouble(Trouble.NEVER_TOLD, LISTEN)
    receipt = await trial.pay_bill()
    thief = await trial.somebody_else()
    await trial.lie_unasked(Lie("750", receipt=receipt), account=thief.account)
    await trial.later(minutes=14)
    await trial.read_list()
    await trial.watch_payment(receipt)
    await trial.has_nothing(thief)


@rows.row(309, CREDITED, LISTEN, PROOF, PULL)
async def forged_notice_with_another_amount(trial: "Trial") -> None:
    """Has lost its notice; one with its receipt and more money comes from a trusted address."""
    await trial.trouble(Trouble.NEVER_TOLD, LISTEN)
    receipt = await trial.pay_bill()
    await trial.lie_unasked(Lie("75000", receipt=receipt, trusted=True))
    await trial.watch_payment(receipt)
    await trial.sees("incoming", wallet="0")
    await trial.later(minutes=14)
    await trial.read_list()


@rows.row(310, CREDITED, LISTEN, PROOF)
async def replayed_with_another_body(trial: "Trial") -> None:
    """Told and agreed; then the receipt is told again with more money, and for somebody else."""
    receipt = await trial.pay_bill()
    thief = await trial.somebody_else()
    await trial.lie_unasked(Lie("75000", receipt=receipt, trusted=True))
    await trial.lie_unasked(Lie("750", receipt=receipt, trusted=True), account=thief.account)
    await trial.has_nothing(thief)


@rows.row(311, Outcome("suspended", purse="-750", suspense="750"), LISTEN, PROOF)
async def paid_to_nobodys_account(trial: "Trial") -> None:
    """Lets an account number through that is nobody's."""
    await trial.pay_bill("SHOP RENT")


@rows.row(312, CREDITED, LISTEN, PROOF, PULL)
async def asking_contradicts(trial: "Trial") -> None:
    """Asked, it calls a payment declined that was made: its list has it."""
    await trial.trouble(Trouble.CONTRADICTED, PROOF)
    await trial.pay_bill()
    await trial.sees("incoming", wallet="0")
    await trial.later(minutes=14)
    await trial.read_list()


@rows.row(313, CREDITED, LISTEN, PULL)
async def genuine_notice_from_a_new_address(trial: "Trial") -> None:
    """Tells from an address that nobody trusts: its list decides."""
    await trial.trouble(Trouble.FROM_AFAR, LISTEN)
    await trial.pay_bill()
    await trial.sees("incoming", wallet="0")
    await trial.later(minutes=14)
    await trial.read_list()


@rows.row(314, Outcome("suspended", purse="-500", suspense="500"), LISTEN, PROOF)
async def a_prompts_reference_typed_by_hand(trial: "Trial") -> None:
    """Takes a payment under the reference of a prompt that was paid: nobody's, not a second one."""
    await trial.collect()
    await trial.settle()
    reference = str((await trial.row())["reference"])
    await trial.restart()
    await trial.pay_bill(reference, "500")
