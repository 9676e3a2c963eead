"""The pages: a handset to hold in the browser, and the switchboard at `/`. More: pages_board.py.

Server-rendered and usable without JavaScript; a small script swaps the changing part in place.
Everything shown goes through autoescaping: references are free text from outside.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path as FilePath
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import ValidationError

from hazina.simulators.daraja import books as b
from hazina.simulators.daraja import prompts
from hazina.simulators.daraja.clock import in_eat
from hazina.simulators.daraja.control import (
    HandsetChange,
    Phone,
    TheWorld,
    change_handset,
    show_handset,
)
from hazina.simulators.daraja.faults import FAULTS, FaultOrder, Operation
from hazina.simulators.daraja.gate import PHONE
from hazina.simulators.daraja.money import spoken
from hazina.simulators.daraja.wire import STK_TEXTS
from hazina.simulators.daraja.world import World

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""No inline script or style; only this simulator's own pages may frame a handset."""

HEARTBEAT_S = 15
_STATIC = FilePath(__file__).parent / "static"
_TYPES = {"sim.css": "text/css", "sim.js": "text/javascript", "icon.svg": "image/svg+xml"}

_templates = Environment(
    loader=PackageLoader("hazina.simulators.daraja"), autoescape=True, undefined=StrictUndefined
)
_templates.filters["kes"] = spoken
_templates.filters["clock"] = lambda at_ms: in_eat(at_ms).strftime("%H:%M")
_templates.filters["day"] = lambda at_ms: in_eat(at_ms).strftime("%d %b, %H:%M")

router = APIRouter()


def page(template: str, **values: object) -> HTMLResponse:
    """This will render a page under the strict policy."""
    return HTMLResponse(_templates.get_template(template).render(**values), headers=SECURITY)


def back(path: str, **notice: str) -> RedirectResponse:
    """This will lead on after a form, with what went wrong in the address."""
    query = f"?{urlencode(notice)}" if notice else ""
    return RedirectResponse(path + query, status_code=303)


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """This will serve the stylesheet, the script and the icon."""
    if name not in _TYPES:
        return Response(status_code=404)
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return Response((_STATIC / name).read_bytes(), media_type=_TYPES[name], headers=headers)


@router.get("/handset/{phone}")
async def handset(
    world: TheWorld, phone: Phone, part: str = "", wrong: Annotated[str, Query()] = ""
) -> HTMLResponse:
    """This will show a phone; `part=screen` only what changes."""
    template = "screen.html" if part == "screen" else "handset.html"
    return page(template, **_phone_view(world, phone), wrong=wrong)


def _mark(world: World, phone: str) -> str:
    """A text that changes whenever the phone's screen must be drawn again."""
    prompt = prompts.find_locking(world, phone)
    news = world.store.number("SELECT MAX(id) FROM messages WHERE phone = ?", phone)
    ended = world.store.number("SELECT MAX(finished_ms) FROM prompts WHERE phone = ?", phone)
    balance = world.books.balance(b.handset_account(phone))
    shown = "" if prompt is None else f"{prompt['checkout_id']}:{prompt['state']}"
    typed = world.store.number(
        "SELECT COUNT(*) FROM paybills WHERE phone = ? AND state <> 'done'", phone
    )
    return f"{shown}:{news}:{ended}:{balance}:{typed}:{world.clock.offset_ms}"


def _phone_view(world: World, phone: str) -> dict[str, object]:
    show_handset(world, phone)  # creates it on first mention
    phone_now = world.books.find_handset(phone)
    inbox = world.store.rows(
        "SELECT id, at_ms, body FROM messages WHERE phone = ? ORDER BY id DESC LIMIT 20", phone
    )
    history = world.store.rows(
        "SELECT t.receipt, t.kind, t.reference, t.at_ms, e.amount FROM transactions t"
        " JOIN entries e ON e.receipt = t.receipt AND e.account = ?"
        " WHERE t.phone = ? ORDER BY t.rowid DESC LIMIT 20",
        b.handset_account(phone),
        phone,
    )
    last = world.store.row(
        "SELECT * FROM prompts WHERE phone = ? AND state = 'done'"
        " ORDER BY finished_ms DESC LIMIT 1",
        phone,
    )
    recent = last is not None and 0 <= world.now_ms() - int(last["finished_ms"]) < 20_000
    typed = world.store.row(
        "SELECT * FROM paybills WHERE phone = ? ORDER BY created_ms DESC, rowid DESC LIMIT 1", phone
    )
    if typed is not None and typed["state"] == "done":
        age = world.now_ms() - int(typed["finished_ms"])
        newer = not recent or last is None or last["finished_ms"] < typed["finished_ms"]
        typed = typed if 0 <= age < 20_000 and newer else None
    return {
        "handset": phone_now,
        "organisation": world.config.organisation,
        "prompt": prompts.find_shown(world, phone),
        "locked": prompts.find_locking(world, phone) is not None,
        "outcome": last if recent else None,
        "typed": typed,
        "mark": _mark(world, phone),
        "texts": STK_TEXTS,
        "inbox": inbox,
        "history": history,
        "clock": in_eat(world.now_ms()).strftime("%H:%M"),
        "now_ms": world.now_ms(),
    }


