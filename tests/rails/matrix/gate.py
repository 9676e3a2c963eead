"""Refused before anything was done, in and out: 401 and on. Sent again, and done once."""

from typing import TYPE_CHECKING

from tests.rails.matrix.case import Capability, Outcome, Rows, Trouble

if TYPE_CHECKING:
    from tests.rails.matrix.trial import Trial

rows = Rows()
GATES = (
    (Trouble.BUSY, Capability.GATE),
    (Trouble.QUOTA, Capability.GATE),
    (Trouble.FIREWALL, Capability.GATE),
    (Trouble.TOKEN_ENDED, Capability.TOKEN),
)
IN = Outcome("paid", wallet="500", purse="-500")
OUT = Outcome("paid", wallet="-600", purse="600")


def _row(number: int, trouble: Trouble, needs: Capability, on: Capability) -> None:
    async def play(trial: "Trial") -> None:
        await trial.trouble(trouble, on)
        await (trial.collect() if on is Capability.COLLECT else trial.pay_out())
        await trial.settle()
        if trouble is not Trouble.TOKEN_ENDED:  # a new token is had at once
            await trial.sees("requested" if on is Capability.COLLECT else "held")
            await trial.later(minutes=2)

    play.__name__ = f"{on.value} {trouble.value}"
    play.__doc__ = "Does nothing with the first request, and all with the second."
    rows.row(number, IN if on is Capability.COLLECT else OUT, on, needs)(play)


for place, (what, capability) in enumerate(GATES):
    _row(401 + place, what, capability, Capability.COLLECT)
    _row(411 + place, what, capability, Capability.PAY)
