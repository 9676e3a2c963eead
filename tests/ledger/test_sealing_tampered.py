"""What was tampered with is named: the first block, and the transfer; by a proof that goes on from
the last verdict as by one of all history."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random, SystemRandom
from uuid import UUID

import pytest
import pytest_asyncio

from hazina.infra.db import Database, Tx
from hazina.kernel.ids import new_id
from hazina.ledger import claims
from hazina.ledger.chart import Purpose, system
from hazina.ledger.codes import Code
from hazina.ledger.core import hold, move
from hazina.ledger.proof import Proof, Proven, Verdict, last_proven, newest_block, remember
from hazina.ledger.service import Ledger, prepare
from tests import server
from tests.conftest import START, Place
from tests.ledger.books import ALL_ALIVE, TEST_REFERENCE, Books, about, kes, somebody
from tests.ledger.chain import seal_all
from tests.ledger.model import Model
from tests.ledger.test_model import PAPER
from tests.ledger.test_proof import Undone
from tests.ledger.workload import Workload

SEED = int(os.environ.get("HAZINA_TEST_SEED", SystemRandom().randrange(10**9)))


async def prove(tx: Tx, proven: Proven | None = None) -> dict[str, list[str]]:
    proof = Proof()
    proof.add_owner(TEST_REFERENCE, ALL_ALIVE)
    return {v.claim: v.faults for v in await proof.verify(tx, proven=proven) if not v.holds}


@dataclass
class Chain:
    """Three blocks of three transfers between customers; the second is the one to tamper with."""

    books: Books
    owner: Database
    ids: list[UUID] = field(default_factory=list)

    async def tampered(self, *sql: str, proven: Proven | None = None) -> dict[str, list[str]]:
        """What the proof finds after the owner, who may do everything, did these. Undone."""
        faults: dict[str, list[str]] = {}
        with suppress(Undone):
            async with self.owner.transaction() as tx:
                for statement in sql:
                    assert await tx.execute(statement) >= 1, statement
                faults = await prove(tx, proven)
                raise Undone
        return faults

    async def proven(self, block: int) -> Proven:
        row = await self.owner.fetchrow("SELECT hash FROM ledger.block WHERE number = $1", block)
        assert row is not None
        return Proven(block, row["hash"], START)


@asynccontextmanager
async def _chain(place: Place) -> AsyncIterator[Chain]:
    db = await Database.connect(place.app, size=2)
    owner = await Database.connect(place.owner, size=2)
    await prepare(Ledger(), db)
    made = Chain(Books(db), owner)
    a, b = somebody(), somebody()
    opening = [
        move(system(Purpose.BANK), a, kes(amount), Code.DEPOSIT, about())
        for amount in ("100", "200", "300")
    ]
    assert set(await made.books.codes(*opening)) == {"created"}
    for _ in range(2):
        held = hold(a, b, kes("5"), Code.WITHDRAWAL, about())[1]
        batch = [move(a, b, kes("10"), Code.DEPOSIT, about()), held,
                 move(system(Purpose.BANK), b, kes("7"), Code.DEPOSIT, about())]  # fmt: skip
        assert set(await made.books.codes(*batch)) == {"created"}
    await seal_all(db, size=3)
    rows = await db.fetch("SELECT transfer_id FROM ledger.block_transfer ORDER BY block, position")
    made.ids = [row["transfer_id"] for row in rows]
    yield made
    await owner.close()
    await db.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def chain() -> AsyncIterator[Chain]:
    """Read only: what tests do to it is undone."""
    place = Place(f"hazina_test_{new_id().hex}", os.environ[server.ADMIN_VARIABLE])
    await server.clone(place.admin, place.name)
    async with _chain(place) as made:
        yield made
    await server.drop(place.admin, place.name)


REHASHED = """
UPDATE ledger.block b SET content = sha256('x') WHERE number = 2
"""
FORGED = """
INSERT INTO ledger.transfer (id, kind, code, debit_key, credit_key, amount, asked, asset,
    pending_id, pending_seq, reference_type, reference_id, actor, booked_at, effective_at, tx)
SELECT gen_random_uuid(), kind, code, debit_key, credit_key, amount, asked, asset, pending_id,
       pending_seq + 1000, reference_type, reference_id, actor, booked_at, effective_at, tx
