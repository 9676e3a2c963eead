"""The life of a message, in one table. Pure."""

from enum import StrEnum

from hazina.kernel.machine import Machine


class MessageState(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"  # written down; it goes out when its time has come
    SENDING = "sending"  # its channel is being asked, under a lease
    SENT = "sent"  # the channel has taken it, or it is a line of the inbox
    UNKNOWN = "unknown"  # it may have gone out; an SMS is then not sent a second time
    FAILED = "failed"  # it was positively not sent, and will not be


class MessageEvent(StrEnum):
    """What can happen to a message."""

    CLAIM = "claim"  # a worker takes it to its channel
    ACCEPTED = "accepted"  # the channel took it
    DEFERRED = "deferred"  # not sent, for a passing reason: later
    REJECTED = "rejected"  # positively refused, or deferred too often
    LOST = "lost"  # no usable answer, or the worker died
    REPEATED = "repeated"  # no usable answer, but a second copy would be known as the same
    RECOVERED = "recovered"  # restored from a copy: it may have gone out since
    AGAIN = "again"  # an operator has it sent once more


S, E = MessageState, MessageEvent
MACHINE = Machine(
    "message",
    S.QUEUED,
    {
        (S.QUEUED, E.CLAIM): S.SENDING,
        (S.SENDING, E.ACCEPTED): S.SENT,
        (S.SENDING, E.DEFERRED): S.QUEUED,
        (S.SENDING, E.REPEATED): S.QUEUED,
        (S.SENDING, E.REJECTED): S.FAILED,
        (S.SENDING, E.LOST): S.UNKNOWN,
        (S.QUEUED, E.RECOVERED): S.UNKNOWN,
        (S.SENDING, E.RECOVERED): S.UNKNOWN,
        (S.FAILED, E.AGAIN): S.QUEUED,
        (S.UNKNOWN, E.AGAIN): S.QUEUED,
    },
)
