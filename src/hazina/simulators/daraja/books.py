"""M-Pesa's own books: accounts, double-entry transactions, handsets and their messages.

Invariants: the lines of every transaction sum to zero; no handset and no organisation account but
Charges Paid goes below zero; Σ of all accounts = opening money. Amounts are cents.
Leaves out why money moves: prompts.py, c2b.py, b2c.py, reversal.py, b2b.py decide, this room only
posts.
"""

import hashlib
import sqlite3
from dataclasses import dataclass

from hazina.simulators.daraja.clock import day_start_ms
from hazina.simulators.daraja.ids import Ids
from hazina.simulators.daraja.store import Store

WORKING = "org:working"
UTILITY = "org:utility"
CHARGES = "org:charges"
REVENUE = "mpesa:revenue"
"""Where tariffs go: Safaricom's own income."""
OPENING = "mpesa:opening"
"""The other side of all money that existed before the first transaction; never positive."""

PAY_BILL = "Pay Bill Online"
PAYOUT = "Business Payment to Customer"
REVERSAL = "Pay Bill Reversal"
MMF_TRANSFER = "Business Transfer from MMF to Utility"
PAY_TO_BULK = "Business Pay to Bulk"

_FIRST = ("AMBER", "BLUE", "CORAL", "GREEN", "IVORY", "OLIVE", "PEARL", "SILVER", "VIOLET")
_LAST = ("CRANE", "DUCK", "EAGLE", "FINCH", "HERON", "IBIS", "OWL", "STORK", "SUNBIRD")


@dataclass(frozen=True, slots=True)
class Handset:
    """A phone with an M-Pesa account."""

    phone: str
    name: str
    pin: str
    auto: str
    registered: bool
    balance: int


@dataclass(frozen=True, slots=True)
class Posting:
    """What a transaction says beside its lines."""

    kind: str
    amount: int
    phone: str | None = None
    charge: int = 0
    reference: str = ""
    detail: str = ""
    originator_id: str | None = None
    conversation_id: str | None = None
    started_ms: int | None = None


def handset_account(phone: str) -> str:
    """This will name the account of a phone."""
    return f"handset:{phone}"


def invented_name(phone: str) -> str:
    """This will make up a name that nobody bears, always the same for a phone."""
    digest = hashlib.sha256(phone.encode()).digest()
    return f"{_FIRST[digest[0] % len(_FIRST)]} {_LAST[digest[1] % len(_LAST)]}"


