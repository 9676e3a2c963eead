"""Switches in the console: what is stopped, and stopping or starting it after a second look.

Whoever works may stop: stopping is safe, and soon is better than well considered. A manager lets
things go on, and decides about maintenance. Form, review, confirm: nothing changes before the last.
"""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from hazina.desk.switches import RECOVERY, Switch, Switches
from hazina.desk.webkit.acts import did
from hazina.desk.webkit.current import CurrentOperator, OperatorActor, require_role
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import Field, Form, FormSpec
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Column, Line, Value
from hazina.identity.bearer import house_of
from hazina.identity.people import Operator, Role
from hazina.infra.db import Tx
from hazina.kernel.errors import Kind, Refusal

router = APIRouter(prefix="/switches")
Worker = Annotated[Operator, Depends(require_role(Role.MANAGER, Role.OPERATOR))]
KEEPERS = frozenset({Role.ADMINISTRATOR, Role.MANAGER})


class Way(StrEnum):
    """Which way a switch is turned."""

    OFF = "off"  # stops
    ON = "on"  # goes on


REASON = Field("reason", "Why", str, max_length=300,
               help="Whoever comes next reads it, and so does the audit trail.")  # fmt: skip
STOP, GO_ON = FormSpec(REASON), FormSpec()
COLUMNS = [Column("What"), Column("State"), Column("Since"), Column("By"), Column("Why"),
           Column("")]  # fmt: skip
NAMES = {
    Switch.ALL: "Everything that moves money outside",
    Switch.MPESA_IN: "Prompts that ask a phone to pay",
    Switch.MPESA_OUT: "Payouts to phones",
    Switch.WRITES: "Maintenance: everything a customer could change, and all jobs",
}
# What happens, and what goes on all the same.
STOPPED = {
    Switch.ALL: (
        "No call that moves money goes out, on any rail.",
        "Callbacks are taken, and what is under way is asked about.",
    ),
    Switch.MPESA_IN: (
        "No phone is asked to pay.",
        "Payouts, payments to the paybill, and prompts that are under way.",
    ),
    Switch.MPESA_OUT: (
        "No payout is sent; what is asked for waits with its money held.",
        "Deposits, and asking about payouts that are under way.",
    ),
    Switch.WRITES: (
        "Customers and operators change nothing; jobs and sweepers wait.",
        "Looking, signing in, this page, and callbacks, which are kept for later.",
    ),
}


GONE = ("It is so already", "Somebody was quicker. There is nothing to do.")


class ManagerNeeded(Refusal):
    """Letting go on, and maintenance, are a manager's to decide."""

    code = "manager_needed"
    kind = Kind.FORBIDDEN
    message = "A manager or an administrator decides that."
    action = "Ask one of them."


@router.get("")
async def show_list(request: Request, operator: CurrentOperator) -> HTMLResponse:
    """Every switch, and a recovery if one is open."""
    house = house_of(request)
    standing, rows = await house.get(Switches).now(), list[list[Value]]()
    for switch in Switch:
        closed = standing.get(switch.value)
        chip = ("bad", "Stopped") if closed else ("good", "Runs")
        way = Way.ON if closed else Way.OFF
        link: Value = ""
        if _may(operator, switch, way):
            words = "Let it go on" if closed else "Stop it"
            link = Markup('<a href="/switches/{}/{}">{}</a>').format(switch, way, words)
        told = (closed.since, closed.by, closed.reason) if closed else ("", "", "")
        rows.append([NAMES[switch], Markup('<span class="chip {}">{}</span>').format(*chip), *told,
                     link])  # fmt: skip
    return render(
        request,
        "desk/switches.html",
        columns=COLUMNS,
        rows=rows,
        recovering=standing.get(RECOVERY),
    )


@router.get("/{switch}/{way}")
async def show(request: Request, switch: Switch, way: Way, operator: Worker) -> Response:
    """The form: why it is stopped. Letting go on needs no words and is looked at straight away."""
    _require(operator, switch, way)
    form = _spec(way).blank()
    return await _page(request, switch, way, form, look=way is Way.ON)


@router.post("/{switch}/{way}/review")
async def review(request: Request, switch: Switch, way: Way, operator: Worker) -> Response:
    """What will happen; nothing has yet."""
    _require(operator, switch, way)
    form = await _spec(way).read(request)
    return await _page(request, switch, way, form, look=form.ok)


@router.post("/{switch}/{way}")
async def turn(
    request: Request, switch: Switch, way: Way, operator: Worker, actor: OperatorActor
) -> Response:
    """This will turn the switch, once for the form that was looked at."""
    _require(operator, switch, way)
    form, house = await _spec(way).read(request), house_of(request)
    part, now, by = house.get(Switches), house.clock.now(), operator.username

    async def act(tx: Tx) -> None:
        if way is Way.OFF:
            reason = form.value(REASON)
            await part.turn_off(tx, switch, by=by, reason=reason, actor=actor, now=now)
        else:
            await part.turn_on(tx, switch, by=by, actor=actor, now=now)

    if not form.ok or not await did(request, actor, form, act):
        return await _page(request, switch, way, form, look=False)
    words = "stopped" if way is Way.OFF else "goes on; what waited goes out by itself"
    tone = Tone.WARN if way is Way.OFF else Tone.GOOD
    return redirect(request, "/switches", f"{NAMES[switch]}: {words}.", tone)


def _spec(way: Way) -> FormSpec:
    return STOP if way is Way.OFF else GO_ON


def _may(operator: Operator, switch: Switch, way: Way) -> bool:
    if operator.role in KEEPERS:
        return True
    stops_a_rail = way is Way.OFF and switch is not Switch.WRITES
    return stops_a_rail and operator.role is Role.OPERATOR


def _require(operator: Operator, switch: Switch, way: Way) -> None:
    if not _may(operator, switch, way):
        raise ManagerNeeded


async def _page(
    request: Request, switch: Switch, way: Way, form: Form, *, look: bool
) -> HTMLResponse:
    closed = (await house_of(request).get(Switches).now()).get(switch.value)
    stops, stays = STOPPED[switch]
    off = way is Way.OFF
    lines = [
        Line("What", NAMES[switch], strong=True),
        Line("Now", f"stopped by {closed.by}: {closed.reason}" if closed else "runs"),
        Line("Afterwards", stops if off else "It runs again; what waited goes out by itself."),
        *([Line("Goes on all the same", stays)] if off else []),
        *([Line("Why", form.find(REASON) or "")] if off and look else []),
        Line("Takes effect", "at once: when the page answers, no more calls of that kind go out"
             if off else "at once"),
        Line("Who undoes it", "a manager or an administrator, here or by hazina switch"),
    ]  # fmt: skip
    title = ("Stop: " if off else "Let go on: ") + NAMES[switch]
    return render(
        request, "desk/second_look.html", status=form.status, form=form, lines=lines, look=look,
        title=title, url=f"/switches/{switch.value}/{way.value}", back="/switches",
        back_label="Switches", button="Stop it now" if off else "Let it go on now", kind="",
        factor=False, possible=(closed is None) == off, gone=GONE,
    )  # fmt: skip
