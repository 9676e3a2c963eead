"""From the inbox to whoever waits for it: callbacks are parsed in a job and handed to a flow.

Flows subscribe to a kind when the house is built; no rail imports them. The address's token is the
correlation key. Invariants: a handler is called at least once, opens its own transaction, and
settles the same message twice without effect; a body that cannot be read is refused, never lost.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from hazina.infra.alarms import Alarm
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Tx
from hazina.infra.inbox import Inbox, InboxMessage, InboxState
from hazina.infra.jobs import Jobs
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.rails.ports import CallbackKind, Event, PaymentNotice, Unparsable

log = structlog.stdlib.get_logger()
GIVEN_UP = Alarm("callback-given-up")

SWEEP_S = 60
LATE = timedelta(minutes=2)
GIVE_UP = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Settled:
    """How a handler leaves a message when it is not simply done; ``note`` is for operators.

    REFUSED: forged, contradictory or nobody's; kept, without effect. WAITING: cannot be decided
    yet; it is handed in again every few minutes, for two days.
    """

    state: InboxState
    note: str = ""


DONE = Settled(InboxState.DONE)
Knows = Callable[[str, PaymentNotice], Awaitable[bool]]
Handler = Callable[[InboxMessage, Event], Awaitable[Settled | None]]


def callback_token(message: InboxMessage) -> str:
    """The token of the address a message came to: what its flow wrote before it called."""
    return message.external_id.partition(":")[0]


class Callbacks:
    """The callbacks of one rail, known to the inbox as ``source``. ``parse`` must never raise."""

    def __init__(
        self,
        db: Database,
        inbox: Inbox,
        jobs: Jobs,
        clock: Clock,
        *,
        audit: Audit,
        source: str,
        parse: Callable[[str, bytes], Event],
    ) -> None:
        self._audit = audit
        self._db = db
        self._inbox = inbox
        self._jobs = jobs
        self._clock = clock
        self._source = source
        self._parse = parse
        self._handlers: dict[CallbackKind, Handler] = {}
        self.knows: Knows | None = None
        self.job = f"{source}.callback"
        jobs.register(self.job, self.handle, timeout_s=60, attempts=8)
        jobs.every(f"{source}.callback_sweep", SWEEP_S, self.sweep)

    def subscribe(self, kind: CallbackKind, handler: Handler) -> None:
        """This will hand every event of ``kind`` to ``handler``; one handler for each kind.

        A handler opens its own transactions, is safe to run twice, and gives back how it leaves
        the message instead of marking it.
        """
        if kind in self._handlers:
            raise ValueError(f"{kind.value} callbacks already have a handler")
        self._handlers[kind] = handler

    def validate_with(self, knows: Knows) -> None:
        """This will let ``knows`` (token, notice) say at once whether a payment may go on."""
        if self.knows is not None:
            raise ValueError("payments are validated already")
        self.knows = knows

    async def handle(self, message_id: UUID) -> None:
        """This will work off one message of the inbox. Safe to run twice."""
        message = await self._db.run(lambda tx: self._inbox.get(tx, message_id))
        # A refused one may be here again: the same bytes have since come from a trusted source.
        if message.state is InboxState.DONE:
            return
        settled = await self._settle(message)
        await self._mark(message, settled)

    async def sweep(self) -> None:
        """This will queue again what lies unsettled, and give up on what waited two days."""
        now = self._clock.now()

        async def again(tx: Tx) -> None:
            late = await self._inbox.list_open(tx, self._source, before=now - LATE)
            for message in late:
                if message.received_at >= now - GIVE_UP:
                    await self._jobs.enqueue(tx, self.job, message.id, once=True)
                    continue
                GIVEN_UP.ring("callback given up", message=str(message.id), kind=message.kind)
                note = f"given up after two days: {message.note or 'never settled'}"
                await self._inbox.mark(tx, message.id, InboxState.REFUSED, note)

        await self._db.run(again)

    async def _settle(self, message: InboxMessage) -> Settled:
        event = self._parse(message.kind, message.body)
        if isinstance(event, Unparsable):
            log.warning("callback cannot be read", kind=message.kind, reason=event.reason)
            return Settled(InboxState.REFUSED, event.reason)
        handler = self._handlers.get(CallbackKind(message.kind))
        if handler is None:
            return Settled(InboxState.WAITING, "nobody listens to this kind")
        return await handler(message, event) or DONE

    async def _mark(self, message: InboxMessage, settled: Settled) -> None:
        note, now = settled.note or None, self._clock.now()

        async def mark(tx: Tx) -> None:
            await self._inbox.mark(tx, message.id, settled.state, note)
            if settled.state is InboxState.REFUSED:
                facts = {"kind": message.kind, "ip": message.ip, "why": note}
                await self._audit.record(
                    tx, SYSTEM, "callback.refused", "inbox", message.id, after=facts, now=now
                )

        await self._db.run(mark)
