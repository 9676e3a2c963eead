"""The door to money: post a batch, open accounts, read balances.

``post`` joins the caller's transaction. One transaction makes at most one ``post()``, after its
business rows were locked: two would break the lock order and deadlock. After it a transaction may
only touch rows it has locked already, or insert new ones.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

import asyncpg

from hazina.infra.db import Database, RetryTransaction, Row, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.ids import new_id
from hazina.kernel.money import ASSETS, Asset
from hazina.ledger.chart import CHART, AccountRef, Owner, Purpose
from hazina.ledger.codes import BACKDATABLE, Code
from hazina.ledger.core import (
    PLAIN,
    Balance,
    Leg,
    Result,
    ResultCode,
    Terms,
    Transfer,
    TransferKind,
)
from hazina.ledger.rule import Rule

T = TypeVar("T")

MAX_BATCH = 10_000
TICK = timedelta(microseconds=1)

POST = """
SELECT o_base, o_result, o_amount, o_at FROM ledger.post(
    $1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[]::numeric[],
    $7::text[], $8::uuid[], $9::boolean[], $10::timestamptz[], $11::uuid[], $12::text[],
    $13::uuid[], $14::boolean[], $15::timestamptz[], $16::boolean[], $17::uuid[], $18::uuid[],
    $19::uuid[], $20::bigint[], $21::bigint[], $22::jsonb[], $23)
"""
# One movement or hold with nothing special: scalars are bound in a fifth of the time of arrays.
POST_ONE = "SELECT ledger.post_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
# Several movements in one asset with nothing special to any of them.
POST_PLAIN = "SELECT ledger.post_plain($1, $2, $3, $4, $5, $6, $7, $8, $9)"
LARGEST_PLAIN = 2**63 - 1  # what a bigint holds
LEGS = """
SELECT t.id, t.code, t.asset, t.amount, d.purpose AS debit_purpose, d.owner_id AS debit_owner,
       c.purpose AS credit_purpose, c.owner_id AS credit_owner
FROM (SELECT t.* FROM ledger.transfer t WHERE t.group_id = $1
      UNION ALL
      SELECT t.* FROM ledger.transfer t WHERE t.id = $1 AND t.group_id IS NULL) t
JOIN ledger.account d ON d.key = t.debit_key
JOIN ledger.account c ON c.key = t.credit_key
WHERE t.kind IN ('post', 'post_pending')
ORDER BY t.booked_at, t.id
"""
# The two shapes of the unique key, each an index look-up: NULL owners cannot use "=".
FIND_OWNED = """
SELECT a.key, a.purpose, a.asset, a.owner_id
FROM unnest($1::text[], $2::text[], $3::uuid[]) q (purpose, asset, owner_id)
JOIN ledger.account a
    ON a.owner_id = q.owner_id AND a.asset = q.asset AND a.purpose = q.purpose
UNION ALL
SELECT a.key, a.purpose, a.asset, a.owner_id
FROM unnest($1::text[], $2::text[], $3::uuid[]) q (purpose, asset, owner_id)
JOIN ledger.account a
    ON a.owner_id IS NULL AND q.owner_id IS NULL AND a.asset = q.asset AND a.purpose = q.purpose
"""
OPEN_ACCOUNTS = """
INSERT INTO ledger.account (id, purpose, asset, class, owner_id, bounded, debit_normal, parent_key)
SELECT q.id, q.purpose, q.asset, s.class, q.owner_id, q.bounded, q.debit_normal, $7
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::boolean[], $6::boolean[])
     q (id, purpose, asset, owner_id, bounded, debit_normal)
JOIN ledger.asset s ON s.code = q.asset
ORDER BY q.owner_id, q.asset, q.purpose
ON CONFLICT (owner_id, asset, purpose) DO NOTHING
"""
BALANCES = """
SELECT a.owner_id, a.asset, a.purpose, a.debits_posted, a.credits_posted, a.debits_pending,
       a.credits_pending, a.version
FROM ledger.account a
WHERE a.owner_id = $1 AND a.bounded
ORDER BY a.asset, a.purpose
"""

IN_STATE = """
SELECT a.purpose, a.asset, a.owner_id FROM ledger.account a
WHERE a.owner_id = ANY ($1::uuid[]) AND a.state = ANY ($2)
"""


class Reader(Protocol):
    """A transaction or the pool: whatever can run one read."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...


