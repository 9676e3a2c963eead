"""The ledger's codes in a customer's words, and where each line of a statement leads. Pure."""

from dataclasses import dataclass

from hazina.desk.webkit.flash import Tone
from hazina.desk.webkit.view import Activity
from hazina.kernel.ids import wire_id
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference
from hazina.ledger.history import StatementLine


@dataclass(frozen=True, slots=True)
class Words:
    """What a line is called, and its picture."""

    title: str
    icon: str


WORDS: dict[Code, Words] = {
    Code.DEPOSIT: Words("Deposit", "in"),
    Code.DEPOSIT_IN_TRANSIT: Words("Deposit, receipt to follow", "in"),
    Code.WITHDRAWAL: Words("Withdrawal", "out"),
    Code.WITHDRAWAL_LATE: Words("Withdrawal, paid after all", "out"),
    Code.DEPOSIT_UNPAID: Words("Deposit that was never paid", "out"),
    Code.WITHDRAWAL_FEE: Words("Our fee for a withdrawal", "out"),
    Code.FEE_EXCISE: Words("Excise duty on our fee", "out"),
    Code.GOLD_BOUGHT: Words("Gold bought", "gold"),
    Code.GOLD_PAID: Words("Paid for gold", "gold"),
    Code.GOLD_SOLD: Words("Gold sold", "sell"),
    Code.GOLD_PROCEEDS: Words("Received for gold", "sell"),
    Code.GOLD_SPREAD: Words("Our margin on gold", "gold"),
    Code.ESCROW_PAID: Words("Paid for an order, kept for you", "out"),
    Code.ESCROW_RELEASED: Words("Received for an order", "in"),
    Code.ESCROW_REFUNDED: Words("Back from an order", "in"),
    Code.ROUNDING: Words("Rounding to the last cent", "dot"),
}
# (path, prefix of the id on the wire) of the page about what a line belongs to.
_PAGES = {
    "deposit": ("/deposits", "dep"),
    "withdrawal": ("/withdrawals", "wdr"),
    "trade": ("/gold/trades", "trd"),
}
_NAMES = {"deposit": "Deposit", "withdrawal": "Withdrawal", "trade": "Gold trade"}


def words_for(code: Code) -> Words:
    """A code that is no customer's is still shown, as it is called in the books."""
    return WORDS.get(code) or Words(code.value.replace("_", " ").capitalize(), "dot")


def page_of(reference: Reference) -> str:
    """The page about what a line belongs to; empty where customers have none."""
    if reference.type not in _PAGES:
        return ""
    path, prefix = _PAGES[reference.type]
    return f"{path}/{wire_id(prefix, reference.id)}"


def name_of(reference: Reference) -> str:
    return _NAMES.get(reference.type, reference.type.capitalize())


def booked(line: StatementLine) -> Activity:
    """A line of the statement as one line of a list."""
    words = words_for(line.code)
    return Activity(
        words.title,
        line.booked_at,
        line.change,
        href=page_of(line.reference),
        icon=words.icon,
        tone=Tone.GOOD if line.change.units > 0 else Tone.NEUTRAL,
    )
