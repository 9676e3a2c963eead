"""The control API under /sim: handsets, faults, settings, the clock.

JSON without credentials, for loopback: whoever reaches it owns this M-Pesa. Amounts are decimal
strings. Leaves out books, statement and deliveries (control_books.py), PayBill, registration and
reversals (control_money.py), and the pages.
"""

import json
import sqlite3
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hazina.simulators.daraja import initiator, messages, prompts
from hazina.simulators.daraja.clock import in_eat, read_eat, to_ms
from hazina.simulators.daraja.faults import FaultOrder
from hazina.simulators.daraja.gate import quota_used, world_of
from hazina.simulators.daraja.money import decimal_text, parse_cents
from hazina.simulators.daraja.world import World

router = APIRouter()

TheWorld = Annotated[World, Depends(world_of)]
Phone = Annotated[str, Path(pattern=r"^254[17]\d{8}$")]
Timeout = Annotated[float, Query(gt=0, le=60)]
Shown = dict[str, object]

FAR_S = 20 * 366 * 86_400
"""No further in one step."""
LATEST_MS = 2**62


class PromptAnswer(BaseModel):
    """What the person holding the phone does."""

    model_config = ConfigDict(extra="forbid")
    action: Literal["pay", "cancel", "ignore"]
    pin: str = Field("", max_length=8)


class HandsetChange(BaseModel):
    """What may be set on a handset; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    balance: str | None = Field(None, pattern=r"^\d{1,9}(\.\d{1,2})?$")
    auto: Literal["pay", "cancel", "none"] | None = None
    registered: bool | None = None
    pin: str | None = Field(None, pattern=r"^\d{4,8}$")
    name: str | None = Field(None, min_length=1, max_length=40)


def show_handset(world: World, phone: str) -> Shown:
    """This will describe a handset with its prompt and newest messages."""
    with world.store.transaction():
        handset = world.handset(phone)
    prompt = prompts.find_shown(world, phone)
    inbox = world.store.rows(
        "SELECT at_ms, body FROM messages WHERE phone = ? ORDER BY id DESC LIMIT 50", phone
    )
    return {
        "phone": phone,
        "name": handset.name,
        "balance": decimal_text(handset.balance),
        "auto": handset.auto,
        "registered": handset.registered,
        "prompt": None if prompt is None else show_prompt(world, prompt),
        "messages": [
            {"at": in_eat(row["at_ms"]).isoformat(), "body": row["body"]} for row in inbox
        ],
    }


def show_prompt(world: World, prompt: sqlite3.Row) -> Shown:
    """This will describe a prompt."""
    amount = int(prompt["amount"])
    return {
        "checkout_request_id": prompt["checkout_id"],
        "amount": decimal_text(amount),
        "account_reference": prompt["reference"],
        "description": prompt["detail"],
        "text": messages.question(amount, world.config.organisation, prompt["reference"]),
        "expires_at": in_eat(prompt["expires_ms"]).isoformat(),
    }


@router.get("/healthz")
async def healthz(world: TheWorld) -> Shown:
    """This will answer when the books can be read."""
    return {"status": "ok", "transactions": world.store.number("SELECT COUNT(*) FROM transactions")}


@router.get("/sim/handsets")
async def list_handsets(world: TheWorld) -> Shown:
    """This will list all handsets."""
    rows = world.store.rows("SELECT phone FROM handsets ORDER BY phone")
    shown = []
    for row in rows:
        handset = world.books.find_handset(row["phone"])
        if handset is not None:
            shown.append({"phone": handset.phone, "balance": decimal_text(handset.balance)})
    return {"handsets": shown}


@router.get("/sim/handsets/{phone}")
async def get_handset(world: TheWorld, phone: Phone) -> Shown:
    """This will show a handset, created on first mention."""
    return show_handset(world, phone)


@router.put("/sim/handsets/{phone}")
async def put_handset(world: TheWorld, phone: Phone, change: HandsetChange) -> Shown:
    """This will set balance, automatic answer, registration, PIN or name."""
    change_handset(world, phone, change)
    return show_handset(world, phone)


def change_handset(world: World, phone: str, change: HandsetChange) -> None:
    """This will apply the change; a prompt that is already open is answered at once by `auto`."""
    with world.store.transaction():
        now_set = world.handset(phone)
        if change.balance is not None:
            world.books.set_balance(phone, parse_cents(change.balance), world.now_ms())
        world.store.run(
            "UPDATE handsets SET name = ?, pin = ?, auto = ?, registered = ? WHERE phone = ?",
            change.name or now_set.name,
            change.pin or now_set.pin,
            change.auto or now_set.auto,
            int(now_set.registered if change.registered is None else change.registered),
            phone,
        )
        prompt = prompts.find_shown(world, phone)
        if prompt is not None and change.auto is not None:
            world.store.after_commit(lambda: prompts.watch(world, prompt))
        world.changed()


@router.post("/sim/handsets/{phone}/prompt")
async def answer_prompt(world: TheWorld, phone: Phone, answer: PromptAnswer) -> Shown:
    """This will pay, cancel or ignore the prompt on the screen; 409 when there is none."""
    try:
        prompts.answer(world, phone, answer.action, answer.pin)
    except prompts.NoPrompt:
        raise HTTPException(409, "no prompt on this handset") from None
    return show_handset(world, phone)


@router.get("/sim/handsets/{phone}/wait-prompt")
async def wait_prompt(world: TheWorld, phone: Phone, timeout: Timeout = 10) -> Shown:  # noqa: ASYNC109 - the query parameter's name
    """This will answer as soon as a prompt is shown; with prompt null after the timeout."""
    await world.bells.wait_until(lambda: prompts.find_shown(world, phone) is not None, timeout)
    return show_handset(world, phone)


@router.get("/sim/faults")
async def get_faults(world: TheWorld) -> Shown:
    """This will list the faults that are switched on."""
    return {"faults": world.faults.listed()}


@router.put("/sim/faults")
async def put_faults(world: TheWorld, orders: FaultOrder | list[FaultOrder]) -> Shown:
    """This will add one fault (an object) or replace them all (a list)."""
    with world.store.transaction():
        if isinstance(orders, list):
            world.faults.clear()
        for order in orders if isinstance(orders, list) else [orders]:
            world.faults.add(order)
    return {"faults": world.faults.listed()}


@router.delete("/sim/faults")
async def delete_faults(world: TheWorld) -> Shown:
    """This will switch all faults off."""
    with world.store.transaction():
        world.faults.clear()
    return {"faults": []}


@router.delete("/sim/faults/{fault_id}")
async def delete_fault(world: TheWorld, fault_id: int) -> Shown:
    """This will switch one fault off."""
    with world.store.transaction():
        if not world.faults.clear(fault_id):
            raise HTTPException(404, "no such fault")
    return {"faults": world.faults.listed()}


class ClockChange(BaseModel):
    """One way to move the clock."""

    model_config = ConfigDict(extra="forbid")
    advance_s: float | None = Field(None, ge=-FAR_S, le=FAR_S)
    """So much further; a negative number goes back."""
    set: str | None = Field(None, max_length=40)
    """To this moment (ISO 8601; East Africa Time when it names no zone)."""
    follow: Literal[True] | None = None
    """Back to the machine's own time."""


