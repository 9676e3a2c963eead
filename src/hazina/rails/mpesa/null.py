"""No M-Pesa: every call is refused before it is made, and the start says so loudly."""

from datetime import datetime
from uuid import UUID

import structlog

from hazina.kernel.outcome import Outcome, Rejected, Unknown
from hazina.rails.mpesa.errors import WORDS
from hazina.rails.ports import (
    Collection,
    CollectionAccepted,
    CollectionState,
    Operation,
    Payout,
    PayoutAccepted,
    PreparedCall,
    StatusRequested,
)

log = structlog.stdlib.get_logger()

OFF = "mpesa_off"


class NullCollections:
    """A collection port that collects nothing."""

    def prepare(self, collection: Collection, now: datetime) -> PreparedCall:  # noqa: ARG002
        """This will prepare nothing."""
        return PreparedCall(Operation.COLLECT, b"")

    async def collect(self, prepared: PreparedCall) -> Outcome[CollectionAccepted]:  # noqa: ARG002
        """This will refuse."""
        return _off("collect")

    async def query(
        self,
        checkout_request_id: str,  # noqa: ARG002
        now: datetime,  # noqa: ARG002
    ) -> Outcome[CollectionState]:
        """This will not know: a collection from before M-Pesa was switched off may be paid."""
        return Unknown(OFF)


class NullPayouts:
    """A payout port that pays nothing."""

    def prepare(self, payout: Payout, now: datetime) -> PreparedCall:  # noqa: ARG002
        """This will prepare nothing."""
        return PreparedCall(Operation.PAY, b"")

    async def pay(self, prepared: PreparedCall) -> Outcome[PayoutAccepted]:  # noqa: ARG002
        """This will refuse."""
        return _off("pay")

    async def ask_status(
        self,
        payout_id: UUID,  # noqa: ARG002
        callback_token: str,  # noqa: ARG002
        now: datetime,  # noqa: ARG002
        *,
        receipt: str | None = None,  # noqa: ARG002
    ) -> Outcome[StatusRequested]:
        """This will refuse the question, which says nothing of the payout."""
        return _off("status")


def _off(call: str) -> Rejected:
    log.error("M-PESA IS OFF: a call was refused", call=call)
    return Rejected(OFF, WORDS[OFF])