class Ledger:
    """One engine's implementation of the door; another could stand behind the same methods."""

    def __init__(self) -> None:
        # Keys never change, so they may be remembered, but only after a commit: what a
        # transaction finds may be what it opened itself, and gone when it rolls back.
        self._keys: dict[AccountRef, int] = {}
        self._rule: Rule | None = None

    def govern(self, rule: Rule) -> None:
        """This will ask ``rule`` about every batch; there is one at most."""
        if self._rule is not None:
            raise ValueError("the ledger has a rule already")
        self._rule = rule

    async def post(self, tx: Tx, transfers: Sequence[Transfer], actor: Actor) -> list[Result]:
        """This will book ``transfers`` in order and answer a result for each, in order.

        A group (consecutive transfers with one ``group``) is booked whole or not at all. A repeat
        with the same id and content answers ``exists`` with the first result. Locks the bounded
        accounts in key order until the transaction ends.
        """
        if tx.posted:
            raise AssertionError("a transaction posts once, as the last thing it does")
        tx.posted = True
        _check(transfers)
        if not transfers:
            return []
        enlarged = None if self._rule is None else await self._rule.judge(tx, transfers)
        if enlarged is None:
            return await self._book(tx, transfers, actor)
        results = await self._book(tx, [one for one, _ in enlarged.transfers], actor)
        await enlarged.booked(tx, results)
        asked = [by_caller for _, by_caller in enlarged.transfers]
        return [result for result, by_caller in zip(results, asked, strict=True) if by_caller]

    async def _book(self, tx: Tx, transfers: Sequence[Transfer], actor: Actor) -> list[Result]:
        try:
            if len(transfers) == 1 and _is_simple(transfers[0]):
                scalars = await self._scalars(tx, transfers[0])
                base = await tx.fetchval(POST_ONE, *scalars, str(actor))
                if base is not None:
                    return [_created(transfers[0], base + TICK)]
            elif len(transfers) > 1 and _are_plain(transfers):
                plain = await self._plain_columns(tx, transfers)
                base = await tx.fetchval(POST_PLAIN, *plain, str(actor))
                if base is not None:
                    return _all_created(transfers, base)
            columns = await self._columns(tx, transfers)
            row = await tx.fetchrow(POST, *columns, str(actor))
        except asyncpg.UniqueViolationError as race:
            # Another transaction booked the same id, or acted on the same hold, between our look
            # and our write: run again, and this time we see it.
            raise RetryTransaction(race.constraint_name or "ledger") from race
        assert row is not None
        return _results(transfers, row)

    async def ensure_assets(self, tx: Tx, assets: Iterable[Asset]) -> None:
        """This will make the assets known; their scale and class never change."""
        await tx.executemany(
            "INSERT INTO ledger.asset (code, scale, class) VALUES ($1, $2, $3)"
            " ON CONFLICT (code) DO NOTHING",
            [(a.code, a.scale, a.asset_class.value) for a in assets],
        )

    async def open_accounts(
        self, tx: Tx, refs: Sequence[AccountRef], *, parent: AccountRef | None = None
    ) -> None:
        """This will open those of ``refs`` that are not there yet; opening twice is harmless.

        What is opened here with a ``parent`` is a part of it for ever: its sum counts them.
        """
        parent_key = None
        if parent is not None:
            parent_key = (await self._resolve(tx, {parent}, opening=True))[parent]
        await self._resolve(tx, set(refs), opening=True, parent_key=parent_key)

    async def find_key(self, reader: Reader, ref: AccountRef) -> int | None:
        """The engine's own number of an account; None where it was never opened."""
        return self._keys.get(ref) or (await self._find(reader, [ref])).get(ref)

    async def balance(self, reader: Reader, ref: AccountRef) -> Balance:
        """What a bounded account holds; nothing at all where it was never opened."""
        if ref.owner is None:
            raise ValueError("the house's own accounts are unbounded: ask the trial balance")
        found = [
            balance
            for purpose, balance in await self.balances_by_purpose(reader, ref.owner)
            if purpose == ref.purpose and balance.posted.asset == ref.asset
        ]
        return found[0] if found else _balance(ref.asset, 0, 0, 0, 0)

    async def list_stopped(self, reader: Reader, refs: Sequence[AccountRef]) -> set[AccountRef]:
        """Those of ``refs`` that are frozen or closed: nothing can be debited there."""
        return await self._in_state(reader, refs, ["frozen", "closed"])

    async def list_closed(self, reader: Reader, refs: Sequence[AccountRef]) -> set[AccountRef]:
        """Those of ``refs`` that are closed: nothing can be booked there for ever."""
        return await self._in_state(reader, refs, ["closed"])

    async def _in_state(
        self, reader: Reader, refs: Sequence[AccountRef], states: Sequence[str]
    ) -> set[AccountRef]:
        named = {(r.purpose.value, r.asset.code, r.owner): r for r in refs}
        owners = [r.owner for r in refs]
        rows = await reader.fetch(IN_STATE, owners, states)
        found = {(row["purpose"], row["asset"], row["owner_id"]) for row in rows}
        return {named[key] for key in found & named.keys()}

    async def legs(self, reader: Reader, group: UUID) -> list[Leg]:
        """What a group moved, in order; of a transfer without a group, itself."""
        return [
            Leg(
                row["id"],
                AccountRef(Purpose(row["debit_purpose"]), asset, row["debit_owner"]),
                AccountRef(Purpose(row["credit_purpose"]), asset, row["credit_owner"]),
                asset.units(int(row["amount"])),
                Code(row["code"]),
            )
            for row in await reader.fetch(LEGS, group)
            for asset in (ASSETS[row["asset"]],)
        ]

    async def balances_by_purpose(self, reader: Reader, owner: object) -> list[tuple[str, Balance]]:
        """Every bounded account of one owner, in one query."""
        return [
            (
                row["purpose"],
                _balance(
                    ASSETS[row["asset"]],
                    # Not int(a - b): Decimals subtract to 28 digits, and here are 38.
                    int(row["credits_posted"]) - int(row["debits_posted"]),
                    int(row["debits_pending"]),
                    int(row["credits_pending"]),
                    row["version"],
                ),
            )
            for row in await reader.fetch(BALANCES, owner)
        ]

    async def _scalars(self, tx: Tx, transfer: Transfer) -> list[object]:
        """A simple transfer as the fast path of the posting function takes it."""
        debit, credit, amount = transfer.debit, transfer.credit, transfer.amount
        assert debit is not None
        assert credit is not None
        assert amount is not None
        keys: Mapping[AccountRef, int] = self._keys
        if debit not in keys or credit not in keys:
            keys = await self._resolve(tx, {debit, credit})
        return [
            transfer.id,
            transfer.kind,
            transfer.code,
            keys.get(debit),
            keys.get(credit),
            amount.units,
            amount.asset.code,
            transfer.expires_at,
            transfer.reference.type,
            transfer.reference.id,
        ]

    async def _plain_columns(self, tx: Tx, transfers: Sequence[Transfer]) -> list[object]:
        """Plain transfers as the fast path of the posting function takes them."""
        sides = await self._keyed(tx, transfers)
        amounts = [t.amount for t in transfers if t.amount is not None]
        return [
            [t.id for t in transfers],
            [t.code for t in transfers],
            *sides,
            [amount.units for amount in amounts],
            amounts[0].asset.code,
            [t.reference.type for t in transfers],
            [t.reference.id for t in transfers],
        ]

    async def _columns(self, tx: Tx, transfers: Sequence[Transfer]) -> list[object]:
        """The transfers as the posting function takes them: one array for each field."""
        sides = await self._keyed(tx, transfers)
        metadata = [None if t.metadata is None else dict(t.metadata) for t in transfers]
        keep_rest = [t.keep_rest for t in transfers]
        return [
            [t.id for t in transfers],
            [t.kind for t in transfers],
            [t.code for t in transfers],
            *sides,
            [None if t.amount is None else str(t.amount.units) for t in transfers],
            [None if t.amount is None else t.amount.asset.code for t in transfers],
            _unless_empty([t.pending_id for t in transfers]),
            keep_rest if True in keep_rest else None,
            _unless_empty([t.expires_at for t in transfers]),
            _unless_empty([t.group for t in transfers]),
            [t.reference.type for t in transfers],
            [t.reference.id for t in transfers],
            *_specials(transfers),
            _unless_empty(metadata),
        ]

    async def _keyed(
        self, tx: Tx, transfers: Sequence[Transfer]
    ) -> tuple[list[int | None], list[int | None]]:
        """The keys of debit and credit accounts, opening what may be opened on demand."""
        sides = _sides(transfers, self._keys)
        if None in sides[0] or None in sides[1]:
            sides = _sides(transfers, await self._resolve(tx, _accounts(transfers)))
        return sides

    async def _resolve(
        self,
        tx: Tx,
        refs: set[AccountRef],
        *,
        opening: bool = False,
        parent_key: int | None = None,
    ) -> dict[AccountRef, int]:
        """The keys of ``refs``, opening what is missing; what nobody may open on demand is left
        out, and a transfer that names it answers ``account_not_found``."""
        missing = [ref for ref in refs if ref not in self._keys]
        if not missing:
            return self._keys
        found = await self._find(tx, missing)
        absent = [ref for ref in missing if ref not in found]
        if absent := [ref for ref in absent if opening or ref.line.on_demand]:
            await self._open(tx, absent, parent_key)
            found |= await self._find(tx, absent)
        tx.after_commit(lambda: self._keys.update(found))
        known = {ref: found.get(ref) or self._keys.get(ref) for ref in refs}
        return {ref: key for ref, key in known.items() if key is not None}

    async def _find(self, reader: Reader, refs: Sequence[AccountRef]) -> dict[AccountRef, int]:
        named = {(r.purpose.value, r.asset.code, r.owner): r for r in refs}
        rows = await reader.fetch(
            FIND_OWNED,
            [r.purpose.value for r in refs],
            [r.asset.code for r in refs],
            [r.owner for r in refs],
        )
        return {named[row["purpose"], row["asset"], row["owner_id"]]: row["key"] for row in rows}

    async def _open(
        self, tx: Tx, refs: Sequence[AccountRef], parent_key: int | None = None
    ) -> None:
        await tx.execute(
            OPEN_ACCOUNTS,
            [new_id() for _ in refs],
            [r.purpose.value for r in refs],
            [r.asset.code for r in refs],
            [r.owner for r in refs],
            [r.line.bounded for r in refs],
            [r.line.debit_normal for r in refs],
            parent_key,
        )