def show_clock(world: World) -> Shown:
    """This will tell the simulated time and its distance from the machine's."""
    return {"now": in_eat(world.now_ms()).isoformat(), "ahead_s": world.clock.offset_ms / 1000}


def change_clock(world: World, change: ClockChange) -> bool:
    """This will move the clock; False when the change asks for nothing, or for no moment."""
    if change.follow:
        world.move_clock(0)
    elif change.advance_s is not None:
        world.move_clock(world.clock.offset_ms + int(change.advance_s * 1000))
    else:
        wanted = read_eat(change.set or "")
        if wanted is None:
            return False
        world.move_clock(wanted - to_ms(world.clock.followed()))
    return True


@router.get("/sim/clock")
async def get_clock(world: TheWorld) -> Shown:
    """This will tell the simulated time."""
    return show_clock(world)


@router.put("/sim/clock")
async def put_clock(world: TheWorld, change: ClockChange) -> Shown:
    """This will move the clock; whatever becomes due happens at once."""
    if not change_clock(world, change):
        raise HTTPException(422, "advance_s, set (ISO 8601) or follow")
    return show_clock(world)


@router.get("/sim/settings")
async def get_settings(world: TheWorld) -> Shown:
    """This will show all settings."""
    return {
        **world.settings.model_dump(),
        "credential_locked": initiator.is_locked(world),
        "quota_used_today": quota_used(world),
    }


@router.put("/sim/settings")
async def put_settings(world: TheWorld, changes: dict[str, object]) -> Shown:
    """This will change some settings; `"credential_locked": false` unlocks the initiator."""
    if changes.pop("credential_locked", None) is False:
        initiator.unlock(world)
    try:
        world.change_settings(changes)
    except ValidationError as problem:
        raise HTTPException(422, json.loads(problem.json(include_url=False))) from None
    return await get_settings(world)


@router.get("/sim/wait-idle")
async def wait_idle(
    world: TheWorld,
    timeout: Timeout = 10,  # noqa: ASYNC109 - the query parameter's name
    prompts: bool = True,  # noqa: FBT001, FBT002 - a query parameter
    late: bool = True,  # noqa: FBT001, FBT002 - a query parameter
) -> Shown:
    """This will answer once nothing is pending: no prompt, no payout, no delivery.

    With `prompts=false` a prompt that waits for a person, with no fault to end it, is no work; with
    `late=false` neither is what falls due later, and the phone that is off.
    """

    def idle() -> bool:
        until = LATEST_MS if late else world.now_ms()
        return not world.store.number(
            "SELECT (SELECT COUNT(*) FROM deliveries WHERE state = 'pending' AND due_ms <= ?2)"
            " + (SELECT COUNT(*) FROM prompts p JOIN handsets h ON h.phone = p.phone"
            "    WHERE p.state <> 'done'"
            "      AND (?1 OR h.auto <> 'none' OR p.state <> 'open' OR p.plan <> '{}')"
            "      AND (?3 OR p.expires_ms <= ?2 OR (p.state = 'open'"
            "           AND (h.auto <> 'none' OR p.plan GLOB '*\"cancel\"*'))))"
            " + (SELECT COUNT(*) FROM payouts WHERE state <> 'done' AND due_ms <= ?2)"
            " + (SELECT COUNT(*) FROM paybills WHERE state <> 'done')"
            " + (SELECT COUNT(*) FROM errands WHERE state <> 'done' AND due_ms <= ?2)",
            int(prompts), until, int(late),
        )  # fmt: skip

    return {"idle": await world.bells.wait_until(idle, timeout)}


@router.get("/sim/certificate")
async def get_certificate(world: TheWorld) -> Response:
    """This will hand out the certificate to encrypt SecurityCredential with (PEM)."""
    return Response(world.keys.certificate_pem, media_type="application/x-pem-file")


@router.post("/sim/reset")
async def reset(world: TheWorld) -> Shown:
    """This will begin anew: empty books, no faults, default settings; tokens end too."""
    world.reset()
    return {"status": "reset"}