@router.post("/handset/{phone}/prompt")
async def press(
    world: TheWorld, phone: Phone, action: Annotated[str, Form()], pin: Annotated[str, Form()] = ""
) -> RedirectResponse:
    """This will press a button of the prompt, then show the phone again."""
    path = f"/handset/{phone}"
    if action == "pay" and not pin.strip():
        return back(path, wrong="pin")
    if action not in ("pay", "cancel", "ignore"):
        return back(path)
    try:
        prompts.answer(world, phone, action, pin.strip())
    except prompts.NoPrompt:
        return back(path, wrong="gone")
    return back(path)


@router.post("/handset/{phone}/settings")
async def set_handset(world: TheWorld, phone: Phone, request: Request) -> RedirectResponse:
    """This will set the handset's automatic answer, balance and registration from its form."""
    form = await request.form()
    try:
        change = HandsetChange.model_validate(
            {
                "auto": form.get("auto") or None,
                "balance": str(form.get("balance") or "").replace(",", "").strip() or None,
                "registered": form.get("registered") == "yes",
            }
        )
    except ValidationError:
        return back(f"/handset/{phone}", wrong="settings")
    change_handset(world, phone, change)
    return back(f"/handset/{phone}")


@router.get("/handset/{phone}/events")
async def events(world: TheWorld, phone: Phone) -> StreamingResponse:
    """This will send an event whenever this phone's screen must be drawn again."""

    async def stream() -> AsyncIterator[str]:
        seen = _mark(world, phone)
        yield f"data: {seen}\n\n"

        def moved() -> bool:
            return _mark(world, phone) != seen

        while not world.bells.closing:
            if await world.bells.wait_until(moved, HEARTBEAT_S):
                seen = _mark(world, phone)
                yield f"data: {seen}\n\n"
            else:
                yield ": still here\n\n"

    return StreamingResponse(
        stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


@router.get("/")
async def index(world: TheWorld, wrong: str = "") -> HTMLResponse:
    """This will show the switchboard: handsets, balances, faults, callbacks."""
    balanced, total, _ = world.books.proof()
    handsets = [
        world.books.find_handset(row["phone"])
        for row in world.store.rows("SELECT phone FROM handsets ORDER BY rowid DESC LIMIT 100")
    ]
    accounts = [
        ("Working", "collections arrive here", world.books.balance(b.WORKING)),
        ("Utility", "payouts leave from here", world.books.balance(b.UTILITY)),
        ("Charges paid", "what payouts cost", world.books.balance(b.CHARGES)),
    ]
    return page(
        "index.html",
        organisation=world.config.organisation,
        shortcode=world.config.shortcode,
        balanced=balanced,
        total=total,
        handsets=handsets,
        prompts={
            phone.phone: prompts.find_shown(world, phone.phone) for phone in handsets if phone
        },
        accounts=accounts,
        faults=world.faults.listed(),
        known=FAULTS,
        deliveries=world.store.rows("SELECT * FROM deliveries ORDER BY id DESC LIMIT 12"),
        operations=get_args(Operation),
        now=in_eat(world.now_ms()).strftime("%d %b %Y, %H:%M"),
        moved=bool(world.clock.offset_ms),
        wrong=wrong,
    )


@router.post("/open-handset")
async def open_handset(phone: Annotated[str, Form()] = "") -> RedirectResponse:
    """This will lead to a handset, however its number was typed."""
    digits = "".join(mark for mark in phone if mark.isdecimal())
    number = "254" + digits[-9:] if len(digits) in (9, 10, 12) else digits
    if not PHONE.fullmatch(number):
        return back("/", wrong="phone")
    return back(f"/handset/{number}")


@router.post("/faults")
async def switch_fault(world: TheWorld, request: Request) -> RedirectResponse:
    """This will switch a fault on or off from the panel's forms."""
    form = await request.form()
    given: dict[str, Any] = {
        key: str(value).strip() for key, value in form.items() if str(value).strip()
    }
    off = given.pop("off", None)
    try:
        if off is not None:
            with world.store.transaction():
                world.faults.clear(None if off == "all" else int(off))
            return back("/")
        standing = given.pop("standing", None)
        if standing or "probability" not in given:
            given["count"] = None if standing else 1
        if "body" in given:
            given["body"] = json.loads(given["body"])
        order = FaultOrder.model_validate(given)
        with world.store.transaction():
            world.faults.add(order)
    except ValueError:
        return back("/", wrong="fault")
    return back("/")


@router.post("/reset")
async def reset(world: TheWorld) -> RedirectResponse:
    """This will begin anew from the panel's button."""
    world.reset()
    return back("/")
