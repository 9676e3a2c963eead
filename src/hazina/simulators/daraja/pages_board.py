"""The pages beside the switchboard: clock and settings (`/controls`), books (`/books`).

Each form does what one call of the control API does, and says in words when it could not.
"""

import sqlite3
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from hazina.simulators.daraja import c2b, initiator, reversal
from hazina.simulators.daraja.clock import in_eat
from hazina.simulators.daraja.config import Settings
from hazina.simulators.daraja.control import (
    ClockChange,
    Phone,
    TheWorld,
    change_clock,
    show_handset,
)
from hazina.simulators.daraja.control_books import show_balances
from hazina.simulators.daraja.control_money import REASONS
from hazina.simulators.daraja.gate import quota_used
from hazina.simulators.daraja.pages import back, page

router = APIRouter()

PAGE_ROWS = 50
STEPS = (("+1 minute", 60), ("+1 hour", 3600), ("+1 day", 86_400), ("+48 hours", 172_800))
GROUPS = (
    ("Time", ("prompt_lifetime_s", "auto_delay_ms", "b2c_processing_ms", "async_processing_ms")),
    (
        "Callbacks",
        ("callback_delay_ms", "callback_retries", "callback_retry_delay_ms", "callback_timeout_s",
         "callback_forwarded_for"),
    ),
    (
        "PayBill (C2B)",
        ("c2b_external_validation", "c2b_validation_timeout_s", "c2b_names", "c2b_mask",
         "stk_confirms_c2b"),
    ),
    (
        "Limits of the gateway",
        ("spike_per_second", "quota_per_day", "firewall_probability", "fault_seed"),
    ),
    (
        "Limits of money and text",
        ("daily_limit_kes", "max_handset_balance_kes", "duplicate_window_s",
         "handset_opening_balance", "account_reference_max", "transaction_desc_max",
         "strict_text"),
    ),
    (
        "Shapes of answers",
        ("processing_shape", "lock_shape", "status_unknown_code", "status_of_reversed",
         "pull_none_shape", "pull_rows", "pull_zone", "pull_spaced_key", "qr_code",
         "revoke_previous_token"),
    ),
)  # fmt: skip
"""Every setting has its place; a test holds that none is forgotten."""


@router.get("/handset/{phone}/paybill")
async def menu(
    world: TheWorld,
    phone: Phone,
    wrong: str = "",
    account: Annotated[str, Query(max_length=60)] = "",
    amount: Annotated[str, Query(max_length=20)] = "",
    business: Annotated[str, Query(max_length=20)] = "",
) -> HTMLResponse:
    """This will show the PayBill menu of a phone."""
    shown = show_handset(world, phone)
    return page(
        "paybill.html",
        phone=phone,
        name=shown["name"],
        handset=world.books.find_handset(phone),
        organisation=world.config.organisation,
        shortcode=world.config.shortcode,
        clock=in_eat(world.now_ms()).strftime("%H:%M"),
        account=account,
        amount=amount,
        business=business or world.config.shortcode,
        wrong=wrong,
        why=REASONS.get(wrong, ""),
    )


@router.post("/handset/{phone}/paybill")
async def pay(
    world: TheWorld,
    phone: Phone,
    business: Annotated[str, Form()] = "",
    account: Annotated[str, Form()] = "",
    amount: Annotated[str, Form()] = "",
    pin: Annotated[str, Form()] = "",
) -> RedirectResponse:
    """This will pay, or lead back to the menu with what was typed; the PIN is never kept."""
    try:
        c2b.pay(world, phone, c2b.PayBill(business, account, amount, pin.strip()))
    except c2b.MenuRefusal as no:
        typed = {"wrong": no.reason, "business": business[:20], "account": account[:60]}
        return back(f"/handset/{phone}/paybill", **typed, amount=amount[:20])
    return back(f"/handset/{phone}")


