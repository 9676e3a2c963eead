"""The ledger again, in plain Python: the oracle for random workloads.

Written from the design and the docstrings, never from the SQL. It copies the whole of its state
where the engine undoes step by step, and keeps no versions, times or entries: only what callers
can see. It reads no clock: ``now`` is an argument.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from uuid import UUID

from hazina.kernel.money import AssetClass
from hazina.ledger.chart import AccountRef
from hazina.ledger.codes import BACKDATABLE
from hazina.ledger.core import PASSING, ResultCode, Transfer, TransferKind

LARGEST = 10**38 - 1
MOVEMENTS = (TransferKind.POST, TransferKind.PENDING)
MOVES = (TransferKind.POST, TransferKind.POST_PENDING)
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Account:
    """Totals of one account, on both sides."""

    bounded: bool
    floor: int = 0
    state: str = "open"
    debits: int = 0
    credits: int = 0
    going: int = 0  # held on the debit side
    coming: int = 0  # held on the credit side
    version: int = 0
    credit: int = 0  # how far below its floor it may go


@dataclass(frozen=True)
class Held:
    """One hold: what is left of it and how it ended."""

    debit: AccountRef
    credit: AccountRef
    left: int
    expires_at: datetime | None
    end: ResultCode | None = None


@dataclass(frozen=True)
class Answer:
    code: ResultCode
    amount: int | None = None


@dataclass
class State:
    accounts: dict[AccountRef, Account] = field(default_factory=dict)
    holds: dict[UUID, Held] = field(default_factory=dict)
    booked: dict[UUID, tuple[Transfer, int]] = field(default_factory=dict)
    refused: dict[UUID, tuple[Transfer, ResultCode]] = field(default_factory=dict)
    closed_until: datetime = BEGINNING

    def copy(self) -> "State":
        return State(
            dict(self.accounts), dict(self.holds), dict(self.booked), dict(self.refused),
            self.closed_until,
        )  # fmt: skip

    def moved(self, id_: UUID | None) -> bool:
        """Whether a transfer is there and moved money."""
        return id_ in self.booked and self.booked[id_][0].kind in MOVES

    def refunded(self, id_: UUID) -> int:
        return sum(amount for t, amount in self.booked.values() if t.terms.refund_of == id_)

    def reversed(self, id_: UUID) -> bool:
        return any(t.terms.reverses == id_ for t, _ in self.booked.values())

    def add(self, ref: AccountRef, **change: int) -> None:
        account = self.accounts[ref]
        added = {name: getattr(account, name) + by for name, by in change.items()}
        self.accounts[ref] = replace(account, **added)


class Model:
    """Takes batches like the door does and answers what the door must answer."""

    def __init__(self) -> None:
        self.state = State()
        self._whole: set[UUID] = set()  # the legs of a batch whose groups are taken whole

    def change(self, ref: AccountRef, **what: object) -> None:
        """What the house's owner does by hand: a floor, a state."""
        self._open(ref)
        self.state.accounts[ref] = replace(self.state.accounts[ref], **what)  # type: ignore[arg-type]

    def close(self, until: datetime) -> None:
        self.state.closed_until = max(self.state.closed_until, until)

    def post(self, batch: Sequence[Transfer], now: datetime) -> list[Answer]:
        self._whole = whole_reversals(self.state, batch)
        for transfer in batch:
            for ref in (transfer.debit, transfer.credit):
                if ref is not None:
                    self._open(ref)
        answers: list[Answer] = []
        for group, members in groupby(batch, key=lambda t: t.group or t.id):
            del group
            stretch = list(members)
            if stretch[0].group is None:
                answers += [self._single(transfer, now) for transfer in stretch]
            else:
                answers += self._group(stretch, now)
        return answers

    def _open(self, ref: AccountRef) -> None:
        self.state.accounts.setdefault(ref, Account(ref.line.bounded))

    def _single(self, transfer: Transfer, now: datetime) -> Answer:
        code = judge(self.state, transfer, now, None, self._whole)
        if code is ResultCode.CREATED:
            return Answer(code, book(self.state, transfer))
        return self._refuse(transfer, code)

    def _refuse(self, transfer: Transfer, code: ResultCode) -> Answer:
        if code is ResultCode.EXISTS:
            return Answer(code, self.state.booked[transfer.id][1])
        if code in PASSING and transfer.id not in self.state.refused:
            self.state.refused[transfer.id] = transfer, code
        return Answer(code)

    def _group(self, members: list[Transfer], now: datetime) -> list[Answer]:
        before, answers = self.state.copy(), []
        closed = members[0].group in {first.group for first, _ in before.booked.values()}
        group_class: AssetClass | None = None
        for transfer in members:
            code = judge(self.state, transfer, now, group_class, self._whole)
            if code is ResultCode.CREATED and closed:
                return self._undo(members, before, None, code)
            if code is ResultCode.CREATED:
                answers.append(Answer(code, book(self.state, transfer)))
                group_class = accounts_of(self.state, transfer)[0].asset.asset_class
            elif code is ResultCode.EXISTS:
                answers.append(Answer(code, self.state.booked[transfer.id][1]))
            else:
                return self._undo(members, before, len(answers), code)
        return answers

    def _undo(
        self, members: list[Transfer], before: State, at_fault: int | None, code: ResultCode
    ) -> list[Answer]:
        self.state, answers = before, []
        for place, transfer in enumerate(members):
            known = before.booked.get(transfer.id)
            if place == at_fault:
                answers.append(self._refuse(transfer, code))
            elif known and differs(known[0], transfer) is None:
                answers.append(Answer(ResultCode.EXISTS, known[1]))
            else:
                answers.append(Answer(ResultCode.LINKED_FAILED))
        return answers


