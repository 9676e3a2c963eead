"""Messages: written from the facts of the outbox, read in the inbox, wished for by customers."""

from datetime import datetime
from uuid import UUID

from hazina.desk.notifications import repository as sql
from hazina.desk.notifications.channels.port import Channel
from hazina.desk.notifications.events import facts_of, saying
from hazina.desk.notifications.repository import PREFIX, InboxLine, Reader, Wish
from hazina.desk.notifications.sending import SEND, Delivery
from hazina.desk.notifications.states import MACHINE, MessageState
from hazina.desk.notifications.texts import TEMPLATES, Group, Language, LanguageUnknown
from hazina.desk.switches import RECOVERY, Switches
from hazina.infra.audit import Audit
from hazina.infra.db import Row, Tx
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Event
from hazina.infra.states import enter
from hazina.kernel.actor import Actor
from hazina.kernel.ids import new_id, parse_id, wire_id
from hazina.kernel.page import Page


class Notifications:
    """What the shells may ask, and the subscriber of every fact that is told."""

    def __init__(self, jobs: Jobs, audit: Audit, delivery: Delivery, switches: Switches) -> None:
        self._switches = switches
        self._jobs = jobs
        self._audit = audit
        self._delivery = delivery

    async def tell(self, tx: Tx, event: Event) -> None:
        """This will write an event's messages, one for each channel, and queue them to be sent.
        The same event told twice makes them once; while the house recovers from a copy, news
        about money goes to the inbox alone."""
        said = saying(event.topic, event.payload)
        if said is None:
            return
        customer_id = UUID(str(event.payload["customer_id"]))
        facts, wish = facts_of(event.payload, event.created_at), await self.wish_of(tx, customer_id)
        # What is booked while recovering may have been told before the house was lost.
        quiet = RECOVERY in await self._switches.read(tx)
        security = TEMPLATES[said.template].group is Group.SECURITY
        for channel in (Channel.INBOX, *self._delivery.available()):
            inside = channel is Channel.INBOX
            if not security and not inside and (quiet or not wish.wants(channel)):
                continue
            state = MessageState.SENT if inside else MessageState.QUEUED
            written = await tx.fetchval(
                sql.ADD, new_id(), event.id, customer_id, channel, said.template, wish.language,
                facts, state, event.created_at, None if inside else event.created_at,
            )  # fmt: skip
            if written is not None and not inside:
                enter(tx, f"{MACHINE.name}.created")
                await self._jobs.enqueue(tx, SEND, written)

    async def inbox(
        self, tx: Tx, customer_id: UUID, *, cursor: str | None = None, limit: int = 50
    ) -> Page[InboxLine]:
        """This will list a customer's messages, newest first, in the language they wish now."""
        language = (await self.wish_of(tx, customer_id)).language
        before = parse_id(PREFIX, cursor) if cursor else None
        rows = await tx.fetch(sql.INBOX, customer_id, before, limit + 1)
        lines = [InboxLine.of(row, language) for row in rows]
        return Page.of(lines, limit, lambda line: wire_id(PREFIX, line.id))

    async def mark_read(self, tx: Tx, customer_id: UUID, upto: UUID, now: datetime) -> int:
        """This will mark a message and all older ones of the customer's as read."""
        return await tx.execute(sql.READ, customer_id, upto, now)

    async def wish_of(self, reader: Reader, customer_id: UUID) -> Wish:
        row = await reader.fetchrow(sql.WISH, customer_id)
        return Wish() if row is None else _wish(row)

    async def set_wish(
        self, tx: Tx, customer_id: UUID, wish: Wish, actor: Actor, now: datetime
    ) -> None:
        """This will keep what a customer wishes to hear, and in which language."""
        before = await self.wish_of(tx, customer_id)
        await tx.execute(sql.SET_WISH, customer_id, wish.language, wish.sms, wish.email, now)
        await self._audit.record(
            tx, actor, "message_wish.set", "customer", customer_id,
            before=_facts(before), after=_facts(wish), now=now,
        )  # fmt: skip


async def unread(reader: Reader, customer_id: UUID) -> int:
    """How many messages of the inbox wait to be read; counted up to a hundred."""
    row = await reader.fetchrow(sql.UNREAD, customer_id)
    return int(row["unread"]) if row else 0


def parse_language(text: str) -> Language:
    """Raises: LanguageUnknown."""
    try:
        return Language(text)
    except ValueError:
        raise LanguageUnknown(details={"field": "language"}) from None


def _wish(row: Row) -> Wish:
    return Wish(Language(row["language"]), row["sms"], row["email"])


def _facts(wish: Wish) -> dict[str, object]:
    return {"language": wish.language.value, "sms": wish.sms, "email": wish.email}