@router.get("/controls")
async def controls(world: TheWorld, wrong: str = "", field: str = "") -> HTMLResponse:
    """This will show the clock, the C2B registration and every setting."""
    values = world.settings.model_dump()
    schema = Settings.model_json_schema()["properties"]
    return page(
        "controls.html",
        now=in_eat(world.now_ms()).strftime("%d %b %Y, %H:%M:%S"),
        now_field=in_eat(world.now_ms()).strftime("%Y-%m-%dT%H:%M"),
        ahead=_ahead(world.clock.offset_ms // 1000),
        steps=STEPS,
        urls=c2b.find_urls(world),
        groups=GROUPS,
        values=values,
        schema=schema,
        locked=initiator.is_locked(world),
        quota_used=quota_used(world),
        wrong=wrong,
        field=field,
    )


def _ahead(seconds: int) -> str:
    if not seconds:
        return ""
    days, rest = divmod(abs(seconds), 86_400)
    hours, rest = divmod(rest, 3600)
    parts = [(days, "d"), (hours, "h"), (rest // 60, "min"), (rest % 60, "s")]
    shown = " ".join(f"{number} {unit}" for number, unit in parts if number)
    return f"{shown} {'ahead of' if seconds > 0 else 'behind'}"


@router.post("/controls/clock")
async def move_clock(world: TheWorld, request: Request) -> RedirectResponse:
    """This will move the clock as the panel's buttons say."""
    form = await request.form()
    given = {key: str(value) for key, value in form.items() if str(value).strip()}
    try:
        change = ClockChange.model_validate(
            {**given, "follow": True} if "follow" in given else given
        )
    except ValidationError:
        return back("/controls", wrong="clock")
    return back("/controls") if change_clock(world, change) else back("/controls", wrong="clock")


@router.post("/controls/settings")
async def set_settings(world: TheWorld, request: Request) -> RedirectResponse:
    """This will set the settings of one group; a box that is not ticked is off."""
    form = await request.form()
    group = next((names for title, names in GROUPS if title == form.get("group")), ())
    schema = Settings.model_json_schema()["properties"]
    changes: dict[str, object] = {}
    for name in group:
        text = str(form.get(name, "")).strip()
        if schema[name].get("type") == "boolean":
            changes[name] = bool(text)
        elif name == "fault_seed":
            changes[name] = text or None
        elif text or (name in form and name == "callback_forwarded_for"):
            changes[name] = text
    if changes.get("fault_seed", "") == _text(world.settings.fault_seed):
        changes.pop("fault_seed")  # setting the same seed would begin the dice anew
    try:
        world.change_settings(changes)
    except ValidationError as problem:
        return back("/controls", wrong="settings", field=str(problem.errors()[0]["loc"][0]))
    return back("/controls")


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


@router.post("/controls/unlock")
async def unlock(world: TheWorld) -> RedirectResponse:
    """This will unlock the initiator's credential."""
    initiator.unlock(world)
    return back("/controls")


@router.post("/controls/forget-urls")
async def forget_urls(world: TheWorld) -> RedirectResponse:
    """This will delete the C2B registration."""
    c2b.forget_urls(world)
    return back("/controls")


@router.get("/books")
async def books(
    world: TheWorld, before: Annotated[int, Query(ge=0)] = 0, wrong: str = "", done: str = ""
) -> HTMLResponse:
    """This will show the books, latest first, a page at a time."""
    rows = world.store.rows(
        "SELECT t.rowid AS number, t.*, r.receipt AS returned, o.original FROM transactions t"
        " LEFT JOIN reversals r ON r.original = t.receipt"
        " LEFT JOIN reversals o ON o.receipt = t.receipt"
        " WHERE ?1 = 0 OR t.rowid < ?1 ORDER BY t.rowid DESC LIMIT ?2",
        before, PAGE_ROWS + 1,
    )  # fmt: skip
    older = rows[PAGE_ROWS - 1]["number"] if len(rows) > PAGE_ROWS else 0
    return page(
        "books.html",
        organisation=world.config.organisation,
        balances=show_balances(world),
        rows=rows[:PAGE_ROWS],
        older=older,
        first=not before,
        today=in_eat(world.now_ms()).strftime("%Y-%m-%d"),
        waiting=_waiting(world),
        wrong=wrong,
        done=done,
    )


def _waiting(world: TheWorld) -> list[sqlite3.Row]:
    return world.store.rows("SELECT * FROM paybills WHERE state <> 'done' ORDER BY created_ms")


@router.post("/books/{receipt}/reverse")
async def reverse(world: TheWorld, receipt: str) -> RedirectResponse:
    """This will send a payment back as after the payer's complaint."""
    try:
        made = reversal.by_customer(world, receipt)
    except reversal.NotReversed as no:
        return back("/books", wrong=no.reason)
    return back("/books", done=made)
