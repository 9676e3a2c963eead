"""The life of a withdrawal, in one table."""

from enum import StrEnum

from hazina.kernel.machine import Machine


class WithdrawalState(StrEnum):
    """Where a withdrawal stands."""

    HELD = "held"  # the money is reserved; M-Pesa has not been asked yet
    SENDING = "sending"  # M-Pesa is being asked, under a lease
    SENT = "sent"  # M-Pesa has taken it; its result is awaited
    UNKNOWN = "unknown"  # nobody knows yet whether it was paid: the money stays reserved
    PAID = "paid"  # paid and booked, with its receipt
    FAILED = "failed"  # not paid, on evidence; the money is free again
    CONTRADICTED = "contradicted"  # ended as not paid, then told as paid: M-Pesa is asked anew
    DOUBTED = "doubted"  # booked as paid; a statement lacks its receipt, or M-Pesa tells otherwise


class WithdrawalEvent(StrEnum):
    """What can happen to a withdrawal."""

    CLAIM = "claim"  # a worker takes it to M-Pesa
    ACCEPTED = "accepted"  # M-Pesa took the request
    DEFERRED = "deferred"  # refused at the gate for a passing reason: later
    REJECTED = "rejected"  # positively refused
    LOST = "lost"  # no usable answer, the worker died, or M-Pesa's queue gave it up
    RECOVERED = "recovered"  # restored from a copy: it may have been sent since, so ask
    PAID = "paid"  # a result or status says it was paid, with our id and amount
    FAILED = "failed"  # a result or status says it was not paid
    ABSENT = "absent"  # a whole statement, and two persons, say that it was never made
    TOLD_PAID = "told_paid"  # after its end, or asked anew, M-Pesa tells that it was paid
    TOLD_FAILED = "told_failed"  # after it was booked as paid M-Pesa tells that it was not
    UNLISTED = "unlisted"  # a whole statement of its time lacks the receipt of what is booked
    LISTED = "listed"  # a statement has its receipt after all
    GIVEN_BACK = "given_back"  # a statement lacks it, and two persons say it was never made
    PAID_LATE = "paid_late"  # asked anew M-Pesa says so too, or its statement and two persons


S, E = WithdrawalState, WithdrawalEvent
MACHINE = Machine(
    "withdrawal",
    S.HELD,
    {
        (S.HELD, E.CLAIM): S.SENDING,
        (S.SENDING, E.ACCEPTED): S.SENT,
        (S.SENDING, E.DEFERRED): S.HELD,
        (S.SENDING, E.REJECTED): S.FAILED,
        (S.SENDING, E.LOST): S.UNKNOWN,
        (S.SENT, E.LOST): S.UNKNOWN,
        (S.HELD, E.RECOVERED): S.UNKNOWN,
        (S.SENDING, E.RECOVERED): S.UNKNOWN,
        (S.UNKNOWN, E.ACCEPTED): S.SENT,
        (S.SENDING, E.PAID): S.PAID,
        (S.SENT, E.PAID): S.PAID,
        (S.UNKNOWN, E.PAID): S.PAID,
        (S.SENDING, E.FAILED): S.FAILED,
        (S.SENT, E.FAILED): S.FAILED,
        (S.UNKNOWN, E.FAILED): S.FAILED,
        (S.UNKNOWN, E.ABSENT): S.FAILED,
        (S.FAILED, E.TOLD_PAID): S.CONTRADICTED,
        (S.CONTRADICTED, E.PAID_LATE): S.PAID,
        (S.CONTRADICTED, E.ABSENT): S.FAILED,
        (S.PAID, E.UNLISTED): S.DOUBTED,
        (S.PAID, E.TOLD_FAILED): S.DOUBTED,
        (S.DOUBTED, E.LISTED): S.PAID,
        (S.DOUBTED, E.TOLD_PAID): S.PAID,
        (S.DOUBTED, E.GIVEN_BACK): S.FAILED,
    },
)
OPEN = (S.HELD, S.SENDING, S.SENT, S.UNKNOWN)
