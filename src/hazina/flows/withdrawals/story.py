"""A withdrawal in honest words for its owner: where it stands and what is still open. Pure."""

from collections.abc import Sequence
from datetime import datetime

from hazina.desk.webkit.flash import Tone
from hazina.desk.webkit.view import Step, StepState
from hazina.flows.deposits.story import Advice, Story
from hazina.flows.money_form import as_told, said
from hazina.flows.withdrawals.repository import WithdrawalView
from hazina.flows.withdrawals.settle import UNPAID
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.infra.db import Row

S = WithdrawalState

CHIPS: dict[WithdrawalState, tuple[str, Tone]] = {
    S.HELD: ("Requested", Tone.WAIT),
    S.SENDING: ("Asking M-Pesa", Tone.WAIT),
    S.SENT: ("Accepted by M-Pesa", Tone.WAIT),
    S.UNKNOWN: ("Checking with M-Pesa", Tone.WAIT),
    S.PAID: ("Paid", Tone.GOOD),
    S.FAILED: ("Not paid", Tone.BAD),
    S.CONTRADICTED: ("Checking with M-Pesa", Tone.WAIT),
    S.DOUBTED: ("Checking with M-Pesa", Tone.WAIT),
}
FINAL = (S.PAID, S.FAILED)


def story(view: WithdrawalView, events: Sequence[Row]) -> Story:
    """This will tell a withdrawal from its row and its events, oldest first."""
    chip, tone = CHIPS[view.state]
    return Story(
        chip,
        tone,
        _steps(view, events),
        _advice(view),
        None,
        view.state in FINAL,
        # What a product pays out is the product's to try again.
        view.state is S.FAILED and view.purpose is None,
    )


def _steps(view: WithdrawalView, events: Sequence[Row]) -> list[Step]:
    amount, phone = view.amount, view.phone_masked
    accepted_at = _first(events, S.SENT)
    asked = said("You asked to pay {} to {}. {}", amount, phone, _reserved(view))
    steps = [Step("Requested", StepState.DONE, view.requested_at, asked)]
    accepted = Step(
        "Accepted by M-Pesa", StepState.DONE, accepted_at, f"M-Pesa took the order to pay {phone}."
    )
    if accepted_at:
        steps.append(accepted)
    match view.state:
        case S.HELD | S.SENDING:
            note = "We are asking M-Pesa to pay. Mostly a few seconds."
            if any(event["event"] == "deferred" for event in events):
                note = "M-Pesa is busy. We ask again by ourselves, in a minute or two."
            if view.held_back and view.state is S.HELD:
                note = (
                    "Our account at M-Pesa is being filled up. It is paid by itself once it is;"
                    " until then the money stays reserved."
                )
            waiting = Step("Accepted by M-Pesa", StepState.NOW, note=note)
            return [*steps, waiting, *_next("Paid", "Booked")]
        case S.SENT:
            paying = said("M-Pesa is paying {} to {}.", amount, phone)
            return [*steps, Step("Paid", StepState.NOW, note=paying), *_next("Booked")]
        case S.UNKNOWN:
            note = "We do not know yet whether M-Pesa paid. We are asking."
            return [*steps, Step("Paid", StepState.NOW, note=note), *_next("Booked")]
        case S.CONTRADICTED:
            note = "M-Pesa first told us that it did not pay, and now that it did. We are asking."
            return [*steps, Step("Paid", StepState.NOW, note=note), *_next("Booked")]
        case S.DOUBTED:
            note = as_told(f"{view.words or 'M-Pesa contradicts itself.'} We are looking into it.")
            return [*steps, Step("Paid", StepState.NOW, note=note), *_next("Booked")]
        case S.FAILED:
            words = as_told(view.words or "M-Pesa did not pay.")
            return [*steps, Step("Not paid", StepState.FAILED, view.state_since, words)]
        case S.PAID:
            at = _first(events, S.PAID)
            says = f"M-Pesa receipt {view.receipt}." if view.receipt else "M-Pesa says it is paid."
            booked = said("{} have left your treasury.", amount + view.fee)
            if any(event["event"] == "paid_late" for event in events):
                booked = said("{} went after it, or are owed. We ask no fee for it.", amount)
            elif view.purpose:
                booked = said("{} went straight to your phone.", amount)
            done = StepState.DONE
            return [*steps, Step("Paid", done, at, says), Step("Booked", done, at, booked)]


def _advice(view: WithdrawalView) -> Advice | None:
    match view.state:
        case S.HELD | S.SENDING | S.SENT:
            return Advice(
                "Nothing to do",
                f"M-Pesa sends a message to {view.phone_masked} when the money is there. You can "
                "leave this page; it goes on without you.",
                Tone.WAIT,
            )
        case S.UNKNOWN:
            return Advice(
                "We do not know yet whether M-Pesa paid",
                "Your money stays reserved until we know, so that it is never paid twice and "
                "never lost. We are asking M-Pesa; you need to do nothing. If the M-Pesa message "
                "arrives on the phone, it was paid.",
                Tone.WAIT,
            )
        case S.CONTRADICTED:
            return Advice(
                "It may have been paid after all",
                "Your money was freed, since M-Pesa said that nothing was paid. Now it says "
                "otherwise. If its message is on the phone, leave the amount in your treasury: "
                "it is taken once M-Pesa has answered, without a fee.",
                Tone.WARN,
            )
        case S.DOUBTED:
            return Advice(
                "It may not have been paid",
                "M-Pesa told us that it paid you, and contradicts itself now. If its message is on "
                "the phone, all is well. If not, you need to do nothing: what was never paid comes "
                "back to your treasury, the fee included, once that is certain.",
                Tone.WARN,
            )
        case S.FAILED if view.code == UNPAID:
            return Advice(
                "Your money is in your treasury again",
                "M-Pesa never made this payment. What had left for it was given back, our fee "
                "included.",
                Tone.NEUTRAL,
            )
        case S.FAILED if view.purpose is None:
            return Advice(
                "Your money is free again",
                "Nothing left your treasury, the fee included. You can try again.",
                Tone.NEUTRAL,
            )
        case S.FAILED:
            return Advice(
                "Nothing was paid", "What it was to pay for says what happens now.", Tone.NEUTRAL
            )
        case S.PAID:
            return None


def _reserved(view: WithdrawalView) -> str:
    if view.purpose is not None:
        return ""
    total = view.amount + view.fee
    held = view.state not in (*FINAL, S.CONTRADICTED, S.DOUBTED)
    return said("{} are reserved for it.", total) if held else ""


def _next(*labels: str) -> list[Step]:
    return [Step(label, StepState.NEXT) for label in labels]


def _first(events: Sequence[Row], state: WithdrawalState) -> datetime | None:
    """When ``state`` was first reached."""
    found: datetime | None = next((e["at"] for e in events if e["state_to"] == state), None)
    return found