async def prepare(ledger: Ledger, db: Database) -> None:
    """This will make the known assets and the house's own accounts, once at start."""

    async def opening(tx: Tx) -> None:
        await ledger.ensure_assets(tx, ASSETS.values())
        ours = [purpose for purpose, line in CHART.items() if line.owner is Owner.SYSTEM]
        refs = [AccountRef(purpose, asset) for purpose in ours for asset in ASSETS.values()]
        await ledger.open_accounts(tx, refs)

    await db.run(opening)


def _check(transfers: Sequence[Transfer]) -> None:
    """What a caller can get wrong only by a bug."""
    if len(transfers) > MAX_BATCH:
        raise ValueError(f"a batch has at most {MAX_BATCH} transfers")
    seen, last = set(), None
    for transfer in transfers:
        if not _plain(transfer):
            _check_shape(transfer)
        if transfer.group is not None and transfer.group != last:
            if transfer.group in seen:
                raise ValueError("the members of a group stand together")
            seen.add(transfer.group)
        last = transfer.group


def _plain(transfer: Transfer) -> bool:
    """Nearly every transfer: a movement with nothing special, which needs no further look."""
    debit, credit, amount = transfer.debit, transfer.credit, transfer.amount
    return (
        transfer.kind is TransferKind.POST
        and debit is not None
        and credit is not None
        and amount is not None
        and debit.asset is amount.asset
        and credit.asset is amount.asset
        and transfer.pending_id is None
        and transfer.expires_at is None
        and not transfer.keep_rest
        and transfer.terms is PLAIN
    )


