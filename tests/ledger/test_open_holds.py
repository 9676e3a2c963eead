"""The list of open holds: what a proof of every day reads in place of all holds there ever were."""

from importlib import import_module

import pytest

from hazina.infra.db import Database, Tx
from hazina.ledger import claims
from hazina.ledger.chart import AccountRef
from hazina.ledger.codes import Code
from hazina.ledger.core import Hold, hold
from hazina.ledger.proof import LIVING, Proof, Proven
from tests.conftest import START, Place
from tests.ledger.books import ALL_ALIVE, TEST_REFERENCE, Books, about, kes
from tests.ledger.chain import seal_all
from tests.ledger.test_history_plans import rows_read

LISTED = "SELECT id FROM ledger.open_hold ORDER BY id"
NOBODY = "SELECT NULL::uuid AS id"
FILL = import_module("hazina.ledger.migrations.0006_open_holds").FILL


async def listed(db: Database) -> list[object]:
    return [row["id"] for row in await db.fetch(LISTED)]


class Story:
    """A customer with money, somebody it is held for, and holds as they are asked for."""

    def __init__(self, db: Database) -> None:
        self.db, self.books = db, Books(db)
        self.payer: AccountRef
        self.payee: AccountRef

    @classmethod
    async def begin(cls, db: Database) -> "Story":
        story = cls(db)
        story.payer = await story.books.funded("1000")
        story.payee = await story.books.funded("1")
        return story

    async def hold(self, amount: str) -> Hold:
        held, opened = hold(self.payer, self.payee, kes(amount), Code.WITHDRAWAL, about())
        assert await self.books.code(opened) == "created"
        return held

    async def proven(self) -> Proven:
        row = await self.db.fetchrow(
            "SELECT number, hash FROM ledger.block ORDER BY number DESC LIMIT 1"
        )
        assert row is not None
        return Proven(row["number"], row["hash"], START)

    async def faults(
        self, proven: Proven | None, living: str = ALL_ALIVE, tx: Tx | None = None
    ) -> dict[str, list[str]]:
        proof = Proof()
        proof.add_owner(TEST_REFERENCE, living)
        if tx is not None:
            return {v.claim: v.faults for v in await proof.verify(tx, proven=proven) if v.faults}
        async with self.db.transaction(readonly=True) as own:
            return await self.faults(proven, living, own)


class TestTheList:
    async def test_follows_what_is_sealed(self, fresh: Database) -> None:
        story = await Story.begin(fresh)
        kept, voided, posted, partly = [await story.hold("10") for _ in range(4)]
        await story.books.post(voided.void())
        await seal_all(fresh)
        assert await listed(fresh) == sorted([kept.id, posted.id, partly.id])
        await story.books.post(posted.post(), partly.post(kes("4"), keep_rest=True))
        assert len(await listed(fresh)) == 3, "nothing is sealed yet"
        await seal_all(fresh)
        assert await listed(fresh) == sorted([kept.id, partly.id])
        await story.books.post(partly.post(kes("6"), keep_rest=True))  # nothing is left of it
        await seal_all(fresh)
        assert await listed(fresh) == [kept.id]

    async def test_is_what_the_proof_goes_by_and_misses_nothing(self, fresh: Database) -> None:
        story = await Story.begin(fresh)
        old = await story.hold("10")
        await seal_all(fresh)
        proven = await story.proven()
        sealed, unsealed = await story.hold("5"), None
        await seal_all(fresh)
        unsealed = await story.hold("3")
        for since in (None, proven):
            assert await story.faults(since) == {}
            orphans = (await story.faults(since, NOBODY))[LIVING]
            assert {line.split()[1] for line in orphans} == {
                str(one.id) for one in (old, sealed, unsealed)
            }
        await story.books.post(old.void(), sealed.post(), unsealed.void())
        assert await story.faults(proven, NOBODY) == {}, "what has ended needs no owner"

    async def test_is_proven_itself(self, fresh: Database, fresh_place: Place) -> None:
        story = await Story.begin(fresh)
        victim = await story.hold("10")
        await seal_all(fresh)
        proven = await story.proven()
        later = await story.hold("5")
        await seal_all(fresh)
        owner = await Database.connect(fresh_place.owner, size=1)
        try:
            for gone, sees in ((victim, claims.HOLDS), (later, claims.LISTED)):
                await owner.execute(f"DELETE FROM ledger.open_hold WHERE id = '{gone.id}'")
                assert set(await story.faults(None)) == {claims.LISTED}
                assert sees in await story.faults(proven)
                await owner.execute("DELETE FROM ledger.open_hold")
                await owner.execute(FILL)  # as an older house's books are listed when they upgrade
                assert await listed(fresh) == sorted([victim.id, later.id])
                assert await story.faults(None) == await story.faults(proven) == {}
        finally:
            await owner.close()

    async def test_costs_nothing_for_what_has_ended(self, fresh: Database) -> None:
        """A lot or an agent holds all day for years: what is open now is a handful."""
        story = await Story.begin(fresh)
        await story.hold("1")
        for _ in range(40):
            opened = [hold(story.payer, story.payee, kes("1"), Code.WITHDRAWAL, about())
                      for _ in range(10)]  # fmt: skip
            await story.books.post(*(transfer for _, transfer in opened))
            await story.books.post(*(held.void() for held, _ in opened))
        await seal_all(fresh)
        last_tx = await fresh.fetchval("SELECT max(last_tx) FROM ledger.block")
        async with fresh.transaction() as tx:
            await tx.execute("SET LOCAL enable_seqscan = off")  # all this is one page
            sql = claims.listed_holds(last_tx)
            [found] = await tx.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        assert rows_read(found["Plan"]) <= 5

    @pytest.mark.parametrize("of", ["payer", "payee"])
    async def test_contradicts_a_counter_that_nobody_moved(
        self, fresh: Database, fresh_place: Place, of: str
    ) -> None:
        story = await Story.begin(fresh)
        await story.hold("10")
        await seal_all(fresh)
        proven = await story.proven()
        key = await story.books.ledger.find_key(fresh, getattr(story, of))
        owner = await Database.connect(fresh_place.owner, size=1)
        try:
            await owner.execute(
                "UPDATE ledger.account SET debits_pending = 0, credits_pending = 0"
                f" WHERE key = {key}"
            )
            assert set(await story.faults(proven)) == {claims.HOLDS}
        finally:
            await owner.close()
