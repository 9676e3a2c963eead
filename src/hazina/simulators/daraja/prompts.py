"""The life of a prompt: shown on a handset, answered or expired, booked, called back.

States of a row: `open` (on the screen), `ignored` (nobody looks; the phone stays locked until it
expires), `done` (final). Invariant: money, result and callback are one commit.
Leaves out the wire's request and its checks: stk.py.
"""

import sqlite3

from hazina.simulators.daraja import c2b, forgery, messages
from hazina.simulators.daraja.books import PAY_BILL, WORKING, Handset, Posting, handset_account
from hazina.simulators.daraja.callbacks import Letter
from hazina.simulators.daraja.faults import Plan, travelling
from hazina.simulators.daraja.money import parse_cents
from hazina.simulators.daraja.wire import STK_TEXTS, stk_callback, stk_metadata
from hazina.simulators.daraja.world import World


class NoPrompt(Exception):
    """There is no prompt on this handset to answer."""


def find(world: World, checkout_id: str) -> sqlite3.Row | None:
    """This will return a prompt by its CheckoutRequestID, or None."""
    return world.store.row("SELECT * FROM prompts WHERE checkout_id = ?", checkout_id)


def get(world: World, checkout_id: str) -> sqlite3.Row:
    """This will return a prompt that must exist. Raises: LookupError."""
    prompt = find(world, checkout_id)
    if prompt is None:
        raise LookupError(checkout_id)
    return prompt


def find_shown(world: World, phone: str) -> sqlite3.Row | None:
    """This will return the prompt on a handset's screen, or None."""
    return world.store.row(
        "SELECT * FROM prompts WHERE phone = ? AND state = 'open' AND expires_ms > ?",
        phone, world.now_ms(),
    )  # fmt: skip


def find_locking(world: World, phone: str) -> sqlite3.Row | None:
    """This will return the prompt that locks a subscriber, shown or ignored, or None."""
    return world.store.row(
        "SELECT * FROM prompts WHERE phone = ? AND state <> 'done' AND expires_ms > ?",
        phone, world.now_ms(),
    )  # fmt: skip


def watch(world: World, prompt: sqlite3.Row) -> None:
    """This will set the alarms of an unfinished prompt: automatic answer and expiry."""
    checkout_id, phone = str(prompt["checkout_id"]), str(prompt["phone"])
    world.timers.at(int(prompt["expires_ms"]), lambda: expire(world, checkout_id))
    handset = world.books.find_handset(phone)
    cancelled = Plan.from_json(prompt["plan"]).has("cancel")
    if handset is not None and (cancelled or handset.auto != "none"):
        due = int(prompt["created_ms"]) + world.settings.auto_delay_ms
        world.timers.at(due, lambda: answer_automatically(world, checkout_id))


def resume(world: World) -> None:
    """This will set the alarms again after a restart; what expired meanwhile expires at once."""
    for prompt in world.store.rows("SELECT * FROM prompts WHERE state <> 'done'"):
        watch(world, prompt)


def _unfinished(world: World, checkout_id: str) -> sqlite3.Row | None:
    return world.store.row(
        "SELECT * FROM prompts WHERE checkout_id = ? AND state <> 'done'", checkout_id
    )


def expire(world: World, checkout_id: str) -> None:
    """This will end an unanswered prompt with 1037."""
    with world.store.transaction():
        prompt = _unfinished(world, checkout_id)
        if prompt is not None:
            finish(world, prompt, "1037")


def answer_automatically(world: World, checkout_id: str, otherwise: str = "none") -> None:
    """This will answer as the handset is set to; `otherwise` is for one set to do nothing."""
    with world.store.transaction():
        prompt = _unfinished(world, checkout_id)
        if prompt is None or prompt["state"] != "open":
            return
        handset = world.handset(prompt["phone"])
        auto = "cancel" if Plan.from_json(prompt["plan"]).has("cancel") else handset.auto
        action = otherwise if auto == "none" else auto
        if action == "pay":
            _pay(world, prompt, handset, handset.pin)
        elif action == "cancel":
            finish(world, prompt, "1032")


