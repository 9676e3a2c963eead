"""Getting messages out: the same three steps as any outward call, with its lease and its unknown.

A claim is committed, the channel is asked outside of any transaction, the outcome is written by
compare-and-set. Codes go another way, ``deliver_now``: at once, never written down, never logged.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

from hazina.desk.notifications import repository as sql
from hazina.desk.notifications.channels.port import Channel, Letter, Sender
from hazina.desk.notifications.repository import (
    PREFIX,
    Claimed,
    LostMessage,
    Reader,
    Wish,
    claimed_of,
    state_of,
)
from hazina.desk.notifications.states import MACHINE, MessageEvent, MessageState
from hazina.desk.notifications.texts import CODES, Language
from hazina.desk.recovery import NobodyAsked
from hazina.identity.customers import Customers
from hazina.identity.freeze import StopCodes
from hazina.infra.alarms import Alarm
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Row, Tx
from hazina.infra.jobs import Jobs
from hazina.infra.states import enter, leave
from hazina.infra.vault import VaultError
from hazina.kernel.actor import Actor
from hazina.kernel.clock import Clock
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import new_id, parse_id, wire_id
from hazina.kernel.outcome import Accepted, Outcome, Rejected, Unknown
from hazina.kernel.page import Page

LOST = Alarm("message-lost")
SEND = "message.send"
LEASE = timedelta(minutes=2)
ATTEMPTS = 8  # over about four hours; what is older than that is no news
PAUSES_S = (30, 120, 300, 900, 1_800, 3_600, 7_200)
SWEEP_BATCH = 200


class Delivery:
    """Sends what is queued, and codes at once."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        jobs: Jobs,
        *,
        customers: Customers,
        stop_codes: StopCodes,
        senders: Mapping[Channel, Sender],
        audit: Audit,
    ) -> None:
        self._db = db
        self._clock = clock
        self._jobs = jobs
        self._customers = customers
        self._stop_codes = stop_codes
        self._senders = senders
        self._audit = audit

    def available(self) -> list[Channel]:
        """The outward channels that are configured."""
        return [channel for channel, sender in self._senders.items() if sender.available]

    async def deliver_now(
        self, customer_id: UUID, channel: Channel, purpose: str, code: str
    ) -> Outcome[str]:
        """This will send a code and say what became of it. ``purpose`` names its text. Neither
        the code nor the address is kept or logged; who needs it again asks for another."""
        async with self._db.transaction(readonly=True) as tx:
            row = await tx.fetchrow(sql.WISH, customer_id)
            language = Language(row["language"]) if row else Wish().language
            to = await self._address(tx, customer_id, channel)
        text = CODES[purpose].text(language).filled({"code": code})
        letter = Letter(new_id(), to, text.subject, text.body)
        return await self._senders[channel].send(letter)

    async def send(self, message_id: UUID) -> None:
        """The job: this will send one message if it is due; safe to run twice."""
        claimed = await self._db.run(lambda tx: self._claim(tx, message_id, self._clock.now()))
        if claimed is None:
            return
        try:
            async with self._db.transaction(readonly=True) as tx:
                to = await self._address(tx, claimed.customer_id, claimed.channel)
        except VaultError:
            outcome: Outcome[str] = Rejected("erased", "the customer's contacts are erased")
        else:
            letter = Letter(claimed.id, to, claimed.text.subject, claimed.text.body)
            outcome = await self._senders[claimed.channel].send(letter)
        now = self._clock.now()
        await self._db.run_patiently(
            lambda tx: self._conclude(tx, claimed, outcome, now), patience_s=60
        )

    async def list_lost(
        self, reader: Reader, *, limit: int, cursor: str | None = None
    ) -> Page[LostMessage]:
        """Messages that failed, or of which nobody knows whether they arrived; newest first."""
        before = parse_id(PREFIX, cursor) if cursor else None
        rows = await reader.fetch(sql.LOST, limit + 1, before)
        found = [LostMessage.of(row) for row in rows]
        return Page.of(found, limit, lambda one: wire_id(PREFIX, one.id))

    async def send_again(self, tx: Tx, message_id: UUID, actor: Actor, now: datetime) -> None:
        """This will queue a message that did not arrive once more, with all its attempts; one of
        which nobody knows may then come twice. Raises: NotFound, StateMoved."""
        row = await tx.fetchrow(sql.LOCK, message_id)
        if row is None:
            raise NotFound
        attempts = int(row["attempts"])
        await _move(tx, row, MessageEvent.AGAIN, now, due=now, attempts=-attempts)
        await self._jobs.enqueue(tx, SEND, message_id)
        before = {"state": row["state"], "attempts": attempts}
        await self._audit.record(
            tx, actor, "message.sent_again", "message", message_id, before=before, now=now
        )

    async def sweep(self) -> None:
        """This will queue what is due and whose job was lost."""
        for due in await self._db.fetch(sql.DUE, self._clock.now(), SWEEP_BATCH):
            message_id: UUID = due["id"]

            async def again(tx: Tx, message_id: UUID = message_id) -> None:
                await self._jobs.enqueue(tx, SEND, message_id, once=True)

            await self._db.run(again)

    async def _claim(self, tx: Tx, message_id: UUID, now: datetime) -> Claimed | None:
        row = await tx.fetchrow(sql.LOCK, message_id)
        if row is None or row["next_attempt_at"] is None or row["next_attempt_at"] > now:
            return None
        if state_of(row) is MessageState.SENDING:
            # Its worker died past the lease: it may have been sent.
            outcome = Unknown("the worker ended while it was being sent")
            await self._write(tx, row, outcome, now)
            return None
        await _move(tx, row, MessageEvent.CLAIM, now, due=now + LEASE, attempts=1)
        return claimed_of(row, self._secrets(row))

    async def _conclude(
        self, tx: Tx, claimed: Claimed, outcome: Outcome[str], now: datetime
    ) -> None:
        row = await tx.fetchrow(sql.LOCK, claimed.id)
        assert row is not None
        if state_of(row) is MessageState.SENDING and row["attempts"] == claimed.attempts + 1:
            await self._write(tx, row, outcome, now)

    async def _write(self, tx: Tx, row: Row, outcome: Outcome[str], now: datetime) -> None:
        last = row["attempts"] >= ATTEMPTS
        due = now + timedelta(seconds=PAUSES_S[min(row["attempts"], len(PAUSES_S)) - 1])
        match outcome:
            case Accepted(reference):
                await _move(tx, row, MessageEvent.ACCEPTED, now, reference=reference)
            case Rejected(code, text, retry):
                event = MessageEvent.DEFERRED if retry and not last else MessageEvent.REJECTED
                note = f"{code}: {text}"
                at = due if event is MessageEvent.DEFERRED else None
                await _move(tx, row, event, now, due=at, note=note)
            case Unknown(reason):
                repeat = self._senders[Channel(row["channel"])].repeatable and not last
                event = MessageEvent.REPEATED if repeat else MessageEvent.LOST
                await _move(tx, row, event, now, due=due if repeat else None, note=reason)
            case _:
                assert_never(outcome)

    async def _address(self, tx: Tx, customer_id: UUID, channel: Channel) -> str:
        if channel is Channel.SMS:
            return (await self._customers.reveal_phone(tx, customer_id)).e164
        return (await self._customers.reveal_email(tx, customer_id)).address

    def _secrets(self, row: Row) -> dict[str, str]:
        """What a message says and its row does not hold: the code that freezes the account."""
        stop_id = row["facts"].get("stop_id")
        return {"code": self._stop_codes.code(UUID(stop_id))} if stop_id else {}


class RecoverMessages(NobodyAsked):
    """What ``desk.recovery`` may ask of messages: none that the copy had waiting goes out, for it
    may have gone out since. They hold nothing up: nobody's money waits for a message."""

    async def recover(self, tx: Tx, now: datetime) -> int:
        for row in await tx.fetch(sql.UNSENT):
            note = "restored from a copy: it may have been sent since"
            await _move(tx, row, MessageEvent.RECOVERED, now, note=note)
        return 0


async def _move(
    tx: Tx,
    row: Row,
    event: MessageEvent,
    now: datetime,
    *,
    due: datetime | None = None,
    reference: str | None = None,
    note: str | None = None,
    attempts: int = 0,
) -> None:
    state = state_of(row)
    following = MACHINE.next(state, event)
    note = note[:200] if note else None
    point = leave(MACHINE, state, event)
    await tx.execute(sql.MOVE, row["id"], state, following, now, due, reference, note, attempts)
    enter(tx, point)
    if following in (MessageState.FAILED, MessageState.UNKNOWN):
        LOST.ring(
            "a message did not arrive", early=True, message=str(row["id"]), channel=row["channel"],
            template=row["template"], state=following.value, why=note,
        )  # fmt: skip
