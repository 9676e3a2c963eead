"""The owner's own money in a house with simulators. Pure.

The two ids are constants: booked a second time they are recognised as booked.
"""

from uuid import UUID

from hazina.kernel.money import KES
from hazina.ledger.chart import Purpose, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, Transfer, move

OWNER = Reference("owner", UUID("019a0000-0000-7000-8000-000000000000"))
CAPITAL_ID = UUID("019a0000-0000-7000-8000-000000000001")
FLOAT_ID = UUID("019a0000-0000-7000-8000-000000000002")
CAPITAL = KES.money("6000000")
FLOAT = KES.money("5000000")  # what the simulated M-Pesa opens its utility account with


def capital_in() -> Transfer:
    """bank:kes → owner:capital: what the owner put in."""
    bank, capital = system(Purpose.BANK), system(Purpose.CAPITAL)
    return move(bank, capital, CAPITAL, Code.CAPITAL_IN, OWNER, id=CAPITAL_ID)


def float_funded() -> Transfer:
    """mpesa:utility → bank:kes: what M-Pesa can pay out for us."""
    utility, bank = system(Purpose.MPESA_UTILITY), system(Purpose.BANK)
    return move(utility, bank, FLOAT, Code.FLOAT_FUNDED, OWNER, id=FLOAT_ID)