def _is_simple(transfer: Transfer) -> bool:
    """Whether the fast path may take it: a movement or a hold alone, with nothing special."""
    return (
        transfer.kind in (TransferKind.POST, TransferKind.PENDING)
        and transfer.terms is PLAIN
        and transfer.group is None
        and transfer.metadata is None
        and transfer.amount is not None
        and abs(transfer.amount.units) <= LARGEST_PLAIN
    )


def _are_plain(transfers: Sequence[Transfer]) -> bool:
    """Whether the fast path may take them together: movements in one asset, nothing special."""
    first = transfers[0].amount
    return first is not None and all(
        t.kind is TransferKind.POST
        and t.terms is PLAIN
        and t.group is None
        and t.metadata is None
        and t.amount is not None
        and t.amount.asset is first.asset
        and abs(t.amount.units) <= LARGEST_PLAIN
        for t in transfers
    )


def _check_shape(transfer: Transfer) -> None:
    settles = transfer.kind in (TransferKind.POST_PENDING, TransferKind.VOID_PENDING)
    accounts = (transfer.debit, transfer.credit)
    if settles != (transfer.pending_id is not None):
        raise ValueError("exactly the acts on a hold name a hold")
    if [ref is None for ref in accounts] != [settles, settles]:
        raise ValueError("a movement has a debit and a credit account, an act those of its hold")
    if not settles and transfer.amount is None:
        raise ValueError("a movement has an amount")
    if transfer.kind is TransferKind.VOID_PENDING and transfer.amount is not None:
        raise ValueError("a hold is let go of whole")
    if transfer.keep_rest and transfer.kind is not TransferKind.POST_PENDING:
        raise ValueError("only posting a hold can keep its rest")
    if transfer.expires_at is not None and transfer.kind is not TransferKind.PENDING:
        raise ValueError("only a hold expires")
    for ref in accounts:
        if ref and transfer.amount is not None and ref.asset != transfer.amount.asset:
            raise ValueError("an amount has its accounts' asset")
    if transfer.terms != PLAIN:
        _check_terms(transfer, transfer.terms)


