"""The day's proof: given once a day, with a report; a contradiction rings until it is gone."""

import json
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from structlog.testing import capture_logs

from hazina.infra.db import Database, Tx
from hazina.infra.observability import REGISTRY
from hazina.kernel.clock import SettableClock
from hazina.ledger.claims import COUNTERS, PER_USER
from hazina.ledger.daily import DailyProof
from hazina.ledger.heads import Head, contradictions
from hazina.ledger.proof import Proof
from tests.conftest import START, Place
from tests.ledger.books import Books
from tests.ledger.chain import seal_all
from tests.ledger.test_sealing_heads import signer


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(START)


@pytest.fixture
def daily(fresh: Database, clock: SettableClock, tmp_path: Path) -> DailyProof:
    return DailyProof(fresh, Proof(), signer(tmp_path), clock, tmp_path)


def metric(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"hazina_ledger_{name}")


class TestTheDaysProof:
    async def test_is_given_once_a_day_with_a_report(
        self, fresh: Database, daily: DailyProof, clock: SettableClock, tmp_path: Path
    ) -> None:
        await Books(fresh).funded("100")
        await seal_all(fresh)
        await daily.sweep()
        assert await daily.prove() is None
        assert (metric("proof_faults"), metric("proven_timestamp_seconds")) == (
            0, START.timestamp(),
        )  # fmt: skip
        report = json.loads((tmp_path / "reports" / "2026-11-20.json").read_text())
        assert (report["holds"], report["since_block"], report["to_block"]) == (True, 0, 1)
        wallets = [one for one in report["trial_balance"] if one["purpose"] == "wallet"]
        assert wallets[0]["balance"] == "100.00"
        head = Head.of_json(json.dumps(report["head"]))
        assert await contradictions(fresh, head) == []

        clock.advance(timedelta(days=1))
        verdicts = await daily.prove()
        assert verdicts is not None
        report = json.loads((tmp_path / "reports" / "2026-11-21.json").read_text())
        assert report["since_block"] == 1

    async def test_rings_for_whose_balance_does_not_follow(
        self, fresh: Database, fresh_place: Place, daily: DailyProof, clock: SettableClock
    ) -> None:
        """S4-41: credits less debits of one user are not what is available, locked and pending."""
        await Books(fresh).funded("100")
        owner = await asyncpg.connect(fresh_place.owner)
        take = "UPDATE ledger.account SET credits_posted = credits_posted {} 1 WHERE purpose = $1"
        await owner.execute(take.format("-"), "wallet")
        with capture_logs() as logs:
            await daily.sweep()
        rung = {one["claim"]: one["faults"] for one in logs if one["log_level"] == "error"}
        assert set(rung) == {COUNTERS, PER_USER}
        assert "9999" in rung[PER_USER][0]
        assert metric("proof_faults") == 2

        await owner.execute(take.format("+"), "wallet")
        await owner.close()
        clock.advance(timedelta(days=1))
        with capture_logs() as logs:
            await daily.sweep()
        assert [one["event"] for one in logs] == ["ledger proven"]
        assert metric("proof_faults") == 0
        assert metric("proven_timestamp_seconds") == clock.now().timestamp()


class TestOldBooks:
    async def test_are_proven_however_long_a_claim_takes(
        self, fresh_place: Place, clock: SettableClock, tmp_path: Path
    ) -> None:
        async def slow(tx: Tx) -> list[str]:
            return [row[0] for row in await tx.fetch("SELECT '' FROM pg_sleep(1) WHERE false")]

        hasty = await Database.connect(fresh_place.app, size=2, command_timeout_s=0.5)
        try:
            proof = Proof()
            proof.add("the one that reads everything", slow)
            verdicts = await DailyProof(hasty, proof, signer(tmp_path), clock, tmp_path).prove()
            assert verdicts is not None
            assert all(verdict.holds for verdict in verdicts)
        finally:
            await hasty.close()
