"""Stopping and letting go on at the console: who may, the second look, and that it takes effect."""

from hazina.desk.switches import Switches
from tests.console.conftest import Desk
from tests.console.test_questions import act
from tests.journeys.world import World
from tests.web.conftest import Browser
from tests.web.money import confirmation, funded, seen, words


async def turned(browser: Browser, path: str, **fields: str) -> str:
    """Form (where there is one), review, confirm; what the list says then."""
    if fields:
        looked = await act(browser, path, f"{path}/review", **fields)
    else:
        looked = await browser.http.get(path)
    assert looked.status_code == 200, words(looked.text)
    assert "Look once more" in looked.text
    answer = await browser.http.post(path, data=confirmation(looked.text, path))
    assert answer.status_code == 303, words(answer.text)
    return await seen(browser, answer.headers["location"])


class TestASwitch:
    async def test_stops_payouts_after_a_second_look_and_a_manager_lets_them_go_on(
        self, world: World, desk: Desk
    ) -> None:
        person, switches = await world.customer(), world.house.get(Switches)
        await funded(world, person, "3000")
        path = "/switches/mpesa.out/off"
        assert await switches.now() == {}
        looked = await act(desk.clerk, path, f"{path}/review", reason="M-Pesa announced an outage")
        assert "no more calls of that kind go out" in words(looked.text)
        assert await switches.now() == {}  # a look changes nothing
        page = await turned(desk.clerk, path, reason="M-Pesa announced an outage")
        assert "M-Pesa announced an outage" in page
        refused = await person.post("/wallet/withdrawals", amount_kes="100")
        assert refused.json()["error"]["code"] == "rail_stopped"
        late = await desk.first.http.get(path)
        assert "It is so already" in words(late.text)
        early = await desk.clerk.http.get("/switches/mpesa.out/on")
        assert early.status_code == 403
        assert "Runs" in await turned(desk.first, "/switches/mpesa.out/on")
        paid = await person.post("/wallet/withdrawals", amount_kes="100")
        assert paid.status_code == 202, paid.text
        assert await desk.trail() == ["switch.turned_off", "switch.turned_on"]

    async def test_for_maintenance_is_a_managers_and_ends_from_the_read_only_console(
        self, world: World, desk: Desk
    ) -> None:
        path = "/switches/writes"
        assert (await desk.clerk.http.get(f"{path}/off")).status_code == 403
        assert (await desk.auditor.http.get(f"{path}/off")).status_code == 403
        person = await world.customer()
        silent = await act(desk.first, f"{path}/off", f"{path}/off/review", reason="  ")
        assert "Look once more" not in silent.text
        await turned(desk.first, f"{path}/off", reason="a new disk")
        refused = await person.post("/wallet/deposits", amount_kes="100")
        assert refused.json()["error"]["code"] == "maintenance"
        await turned(desk.second, f"{path}/on")
        assert await world.house.get(Switches).now() == {}
