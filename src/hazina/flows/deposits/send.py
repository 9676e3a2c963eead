"""Sending the prompt: what is special about a deposit's outward call."""

from datetime import datetime, timedelta

from hazina.desk.switches import Switch, Switches
from hazina.flows.deposits import repository as sql
from hazina.flows.deposits.request import TABLE, phone_context
from hazina.flows.deposits.settle import Settlement
from hazina.flows.deposits.states import DepositEvent, DepositState
from hazina.flows.outward import OutwardCall
from hazina.infra.attempts import Attempts
from hazina.infra.db import Database, Row, Tx
from hazina.infra.settings import Settings
from hazina.infra.vault import CustomerVault
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.kernel.outcome import Outcome
from hazina.rails.ports import Collection, CollectionAccepted, PreparedCall, Rails

DESCRIPTION = "Wallet top up"


class Sender(OutwardCall[CollectionAccepted]):
    """Takes a requested deposit to M-Pesa."""

    name = "deposit"
    switch = Switch.MPESA_IN
    ready = DepositState.REQUESTED.value
    sending = DepositState.SENDING.value

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        rails: Rails,
        sealed: CustomerVault,
        switches: Switches,
        settlement: Settlement,
    ) -> None:
        attempts = Attempts("deposits.attempt")
        super().__init__(db, clock, TABLE, attempts, sealed, switches, settings.mpesa_timeout_s)
        self._rail = rails.collections
        self._query_after = timedelta(seconds=settings.mpesa_query_after_s)
        self._settlement = settlement

    async def prepare(self, tx: Tx, row: Row, now: datetime) -> PreparedCall:
        msisdn = await self.sealed.open(
            tx, row["customer_id"], row["phone_sealed"], phone_context(row["id"])
        )
        order = Collection(
            id=row["id"],
            amount_kes=int(row["amount"]) // 100,
            msisdn=msisdn.decode(),
            reference=row["reference"],
            description=DESCRIPTION,
            callback_token=row["token"],
        )
        return self._rail.prepare(order, now)

    async def call(self, prepared: PreparedCall) -> Outcome[CollectionAccepted]:
        return await self._rail.collect(prepared)

    async def accepted(self, tx: Tx, row: Row, value: CollectionAccepted, now: datetime) -> None:
        """The response's ids are adopted whatever happened meanwhile; they are the trusted ones."""
        ids = (value.merchant_request_id, value.checkout_request_id)
        await tx.execute(sql.ADOPT_FROM_RESPONSE, row["id"], *ids, now + self._query_after)
        if row["state"] == self.sending:
            changes = {"next_attempt_at": now + self._query_after}
            await TABLE.move(tx, row, DepositEvent.ACCEPTED, now=now, actor=SYSTEM, changes=changes)

    async def rejected(self, tx: Tx, row: Row, code: str, text: str, now: datetime) -> None:
        await self._settlement.fail(tx, row, DepositEvent.REJECTED, code=code, words=text, now=now)

    def ask_at(self, row: Row, now: datetime) -> datetime | None:
        """Without an id only a callback or a person can tell."""
        return now if row["checkout_request_id"] else None
