"""Sending the payout: what is special about a withdrawal's outward call.

Our id is M-Pesa's reference: it takes the same id once, so an unknown one can be asked about, and
sent again unchanged by an operator's act.
"""

from datetime import datetime, timedelta

from hazina.desk.switches import Switch, Switches
from hazina.flows.outward import OutwardCall
from hazina.flows.treasury.balances import Balances
from hazina.flows.withdrawals.request import TABLE, phone_context
from hazina.flows.withdrawals.settle import Settlement
from hazina.flows.withdrawals.states import WithdrawalEvent, WithdrawalState
from hazina.infra.attempts import Attempts
from hazina.infra.db import Database, Row, Tx
from hazina.infra.settings import Settings
from hazina.infra.vault import CustomerVault
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.kernel.money import KES
from hazina.kernel.outcome import Outcome
from hazina.rails.ports import Payout, PayoutAccepted, PreparedCall, Rails

REMARKS = "Withdrawal"
# What was sent since M-Pesa was asked is not yet in what it told.
SENT_SINCE = """
SELECT coalesce(sum(w.amount), 0) FROM withdrawals.withdrawal w
WHERE w.state NOT IN ('held', 'failed')
    AND w.id IN (SELECT a.subject_id FROM withdrawals.attempt a WHERE a.started_at >= $1)
"""
HELD_BACK = "UPDATE withdrawals.withdrawal SET held_back = $2 WHERE id = $1"


class Sender(OutwardCall[PayoutAccepted]):
    """Takes a held withdrawal to M-Pesa."""

    name = "withdrawal"
    switch = Switch.MPESA_OUT
    ready = WithdrawalState.HELD.value
    sending = WithdrawalState.SENDING.value

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        rails: Rails,
        sealed: CustomerVault,
        switches: Switches,
        settlement: Settlement,
        balances: Balances,
    ) -> None:
        attempts = Attempts("withdrawals.attempt")
        super().__init__(db, clock, TABLE, attempts, sealed, switches, settings.mpesa_timeout_s)
        self._rail = rails.payouts
        self._ask_after = timedelta(seconds=settings.mpesa_status_after_s)
        self._settlement = settlement
        self._balances = balances

    async def waits(self, tx: Tx, row: Row, now: datetime) -> bool:
        """Held back while M-Pesa's utility account is known to be too small for it.

        Two at once may both find room for one: then M-Pesa refuses the second, with evidence.
        """
        known = await self._balances.find_known(tx, now)
        amount, why = KES.units(int(row["amount"])), None
        if known is not None:
            sent = KES.units(int(await tx.fetchval(SENT_SINCE, known.at)))
            if known.utility - sent < amount:
                why = f"M-Pesa's utility account has {known.utility - sent} left, as told us"
                await self._balances.ask_soon(tx, now)
        if why != row["held_back"]:
            await tx.execute(HELD_BACK, row["id"], why)
        return why is not None

    async def prepare(self, tx: Tx, row: Row, now: datetime) -> PreparedCall:
        msisdn = await self.sealed.open(
            tx, row["customer_id"], row["phone_sealed"], phone_context(row["id"])
        )
        payout = Payout(
            id=row["id"],
            amount_kes=int(row["amount"]) // 100,
            msisdn=msisdn.decode(),
            remarks=REMARKS,
            callback_token=row["token"],
        )
        return self._rail.prepare(payout, now)

    async def call(self, prepared: PreparedCall) -> Outcome[PayoutAccepted]:
        return await self._rail.pay(prepared)

    async def accepted(self, tx: Tx, row: Row, value: PayoutAccepted, now: datetime) -> None:
        changes: dict[str, object] = {"next_attempt_at": now + self._ask_after}
        if value.conversation_id is not None:
            changes["conversation_id"] = value.conversation_id
        if row["state"] in (self.sending, WithdrawalState.UNKNOWN.value):
            await TABLE.move(
                tx, row, WithdrawalEvent.ACCEPTED, now=now, actor=SYSTEM, changes=changes
            )

    async def rejected(self, tx: Tx, row: Row, code: str, text: str, now: datetime) -> None:
        await self._settlement.fail(
            tx, row, WithdrawalEvent.REJECTED, code=code, words=text, now=now
        )

    def ask_at(self, row: Row, now: datetime) -> datetime | None:  # noqa: ARG002 - by our own id
        return now
