"""The life of a payment that came unasked, in one table."""

from enum import StrEnum

from hazina.kernel.machine import Machine


class PaymentState(StrEnum):
    """Where a payment stands."""

    INCOMING = "incoming"  # somebody says it was paid; M-Pesa has not agreed yet, nothing is booked
    CREDITED = "credited"  # proven, and given to a customer
    BOUND = "bound"  # proven, and booked by the prompt whose reference it carries
    SUSPENDED = "suspended"  # proven, but nobody's: the shillings wait in suspense for a person
    DISMISSED = "dismissed"  # M-Pesa knows of no such payment; should it after all, it counts
    RETURNING = "returning"  # M-Pesa was told to send it back; the shillings wait for its result
    RETURNED = "returned"  # sent back to who paid
    REVERSED = "reversed"  # it had been somebody's, and M-Pesa took it back by itself


class PaymentEvent(StrEnum):
    """What can happen to a payment."""

    CREDITED = "credited"  # M-Pesa agrees, and the account number is a customer's
    BOUND = "bound"  # M-Pesa agrees, and the reference is a prompt's
    SUSPENDED = "suspended"  # M-Pesa agrees, and nobody is known to whom it belongs
    DISMISSED = "dismissed"  # M-Pesa was asked and its list was read: there is no such payment
    ALLOCATED = "allocated"  # two persons gave it to a customer
    RETURNING = "returning"  # two persons had it sent back
    RETURNED = "returned"  # M-Pesa has sent it back
    KEPT = "kept"  # M-Pesa did not send it back: it waits in suspense again
    REVERSED = "reversed"  # M-Pesa took it back by itself


S, E = PaymentState, PaymentEvent
MACHINE = Machine(
    "payment",
    S.INCOMING,
    {
        (S.INCOMING, E.CREDITED): S.CREDITED,
        (S.INCOMING, E.BOUND): S.BOUND,
        (S.INCOMING, E.SUSPENDED): S.SUSPENDED,
        (S.INCOMING, E.DISMISSED): S.DISMISSED,
        (S.DISMISSED, E.CREDITED): S.CREDITED,
        (S.DISMISSED, E.BOUND): S.BOUND,
        (S.DISMISSED, E.SUSPENDED): S.SUSPENDED,
        (S.SUSPENDED, E.ALLOCATED): S.CREDITED,
        (S.SUSPENDED, E.RETURNING): S.RETURNING,
        (S.RETURNING, E.RETURNED): S.RETURNED,
        (S.RETURNING, E.KEPT): S.SUSPENDED,
        (S.SUSPENDED, E.REVERSED): S.RETURNED,
        (S.CREDITED, E.REVERSED): S.REVERSED,
        (S.BOUND, E.REVERSED): S.REVERSED,
    },
)
# What nobody has proven yet.
UNPROVEN = (S.INCOMING, S.DISMISSED)


class ReturnState(StrEnum):
    """Where an order to send a payment back stands."""

    ORDERED = "ordered"  # two persons decided; M-Pesa has not been told yet
    SENDING = "sending"  # M-Pesa is being told, under a lease
    SENT = "sent"  # M-Pesa has taken the order; its result is awaited
    UNKNOWN = "unknown"  # nobody knows yet whether it went back: the shillings wait in suspense
    DONE = "done"  # it went back
    FAILED = "failed"  # it did not go back, on evidence


class ReturnEvent(StrEnum):
    """What can happen to an order to send back."""

    CLAIM = "claim"  # a worker takes it to M-Pesa
    ACCEPTED = "accepted"  # M-Pesa took the order
    DEFERRED = "deferred"  # refused at the gate for a passing reason: later
    REJECTED = "rejected"  # positively refused
    LOST = "lost"  # no usable answer, the worker died, M-Pesa's queue gave up, or "already"
    RECOVERED = "recovered"  # restored from a copy: it may have gone back since
    DONE = "done"  # a result says that it went back
    FAILED = "failed"  # a result says that it did not
    FOUND = "found"  # two persons, or M-Pesa's statement, say that it went back
    ABSENT = "absent"  # two persons say that it did not


RS, RE = ReturnState, ReturnEvent
RETURNS = Machine(
    "return",
    RS.ORDERED,
    {
        (RS.ORDERED, RE.CLAIM): RS.SENDING,
        (RS.SENDING, RE.ACCEPTED): RS.SENT,
        (RS.SENDING, RE.DEFERRED): RS.ORDERED,
        (RS.SENDING, RE.REJECTED): RS.FAILED,
        (RS.SENDING, RE.LOST): RS.UNKNOWN,
        (RS.SENT, RE.LOST): RS.UNKNOWN,
        (RS.ORDERED, RE.RECOVERED): RS.UNKNOWN,
        (RS.SENDING, RE.RECOVERED): RS.UNKNOWN,
        (RS.SENDING, RE.DONE): RS.DONE,
        (RS.SENT, RE.DONE): RS.DONE,
        (RS.UNKNOWN, RE.DONE): RS.DONE,
        (RS.SENDING, RE.FAILED): RS.FAILED,
        (RS.SENT, RE.FAILED): RS.FAILED,
        (RS.UNKNOWN, RE.FAILED): RS.FAILED,
        (RS.UNKNOWN, RE.ACCEPTED): RS.SENT,
        (RS.UNKNOWN, RE.FOUND): RS.DONE,
        (RS.UNKNOWN, RE.ABSENT): RS.FAILED,
        (RS.SENT, RE.FOUND): RS.DONE,
        (RS.SENT, RE.ABSENT): RS.FAILED,
    },
)


class ReversalState(StrEnum):
    """Where a reversal stands that M-Pesa made by itself."""

    CLAIMED = "claimed"  # said to have happened, or not bookable yet: nothing is booked
    BOOKED = "booked"  # the shillings went the way they came


class ReversalEvent(StrEnum):
    """What can happen to a reversal."""

    BOOKED = "booked"  # proven, and booked


REVERSALS = Machine(
    "reversal",
    ReversalState.CLAIMED,
    {(ReversalState.CLAIMED, ReversalEvent.BOOKED): ReversalState.BOOKED},
)