def _check_terms(transfer: Transfer, terms: Terms) -> None:
    if transfer.kind is not TransferKind.POST:
        raise ValueError("a hold and an act on one has no origin, condition or effective time")
    if terms.refund_of is not None and terms.reverses is not None:
        raise ValueError("a refund is not a reversal")
    if terms.reverses is not None and terms.up_to:
        raise ValueError("a reversal moves all of what it undoes")
    if transfer.id in (terms.refund_of, terms.reverses):
        raise ValueError("nothing gives itself back")
    conditions = (
        (transfer.debit, terms.if_debit_version),
        (transfer.credit, terms.if_credit_version),
    )
    if any(ref and not ref.line.bounded for ref, version in conditions if version is not None):
        raise ValueError("only a bounded account has a version")


def _accounts(transfers: Sequence[Transfer]) -> set[AccountRef]:
    refs = {ref for transfer in transfers for ref in (transfer.debit, transfer.credit)}
    return {ref for ref in refs if ref is not None}


def _sides(
    transfers: Sequence[Transfer], keys: Mapping[AccountRef, int]
) -> tuple[list[int | None], list[int | None]]:
    """Keys of the debit and the credit accounts; None for an act, or where there is none."""
    known: Callable[[AccountRef | None], int | None] = keys.get  # type: ignore[assignment]
    return [known(t.debit) for t in transfers], [known(t.credit) for t in transfers]


def _specials(transfers: Sequence[Transfer]) -> list[object]:
    """What hardly any transfer has: nothing at all where none has any of it."""
    if all(t.terms is PLAIN for t in transfers):
        return [None] * 8
    terms = [t.terms for t in transfers]
    up_to = [t.up_to for t in terms]
    effective = _unless_empty([t.effective_at for t in terms])
    return [
        up_to if True in up_to else None,
        effective,
        None if effective is None else [t.code in BACKDATABLE for t in transfers],
        _unless_empty([t.refund_of for t in terms]),
        _unless_empty([t.reverses for t in terms]),
        _unless_empty([t.corrects for t in terms]),
        _unless_empty([t.if_debit_version for t in terms]),
        _unless_empty([t.if_credit_version for t in terms]),
    ]


def _unless_empty(values: list[T | None]) -> list[T | None] | None:
    return values if any(value is not None for value in values) else None


def _asked(transfer: Transfer) -> int | None:
    return None if transfer.amount is None else transfer.amount.units


def _created(transfer: Transfer, at: datetime) -> Result:
    return Result(transfer.id, ResultCode.CREATED, _asked(transfer), at)


def _all_created(transfers: Sequence[Transfer], base: datetime) -> list[Result]:
    """Transfer i was booked i microseconds after the batch's base."""
    return [_created(t, base + place * TICK) for place, t in enumerate(transfers, 1)]


def _results(transfers: Sequence[Transfer], row: Row) -> list[Result]:
    base, codes, amounts, times = row["o_base"], row["o_result"], row["o_amount"], row["o_at"]
    if codes is None:
        return _all_created(transfers, base)
    results = []
    for place, transfer in enumerate(transfers):
        code = ResultCode(codes[place] or ResultCode.CREATED)
        units, at = None, None
        if code in (ResultCode.CREATED, ResultCode.EXISTS):
            units = _asked(transfer) if amounts[place] is None else int(amounts[place])
            at = (times and times[place]) or base + (place + 1) * TICK
        results.append(Result(transfer.id, code, units, at))
    return results


def _balance(asset: Asset, posted: int, held: int, incoming: int, version: int) -> Balance:
    return Balance(asset.units(posted), asset.units(held), asset.units(incoming), version)