FROM ledger.transfer WHERE id = '{}'
"""


class TestTheChain:
    async def test_holds_for_honest_books(self, chain: Chain) -> None:
        async with chain.owner.transaction(readonly=True) as tx:
            assert await prove(tx) == {}
            assert await prove(tx, await chain.proven(1)) == {}

    async def test_names_a_transfer_whose_amount_was_altered(self, chain: Chain) -> None:
        victim = chain.ids[3]
        faults = await chain.tampered(
            "UPDATE ledger.transfer SET amount = amount + 1, asked = asked + 1"
            f" WHERE id = '{victim}'"
        )
        assert faults[claims.BLOCKS] == [f"block 2: transfer {victim} was changed"]

    @pytest.mark.parametrize(
        "change",
        ["code = 'withdrawal'", "booked_at = booked_at + interval '1 microsecond'",
         "effective_at = effective_at - interval '1 day'", "actor = 'somebody'",
         "reference_id = gen_random_uuid()", "asset = 'XAU'", "debit_key = debit_key + 1",
         "group_id = gen_random_uuid()"],
    )  # fmt: skip
    async def test_names_a_transfer_of_which_anything_was_altered(
        self, chain: Chain, change: str
    ) -> None:
        victim = chain.ids[4]
        faults = await chain.tampered(f"UPDATE ledger.transfer SET {change} WHERE id = '{victim}'")
        assert faults[claims.BLOCKS] == [f"block 2: transfer {victim} was changed"]

    async def test_names_a_transfer_deleted_with_all_its_entries(self, chain: Chain) -> None:
        victim = chain.ids[5]
        faults = await chain.tampered(
            f"DELETE FROM ledger.transfer WHERE id = '{victim}'",
            f"DELETE FROM ledger.entry WHERE transfer_id = '{victim}'",
            f"DELETE FROM ledger.entry_unbounded WHERE transfer_id = '{victim}'",
        )
        assert faults[claims.BLOCKS] == [f"block 2: transfer {victim} is gone"]

    async def test_names_a_customer_given_to_somebody_else(self, chain: Chain) -> None:
        """No balance changes: only who owns it."""
        faults = await chain.tampered(
            "UPDATE ledger.account SET owner_id = gen_random_uuid() WHERE owner_id ="
            " (SELECT owner_id FROM ledger.account WHERE purpose = 'wallet' ORDER BY key LIMIT 1)"
        )
        assert faults[claims.BLOCKS][0] == f"block 1: transfer {chain.ids[0]} was changed"

    async def test_names_transfers_whose_order_was_swapped(self, chain: Chain) -> None:
        faults = await chain.tampered(
            "UPDATE ledger.block_transfer SET position = 103 - position"
            " WHERE block = 2 AND position IN (1, 2)",
            "UPDATE ledger.block_transfer SET position = position - 100"
            " WHERE block = 2 AND position > 100",
        )
        assert faults[claims.BLOCKS] == [f"block 2: transfer {chain.ids[3]} is out of its place"]

    async def test_names_a_block_whose_hash_was_rewritten(self, chain: Chain) -> None:
        faults = await chain.tampered("UPDATE ledger.block SET hash = sha256('x') WHERE number = 2")
        assert faults[claims.BLOCKS][0] == "block 2: its hash is not that of what it says"

    async def test_names_a_block_whose_content_was_rewritten(self, chain: Chain) -> None:
        faults = await chain.tampered(REHASHED)
        assert faults[claims.BLOCKS] == ["block 2: its transfers are not those that were sealed"]

    async def test_names_a_block_rewritten_with_everything_in_it(self, chain: Chain) -> None:
        """The forger hashes anew what he changed, as far as the block reaches."""
        victim = chain.ids[3]
        leaf = claims.LEAF
        faults = await chain.tampered(
            f"UPDATE ledger.transfer SET actor = 'somebody' WHERE id = '{victim}'",
            f"UPDATE ledger.block_transfer q SET mark = substr({leaf}, 1, 8)"
            " FROM ledger.transfer t, ledger.account d, ledger.account c WHERE t.id = q.transfer_id"
            " AND d.key = t.debit_key AND c.key = t.credit_key AND q.block = 2",
            "UPDATE ledger.block SET content = (SELECT sha256(string_agg("
            f"{leaf}, ''::bytea ORDER BY q.position)) FROM ledger.block_transfer q"
            " JOIN ledger.transfer t ON t.id = q.transfer_id"
            " JOIN ledger.account d ON d.key = t.debit_key"
            " JOIN ledger.account c ON c.key = t.credit_key WHERE q.block = 2) WHERE number = 2",
            f"UPDATE ledger.block b SET hash = {claims.HEADER} WHERE number = 2",
        )
        assert faults == {
            claims.BLOCKS: ["block 2: it was rewritten: block 3 was sealed over another"]
        }

    async def test_names_a_block_that_was_deleted(self, chain: Chain) -> None:
        faults = await chain.tampered(
            "DELETE FROM ledger.block WHERE number = 2",
            "DELETE FROM ledger.block_transfer WHERE block = 2",
            "DELETE FROM ledger.checkpoint WHERE block = 2",
        )
        assert faults[claims.BLOCKS][0] == "block 2: it is gone"

    async def test_names_a_list_without_its_block(self, chain: Chain) -> None:
        faults = await chain.tampered("DELETE FROM ledger.block WHERE number = 3")
        assert faults[claims.BLOCKS] == [
            "block 3: is gone, and its list of transfers is there"
        ]  # fmt: skip

    async def test_names_a_block_whose_list_lost_a_line(self, chain: Chain) -> None:
        faults = await chain.tampered(
            "DELETE FROM ledger.block_transfer WHERE block = 2 AND position = 3"
        )
        assert faults[claims.BLOCKS] == ["block 2: 2 transfers, not 3"]
        assert faults[claims.IN_BLOCKS] == [
            f"block 2: transfer {chain.ids[5]} is of its time and not in it"
        ]

    async def test_names_a_transfer_written_into_sealed_history(self, chain: Chain) -> None:
        faults = await chain.tampered(FORGED.format(chain.ids[3]))
        [line] = faults[claims.IN_BLOCKS]
        assert line.startswith("block 2: transfer ")
        assert claims.BLOCKS not in faults

    async def test_names_a_checkpoint_that_was_changed(self, chain: Chain) -> None:
        faults = await chain.tampered(
            "UPDATE ledger.checkpoint SET debits = debits + 1 WHERE block = 2"
        )
        assert faults[claims.BLOCKS] == ["block 2: its checkpoints were changed"]
        assert faults[claims.CHECKPOINTS_ADD_UP][0].startswith("block 2: the checkpoint of account")


class TestAProofThatGoesOn:
    async def test_sees_what_is_new(self, chain: Chain) -> None:
        victim = chain.ids[7]
        faults = await chain.tampered(
            f"UPDATE ledger.transfer SET amount = amount + 1 WHERE id = '{victim}'",
            proven=await chain.proven(2),
        )
        assert faults[claims.BLOCKS] == [f"block 3: transfer {victim} was changed"]

    async def test_leaves_what_was_proven_to_the_full_one(self, chain: Chain) -> None:
        sql = f"UPDATE ledger.transfer SET amount = amount + 1 WHERE id = '{chain.ids[0]}'"
        assert await chain.tampered(sql, proven=await chain.proven(1)) == {}
        assert claims.BLOCKS in await chain.tampered(sql)

    async def test_sees_that_the_proven_block_was_rewritten(self, chain: Chain) -> None:
        faults = await chain.tampered(
            "UPDATE ledger.block SET hash = sha256('x') WHERE number = 2",
            "UPDATE ledger.block SET previous = sha256('x') WHERE number = 3",
            f"UPDATE ledger.block b SET hash = {claims.HEADER} WHERE number = 3",
            proven=await chain.proven(2),
        )
        assert faults == {claims.BLOCKS: ["block 2: it was proven, and it was rewritten"]}

    async def test_sees_that_the_proven_block_is_gone(self, chain: Chain) -> None:
        faults = await chain.tampered(
            "DELETE FROM ledger.block WHERE number = 3",
            "DELETE FROM ledger.block_transfer WHERE block = 3",
            "DELETE FROM ledger.checkpoint WHERE block = 3",
            proven=await chain.proven(3),
        )
        assert faults[claims.BLOCKS] == ["block 3: it was proven, and it is gone"]

    async def test_begins_where_the_last_one_that_held_ended(self, chain: Chain) -> None:
        found: list[Proven | None] = []
        with suppress(Undone):
            async with chain.owner.transaction() as tx:
                found.append(await last_proven(tx))
                upto = await newest_block(tx)
                await remember(tx, [Verdict("a claim", [])], upto, None, START)
                found.append(await last_proven(tx))
                bad = [Verdict("a claim", ["a fault"])]
                await remember(tx, bad, (99, b""), None, START.replace(year=2027))
                found.append(await last_proven(tx))
                raise Undone
        assert found[0] is None
        assert found[1] is not None
        assert found[1].block == 3
        assert found[2] == found[1]


# What somebody with every right might do to what is new; {} is a transfer after the verdict.
DEEDS = [
    "UPDATE ledger.transfer SET amount = amount + 1 WHERE id = '{}'",
    "UPDATE ledger.transfer SET code = 'rounding' WHERE id = '{}'",
    "UPDATE ledger.transfer SET kind = 'void_pending' WHERE id = '{}' AND kind = 'post_pending'",
    "DELETE FROM ledger.transfer WHERE id = '{}'",
    "DELETE FROM ledger.entry WHERE transfer_id = '{}'",
    "DELETE FROM ledger.entry_unbounded WHERE transfer_id = '{}'",
    "UPDATE ledger.entry SET balance = balance + 1 WHERE transfer_id = '{}'",
    "UPDATE ledger.entry SET held = held + 1 WHERE transfer_id = '{}'",
    "UPDATE ledger.entry SET credit = credit + 1 WHERE transfer_id = '{}'",
    "UPDATE ledger.entry_unbounded SET debit = debit + 1 WHERE transfer_id = '{}'",
    """UPDATE ledger.account a SET credits_posted = credits_posted + 1 FROM ledger.transfer t
       WHERE t.id = '{}' AND a.key = t.credit_key AND a.bounded""",
    """UPDATE ledger.account a SET debits_pending = debits_pending + 1 FROM ledger.transfer t
       WHERE t.id = '{}' AND a.key = t.debit_key AND a.bounded""",
    "UPDATE ledger.block_transfer SET transfer_id = gen_random_uuid() WHERE transfer_id = '{}'",
    "DELETE FROM ledger.block_transfer WHERE transfer_id = '{}'",
    FORGED,
]


class TestBothProofs:
    async def test_agree_on_what_was_done_since(self, fresh: Database, fresh_place: Place) -> None:
        """Random histories with sealing in between; after the verdict, one deed at a time."""
        random = Random(SEED)
        owner = await Database.connect(fresh_place.owner, size=1)
        books, model = Books(fresh), Model()
        work = Workload(SEED, model)
        async with fresh.transaction() as tx:
            await books.ledger.ensure_assets(tx, [PAPER])
        proven: Proven | None = None
        for length in (25, 15, 10):
            for _ in range(length):
                await self._step(fresh, books, work, model)
                if random.random() < 0.2:
                    await seal_all(fresh, size=random.choice([1, 5, 50]))
            if random.random() < 0.5:
                await seal_all(fresh, size=20)
            async with owner.transaction(readonly=True) as tx:
                assert await prove(tx) == {}, SEED
                assert await prove(tx, proven) == {}, SEED
            await self._deeds(owner, random, proven)
            await seal_all(fresh, size=7)
            row = await owner.fetchrow(
                "SELECT number, hash FROM ledger.block ORDER BY number DESC LIMIT 1"
            )
            assert row is not None
            proven = Proven(row["number"], bytes(row["hash"]), START)
        await owner.close()

    async def _step(self, db: Database, books: Books, work: Workload, model: Model) -> None:
        batch = work.batch()
        now = await db.fetchval("SELECT clock_timestamp()")
        model.post(batch, now)
        await books.post(*batch)

    async def _deeds(self, owner: Database, random: Random, proven: Proven | None) -> None:
        since = 0 if proven is None else proven.block
        new = await owner.fetch(
            "SELECT t.id FROM ledger.transfer t WHERE t.tx > coalesce((SELECT b.last_tx"
            " FROM ledger.block b WHERE b.number = $1), '0') ORDER BY t.id",
            since,
        )
        for deed in DEEDS:
            sql = deed.format(random.choice(new)["id"])
            with suppress(Undone):
                async with owner.transaction() as tx:
                    if not await tx.execute(sql):
                        raise Undone
                    full, going_on = await prove(tx), await prove(tx, proven)
                    assert bool(full) == bool(going_on), f"{SEED} {sql}\n{full}\n{going_on}"
                    assert full.get(claims.BLOCKS) == going_on.get(claims.BLOCKS), f"{SEED} {sql}"
                    raise Undone


def test_every_claim_is_continued_or_of_open_holds() -> None:
    from hazina.ledger.since import Since, claims_since

    asked = [claim for question in claims_since(Since(1, 1, START), 1) for claim in question.claims]
    assert sorted(asked) == sorted(claims.CLAIMS)
