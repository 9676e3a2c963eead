"""Errands: an operator's request that is accepted at once, done later and told by a Result.

Owns what reversal and B2B have in common: the operator's fields, the row, the alarm, the letter.
Invariant: money, result and callback are one commit. Leaves out what each one moves.
"""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response

from hazina.simulators.daraja import initiator
from hazina.simulators.daraja.callbacks import Letter
from hazina.simulators.daraja.faults import Plan, travelling
from hazina.simulators.daraja.gate import (
    Fields,
    Product,
    accepted,
    bad_request,
    text_field,
    url_field,
)
from hazina.simulators.daraja.money import whole_shillings
from hazina.simulators.daraja.wire import (
    ACCEPTED_ASYNC,
    ASYNC_TEXTS,
    FILLER,
    Json,
    reply,
    result,
    timeout_notice,
)
from hazina.simulators.daraja.world import World


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request of the operator."""

    command: str
    amount: int
    party: str
    """The other party, or the reference: what the errand's own room needs besides."""
    remarks: str
    original: str = ""
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an errand: result code, receipt and parameters of a success."""

    code: str
    receipt: str = FILLER
    parameters: tuple[Json, ...] = ()
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """An errand's product, how it is done, and how its Result is spelled."""

    product: Product
    do: Callable[[World, sqlite3.Row], Outcome]
    reference: Json
    text_codes: bool = False


KINDS: dict[str, Kind] = {}
"""By operation; each room enters its own."""


def check_operator(world: World, fields: Fields, command: str | tuple[str, ...]) -> str:
    """This will check what every operator's request has and return its CommandID. Raises: Refused.

    The letter goes to ResultURL; Remarks are 2 to 100 characters.
    """
    given = text_field(world, fields, "CommandID")
    if given not in (command if isinstance(command, tuple) else (command,)):
        raise bad_request(world, "CommandID")
    text_field(world, fields, "Initiator")
    text_field(world, fields, "SecurityCredential")
    if not 2 <= len(text_field(world, fields, "Remarks")) <= 100:
        raise bad_request(world, "Remarks")
    url_field(world, fields, "ResultURL")
    url_field(world, fields, "QueueTimeOutURL")
    return given


def amount_field(world: World, fields: Fields) -> int:
    """This will return the amount in cents, at least one whole shilling. Raises: Refused."""
    amount = whole_shillings(fields.get("Amount"))
    if amount is None or amount < 1:
        raise bad_request(world, "Amount")
    return amount * 100


def accept(
    world: World, kind: Kind, fields: Fields, asked: Request, shortcodes: tuple[str, ...]
) -> Response:
    """This will take an errand on and answer; `shortcodes` are the ones the operator may use."""
    with world.store.transaction():
        now = world.now_ms()
        denied = initiator.find_refusal(
            world, str(fields["Initiator"]), str(fields["SecurityCredential"])
        )
        ours = (world.config.shortcode, world.config.payout_shortcode)
        if denied is None and any(shortcode not in ours for shortcode in shortcodes):
            denied = "TP40153"
        plan = world.faults.take(kind.product.operation, asked.phone, travelling())
        originator_id, conversation_id = world.ids.merchant(), world.ids.conversation(now)
        world.store.run(
            "INSERT INTO errands (conversation_id, originator_id, operation, command, amount,"
            " original, phone, party, remarks, result_url, timeout_url, refusal, created_ms,"
            " due_ms, state, plan) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?)",
            conversation_id, originator_id, kind.product.operation, asked.command, asked.amount,
            asked.original, asked.phone, asked.party, asked.remarks, str(fields["ResultURL"]),
            str(fields["QueueTimeOutURL"]), denied, now,
            now + world.settings.async_processing_ms, plan.to_json(),
        )  # fmt: skip
        if world.settings.async_processing_ms:
            due = now + world.settings.async_processing_ms
            world.store.after_commit(lambda: watch(world, conversation_id, due))
        else:
            settle(world, conversation_id)
    answer = {
        "OriginatorConversationID": originator_id,
        "ConversationID": conversation_id,
        "ResponseCode": "0",
        "ResponseDescription": ACCEPTED_ASYNC,
    }
    return accepted(reply(answer), plan)


def watch(world: World, conversation_id: str, due_ms: int) -> None:
    """This will settle an errand when its time has come."""

    def act() -> None:
        with world.store.transaction():
            settle(world, conversation_id)

    world.timers.at(due_ms, act)


def resume(world: World) -> None:
    """This will set the alarms of accepted errands again after a restart."""
    for row in world.store.rows("SELECT * FROM errands WHERE state <> 'done'"):
        watch(world, row["conversation_id"], int(row["due_ms"]))


def settle(world: World, conversation_id: str) -> None:
    """This will do an open errand inside the open transaction and queue its Result."""
    row = world.store.row(
        "SELECT * FROM errands WHERE conversation_id = ? AND state <> 'done'", conversation_id
    )
    if row is None:
        return
    kind, plan = KINDS[row["operation"]], Plan.from_json(row["plan"])
    outcome = _outcome(world, kind, row, plan)
    text = outcome.text or ASYNC_TEXTS.get(outcome.code, "The service request failed.")
    world.store.run(
        "UPDATE errands SET state = 'done', result_code = ?, result_desc = ?, receipt = ?,"
        " finished_ms = ? WHERE conversation_id = ?",
        outcome.code, text, None if outcome.receipt == FILLER else outcome.receipt,
        world.now_ms(), conversation_id,
    )  # fmt: skip
    body = result(
        outcome.code, text, row["originator_id"], conversation_id, outcome.receipt,
        outcome.parameters, object_shape=plan.has("result_object_shape"),
        text_codes=kind.text_codes, reference=kind.reference,
    )  # fmt: skip
    send_result(world, row, body, plan)
    world.changed()


def _outcome(world: World, kind: Kind, row: sqlite3.Row, plan: Plan) -> Outcome:
    forced = plan.get("result_fail")
    if forced is not None and forced.result_code is not None:
        return Outcome(forced.result_code, text=forced.result_desc)
    if row["refusal"] is not None:
        return Outcome(str(row["refusal"]))
    return kind.do(world, row)


def send_result(world: World, row: sqlite3.Row | Mapping[str, str], body: Json, plan: Plan) -> None:
    """This will queue the Result, after a timeout notice when the plan wants one."""
    late, subject = 0.0, str(row["conversation_id"])
    notice = plan.get("timeout_notice")
    if notice is not None:
        late = 1.0 if notice.delay_s is None else notice.delay_s
        told = timeout_notice(row["originator_id"], subject)
        world.callbacks.send(
            Letter(f"{row['operation']}_timeout", subject, row["timeout_url"], told), Plan({})
        )
    letter = Letter(row["operation"], subject, row["result_url"], body)
    world.callbacks.send(letter, plan, extra_delay_s=late)
