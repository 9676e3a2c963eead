"""Random batches through the real ledger and through the model: code by code, total by total.

``HAZINA_TEST_SEED`` replays one run, ``HAZINA_TEST_LEDGER_BATCHES`` makes it long.
"""

import os
from datetime import datetime
from random import SystemRandom
from uuid import UUID

import pytest

from hazina.infra.db import Database
from hazina.kernel.actor import SYSTEM
from hazina.ledger.batcher import Batcher
from hazina.ledger.chart import AccountRef
from hazina.ledger.core import Result, ResultCode, Transfer
from hazina.ledger.proof import Proof
from tests.conftest import Place
from tests.ledger.books import ALL_ALIVE, TEST_REFERENCE, Books
from tests.ledger.model import Account, Model
from tests.ledger.workload import PAPER, Workload, named

BATCHES = int(os.environ.get("HAZINA_TEST_LEDGER_BATCHES", "240"))
GIVEN = os.environ.get("HAZINA_TEST_SEED")
# A long run is many short ones, each with a seed and a database of its own.
RUNS = max(2, BATCHES // 400)
ROUNDS = [int(GIVEN)] if GIVEN else list(range(RUNS))

TOTALS = """
SELECT a.purpose, a.asset, a.owner_id, a.floor, a.state, a.version,
       ledger.credit_at(a.key, clock_timestamp()) AS credit,
       a.debits_posted + coalesce(u.debit, 0) AS debits,
       a.credits_posted + coalesce(u.credit, 0) AS credits, a.debits_pending, a.credits_pending
FROM ledger.account a
LEFT JOIN (SELECT account_key, sum(debit) AS debit, sum(credit) AS credit
           FROM ledger.entry_unbounded GROUP BY 1) u ON u.account_key = a.key
"""


CLOSE_PERIOD = "SELECT ledger.close_period($1, 'operator:1', 'the year is over')"
GRANT_CREDIT = """
SELECT ledger.grant_credit($1, $2, '-infinity', NULL, 'operator:1', 'operator:2', 'trusted')
"""


class Both:
    """The engine and the model side by side."""

    def __init__(self, db: Database, owner: Database, seed: int) -> None:
        self.db, self.owner, self.books = db, owner, Books(db)
        # Even seeds join a transaction, odd ones come through the micro-batcher.
        self.batcher = Batcher(db, self.books.ledger) if seed % 2 else None
        self.model = Model()
        self.work = Workload(seed, self.model)
        self.times: dict[UUID, datetime | None] = {}

    async def close(self) -> None:
        if self.batcher is not None:
            await self.batcher.close()

    async def _post(self, batch: list[Transfer]) -> list[Result]:
        if self.batcher is None:
            return await self.books.post(*batch)
        return await self.batcher.submit(batch, SYSTEM)

    async def step(self, where: str) -> list[ResultCode]:
        await self._by_hand()
        batch = self.work.batch()
        now = await self.db.fetchval("SELECT clock_timestamp()")
        expected = self.model.post(batch, now)
        results = await self._post(batch)
        differing = [
            f"{line}\n    ledger {got.code.value} {got.amount_units},"
            f" model {want.code.value} {want.amount}"
            for line, got, want in zip(
                named(batch, self.work.accounts), results, expected, strict=True
            )
            if (got.code, got.amount_units) != (want.code, want.amount)
        ]
        assert not differing, "\n".join(
            [where, *differing, "the batch:", *named(batch, self.work.accounts)]
        )
        self._check_times(results, where)
        await self._check_totals(where)
        return [result.code for result in results]

    async def _by_hand(self) -> None:
        if (until := self.work.closing()) is not None:
            self.model.close(until)
            await self.db.fetchval(CLOSE_PERIOD, until)
        if (what := self.work.by_hand()) is None:
            return
        ref, change = what
        await self.db.run(lambda tx: self.books.ledger.open_accounts(tx, [ref]))
        self.model.change(ref, **change)
        credit = change.pop("credit", None)
        if credit is not None:
            key = self.books.ledger._keys[ref]
            await self.db.fetchval(GRANT_CREDIT, key, credit)
        async with self.owner.transaction() as tx:
            for column, value in change.items():
                await tx.execute(
                    f"UPDATE ledger.account SET {column} = $4 WHERE purpose = $1 AND asset = $2"
                    " AND owner_id IS NOT DISTINCT FROM $3",
                    ref.purpose.value, ref.asset.code, ref.owner, value,
                )  # fmt: skip

    def _check_times(self, results: list[Result], where: str) -> None:
        for result in results:
            assert (result.booked_at is not None) == result.booked, where
            if result.code is ResultCode.CREATED:
                self.times[result.id] = result.booked_at
            if result.code is ResultCode.EXISTS:
                assert result.booked_at == self.times[result.id], f"{where}: the first time"

    async def _check_totals(self, where: str) -> None:
        rows = {
            (row["purpose"], row["asset"], row["owner_id"]): row
            for row in await self.db.fetch(TOTALS)
        }
        for ref, account in self.model.state.accounts.items():
            row = rows.get((ref.purpose.value, ref.asset.code, ref.owner))
            if row is None:
                assert account == Account(ref.line.bounded), f"{where}: {ref} was never opened"
                continue
            got = Account(
                ref.line.bounded, int(row["floor"]), row["state"], int(row["debits"]),
                int(row["credits"]), int(row["debits_pending"]), int(row["credits_pending"]),
                row["version"], int(row["credit"]),
            )  # fmt: skip
            assert got == comparable(ref, account), f"{where}: {ref}"


def comparable(ref: AccountRef, account: Account) -> Account:
    """Nothing is counted on an unbounded account: what is held there only its holds know."""
    if ref.line.bounded:
        return account
    return Account(False, 0, account.state, account.debits, account.credits)


class TestTheLedgerAndTheModel:
    # Chosen when it runs: what is collected must be the same in every worker.
    @pytest.mark.parametrize("round_or_seed", ROUNDS)
    async def test_agree_on_every_code_and_every_total(
        self, fresh: Database, fresh_place: Place, round_or_seed: int
    ) -> None:
        seed = round_or_seed
        if not GIVEN:
            seed = 2 * SystemRandom().randrange(10**9) + round_or_seed % 2
        owner = await Database.connect(fresh_place.owner, size=1)
        try:
            async with fresh.transaction() as tx:
                await Books(fresh).ledger.ensure_assets(tx, [PAPER])
            both = Both(fresh, owner, seed)
            for number in range(BATCHES // RUNS):
                await both.step(f"HAZINA_TEST_SEED={seed}, batch {number}")
            await both.close()
            await self._prove(fresh)
        finally:
            await owner.close()

    async def _prove(self, db: Database) -> None:
        proof = Proof()
        proof.add_owner(TEST_REFERENCE, ALL_ALIVE)
        async with db.transaction(readonly=True) as tx:
            verdicts = await proof.verify(tx)
        # A floor raised by hand above what is there only blocks new debits.
        raised = "no bounded account is below its floor, holds counted"
        faults = {v.claim: v.faults for v in verdicts if not v.holds and v.claim != raised}
        assert faults == {}