def accounts_of(state: State, transfer: Transfer) -> tuple[AccountRef, AccountRef]:
    """An act on a hold moves between the hold's accounts."""
    if transfer.pending_id is not None:
        held = state.holds[transfer.pending_id]
        return held.debit, held.credit
    assert transfer.debit is not None
    assert transfer.credit is not None
    return transfer.debit, transfer.credit


def differs(first: Transfer, second: Transfer) -> ResultCode | None:
    """The first field in which a repeat is not the same."""
    fields = [
        (("kind",), ResultCode.EXISTS_DIFFERENT_KIND),
        (("debit", "credit"), ResultCode.EXISTS_DIFFERENT_ACCOUNTS),
        (("amount",), ResultCode.EXISTS_DIFFERENT_AMOUNT),
        (("code",), ResultCode.EXISTS_DIFFERENT_CODE),
        (("pending_id", "keep_rest"), ResultCode.EXISTS_DIFFERENT_PENDING),
        (("expires_at",), ResultCode.EXISTS_DIFFERENT_EXPIRY),
        (("group",), ResultCode.EXISTS_DIFFERENT_GROUP),
        (("reference",), ResultCode.EXISTS_DIFFERENT_REFERENCE),
    ]
    terms = [
        (("refund_of", "reverses", "corrects"), ResultCode.EXISTS_DIFFERENT_ORIGIN),
        (
            ("up_to", "if_debit_version", "if_credit_version"),
            ResultCode.EXISTS_DIFFERENT_CONDITION,
        ),
        (("effective_at",), ResultCode.EXISTS_DIFFERENT_EFFECTIVE),
    ]
    for names, code in fields:
        if any(getattr(first, name) != getattr(second, name) for name in names):
            return code
    for names, code in terms:
        if any(getattr(first.terms, name) != getattr(second.terms, name) for name in names):
            return code
    return None


def whole_reversals(state: State, batch: Sequence[Transfer]) -> set[UUID]:
    """The members of a batch that reverse a leg together with all other legs of its group."""
    whole: set[UUID] = set()
    for transfer in batch:
        leg = transfer.terms.reverses
        if leg is None or not state.moved(leg):
            continue
        origin = state.booked[leg][0].group
        group = [
            t for t, _ in state.booked.values() if t.id == leg or (origin and t.group == origin)
        ]
        legs = {t.id for t in group if t.kind in MOVES}
        open_holds = any(
            t.kind is TransferKind.PENDING and state.holds[t.id].end is None for t in group
        )
        taken = {t.terms.reverses for t in batch if t.group == transfer.group}
        if legs <= taken and not open_holds and (len(legs) == 1 or transfer.group):
            whole.add(transfer.id)
    return whole


def judge(
    state: State,
    transfer: Transfer,
    now: datetime,
    group_class: AssetClass | None,
    whole: set[UUID],
) -> ResultCode:
    """The first thing that is wrong, in the order of ``ResultCode``; CREATED where nothing is."""
    if transfer.id in state.booked:
        return differs(state.booked[transfer.id][0], transfer) or ResultCode.EXISTS
    if transfer.id in state.refused:
        first, code = state.refused[transfer.id]
        return differs(first, transfer) or code
    amount = None if transfer.amount is None else transfer.amount.units
    if amount is not None and amount <= 0:
        return ResultCode.AMOUNT_NOT_POSITIVE
    if amount is not None and amount > LARGEST:
        return ResultCode.AMOUNT_TOO_LARGE
    if transfer.pending_id is not None and transfer.pending_id not in state.holds:
        return ResultCode.PENDING_NOT_FOUND
    origin = transfer.terms.refund_of or transfer.terms.reverses
    if origin and not state.moved(origin):
        return ResultCode.ORIGINAL_NOT_FOUND
    debit, credit = accounts_of(state, transfer)
    if debit == credit:
        return ResultCode.SAME_ACCOUNT
    if debit.asset != credit.asset or (transfer.amount and transfer.amount.asset != debit.asset):
        return ResultCode.ASSETS_DIFFER
    if origin and accounts_of(state, state.booked[origin][0])[0].asset != debit.asset:
        return ResultCode.ASSETS_DIFFER
    if group_class is not None and group_class is not debit.asset.asset_class:
        return ResultCode.CLASSES_DIFFER
    if transfer.kind in MOVEMENTS:
        assert amount is not None
        return (
            judge_time(state, transfer, now)
            or judge_origin(state, transfer, amount, whole)
            or judge_movement(state, transfer, amount)
        )
    return judge_act(state, transfer, now, amount)


