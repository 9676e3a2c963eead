"""Limits of the gateway, faults by chance, any answer at all, and a clock that can be moved."""

from typing import Any

import httpx
import pytest

from hazina.simulators.daraja import SimConfig, create_app
from hazina.simulators.daraja.config import Settings
from hazina.simulators.daraja.pages_board import GROUPS
from tests.simulators.conftest import PHONE, Daraja, Sink
from tests.simulators.test_daraja_payloads import assert_envelope

TOKEN = "/oauth/v1/generate?grant_type=client_credentials"


async def statuses(daraja: Daraja, count: int) -> list[int]:
    return [(await daraja.query("ws_CO_none")).status_code for _ in range(count)]


class TestLimits:
    async def test_spike_arrest_counts_a_second(self, daraja: Daraja) -> None:
        await daraja.settings(spike_per_second=3)
        seen = await statuses(daraja, 5)
        assert seen[:3] == [400] * 3  # let in, then refused for their content
        assert 500 in seen[3:]
        await daraja.advance(1)
        assert (await statuses(daraja, 1)) == [400]

    async def test_quota_counts_a_day(self, daraja: Daraja) -> None:
        await daraja.http.put("/sim/clock", json={"set": "2030-11-20T23:00:00"})
        await daraja.login()
        await daraja.settings(quota_per_day=2)
        await statuses(daraja, 2)
        over = await daraja.push()
        assert_envelope(over, 500, "500.003.03", "Error Occurred: Quota Violation")
        assert (await daraja.http.get("/sim/settings")).json()["quota_used_today"] == 2
        assert (await daraja.handset())["prompt"] is None
        await daraja.advance(3600)
        await daraja.login()
        assert (await daraja.push()).status_code == 200

    async def test_the_firewall_comes_by_chance(self, daraja: Daraja) -> None:
        await daraja.settings(firewall_probability=0.5, fault_seed=11)
        seen = await statuses(daraja, 40)
        assert 8 < seen.count(403) < 32
        await daraja.settings(firewall_probability=1)
        answer = await daraja.http.get(TOKEN)
        assert (answer.status_code, "Incapsula" in answer.text) == (403, True)


class TestChance:
    async def test_the_same_seed_strikes_the_same_requests(self, daraja: Daraja) -> None:
        await daraja.fault("http_500", operation="query", probability=0.3)
        runs = []
        for seed in (5, 5, 6):
            await daraja.settings(fault_seed=seed)
            runs.append(await statuses(daraja, 30))
        assert runs[0] == runs[1] != runs[2]
        assert 2 < runs[0].count(500) < 20
        listed = (await daraja.http.get("/sim/faults")).json()["faults"]
        assert (listed[0]["count"], listed[0]["probability"]) == (None, 0.3)

    async def test_operations_throw_dice_of_their_own(self, daraja: Daraja) -> None:
        await daraja.fault("http_500", probability=0.4)
        await daraja.settings(fault_seed=5)
        alone = await statuses(daraja, 15)
        await daraja.settings(fault_seed=5)
        between: list[int] = []
        for number in range(15):
            await daraja.payout(f"wd-{number}", Amount=10)
            between += await statuses(daraja, 1)
        assert between == alone

    async def test_a_count_ends_a_chance(self, daraja: Daraja) -> None:
        await daraja.fault("http_500", operation="query", probability=0.5, count=2)
        assert (await statuses(daraja, 40)).count(500) == 2
        bad = await daraja.http.put("/sim/faults", json={"fault": "answer", "probability": 0})
        assert bad.status_code == 422


class TestAnyAnswer:
    @pytest.mark.parametrize(
        ("order", "content", "kind"),
        [
            ({"status": 503}, b"", None),
            ({"status": 502, "text": "<html>Bad gateway</html>"}, b"<html>Bad gateway</html>",
             "text/html; charset=utf-8"),
            ({"body": {"fault": {"faultstring": "x"}}}, b'{"fault": {"faultstring": "x"}}',
             "application/json"),
            ({"status": 200, "body": {"ResponseCode": "1"}}, b'{"ResponseCode": "1"}',
             "application/json"),
        ],
    )  # fmt: skip
    async def test_before_or_after_accepting(
        self, daraja: Daraja, sink: Sink, order: dict[str, Any], content: bytes, kind: str | None
    ) -> None:
        await daraja.fault("answer", operation="b2c", **order)
        answer = await daraja.payout()
        assert (answer.status_code, answer.content) == (order.get("status", 500), content)
        assert answer.headers.get("content-type") == kind
        await daraja.fault("answer_after_accept", operation="b2c", **order)
        answer = await daraja.payout()
        assert (answer.status_code, answer.content) == (order.get("status", 500), content)
        again = await daraja.payout()
        assert_envelope(again, 500, "500.002.1001", "Duplicate OriginatorConversationID.")
        assert len(await sink.at("/cb/4f0c/b2c/r")) == 1

    async def test_quota_as_a_single_fault(self, daraja: Daraja) -> None:
        await daraja.fault("quota_500", operation="b2c")
        assert (await daraja.payout()).json()["errorCode"] == "500.003.03"
        assert (await daraja.payout()).status_code == 200


