"""A deposit in honest words for its owner: where it stands, what to do, what comes next. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hazina.desk.webkit.flash import Tone
from hazina.desk.webkit.view import Step, StepState
from hazina.flows.deposits.repository import DepositView
from hazina.flows.deposits.states import DepositState
from hazina.flows.money_form import as_told, said
from hazina.infra.db import Row

S = DepositState
# A prompt closes by itself after about a minute; what was paid in it may still be told later.
PROMPT_SECONDS = 60

CHIPS: dict[DepositState, tuple[str, Tone]] = {
    S.REQUESTED: ("Requested", Tone.WAIT),
    S.SENDING: ("Asking M-Pesa", Tone.WAIT),
    S.PROMPTED: ("Waiting for your PIN", Tone.WAIT),
    S.UNKNOWN: ("Checking with M-Pesa", Tone.WAIT),
    S.CONFIRMED: ("Paid, receipt to follow", Tone.WAIT),
    S.PAID: ("Booked", Tone.GOOD),
    S.SUSPENDED: ("With our team", Tone.WARN),
    S.TAKEN_BACK: ("Taken back by M-Pesa", Tone.WARN),
    S.FAILED: ("Not paid", Tone.BAD),
}
FINAL = (S.PAID, S.SUSPENDED, S.TAKEN_BACK, S.FAILED)
# How two persons decided about what was paid otherwise than asked; the first is its older code.
RESOLVED: dict[str, tuple[str, Tone]] = {
    "mispaid": ("Settled by our team", Tone.NEUTRAL),
    "given": ("Settled by our team", Tone.NEUTRAL),
    "given_away": ("Settled by our team", Tone.NEUTRAL),
    "sent_back": ("Sent back", Tone.NEUTRAL),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What the reader should know or do now."""

    title: str
    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Story:
    """Everything of a deposit's page that moves."""

    chip: str
    tone: Tone
    steps: Sequence[Step]
    advice: Advice | None
    ring_until: datetime | None
    final: bool
    can_retry: bool

    @property
    def same(self) -> str:
        """Equal for two looks between which nothing happened."""
        return f"{self.chip}|{self.advice}|{self.steps}"


def story(view: DepositView, events: Sequence[Row], *, credited: bool) -> Story:
    """This will tell a deposit from its row and its events, oldest first."""
    chip, tone = chip_of(view)
    ring = None
    if view.state is S.PROMPTED:
        ring = view.state_since + timedelta(seconds=PROMPT_SECONDS)
    return Story(
        chip,
        tone,
        _steps(view, events, credited=credited),
        _advice(view, credited=credited),
        ring,
        view.state in FINAL,
        view.state is S.FAILED and view.code not in ("given", "given_away", "mispaid"),
    )


def chip_of(view: DepositView) -> tuple[str, Tone]:
    """Where a deposit stands, in a word or two. One that two persons ended was paid after all."""
    if view.state is S.FAILED and view.code in RESOLVED:
        return RESOLVED[view.code]
    return CHIPS[view.state]


def _steps(view: DepositView, events: Sequence[Row], *, credited: bool) -> list[Step]:
    prompted_at = _first(events, S.PROMPTED)
    paid_at = _first(events, S.CONFIRMED, S.PAID, S.SUSPENDED)
    amount = view.amount
    asked = said("You asked to put in {}.", amount)
    steps = [Step("Requested", StepState.DONE, view.requested_at, asked)]
    prompt, done = "Prompt on your phone", StepState.DONE
    went = said("M-Pesa sent it to {}.", view.phone_masked)
    match view.state:
        case S.REQUESTED | S.SENDING:
            note = said("We are asking M-Pesa to prompt {}.", view.phone_masked)
            return [*steps, Step(prompt, StepState.NOW, note=note), *_next("Paid", "Booked")]
        case S.PROMPTED:
            note = said("Enter your M-Pesa PIN on {} to pay {}.", view.phone_masked, amount)
            steps.append(Step(prompt, done, prompted_at, went))
            return [*steps, Step("Paid", StepState.NOW, note=note), *_next("Booked")]
        case S.UNKNOWN:
            if prompted_at:
                steps.append(Step(prompt, done, prompted_at, went))
            note = "We do not know yet whether it was paid. We keep asking M-Pesa."
            return [*steps, Step("Paid", StepState.NOW, note=note), *_next("Booked")]
        case S.FAILED:
            if prompted_at:
                steps.append(Step(prompt, done, prompted_at, went))
            if view.code in RESOLVED:
                label, _ = RESOLVED[view.code]
                steps.append(Step("Paid", done, paid_at, f"M-Pesa receipt {view.receipt}."))
                return [*steps, Step(label, done, view.state_since, as_told(view.words or ""))]
            label = "Not paid" if prompted_at else "Not sent"
            words = as_told(view.words or "M-Pesa did not take the payment.")
            return [*steps, Step(label, StepState.FAILED, view.state_since, words)]
        case S.CONFIRMED | S.PAID | S.SUSPENDED | S.TAKEN_BACK:
            if prompted_at:
                steps.append(Step(prompt, done, prompted_at, went))
            says = f"M-Pesa receipt {view.receipt}." if view.receipt else "M-Pesa says it is paid."
            steps.append(Step("Paid", done, paid_at, says))
            steps.append(_booked(view, events, credited=credited))
            if view.state is S.TAKEN_BACK:
                note = as_told(view.words or "M-Pesa took it back.")
                label, _ = CHIPS[view.state]
                steps.append(Step(label, StepState.FAILED, view.state_since, note))
            return steps