def judge_time(state: State, transfer: Transfer, now: datetime) -> ResultCode | None:
    effective = transfer.terms.effective_at
    if effective is None:
        return None
    if transfer.code not in BACKDATABLE:
        return ResultCode.NOT_BACKDATABLE
    if effective > now:
        return ResultCode.EFFECTIVE_IN_FUTURE
    return ResultCode.PERIOD_CLOSED if effective <= state.closed_until else None


def judge_origin(
    state: State, transfer: Transfer, amount: int, whole: set[UUID]
) -> ResultCode | None:
    """Giving money back: all of a group once, or parts of a transfer up to its amount."""
    back, leg = transfer.terms.refund_of, transfer.terms.reverses
    if leg is not None:
        original, moved = state.booked[leg]
        debit, credit = accounts_of(state, original)
        if state.reversed(leg):
            return ResultCode.ALREADY_REVERSED
        if (
            original.terms.reverses
            or state.refunded(leg)
            or transfer.id not in whole
            or (amount, transfer.debit, transfer.credit) != (moved, credit, debit)
        ):
            return ResultCode.NOT_REVERSIBLE
    if back is not None:
        original, moved = state.booked[back]
        if original.terms.refund_of or original.terms.reverses:
            return ResultCode.NOT_REFUNDABLE
        if state.reversed(back) or amount > moved - state.refunded(back):
            return ResultCode.EXCEEDS_ORIGINAL
    return None


def judge_act(state: State, transfer: Transfer, now: datetime, amount: int | None) -> ResultCode:
    assert transfer.pending_id is not None
    held = state.holds[transfer.pending_id]
    if held.end is not None:
        return held.end
    if transfer.kind is TransferKind.VOID_PENDING:
        return ResultCode.CREATED
    if held.expires_at is not None and held.expires_at <= now:
        return ResultCode.HOLD_EXPIRED
    if amount is not None and amount > held.left:
        return ResultCode.EXCEEDS_HOLD
    return ResultCode.CREATED


def judge_movement(state: State, transfer: Transfer, amount: int) -> ResultCode:
    assert transfer.debit is not None
    assert transfer.credit is not None
    debit, credit = state.accounts[transfer.debit], state.accounts[transfer.credit]
    terms = transfer.terms
    if "closed" in (debit.state, credit.state):
        return ResultCode.ACCOUNT_CLOSED
    if debit.state == "frozen":
        return ResultCode.ACCOUNT_FROZEN
    if terms.if_debit_version not in (None, debit.version):
        return ResultCode.VERSION_MOVED
    if terms.if_credit_version not in (None, credit.version):
        return ResultCode.VERSION_MOVED
    if terms.up_to:
        amount = swept(debit, amount)
        if amount <= 0:
            return ResultCode.NOTHING_TO_MOVE
    floor = debit.floor - debit.credit
    if debit.bounded and debit.credits - debit.debits - debit.going - amount < floor:
        return ResultCode.INSUFFICIENT_FUNDS
    if debit.bounded and debit.debits + debit.going + amount > LARGEST:
        return ResultCode.TOTAL_TOO_LARGE
    if credit.bounded and credit.credits + credit.coming + amount > LARGEST:
        return ResultCode.TOTAL_TOO_LARGE
    return ResultCode.CREATED


def swept(debit: Account, amount: int) -> int:
    """What is there and not reserved; what could be owed is not there."""
    if not debit.bounded:
        return amount
    there = debit.credits - debit.debits - debit.going
    return min(amount, there - max(debit.floor - debit.credit, 0))


def book(state: State, transfer: Transfer) -> int:
    """What a transfer does once nothing is wrong; gives the amount it is booked with."""
    debit, credit = accounts_of(state, transfer)
    asked = None if transfer.amount is None else transfer.amount.units
    if transfer.kind is TransferKind.POST:
        assert asked is not None
        amount = swept(state.accounts[debit], asked) if transfer.terms.up_to else asked
        state.add(debit, debits=amount)
        state.add(credit, credits=amount)
    elif transfer.kind is TransferKind.PENDING:
        assert asked is not None
        amount = asked
        state.add(debit, going=amount)
        state.add(credit, coming=amount)
        state.holds[transfer.id] = Held(debit, credit, amount, transfer.expires_at)
    else:
        amount = act(state, transfer, asked)
    state.booked[transfer.id] = transfer, amount
    state.add(debit, version=1)
    state.add(credit, version=1)
    return amount


def act(state: State, transfer: Transfer, asked: int | None) -> int:
    assert transfer.pending_id is not None
    held = state.holds[transfer.pending_id]
    amount = held.left if asked is None else asked
    posts = transfer.kind is TransferKind.POST_PENDING
    released = amount if posts and transfer.keep_rest else held.left
    moved = amount if posts else 0
    state.add(held.debit, going=-released, debits=moved)
    state.add(held.credit, coming=-released, credits=moved)
    left = held.left - released
    end = ResultCode.HOLD_VOIDED if not posts else ResultCode.HOLD_POSTED if not left else None
    state.holds[transfer.pending_id] = replace(held, left=left, end=end)
    return amount
