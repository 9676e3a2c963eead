"""The chart of accounts: every purpose an account can have, its side and whether it is bounded.

Debit-normal accounts are what the house owns outside; credit-normal ones what it owes. Bounded
accounts never fall below their floor; unbounded ones are the outside world, income, receivables.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from hazina.kernel.money import KES, XAU, Asset


class Owner(StrEnum):
    """Whose account it is."""

    SYSTEM = "system"  # the house's own
    CUSTOMER = "customer"  # one person's
    LOT = "lot"  # one physical lot's: grams in the vault that nobody has bought
    ORDER = "order"  # one order's: what its buyer has paid until it is handed over
    EXTERNAL = "external"  # another institution's: a customer of theirs, or they themselves


class Purpose(StrEnum):
    """What an account is for; the text is stored for ever."""

    WALLET = "wallet"  # what a customer owns here, one account for each asset
    LOT = "lot"  # grams of one physical lot that nobody has bought
    ESCROW_ORDER = "escrow:order"  # what was paid for one order and is neither's to spend
    BANK = "bank"  # the house's own bank account
    CAPITAL = "owner:capital"  # what the owner put in
    MPESA_COLLECTION = "mpesa:collection"  # shillings M-Pesa collected for us
    MPESA_UTILITY = "mpesa:utility"  # shillings M-Pesa pays out for us
    MPESA_IN_TRANSIT = "mpesa:in_transit"  # paid by M-Pesa's word, receipt not yet known
    MPESA_CHARGES = "mpesa:charges"  # charges M-Pesa has yet to take
    SUSPENSE_MPESA = "suspense:mpesa"  # shillings that are nobody's yet
    VAULT = "vault"  # metal in the vault
    GOLD_POSITION = "gold:position"  # shillings against grams, at mid price; no floor
    INCOME_FEES = "income:fees"  # our fees
    INCOME_GOLD_SPREAD = "income:gold-spread"  # what customers pay between mid and their price
    PAYABLE_TAX = "payable:tax"  # excise collected for the state
    ROUNDING = "rounding"  # remainders of roundings
    EXPENSE_MPESA = "expense:mpesa"  # what M-Pesa costs us
    EXPENSE_LOSSES = "expense:losses"  # what two persons have given up
    RECEIVABLE = "receivable:customer"  # what a customer owes us after a claw-back
    EXTERNAL_WALLET = "external:wallet"  # what a customer of another institution owns in its books
    EXTERNAL_WORLD = "external:world"  # the world outside one institution's books; no floor


@dataclass(frozen=True, slots=True)
class ChartLine:
    """Whose the account is, its side, whether it has a floor, and how it comes to be.

    ``on_demand``: a first transfer opens it. Where owners are named by others it does not: money
    sent to a misspelt name would open the account of nobody.
    """

    owner: Owner
    debit_normal: bool
    bounded: bool
    on_demand: bool = True


OWNED, OWED = True, False
CHART: dict[Purpose, ChartLine] = {
    Purpose.WALLET: ChartLine(Owner.CUSTOMER, OWED, bounded=True),
    Purpose.LOT: ChartLine(Owner.LOT, OWED, bounded=True),
    Purpose.ESCROW_ORDER: ChartLine(Owner.ORDER, OWED, bounded=True),
    Purpose.BANK: ChartLine(Owner.SYSTEM, OWNED, bounded=False),
    Purpose.CAPITAL: ChartLine(Owner.SYSTEM, OWED, bounded=False),
    Purpose.MPESA_COLLECTION: ChartLine(Owner.SYSTEM, OWNED, bounded=False),
    Purpose.MPESA_UTILITY: ChartLine(Owner.SYSTEM, OWNED, bounded=False),
    Purpose.MPESA_IN_TRANSIT: ChartLine(Owner.SYSTEM, OWNED, bounded=False),
    Purpose.MPESA_CHARGES: ChartLine(Owner.SYSTEM, OWNED, bounded=False),
    Purpose.SUSPENSE_MPESA: ChartLine(Owner.SYSTEM, OWED, bounded=False),
    Purpose.VAULT: ChartLine(Owner.SYSTEM, OWNED, bounded=False),
    Purpose.GOLD_POSITION: ChartLine(Owner.SYSTEM, OWED, bounded=False),
    Purpose.INCOME_FEES: ChartLine(Owner.SYSTEM, OWED, bounded=False),
    Purpose.INCOME_GOLD_SPREAD: ChartLine(Owner.SYSTEM, OWED, bounded=False),
    Purpose.PAYABLE_TAX: ChartLine(Owner.SYSTEM, OWED, bounded=False),
    Purpose.ROUNDING: ChartLine(Owner.SYSTEM, OWED, bounded=False),
    Purpose.EXPENSE_MPESA: ChartLine(Owner.SYSTEM, OWNED, bounded=False),
    Purpose.EXPENSE_LOSSES: ChartLine(Owner.SYSTEM, OWNED, bounded=False),
    Purpose.RECEIVABLE: ChartLine(Owner.CUSTOMER, OWNED, bounded=False),
    Purpose.EXTERNAL_WALLET: ChartLine(Owner.EXTERNAL, OWED, bounded=True, on_demand=False),
    Purpose.EXTERNAL_WORLD: ChartLine(Owner.EXTERNAL, OWNED, bounded=False),
}


@dataclass(frozen=True, slots=True)
class AccountRef:
    """Names one account: its purpose, asset and, unless the house's own, its owner."""

    purpose: Purpose
    asset: Asset
    owner: UUID | None = None

    def __post_init__(self) -> None:
        ours = CHART[self.purpose].owner is Owner.SYSTEM
        if ours != (self.owner is None):
            raise ValueError(f"{self.purpose} {'has no' if ours else 'needs an'} owner")

    def __hash__(self) -> int:
        """Quick, since every transfer is looked up by it: one owner's few accounts may collide."""
        return hash(self.owner or self.purpose)

    @property
    def line(self) -> ChartLine:
        return CHART[self.purpose]


def customer(customer_id: UUID, asset: Asset) -> AccountRef:
    """A customer's own account in one asset."""
    return AccountRef(Purpose.WALLET, asset, customer_id)


def receivable(customer_id: UUID, asset: Asset) -> AccountRef:
    """What a customer owes us in one asset."""
    return AccountRef(Purpose.RECEIVABLE, asset, customer_id)


def lot(lot_id: UUID) -> AccountRef:
    """The unsold grams of one lot."""
    return AccountRef(Purpose.LOT, XAU, lot_id)


def escrow(order_id: UUID, asset: Asset) -> AccountRef:
    """What was paid for one order."""
    return AccountRef(Purpose.ESCROW_ORDER, asset, order_id)


def system(purpose: Purpose, asset: Asset = KES) -> AccountRef:
    """One of the house's own accounts."""
    return AccountRef(purpose, asset)