def _booked(view: DepositView, events: Sequence[Row], *, credited: bool) -> Step:
    if view.state is S.SUSPENDED:
        return Step("Not booked", StepState.FAILED, view.state_since, as_told(view.words or ""))
    if not credited:
        note = said("It becomes yours when M-Pesa's receipt for {} is here.", view.amount)
        return Step("Booked", StepState.NOW, note=note)
    at = _first(events, S.CONFIRMED, S.PAID)
    where = "were" if view.state is S.TAKEN_BACK else "are"
    return Step("Booked", StepState.DONE, at, said(f"{{}} {where} in your treasury.", view.amount))


def _advice(view: DepositView, *, credited: bool) -> Advice | None:
    match view.state:
        case S.REQUESTED | S.SENDING:
            return Advice(
                "Keep your phone at hand",
                f"Unlock {view.phone_masked}: a window from M-Pesa will ask for your PIN. You can "
                "leave this page; it goes on without you.",
                Tone.WAIT,
            )
        case S.PROMPTED:
            return Advice(
                "Enter your M-Pesa PIN on your phone",
                said(
                    "It asks for {} under the reference {}. If you did not ask for this, press "
                    "Cancel there. We never ask for your PIN here.",
                    view.amount,
                    view.reference,
                ),
                Tone.WAIT,
            )
        case S.UNKNOWN:
            return Advice(
                "Please do not pay again yet",
                "We do not know yet how this ended, and we are asking M-Pesa. If you paid, it "
                "will be booked here by itself. If you did not, nothing is taken.",
                Tone.WAIT,
            )
        case S.CONFIRMED if credited:
            return Advice(
                "The money is yours already",
                "M-Pesa says it is paid. Its receipt follows, and you need to do nothing.",
                Tone.GOOD,
            )
        case S.CONFIRMED:
            return Advice(
                "Paid, and waiting for the receipt",
                "An amount of this size is booked once M-Pesa's receipt is here. You need to do "
                "nothing.",
                Tone.WAIT,
            )
        case S.SUSPENDED:
            return Advice(
                "A person is looking into this",
                "What was paid is not what was asked for. The shillings are safe and set aside; "
                "keep the M-Pesa message with its receipt.",
                Tone.WARN,
            )
        case S.TAKEN_BACK:
            return Advice(
                "M-Pesa took this payment back",
                "It went back to who paid it, and left your wallet with it. What of it was spent "
                "already is owed, and what comes in repays it first.",
                Tone.WARN,
            )
        case S.FAILED if view.code in RESOLVED:
            return None
        case S.FAILED:
            return Advice(
                "Nothing was taken",
                "You can try again. Should a payment for this arrive late all the same, it will "
                "be booked here.",
                Tone.NEUTRAL,
            )
        case S.PAID:
            return None


def _next(*labels: str) -> list[Step]:
    return [Step(label, StepState.NEXT) for label in labels]


def _first(events: Sequence[Row], *states: DepositState) -> datetime | None:
    """When one of ``states`` was first reached."""
    reached = {state.value for state in states}
    found: datetime | None = next((e["at"] for e in events if e["state_to"] in reached), None)
    return found
