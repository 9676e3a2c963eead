"""Seeded, edge-biased batches over a tiny pool of accounts, so that everything collides.

The same seed makes the same acts (the ids differ: they are the house's own, and time-ordered).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, XAU, Asset, AssetClass, Money
from hazina.ledger.chart import AccountRef, Purpose, customer, lot, system
from hazina.ledger.codes import Code
from hazina.ledger.core import PLAIN, Leg, Reference, Terms, Transfer, TransferKind, reversal
from tests.ledger.books import TEST_REFERENCE
from tests.ledger.model import LARGEST, MOVES, Model, accounts_of

PAPER = Asset("TOY", 2, AssetClass.PAPER)
# Decided by the database's clock: so far away that the run's own length cannot matter.
LONG_AGO, FAR_OFF = datetime(2001, 1, 1, tzinfo=UTC), datetime(2201, 1, 1, tzinfo=UTC)
# Between the two, for what takes effect earlier than it is booked, and for periods that are closed.
YEARS = [datetime(year, 1, 1, tzinfo=UTC) for year in (2003, 2005, 2007, 2009)]


class Workload:
    """Draws batches that look at the model to find the edges of what is possible."""

    def __init__(self, seed: int, model: Model) -> None:
        self.random = Random(seed)
        self.model = model
        self.sent: list[Transfer] = []
        self.references = [Reference(TEST_REFERENCE, new_id()) for _ in range(3)]
        people = [new_id() for _ in range(4)]
        self.pool = {
            KES: [
                *(customer(person, KES) for person in people),
                system(Purpose.MPESA_COLLECTION),
                system(Purpose.GOLD_POSITION),
            ],
            XAU: [
                *(customer(person, XAU) for person in people[:2]),
                lot(new_id()),
                system(Purpose.VAULT, XAU),
            ],
            PAPER: [
                *(customer(person, PAPER) for person in people[:2]),
                system(Purpose.CAPITAL, PAPER),
            ],
        }
        self.accounts = [ref for refs in self.pool.values() for ref in refs]

    def batch(self) -> list[Transfer]:
        drawn: list[Transfer] = []
        wanted = self.random.choice([1, 1, 2, 3, 5, 8, 20, 40])
        if self.random.random() < 0.3:  # for the fast path, which knows only such batches
            asset = self.random.choice([KES, KES, XAU])
            drawn = [self._plain(asset) for _ in range(wanted)]
            if self.sent and self.random.random() < 0.1:
                drawn.append(self.random.choice(self.sent))
            drawn = apart(drawn)
            self.sent += drawn
            return drawn
        while len(drawn) < wanted:
            dice = self.random.random()
            if dice < 0.3:
                drawn += self._group()
            elif dice < 0.36:
                drawn += self._reversal()
            else:
                drawn.append(self._one(drawn))
        drawn = apart(drawn)
        self.sent += drawn
        return drawn

    def closing(self) -> datetime | None:
        """Hardly ever a period is closed."""
        return self.random.choice(YEARS[:-1]) if self.random.random() < 0.01 else None

    def by_hand(self) -> tuple[AccountRef, dict[str, object]] | None:
        """Now and then somebody freezes, closes, opens, grants credit, or moves a floor."""
        if self.random.random() < 0.75:
            return None
        ref = self.random.choice(self.accounts)
        self.model.change(ref)
        closed = self.model.state.accounts[ref].state == "closed"
        if ref.line.bounded and not closed and self.random.random() < 0.2:
            return ref, {"credit": self.random.choice([0, 0, 1, 50, 3_000])}
        if ref.line.bounded and self.random.random() < 0.4:
            return ref, {"floor": self.random.choice([0, 0, -5, -LARGEST, 3])}
        state = self.random.choices(["open", "frozen", "closed"], [6, 2, 1])[0]
        return ref, {"state": state}

    def _group(self) -> list[Transfer]:
        group = new_id()
        if self.sent and self.random.random() < 0.25:
            members = self._old_group()
            if members and self.random.random() < 0.3:
                members[self.random.randrange(len(members))] = self._one(members)
            if members:
                return members
        members: list[Transfer] = []
        asset = self.random.choice([KES, KES, KES, XAU])
        for _ in range(self.random.choice([1, 2, 2, 3, 6])):
            one = self._one(members, asset if self.random.random() < 0.9 else None)
            members.append(one.in_group(group) if self.random.random() < 0.97 else one)
        return members

    def _old_group(self) -> list[Transfer]:
        old = self.random.choice(self.sent).group
        if old is None:
            return []
        seen = {transfer.id: transfer for transfer in self.sent if transfer.group == old}
        members = list(seen.values())
        if self.random.random() < 0.2:
            self.random.shuffle(members)
        return members

    def _one(self, drawn: Sequence[Transfer], asset: Asset | None = None) -> Transfer:
        dice, earlier = self.random.random(), [*self.sent[-60:], *drawn, *drawn]
        if earlier and dice < 0.08:
            return self.random.choice(earlier)
        if earlier and dice < 0.18:
            return self._changed(self.random.choice(earlier))
        if dice < 0.50:
            return self._act(drawn)
        return self._movement(asset or self.random.choice([KES, KES, KES, XAU, PAPER]))

    def _movement(self, asset: Asset) -> Transfer:
        debit = self.random.choice(self.pool[asset])
        credit = self.random.choice(self.pool[asset])
        kind = self.random.choice([TransferKind.POST, TransferKind.PENDING])
        if kind is TransferKind.POST and self.random.random() < 0.3:
            return self._on_terms(debit, credit)
        expires = None
        if kind is TransferKind.PENDING:
            expires = self.random.choice([None, None, None, FAR_OFF, LONG_AGO])
        return Transfer(
            kind, self._code(), self._reference(), new_id(), debit, credit,
            self._amount(debit), expires_at=expires, metadata=self._metadata(),
        )  # fmt: skip

    def _plain(self, asset: Asset) -> Transfer:
        """Nothing special to it; mostly small, from somebody else, so that many can be booked."""
        debit, credit = self.random.choices(self.pool[asset], k=2)
        if self.random.random() < 0.97:
            debit, credit = self.random.sample(self.pool[asset], 2)
        small = asset.units(self.random.choice([1, 1, 2, 5]))
        amount = small if self.random.random() < 0.9 else self._amount(debit)
        return Transfer(
            TransferKind.POST, self._code(), self._reference(), new_id(), debit, credit, amount
        )

    def _on_terms(self, debit: AccountRef, credit: AccountRef) -> Transfer:
        """A sweep, a refund, a correction, a condition, an earlier effective time; or several."""
        self.model.change(debit)
        self.model.change(credit)
        accounts = self.model.state.accounts
        versions = [accounts[r].version if r.line.bounded else None for r in (debit, credit)]
        moved = [t.id for t, _ in self.model.state.booked.values() if t.kind in MOVES]
        originals = [*moved[-30:], *(t.id for t in self.sent[-10:]), new_id()]
        terms = PLAIN
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            near = self.random.choice([0, 0, 0, 1, -1])
            change: dict[str, object] = self.random.choice([
                {"up_to": True},
                {"refund_of": self.random.choice(originals)},
                {"refund_of": self.random.choice(originals)},
                {"corrects": self.random.choice(originals)},
                {"effective_at": self.random.choice([LONG_AGO, *YEARS, FAR_OFF])},
                {"if_debit_version": None if versions[0] is None else versions[0] + near},
                {"if_credit_version": None if versions[1] is None else versions[1] + near},
            ])  # fmt: skip
            terms = replace(terms, **change)  # type: ignore[arg-type]
        code = self._code()
        if terms.effective_at and self.random.random() < 0.8:
            code = Code.CAPITAL_IN
        amount = self._amount(debit)
        if terms.refund_of in self.model.state.booked and self.random.random() < 0.7:
            first, units = self.model.state.booked[terms.refund_of]
            left = units - self.model.state.refunded(first.id)
            debit, credit = reversed(accounts_of(self.model.state, first))
            amount = debit.asset.units(self.random.choice([left, left + 1, left // 2, 1]))
            terms = replace(terms, if_debit_version=None, if_credit_version=None)
        return Transfer(
            TransferKind.POST, code, self._reference(), new_id(), debit, credit, amount,
            terms=terms,
        )  # fmt: skip

    def _reversal(self) -> list[Transfer]:
        """All legs of a group the other way; sometimes not all of them, or not as they were."""
        moved = [t for t, _ in self.model.state.booked.values() if t.kind in MOVES]
        if not moved:
            return []
        origin = self.random.choice(moved[-40:])
        legs = [
            Leg(t.id, *accounts_of(self.model.state, t),
                accounts_of(self.model.state, t)[0].asset.units(amount), t.code)
            for t, amount in self.model.state.booked.values()
            if t.kind in MOVES and (t.id == origin.id or (t.group and t.group == origin.group))
        ]  # fmt: skip
        made = reversal(legs, self._reference())
        dice = self.random.random()
        place = self.random.randrange(len(made))
        if dice < 0.1 and len(made) > 1:
            del made[place]
        elif dice < 0.15:
            amount = made[place].amount
            assert amount is not None
            made[place] = replace(made[place], amount=amount.asset.units(amount.units + 1))
        elif dice < 0.2:
            made[place] = replace(made[place], debit=self.random.choice(self.accounts))
            asset = made[place].debit.asset  # type: ignore[union-attr]
            made[place] = replace(
                made[place], credit=self.random.choice(self.pool[asset]),
                amount=asset.units(1),
            )  # fmt: skip
        elif dice < 0.25 and len(made) == 1:
            made[0] = replace(made[0], group=None)
        return made

    def _act(self, drawn: Sequence[Transfer]) -> Transfer:
        holds = [t for t in drawn if t.kind is TransferKind.PENDING]
        known = list(self.model.state.holds)
        open_ones = [id_ for id_ in known if self.model.state.holds[id_].end is None]
        pending = self.random.choice([
            new_id(),
            *([self.random.choice(holds).id] * 6 if holds else []),
            *([self.random.choice(open_ones)] * 12 if open_ones else []),
            *([self.random.choice(known)] * 2 if known else []),
            *([self.random.choice(self.sent).id] if self.sent else []),
        ])  # fmt: skip
        if self.random.random() < 0.3:
            return Transfer(
                TransferKind.VOID_PENDING, self._code(), self._reference(), pending_id=pending
            )
        held = self.model.state.holds.get(pending)
        asset = held.debit.asset if held else KES
        left = held.left if held else 5
        amount = self.random.choice([
            None, None, asset.units(1), asset.units(max(left // 2, 1)), asset.units(left),
            asset.units(left + 1), XAU.units(1), asset.units(self.random.choice([0, -1, LARGEST])),
        ])  # fmt: skip
        return Transfer(
            TransferKind.POST_PENDING, self._code(), self._reference(), pending_id=pending,
            amount=amount, keep_rest=self.random.random() < 0.5,
        )  # fmt: skip

    def _changed(self, old: Transfer) -> Transfer:
        """The same id with one field changed."""
        asset = KES if old.amount is None else old.amount.asset
        movement = old.pending_id is None
        changes: list[dict[str, object]] = [
            {"code": self._code()},
            {"reference": self._reference()},
            {"group": self.random.choice([None, new_id()])},
            {"metadata": {"changed": "does not matter"}},
        ]
        if old.kind is not TransferKind.VOID_PENDING:
            changes.append({"amount": asset.units(self.random.choice([0, 1, 2, LARGEST + 1]))})
        if movement:
            other = [TransferKind.POST, TransferKind.PENDING]
            anywhere = replace(old.terms, if_debit_version=None, if_credit_version=None)
            changes += [
                {"kind": self.random.choice(other), "expires_at": None, "terms": PLAIN},
                {"debit": self.random.choice(self.pool[asset]), "terms": anywhere},
                {"credit": self.random.choice(self.pool[asset]), "terms": anywhere},
            ]
        else:
            pending = self.random.choice([new_id(), *self.model.state.holds])
            changes.append({"pending_id": pending})
        if old.kind is TransferKind.POST:
            changes += [{"terms": terms} for terms in self._other_terms(old.terms)]
        if old.kind is TransferKind.PENDING:
            changes.append({"expires_at": self.random.choice([None, FAR_OFF, LONG_AGO])})
        if old.kind is TransferKind.POST_PENDING:
            changes.append({"keep_rest": not old.keep_rest})
        return replace(old, **self.random.choice(changes))  # type: ignore[arg-type]

    def _other_terms(self, old: Terms) -> list[Terms]:
        changed = [
            replace(old, corrects=self.random.choice([None, new_id()])),
            replace(old, effective_at=self.random.choice([None, LONG_AGO])),
        ]
        if old.reverses is None:
            changed += [
                replace(old, up_to=not old.up_to),
                replace(old, refund_of=self.random.choice([None, new_id()])),
            ]
        return changed

    def _amount(self, debit: AccountRef) -> Money:
        self.model.change(debit)
        account = self.model.state.accounts[debit]
        floor = account.floor - account.credit
        available = account.credits - account.debits - account.going - floor
        units = self.random.choice([
            1, 1, 2, 3, 7, 100, 5_000, max(available, 1), available + 1, max(available // 2, 1),
            self.random.choice([0, -1, LARGEST, LARGEST + 1, LARGEST // 2]),
        ])  # fmt: skip
        return debit.asset.units(units)

    def _code(self) -> Code:
        return self.random.choice([Code.DEPOSIT, Code.DEPOSIT, Code.DEPOSIT, Code.WITHDRAWAL])

    def _reference(self) -> Reference:
        return self.random.choices(self.references, [8, 1, 1])[0]

    def _metadata(self) -> dict[str, object] | None:
        return {"note": "é"} if self.random.random() < 0.1 else None


def apart(drawn: list[Transfer]) -> list[Transfer]:
    """The door wants the members of a group to stand together: what would not is left out."""
    ended, kept, last = set(), [], None
    for transfer in drawn:
        if transfer.group != last:
            ended.add(last)
        if transfer.group is not None and transfer.group in ended:
            continue
        kept.append(transfer)
        last = transfer.group
    return kept


def named(batch: Sequence[Transfer], accounts: Sequence[AccountRef]) -> list[str]:
    """A batch for people: short names instead of ids."""
    names = {ref: f"a{place}" for place, ref in enumerate(accounts)}
    ids: dict[object, str] = {}

    def short(id_: object) -> str:
        return ids.setdefault(id_, f"#{len(ids)}") if id_ else ""

    return [
        f"{short(t.id)} {t.kind.value} {names.get(t.debit, '')}->{names.get(t.credit, '')}"
        f" {t.amount} of {short(t.pending_id)} keep={t.keep_rest} until={t.expires_at}"
        f" group={short(t.group)} {t.code.value}"
        f"{'' if t.terms == PLAIN else f' {t.terms}'}"
        for t in batch
    ]


def horizon(now: datetime) -> None:
    """The far times must stay far."""
    for earlier, later in pairwise([LONG_AGO, now, FAR_OFF]):
        assert later - earlier > timedelta(days=365)