class TestClock:
    async def test_prompts_expire_when_it_moves(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.push()
        await daraja.advance(59)
        assert (await daraja.handset())["prompt"] is not None
        await daraja.advance(2)
        told = (await sink.at("/cb/4f0c/stk"))[0]["Body"]["stkCallback"]
        assert told["ResultCode"] == 1037

    async def test_callbacks_of_tomorrow_come_at_once(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.fault("callback_late", delay_s=7200, operation="b2c")
        await daraja.payout("wd-late")
        await daraja.fault("callback_late", delay_s=3600, operation="b2c")
        await daraja.payout("wd-sooner")
        assert sink.received == []
        await daraja.advance(86_400)
        results = [body["Result"] for body in await sink.at("/cb/4f0c/b2c/r", 2)]
        assert {r["OriginatorConversationID"] for r in results} == {"wd-late", "wd-sooner"}

    async def test_tokens_end(self, daraja: Daraja) -> None:
        await daraja.advance(3600)
        assert_envelope(await daraja.push(), 404, "404.001.03", "Invalid Access Token")

    async def test_can_be_set_followed_again_and_read(self, daraja: Daraja) -> None:
        answer = await daraja.http.put("/sim/clock", json={"set": "2031-01-02T03:04:05"})
        assert answer.json()["now"].startswith("2031-01-02T03:04:05")
        assert (await daraja.http.get("/sim/clock")).json()["ahead_s"] > 0
        answer = await daraja.http.put("/sim/clock", json={"follow": True})
        assert answer.json()["ahead_s"] == 0
        for wrong in ({}, {"set": "soon"}, {"advance_s": 1e12}, {"speed": 2}):
            assert (await daraja.http.put("/sim/clock", json=wrong)).status_code == 422, wrong

    async def test_a_reset_sets_it_right(self, daraja: Daraja) -> None:
        await daraja.advance(500_000)
        await daraja.http.post("/sim/reset")
        assert (await daraja.http.get("/sim/clock")).json()["ahead_s"] == 0


class TestControlsPage:
    def test_has_a_place_for_every_setting(self) -> None:
        placed = [name for _, names in GROUPS for name in names]
        assert sorted(placed) == sorted(Settings.model_fields)

    async def test_moves_the_clock_and_sets_settings(self, daraja: Daraja) -> None:
        await daraja.http.post("/controls/clock", data={"advance_s": "172800"})
        assert "2 d" in (await daraja.http.get("/controls")).text
        assert "The clock was moved" in (await daraja.http.get("/")).text
        await daraja.http.post("/controls/clock", data={"follow": "yes"})
        assert "The clock was moved" not in (await daraja.http.get("/")).text
        form = {"group": "PayBill (C2B)", "c2b_names": "full", "c2b_validation_timeout_s": "5"}
        await daraja.http.post("/controls/settings", data=form)
        kept = (await daraja.http.get("/sim/settings")).json()
        assert (kept["c2b_names"], kept["c2b_validation_timeout_s"]) == ("full", 5)
        assert kept["stk_confirms_c2b"] is False  # its box was not ticked
        form = {"group": "Limits of the gateway", "spike_per_second": "many", "fault_seed": "3"}
        wrong = await daraja.http.post("/controls/settings", data=form)
        page = await daraja.http.get(wrong.headers["location"])
        assert "spike per second cannot be that" in page.text

    async def test_fault_form_knows_chance_and_any_answer(self, daraja: Daraja) -> None:
        form = {
            "fault": "answer", "operation": "b2c", "probability": "0.25", "status": "503",
            "body": '{"fault": {}}',
        }  # fmt: skip
        await daraja.http.post("/faults", data=form)
        listed = (await daraja.http.get("/sim/faults")).json()["faults"][0]
        assert (listed["probability"], listed["count"], listed["status"]) == (0.25, None, 503)
        assert "Chance 0.25." in (await daraja.http.get("/")).text
        bad = await daraja.http.post("/faults", data={"fault": "answer", "body": "no json"})
        assert bad.headers["location"] == "/?wrong=fault"

    async def test_carry_no_inline_script(self, daraja: Daraja) -> None:
        for path in ("/controls", "/books", f"/handset/{PHONE}/paybill"):
            page = await daraja.http.get(path)
            assert page.status_code == 200, path
            assert "script-src 'self'" in page.headers["content-security-policy"]
            assert " style=" not in page.text
            assert "<script>" not in page.text


async def test_a_file_of_an_earlier_version_gains_its_new_column(tmp_path: Any) -> None:
    """Deliveries had no forwarded_for once; such a file must open and go on."""
    path = tmp_path / "old.sqlite"
    first = create_app(SimConfig(data=path))
    first.state.world.store.db.execute("ALTER TABLE deliveries DROP COLUMN forwarded_for")
    first.state.world.store.close()
    transport = httpx.ASGITransport(create_app(SimConfig(data=path)))
    async with httpx.AsyncClient(transport=transport, base_url="http://daraja") as http:
        assert (await http.get("/sim/deliveries")).json() == {
            "deliveries": [],
            "next_cursor": None,
        }
