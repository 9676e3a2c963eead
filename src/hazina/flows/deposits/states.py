"""The life of a deposit, in one table."""

from enum import StrEnum

from hazina.kernel.machine import Machine


class DepositState(StrEnum):
    """Where a deposit stands."""

    REQUESTED = "requested"  # written down; the prompt has not been sent
    SENDING = "sending"  # the prompt is being sent, under a lease
    PROMPTED = "prompted"  # M-Pesa has taken it; the phone rings
    UNKNOWN = "unknown"  # nobody knows yet whether the prompt went out or how it ended
    CONFIRMED = "confirmed"  # M-Pesa says it is paid; the receipt is not here yet
    PAID = "paid"  # paid and booked, with its receipt
    SUSPENDED = "suspended"  # paid, but not what was asked, or to a closed account: in suspense
    TAKEN_BACK = "taken_back"  # paid and booked, and M-Pesa has taken it back since
    FAILED = "failed"  # not paid; should money come all the same, it still counts


class DepositEvent(StrEnum):
    """What can happen to a deposit."""

    CLAIM = "claim"  # a worker takes it to send the prompt
    ACCEPTED = "accepted"  # M-Pesa took the request
    DEFERRED = "deferred"  # refused at the gate for a passing reason: later
    REJECTED = "rejected"  # positively refused
    LOST = "lost"  # no usable answer, or the worker died
    RECOVERED = "recovered"  # restored from a copy: the phone may have been prompted since
    CONFIRMED = "confirmed"  # asked, M-Pesa says paid, without a receipt
    PAID = "paid"  # paid, with a receipt and the amount that was asked
    MISPAID = "mispaid"  # paid, with a receipt: another amount, or the customer's account is closed
    RESOLVED = "resolved"  # two persons decided about what was paid otherwise than asked
    ABSENT = "absent"  # two days without a receipt, not in M-Pesa's list, and two persons say so
    TAKEN_BACK = "taken_back"  # M-Pesa reversed the payment by itself
    DECLINED = "declined"  # cancelled, timed out, no funds: on evidence that counts


S, E = DepositState, DepositEvent
MACHINE = Machine(
    "deposit",
    S.REQUESTED,
    {
        (S.REQUESTED, E.CLAIM): S.SENDING,
        (S.SENDING, E.ACCEPTED): S.PROMPTED,
        (S.SENDING, E.DEFERRED): S.REQUESTED,
        (S.SENDING, E.REJECTED): S.FAILED,
        (S.SENDING, E.LOST): S.UNKNOWN,
        (S.PROMPTED, E.LOST): S.UNKNOWN,
        (S.REQUESTED, E.RECOVERED): S.UNKNOWN,
        (S.SENDING, E.RECOVERED): S.UNKNOWN,
        (S.SENDING, E.PAID): S.PAID,
        (S.PROMPTED, E.PAID): S.PAID,
        (S.UNKNOWN, E.PAID): S.PAID,
        (S.CONFIRMED, E.PAID): S.PAID,
        (S.FAILED, E.PAID): S.PAID,
        (S.SENDING, E.MISPAID): S.SUSPENDED,
        (S.PROMPTED, E.MISPAID): S.SUSPENDED,
        (S.UNKNOWN, E.MISPAID): S.SUSPENDED,
        (S.FAILED, E.MISPAID): S.SUSPENDED,
        (S.CONFIRMED, E.MISPAID): S.SUSPENDED,
        (S.SUSPENDED, E.RESOLVED): S.FAILED,
        (S.PAID, E.TAKEN_BACK): S.TAKEN_BACK,
        (S.PROMPTED, E.CONFIRMED): S.CONFIRMED,
        (S.UNKNOWN, E.CONFIRMED): S.CONFIRMED,
        (S.SENDING, E.DECLINED): S.FAILED,
        (S.PROMPTED, E.DECLINED): S.FAILED,
        (S.UNKNOWN, E.DECLINED): S.FAILED,
        (S.UNKNOWN, E.ABSENT): S.FAILED,
        (S.CONFIRMED, E.ABSENT): S.FAILED,
    },
)
# What still has something to come; each has a next time to be looked at.
OPEN = (S.REQUESTED, S.SENDING, S.PROMPTED, S.UNKNOWN, S.CONFIRMED)
