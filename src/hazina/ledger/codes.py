"""Why money moves: one enum, each member with the sentence an accountant would say.

Codes are text in the ledger for ever; a member is never renamed or reused.
"""

from enum import StrEnum


class Code(StrEnum):
    """What a transfer means in money."""

    # The owner's own money
    CAPITAL_IN = "capital_in"  # the owner pays shillings into the house's bank account
    FLOAT_FUNDED = "float_funded"  # the house's bank account feeds M-Pesa's utility account
    COLLECTION_SWEPT = "collection_swept"  # collected shillings go to the house's bank account
    COLLECTION_TO_UTILITY = "collection_to_utility"  # collected shillings are made payable
    CAPITAL_OUT = "capital_out"  # the house's bank account pays the owner

    # Shillings in
    DEPOSIT = "deposit"  # M-Pesa holds the customer's shillings for us, we owe them to the customer
    DEPOSIT_IN_TRANSIT = "deposit_in_transit"  # paid by M-Pesa's word, the receipt is not known yet
    DEPOSIT_RECEIPTED = "deposit_receipted"  # the receipt of a deposit in transit has come
    DEPOSIT_UNPAID = "deposit_unpaid"  # what was given on M-Pesa's word goes back: no receipt came
    DEPOSIT_SUSPENSE = "deposit_suspense"  # shillings came that nobody can be given yet
    SUSPENSE_ALLOCATED = "suspense_allocated"  # two persons found whose the shillings are
    SUSPENSE_RETURNED = "suspense_returned"  # M-Pesa sent the shillings back to who paid

    # Shillings that M-Pesa takes back
    CLAW_BACK = "claw_back"  # M-Pesa reversed a payment: the customer's shillings go with it
    CLAW_BACK_OWED = "claw_back_owed"  # they were spent: the customer owes us the rest
    DEBT_REPAID = "debt_repaid"  # what came to a customer who owes us repays it first
    DEBT_WRITTEN_OFF = "debt_written_off"  # two persons gave up what a customer owes us

    # Shillings out
    WITHDRAWAL = "withdrawal"  # M-Pesa pays the customer, we owe them that much less
    WITHDRAWAL_LATE = "withdrawal_late"  # paid after all that was called failed, and freed
    WITHDRAWAL_UNPAID = "withdrawal_unpaid"  # booked as paid and never made: given back
    WITHDRAWAL_FEE = "withdrawal_fee"  # the customer pays our fee for a withdrawal
    FEE_EXCISE = "fee_excise"  # the part of our fee that is the state's
    FEE_GIVEN_BACK = "fee_given_back"  # our fee for a withdrawal that was never made, all of it
    MPESA_CHARGE = "mpesa_charge"  # what M-Pesa takes from us for a payment
    MPESA_CHARGE_UNDONE = "mpesa_charge_undone"  # M-Pesa made no payment, and takes nothing for it
    MPESA_CHARGE_SETTLED = "mpesa_charge_settled"  # M-Pesa took its charges out of utility

    # Gold
    GOLD_STOCKED = "gold_stocked"  # bars came into the vault and are for sale as a lot
    GOLD_WITHDRAWN = "gold_withdrawn"  # bars left the vault
    GOLD_BOUGHT = "gold_bought"  # grams go from a lot to the buyer
    GOLD_PAID = "gold_paid"  # the buyer's shillings pay for the grams at mid price
    GOLD_SOLD = "gold_sold"  # grams go from the seller back to their lot
    GOLD_PROCEEDS = "gold_proceeds"  # the seller is owed the grams' worth at mid price
    GOLD_SPREAD = "gold_spread"  # the difference between the customer's price and mid
    ROUNDING = "rounding"  # the remainder of a rounding, to the cent or the microgram

    # Escrow
    ESCROW_PAID = "escrow_paid"  # a buyer's money is kept for one order
    ESCROW_RELEASED = "escrow_released"  # what was kept goes to the seller, less our fee
    ESCROW_FEE = "escrow_fee"  # our fee, out of what was kept
    ESCROW_REFUNDED = "escrow_refunded"  # what was kept goes back to the buyer

    # Other institutions' books
    EXTERNAL = "external"  # an institution moves what its own customers own in its own books


# What may count from an earlier day than it is booked on: the bank's and M-Pesa's own statements
# tell us of these afterwards. Customers' money never moves in the past.
BACKDATABLE = frozenset(
    {
        Code.CAPITAL_IN,
        Code.CAPITAL_OUT,
        Code.FLOAT_FUNDED,
        Code.COLLECTION_SWEPT,
        Code.COLLECTION_TO_UTILITY,
        Code.MPESA_CHARGE,
        Code.MPESA_CHARGE_SETTLED,
    }
)