class Books:
    """Every change must happen inside a transaction of the store."""

    def __init__(self, store: Store, ids: Ids) -> None:
        self._store = store
        self._ids = ids

    def open(self, utility: int, at_ms: int) -> None:
        """This will give the organisation its accounts and opening money; safe to call again."""
        if self._store.row("SELECT 1 FROM accounts WHERE name = ?", OPENING):
            return
        for name in (OPENING, REVENUE, WORKING, UTILITY, CHARGES):
            self._store.run("INSERT INTO accounts (name, balance) VALUES (?, 0)", name)
        if utility:
            lines = [(OPENING, -utility), (UTILITY, utility)]
            self.post(Posting("Opening Balance", utility), lines, at_ms)

    def balance(self, account: str) -> int:
        """This will return an account's balance, 0 when it does not exist."""
        return self._store.number("SELECT balance FROM accounts WHERE name = ?", account)

    def post(
        self, posting: Posting, lines: list[tuple[str, int]], at_ms: int, receipt: str | None = None
    ) -> str:
        """This will write one transaction and return its receipt, a new one unless given.

        Raises: ValueError when the lines do not sum to zero or would overdraw an account.
        """
        if sum(amount for _, amount in lines) != 0:
            raise ValueError("a transaction must sum to zero")
        receipt = receipt or self._ids.receipt(at_ms)
        self._store.run(
            "INSERT INTO transactions (receipt, kind, phone, amount, charge, reference, detail,"
            " originator_id, conversation_id, started_ms, at_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            receipt, posting.kind, posting.phone, posting.amount, posting.charge,
            posting.reference, posting.detail, posting.originator_id, posting.conversation_id,
            at_ms if posting.started_ms is None else posting.started_ms, at_ms,
        )  # fmt: skip
        for account, amount in lines:
            self._post_line(receipt, account, amount)
        return receipt

    def _post_line(self, receipt: str, account: str, amount: int) -> None:
        row = self._store.row(
            "UPDATE accounts SET balance = balance + ? WHERE name = ? RETURNING balance",
            amount, account,
        )  # fmt: skip
        if row is None:
            raise ValueError(f"no account {account}")
        balance = int(row[0])
        if balance < 0 and amount < 0 and account not in (OPENING, CHARGES):
            raise ValueError(f"{account} would go below zero")
        self._store.run(
            "INSERT INTO entries (receipt, account, amount, balance_after) VALUES (?, ?, ?, ?)",
            receipt, account, amount, balance,
        )  # fmt: skip

    def find_payment(self, receipt: str) -> sqlite3.Row | None:
        """This will return a customer's payment to the paybill by its receipt, or None."""
        return self._store.row(
            "SELECT * FROM transactions WHERE receipt = ? AND kind = ?", receipt, PAY_BILL
        )

    def is_reversed(self, receipt: str) -> bool:
        """This will tell whether a payment went back to its payer."""
        return self._store.row("SELECT 1 FROM reversals WHERE original = ?", receipt) is not None

    def reverse(self, payment: sqlite3.Row, posting: Posting, at_ms: int) -> str:
        """This will send a payment back to its payer and return the reversal's receipt.

        Raises: ValueError when Working no longer has the money.
        """
        amount = int(payment["amount"])
        lines = [(WORKING, -amount), (handset_account(payment["phone"]), amount)]
        receipt = self.post(posting, lines, at_ms)
        self._store.run(
            "INSERT INTO reversals (original, receipt) VALUES (?, ?)", payment["receipt"], receipt
        )
        return receipt

    def find_handset(self, phone: str) -> Handset | None:
        """This will return the handset, or None."""
        row = self._store.row("SELECT * FROM handsets WHERE phone = ?", phone)
        if row is None:
            return None
        return Handset(
            phone, row["name"], row["pin"], row["auto"], bool(row["registered"]),
            self.balance(handset_account(phone)),
        )  # fmt: skip

    def handset(self, phone: str, opening: int, at_ms: int) -> Handset:
        """This will return the handset, created with its opening balance on first mention."""
        found = self.find_handset(phone)
        if found is not None:
            return found
        name = invented_name(phone)
        self._store.run(
            "INSERT INTO handsets (phone, name, pin, auto, registered) VALUES (?, ?, ?, ?, ?)",
            phone, name, "1234", "none", 1,
        )  # fmt: skip
        self._store.run(
            "INSERT INTO accounts (name, balance) VALUES (?, 0)", handset_account(phone)
        )
        self.set_balance(phone, opening, at_ms, "Opening Balance")
        return Handset(phone, name, "1234", "none", True, opening)

    def set_balance(self, phone: str, wanted: int, at_ms: int, kind: str = "Adjustment") -> None:
        """This will bring a handset to a balance by a transaction against opening money."""
        account = handset_account(phone)
        change = wanted - self.balance(account)
        if change:
            posting = Posting(kind, abs(change), phone)
            self.post(posting, [(OPENING, -change), (account, change)], at_ms)

    def moved_today(self, phone: str, kind: str, at_ms: int) -> int:
        """This will sum a handset's transactions of one kind since midnight in Nairobi."""
        return self._store.number(
            "SELECT SUM(amount) FROM transactions WHERE phone = ? AND at_ms >= ? AND kind = ?",
            phone, day_start_ms(at_ms), kind,
        )  # fmt: skip

    def send_message(self, phone: str, body: str, at_ms: int) -> None:
        """This will put a text message into a handset's inbox."""
        self._store.run(
            "INSERT INTO messages (phone, at_ms, body) VALUES (?, ?, ?)", phone, at_ms, body
        )

    def proof(self) -> tuple[bool, int, int]:
        """This will recompute everything from the entries: (balanced, Σ of accounts, opening)."""
        crooked = self._store.number(
            "SELECT COUNT(*) FROM (SELECT receipt FROM entries GROUP BY receipt"
            " HAVING SUM(amount) <> 0)"
        )
        drifted = self._store.number(
            "SELECT COUNT(*) FROM accounts a WHERE a.balance <>"
            " (SELECT COALESCE(SUM(e.amount), 0) FROM entries e WHERE e.account = a.name)"
        )
        orphaned = self._store.number(
            "SELECT COUNT(*) FROM transactions t WHERE NOT EXISTS"
            " (SELECT 1 FROM entries e WHERE e.receipt = t.receipt)"
        )
        total = self._store.number("SELECT SUM(balance) FROM accounts WHERE name <> ?", OPENING)
        opening = -self.balance(OPENING)
        return (not crooked and not drifted and not orphaned and total == opening, total, opening)
