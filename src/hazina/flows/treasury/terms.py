"""What M-Pesa takes for a movement, by band of amount. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum

from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.money import KES, Money

SHILLING = 100
MOST_KES = 250_000  # M-Pesa moves no more at once
_BAND = re.compile(r"([0-9]{1,6}):([0-9]{1,5})", re.ASCII)


class TariffKind(StrEnum):
    """What is charged for."""

    PAYOUT = "payout"  # B2C: from the charges account
    PAYMENT = "payment"  # C2B, where the business pays: out of what was collected


class TariffInvalid(Refusal):
    """The bands do not say what every amount costs."""

    code = "tariff_invalid"
    kind = Kind.INVALID
    message = "A tariff is written as amount:charge, ascending, up to 250000."
    action = "For example 100:0,1500:5,5000:9,20000:11,250000:13, in whole shillings."


@dataclass(frozen=True, slots=True)
class Band:
    """Up to and with ``most_kes`` shillings it costs ``charge_kes``."""

    most_kes: int
    charge_kes: int


def read_bands(text: str) -> tuple[Band, ...]:
    """This will read ``100:0,1500:5,…``. Raises: TariffInvalid."""
    found = [_BAND.fullmatch(part.strip()) for part in text.split(",")]
    bands = tuple(Band(int(one[1]), int(one[2])) for one in found if one is not None)
    ends = [band.most_kes for band in bands]
    if None in found or ends != sorted(set(ends)) or not ends or ends[-1] < MOST_KES:
        raise TariffInvalid
    return bands


def charge_for(amount: Money, bands: tuple[Band, ...]) -> Money:
    """What M-Pesa takes for ``amount``; what no band covers costs as the last."""
    shillings = -(-amount.units // SHILLING)
    for band in bands:
        if shillings <= band.most_kes:
            return KES.units(band.charge_kes * SHILLING)
    return KES.units(bands[-1].charge_kes * SHILLING)


def written(bands: tuple[Band, ...]) -> str:
    """As ``read_bands`` reads it."""
    return ",".join(f"{band.most_kes}:{band.charge_kes}" for band in bands)
