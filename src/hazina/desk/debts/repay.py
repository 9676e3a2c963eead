"""The rule of the ledger that makes debts count: what comes repays first, and nothing leaves.

It sees every batch whoever posts it, so that no product needs to know of debts. A batch that gives
a customer money and takes some of it away (a sale and its spread) repays from what is left; a batch
that only takes, or reserves, is refused. Posting and voiding what was reserved before goes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from hazina.desk.debts import postings
from hazina.desk.debts import repository as sql
from hazina.desk.debts.repository import Debt
from hazina.desk.debts.states import MACHINE, DebtEvent
from hazina.infra.db import Row, Tx
from hazina.infra.states import StateTable
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import Money
from hazina.ledger.chart import AccountRef, Purpose, customer
from hazina.ledger.codes import Code
from hazina.ledger.core import Result, Transfer, TransferKind
from hazina.ledger.rule import Enlarged
from hazina.ledger.service import Ledger

TABLE = StateTable("desk.debt", MACHINE)
# These are how debts come and go: judged by nobody.
OWN = frozenset(
    {
        Code.CLAW_BACK,
        Code.WITHDRAWAL_LATE,
        Code.DEPOSIT_UNPAID,
        Code.CLAW_BACK_OWED,
        Code.DEBT_REPAID,
        Code.DEBT_WRITTEN_OFF,
    }
)
FREEING = (TransferKind.POST_PENDING, TransferKind.VOID_PENDING)


class DebtOutstanding(Refusal):
    """A payment of the customer's was taken back after they had spent it."""

    code = "debt_outstanding"
    kind = Kind.FORBIDDEN
    message = "Nothing can leave the account while something is owed on it."
    action = "Put in what is owed; what you deposit repays it first."


@dataclass(slots=True)
class _Repayment:
    row: Row
    transfer: Transfer
    amount: Money


@dataclass(slots=True)
class _Account:
    """A debtor's open debts in one asset, the oldest first, as the batch leaves them."""

    rows: list[Row]
    debts: list[Debt]
    left: list[int] = field(default_factory=list)

    def take(self, units: int) -> Iterator[_Repayment]:
        for place, debt in enumerate(self.debts):
            part = min(units, self.left[place])
            if part > 0:
                amount = debt.outstanding.asset.units(part)
                transfer = postings.repaid(debt.id, debt.customer_id, amount)
                self.left[place] -= part
                units -= part
                yield _Repayment(self.rows[place], transfer, amount)


class RepayFirst:
    """The rule. Locks the debts it touches after the caller's rows and before the accounts."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock

    async def judge(self, tx: Tx, transfers: Sequence[Transfer]) -> Enlarged | None:
        """This will add repayments to what gives debtors money. Raises: DebtOutstanding."""
        owners = {
            side.owner
            for one in transfers
            if one.code not in OWN
            for side in (one.debit, one.credit)
            if side is not None and side.purpose is Purpose.WALLET
        }
        if not owners:
            return None
        rows = await tx.fetch(sql.OF_CUSTOMERS, sorted(owners, key=str))
        if not rows:
            return None
        accounts = _accounts(rows)
        _refuse_outward(transfers, {ref.owner for ref in accounts})
        stopped = await self._ledger.list_stopped(tx, list(accounts))
        repayments: dict[UUID, _Repayment] = {}
        batch: list[tuple[Transfer, bool]] = []
        for group in _groups(transfers):
            added = _repay(group, {r: a for r, a in accounts.items() if r not in stopped})
            repayments |= {one.transfer.id: one for one in added}
            batch += _together(group, [one.transfer for one in added])

        async def booked(tx: Tx, results: Sequence[Result]) -> None:
            done = [repayments[r.id] for r in results if r.booked and r.id in repayments]
            left = {one.row["id"]: int(one.row["outstanding"]) for one in done}
            for one in done:
                left[one.row["id"]] -= one.amount.units
                await self.repaid(tx, one.row, one.amount, left[one.row["id"]])

        return Enlarged(batch, booked)

    async def repaid(self, tx: Tx, row: Row, amount: Money, left_units: int) -> None:
        """This will write down what came back; the debt's row is locked."""
        event = DebtEvent.PART_REPAID if left_units else DebtEvent.REPAID
        now = self._clock.now()
        changes: dict[str, object] = {"outstanding": left_units}
        if left_units:
            changes["state_since"] = row["state_since"]
        await TABLE.move(tx, row, event, now=now, actor=SYSTEM, note=str(amount), changes=changes)


def _accounts(rows: Sequence[Row]) -> dict[AccountRef, _Account]:
    found: dict[AccountRef, _Account] = {}
    for row in rows:
        debt = Debt.of(row)
        account = found.setdefault(customer(debt.customer_id, debt.amount.asset), _Account([], []))
        account.rows.append(row)
        account.debts.append(debt)
        account.left.append(debt.outstanding.units)
    return found


def _refuse_outward(transfers: Sequence[Transfer], debtors: set[UUID | None]) -> None:
    """Judged for the whole batch: what a payment brings may be spent in the group after it, since
    the debt is repaid in between. Booking what the outside has done, out of what was reserved for
    it, is never refused."""
    holds = {
        side.owner
        for one in transfers
        if one.kind is TransferKind.PENDING
        for side in (one.debit, one.credit)
        if side is not None and side.purpose is Purpose.WALLET
    }
    if holds & debtors:
        raise DebtOutstanding
    if any(one.kind in FREEING for one in transfers):
        return
    moves = [t for t in transfers if t.kind is TransferKind.POST and t.code not in OWN]
    given = {t.credit.owner for t in moves if t.credit and t.credit.purpose is Purpose.WALLET}
    taken = {t.debit.owner for t in moves if t.debit and t.debit.purpose is Purpose.WALLET}
    if (taken - given) & debtors:
        raise DebtOutstanding


def _groups(transfers: Sequence[Transfer]) -> Iterator[list[Transfer]]:
    """The batch in its groups; what has none is one by itself."""
    group: list[Transfer] = []
    for one in transfers:
        if group and (one.group is None or one.group != group[-1].group):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _repay(group: Sequence[Transfer], accounts: dict[AccountRef, _Account]) -> list[_Repayment]:
    """What a group leaves its customers with repays what they owe."""
    found: list[_Repayment] = []
    for ref, account in accounts.items():
        net = 0
        for one in group:
            if one.kind is TransferKind.POST and one.amount is not None and not one.terms.up_to:
                net += one.amount.units * ((one.credit == ref) - (one.debit == ref))
        found += account.take(net)
    return found


def _together(group: Sequence[Transfer], added: Sequence[Transfer]) -> list[tuple[Transfer, bool]]:
    if not added:
        return [(one, True) for one in group]
    name = group[0].group or new_id()
    asked = [(one if one.group else replace(one, group=name), True) for one in group]
    return [*asked, *((one.in_group(name), False) for one in added)]
