"""One customer at the desk: found by whatever is known of them, and stopped with a reason."""

from tests.console.conftest import Desk
from tests.console.test_questions import done
from tests.journeys.world import World, one
from tests.web.money import funded, seen, words


class TestACustomer:
    async def test_is_found_and_shown_with_their_money_and_never_a_whole_number(
        self, world: World, desk: Desk
    ) -> None:
        person, other = await world.customer(), await world.customer()
        await funded(world, person, "3000")
        receipt = await one(world.house.db, "SELECT receipt FROM deposits.mpesa_receipt")
        deposit = await one(world.house.db, "SELECT id FROM deposits.deposit")
        whole = f"0{person.phone[3:]}"
        for asked in (person.username, whole, receipt, f"dep_{deposit.hex}"):
            answer = await desk.auditor.http.get("/customers", params={"q": asked})
            assert answer.status_code == 303, asked
            page = await seen(desk.auditor, answer.headers["location"])
            assert "KES KES 3,000.00" in page
            assert "+ KES 3,000.00" in page
            assert "Stop this account" not in page
            assert person.phone[3:] not in page
        some = await seen(desk.clerk, "/customers?q=demo")
        assert person.username in some
        assert other.username in some
        assert "Nobody" in await seen(desk.clerk, "/customers?q=0799999999")
        everybody = await seen(desk.clerk, "/customers")
        assert everybody.index(other.username) < everybody.index(person.username)

    async def test_who_is_stopped_moves_nothing_until_a_manager_opens_the_account(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer()
        await funded(world, person, "3000")
        found = await desk.clerk.http.get("/customers", params={"q": person.username})
        path = found.headers["location"]
        page = await done(desk.clerk, path, f"{path}/stop", reason="two phones, one face")
        assert "two phones, one face" in page
        assert "A manager opens it again" in page
        refused = await person.post("/wallet/withdrawals", amount_kes="100")
        assert refused.json()["error"]["code"] == "account_blocked"
        own = await person.post("/user/freeze")
        assert own.status_code == 204
        again = await desk.clerk.send(f"{path}/stop", {"reason": "more"}, page="/approvals")
        assert "stopped already" in words(again.text)
        early = await desk.clerk.send(f"{path}/lift", {"lift_reason": "fine"}, page="/approvals")
        assert early.status_code == 403
        page = await done(desk.first, path, f"{path}/lift", lift_reason="they came with their ID")
        assert "This account is open again" in page
        assert "by the customer, who alone lifts it" in page
        refused = await person.post("/wallet/withdrawals", amount_kes="100")
        assert refused.json()["error"]["code"] == "account_frozen"
        assert await desk.trail() == ["customer.blocked", "request.refused", "customer.unblocked"]
