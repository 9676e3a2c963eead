"""The permitted ways out of an open question, each with what it still needs; no other exists.

What is unknown ends by M-Pesa's word, by sending the stored identical bytes again, or as absent on
proof and by two persons. What is nobody's ends by two persons. Nothing here sets a state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hazina.desk.webkit.forms import Choice, Field, Form, FormSpec, choice_field
from hazina.desk.webkit.proof import CODE, PASSWORD
from hazina.flows.deposits.states import DepositState
from hazina.flows.receipts import repository as sql
from hazina.flows.receipts.late import MAY_BE_LATE
from hazina.flows.receipts.repository import PaymentView
from hazina.flows.receipts.statements import Statements
from hazina.flows.receipts.states import PaymentState, ReversalState
from hazina.flows.withdrawals.resend import Resend
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.identity.customers import Customers
from hazina.infra.db import Row, Tx
from hazina.infra.house import House
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import wire_id


def _why(name: str) -> Field[str]:
    return Field(name, "Why", str, kind="area", max_length=500,
                 help="The second person has only your word.")  # fmt: skip


ASK = FormSpec()
RESEND = FormSpec(PASSWORD, CODE)
ABSENT_WHY = _why("absent_reason")
ABSENT = FormSpec(ABSENT_WHY)
USERNAME = Field("username", "Customer", str, max_length=64, help="The username.")
GIVE_WHY = _why("give_reason")
GIVE = FormSpec(USERNAME, GIVE_WHY)
BACK_WHY = _why("back_reason")
BACK = FormSpec(BACK_WHY)
LATE_RECEIPT = Field("receipt", "M-Pesa receipt", str, max_length=20,
                     help="As the statement that was brought has it.")  # fmt: skip
LATE_WHY = _why("late_reason")
LATE = FormSpec(LATE_RECEIPT, LATE_WHY)
WENT = choice_field(
    "went",
    "What does M-Pesa's portal show?",
    [Choice("back", "It went back"), Choice("stayed", "It did not go back")],
)
ENDED_WHY = _why("ended_reason")
ENDED = FormSpec(WENT, ENDED_WHY)
SETTLED_WHY = _why("settled_reason")
SETTLED = FormSpec(SETTLED_WHY)
TWO = "A second person has to agree before anything is done."
NOTHING = "Whatever it answers, the money stays held until it is known."


@dataclass(frozen=True, slots=True)
class Exit:
    """One way out. ``missing`` says why it is not open yet; ``href`` leads to a second look.
    ``manager``: only managers and administrators may take it."""

    name: str
    title: str
    text: str
    label: str
    form: Form | None = None
    href: str = ""
    missing: Sequence[str] = field(default=())
    manager: bool = True


def _ask(forms: Mapping[str, Form], text: str) -> Exit:
    form = forms.get("ask") or ASK.blank()
    return Exit("ask", "Ask M-Pesa now", text, "Ask now", form, manager=False)


def of_deposit(
    row: Row, payment: Row | None, missing: Sequence[str], forms: Mapping[str, Form]
) -> list[Exit]:
    """What may be done about a deposit; ``payment`` holds its shillings where they are nobody's,
    ``missing`` is what is still needed to call it never paid."""
    state = DepositState(row["state"])
    found = []
    if state in (DepositState.PROMPTED, DepositState.UNKNOWN) and row["checkout_request_id"]:
        found.append(_ask(forms, "A question moves no money. The answer is acted on as always."))
    if state in (DepositState.UNKNOWN, DepositState.CONFIRMED):
        words = "It brings the receipt of what was paid, at the latest in 48 hours."
        found.append(_read_list(words))
    if state in (DepositState.UNKNOWN, DepositState.CONFIRMED):
        effect = "What was set aside for it becomes free."
        if int(row["credited"]):
            effect = "What the customer was given for it is taken back; what is spent they owe."
        found.append(
            Exit(
                "absent",
                "Say that it was never paid",
                f"{effect} Paid after all, it still counts. {TWO}",
                "Ask a second person",
                forms.get("absent") or ABSENT.blank(),
                missing=missing,
            )
        )
    if payment is not None:
        href = f"/open-questions/{wire_id('pay', payment['id'])}"
        words = f"{row['words'] or ''} The shillings wait as a payment.".strip()
        found.append(Exit("payment", "Decide whose it is", words, "See the payment", href=href,
                          manager=False))  # fmt: skip
    return found


async def of_withdrawal(tx: Tx, house: House, row: Row, forms: Mapping[str, Form]) -> list[Exit]:
    """What may be done about a payout of which nobody knows the ending, or that M-Pesa says it made
    after it had ended as not paid."""
    state, found = WithdrawalState(row["state"]), []
    if state in (WithdrawalState.SENT, WithdrawalState.UNKNOWN):
        found.append(_ask(forms, f"A question moves no money. {NOTHING}"))
    if state is WithdrawalState.CONTRADICTED:
        words = "If it says paid, the customer's shillings go after it; what is spent they owe."
        found.append(_ask(forms, words))
    if state is WithdrawalState.DOUBTED:
        words = (
            "What it says is kept; against a statement that lacks the receipt it proves nothing."
        )
        found.append(_ask(forms, words))
    if state in MAY_BE_LATE:
        found.append(_paid_late(forms, booked=state is WithdrawalState.DOUBTED))
    if state is WithdrawalState.CONTRADICTED:
        found.append(await _absent(tx, house, row, forms, "It stays not paid, as it ended."))
    if state is WithdrawalState.DOUBTED:
        effect = "The customer is given the amount back, and our fee."
        found.append(await _absent(tx, house, row, forms, effect))
    if state is not WithdrawalState.UNKNOWN:
        return found
    refused = await house.get(Resend).refusal(tx, row["id"], house.clock.now())
    found.append(
        Exit(
            "resend",
            "Send it again",
            "The stored identical bytes under the same id. M-Pesa takes an id once, so it can"
            f" pay at most once. {NOTHING}",
            "Look again, then send",
            href=f"/open-questions/{wire_id('wdr', row['id'])}/resend",
            missing=[f"{refused.message} {refused.action or ''}"] if refused else [],
        )
    )
    found.append(await _absent(tx, house, row, forms, "The money becomes free again."))
    return found


async def _absent(tx: Tx, house: House, row: Row, forms: Mapping[str, Form], effect: str) -> Exit:
    return Exit(
        "absent",
        "Say that it was never made",
        f"{effect} {TWO}",
        "Ask a second person",
        forms.get("absent") or ABSENT.blank(),
        missing=await house.get(Statements).missing(tx, row["id"]),
    )


def _paid_late(forms: Mapping[str, Form], *, booked: bool) -> Exit:
    effect = "The customer's shillings go after it; what is spent they owe."
    if booked:
        effect = "It stays booked as paid, under the receipt that the statement has."
    return Exit(
        "late",
        "Say that it was paid under another receipt"
        if booked
        else "Say that it was paid after all",
        f"A statement that was brought here must show it. {effect} {TWO}",
        "Ask a second person",
        forms.get("late") or LATE.blank(),
    )


def of_reversal(row: Row, forms: Mapping[str, Form]) -> list[Exit]:
    """What may be done about a payment that M-Pesa is said to have taken back: ask."""
    if row["state"] != ReversalState.CLAIMED.value:
        return []
    return [_ask(forms, "M-Pesa's word books it. A question moves no money.")]


def of_unmatched(row: Row, forms: Mapping[str, Form]) -> list[Exit]:
    """What may be done about what only one of both books has: say what it was."""
    if row["ended_at"] is not None:
        return []
    words = "Nothing is booked by this: what has to move is moved first."
    return [
        Exit(
            "settled",
            "Say what it was",
            f"{words} {TWO}",
            "Ask a second person",
            forms.get("settled") or SETTLED.blank(),
        )
    ]


async def of_payment(
    tx: Tx, house: House, one: PaymentView, forms: Mapping[str, Form]
) -> list[Exit]:
    """What may be done about a payment that came unasked."""
    match one.state:
        case PaymentState.INCOMING:
            words = "Nothing is booked before M-Pesa itself says that it was paid."
            return [_ask(forms, words), _read_list("Its list proves a payment by itself.")]
        case PaymentState.SUSPENDED:
            return [await _give(tx, house, one, forms), _send_back(forms)]
        case PaymentState.RETURNING:
            return [
                Exit(
                    "returned",
                    "Say how sending it back ended",
                    "M-Pesa's own result ends it by itself. Without one: look into the portal."
                    f" {TWO}",
                    "Ask a second person",
                    forms.get("returned") or ENDED.blank(),
                )
            ]
        case _:
            return []


async def payment_of_deposit(tx: Tx, row: Row) -> Row | None:
    return await tx.fetchrow(sql.OF_DEPOSIT, row["id"])


def _read_list(words: str) -> Exit:
    return Exit("list", "Read M-Pesa's list", words, "Go to statements and lists",
                href="/statements", manager=False)  # fmt: skip


async def _give(tx: Tx, house: House, one: PaymentView, forms: Mapping[str, Form]) -> Exit:
    suggested = ""
    if one.suggested_id is not None:
        try:
            suggested = (await house.get(Customers).get(tx, one.suggested_id)).username
        except NotFound:
            suggested = ""
    hint = f" Its sender looks like {suggested}: that is a hint, no proof." if suggested else ""
    return Exit(
        "give",
        "Give it to a customer",
        f"{TWO}{hint}",
        "Ask a second person",
        forms.get("give") or GIVE.blank(username=suggested),
    )


def _send_back(forms: Mapping[str, Form]) -> Exit:
    words = f"M-Pesa sends the whole payment back to who paid it. {TWO}"
    return Exit("return", "Send it back", words, "Ask a second person",
                forms.get("return") or BACK.blank())  # fmt: skip
