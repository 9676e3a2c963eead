"""A trade's states and events, and the one table of what can follow what. Pure."""

from enum import StrEnum

from hazina.kernel.machine import Machine


class TradeState(StrEnum):
    """Where a trade stands."""

    REQUESTED = "requested"  # gold is held until M-Pesa has answered
    COMPLETED = "completed"  # gold and shillings have changed hands
    CANCELLED = "cancelled"  # no payment came: the gold was let go, a late payment still counts
    RELEASING = "releasing"  # paid, but it could not be booked: the gold is being let go
    KEPT_AS_SHILLINGS = "kept_as_shillings"  # paid, but no gold: the shillings are the customer's
    FAILED = "failed"  # a sale was not paid out: the customer has the gold again


class TradeEvent(StrEnum):
    """What happens to a trade."""

    BOOK = "booked"  # the ledger has booked it
    PAYMENT_FAIL = "payment_failed"  # the deposit ended without money
    BOOKING_REFUSE = "booking_refused"  # the ledger said no to the product's part
    RELEASE = "released"  # the gold held for it is free again
    GOLD_GONE = "gold_gone"  # a payment came late and there was no gold left for it
    PAYOUT_FAIL = "payout_failed"  # M-Pesa paid nothing, on positive evidence


LIVING = (TradeState.REQUESTED, TradeState.RELEASING)  # may have holds in the ledger

TRADE: Machine[TradeState, TradeEvent] = Machine(
    "trade",
    TradeState.REQUESTED,
    {
        (TradeState.REQUESTED, TradeEvent.BOOK): TradeState.COMPLETED,
        (TradeState.REQUESTED, TradeEvent.PAYMENT_FAIL): TradeState.CANCELLED,
        (TradeState.REQUESTED, TradeEvent.BOOKING_REFUSE): TradeState.RELEASING,
        (TradeState.REQUESTED, TradeEvent.PAYOUT_FAIL): TradeState.FAILED,
        (TradeState.CANCELLED, TradeEvent.BOOK): TradeState.COMPLETED,
        (TradeState.CANCELLED, TradeEvent.GOLD_GONE): TradeState.KEPT_AS_SHILLINGS,
        (TradeState.RELEASING, TradeEvent.RELEASE): TradeState.KEPT_AS_SHILLINGS,
    },
)