def answer(world: World, phone: str, action: str, pin: str) -> None:
    """This will do what the person holding the phone does: pay, cancel or ignore.

    Raises: NoPrompt when nothing is on the screen.
    """
    with world.store.transaction():
        prompt = find_shown(world, phone)
        if prompt is None:
            raise NoPrompt
        if action == "pay":
            _pay(world, prompt, world.handset(phone), pin)
        elif action == "cancel" or Plan.from_json(prompt["plan"]).has("cancel"):
            finish(world, prompt, "1032")
        else:
            world.store.run(
                "UPDATE prompts SET state = 'ignored' WHERE checkout_id = ?", prompt["checkout_id"]
            )
            world.changed()


def _pay(world: World, prompt: sqlite3.Row, handset: Handset, pin: str) -> None:
    plan = Plan.from_json(prompt["plan"])
    amount = _amount_told(plan, int(prompt["amount"]))
    if plan.has("cancel"):
        finish(world, prompt, "1032")
    elif pin != handset.pin:
        finish(world, prompt, "2001")
    elif handset.balance < amount:
        finish(world, prompt, "1")
    elif _over_daily_limit(world, handset.phone, amount):
        finish(world, prompt, "4")
    else:
        _book(world, prompt, handset, amount)


def _amount_told(plan: Plan, amount: int) -> int:
    wrong = plan.get("wrong_amount")
    if wrong is None:
        return amount
    if wrong.amount is not None:
        return parse_cents(wrong.amount)
    return amount - 100 if amount > 100 else amount + 100


def _over_daily_limit(world: World, phone: str, amount: int) -> bool:
    limit = world.settings.daily_limit_kes * 100
    return bool(limit) and world.books.moved_today(phone, PAY_BILL, world.now_ms()) + amount > limit


def _book(world: World, prompt: sqlite3.Row, handset: Handset, amount: int) -> None:
    now = world.now_ms()
    posting = Posting(
        PAY_BILL, amount, handset.phone,
        reference=prompt["reference"], detail=prompt["detail"],
        originator_id=prompt["merchant_id"], conversation_id=prompt["checkout_id"],
        started_ms=int(prompt["created_ms"]),
    )  # fmt: skip
    lines = [(handset_account(handset.phone), -amount), (WORKING, amount)]
    receipt = world.books.post(posting, lines, now)
    text = messages.paid(
        receipt, amount, world.config.organisation, prompt["reference"], now,
        handset.balance - amount,
    )  # fmt: skip
    world.books.send_message(handset.phone, text, now)
    finish(world, prompt, "0", receipt=receipt, paid=amount)
    _confirm_c2b(world, prompt, receipt, amount)


def _confirm_c2b(world: World, prompt: sqlite3.Row, receipt: str, amount: int) -> None:
    """The second notice of the same payment; the c2b faults strike it, not the push's own."""
    both = Plan.from_json(prompt["plan"]).get("stk_and_c2b")
    if both is None and (not world.settings.stk_confirms_c2b or c2b.find_urls(world) is None):
        return
    plan = world.faults.take("c2b", prompt["phone"], travelling())
    c2b.confirm(
        world, receipt, prompt["phone"], amount, prompt["reference"], plan,
        url=None if both is None else both.url,
    )  # fmt: skip


def finish(
    world: World, prompt: sqlite3.Row, code: str, *, receipt: str = "", paid: int = 0
) -> None:
    """This will end a prompt inside the open transaction and queue its callback."""
    now = world.now_ms()
    text = STK_TEXTS[code]
    world.store.run(
        "UPDATE prompts SET state = 'done', result_code = ?, result_desc = ?, receipt = ?,"
        " paid_amount = ?, finished_ms = ? WHERE checkout_id = ?",
        code, text, receipt or None, paid or None, now, prompt["checkout_id"],
    )  # fmt: skip
    plan = Plan.from_json(prompt["plan"])
    wrong = plan.get("wrong_phone")
    phone = prompt["phone"] if wrong is None else forgery.told_phone(prompt["phone"], wrong)
    metadata = stk_metadata(paid, receipt, now, phone) if code == "0" else None
    body = stk_callback(prompt["merchant_id"], prompt["checkout_id"], code, text, metadata)
    letter = Letter("stk", prompt["checkout_id"], prompt["callback_url"], body)
    world.callbacks.send(letter, plan)
    world.changed()
