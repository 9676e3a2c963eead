"""Acts on the ledger's accounts at the console: who may, the second look, the second person."""

from hazina.identity.customers import Customers
from hazina.kernel.money import KES
from hazina.ledger.accounts import Accounts
from hazina.ledger.chart import customer
from hazina.ledger.reading import account_facts
from tests.console.conftest import Desk
from tests.console.test_questions import act
from tests.journeys.world import PASSWORD, World
from tests.web.conftest import Browser
from tests.web.money import confirmation, funded, seen, words


async def looked_at(browser: Browser, path: str, **fields: str) -> dict[str, str]:
    """Form and review; what the button of the second look would send."""
    looked = await act(browser, path, f"{path}/review", **fields)
    assert "Look once more" in looked.text, words(looked.text)
    return confirmation(looked.text, path)


class TestAnAccount:
    async def test_is_found_frozen_and_opened_after_a_second_look_that_asks_who_is_there(
        self, world: World, desk: Desk
    ) -> None:
        person, db = await world.customer(), world.house.db
        await funded(world, person, "3000")
        who = await world.house.get(Customers).find_by_username(db, person.username)
        assert who is not None
        ref = customer(who.id, KES)
        found = await desk.auditor.http.get("/ledger", params={"q": person.username})
        path = found.headers["location"]
        page = await seen(desk.auditor, path)
        assert "KES 3,000.00" in words(page)
        assert "Freeze this account" not in page
        assert (await desk.clerk.http.get(f"{path}/freeze")).status_code == 403
        sent = await looked_at(desk.first, f"{path}/freeze", reason="a court order")
        alone = await desk.first.http.post(f"{path}/freeze", data=sent)
        wrong = await desk.first.http.post(f"{path}/freeze", data={**sent, "password": "no idea"})
        for answer in (alone, wrong):
            assert answer.status_code == 400, words(answer.text)
            assert "Look once more" in answer.text
            assert "a court order" in words(answer.text)
        assert (await account_facts(db, ref)).state == "open"
        done = await desk.first.http.post(f"{path}/freeze", data={**sent, "password": PASSWORD})
        assert done.status_code == 303, words(done.text)
        assert "a court order" in await seen(desk.first, path)
        refused = await person.post("/wallet/withdrawals", amount_kes="100")
        assert refused.json()["error"]["code"] == "account_stopped"
        late = await desk.second.http.get(f"{path}/freeze")
        assert "That is not possible now" in words(late.text)
        sent = await looked_at(desk.second, f"{path}/unfreeze", reason="it was lifted")
        await desk.second.http.post(f"{path}/unfreeze", data={**sent, "password": PASSWORD})
        assert (await account_facts(db, ref)).state == "open"
        sent = await looked_at(desk.first, f"{path}/close", reason="asked to")
        full = await desk.first.http.post(f"{path}/close", data={**sent, "password": PASSWORD})
        assert full.status_code == 409
        assert "still has money" in words(full.text)
        assert (await desk.trail())[:2] == ["account.frozen", "account.unfrozen"]
        latest = words(await seen(desk.auditor, "/ledger"))
        assert latest.index("it was lifted") < latest.index("a court order")
        assert "first-manager" in latest

    async def test_gets_credit_when_a_second_person_agrees(self, world: World, desk: Desk) -> None:
        person = await world.customer()
        await funded(world, person, "100")
        path = (await desk.first.http.get("/ledger", params={"q": person.phone})).headers[
            "location"
        ]
        odd = await act(
            desk.first, f"{path}/credit", f"{path}/credit/review", limit="much", reason="x"
        )
        assert "Look once more" not in odd.text
        sent = await looked_at(
            desk.first,
            f"{path}/credit",
            limit="1,500",
            ends="2027-01-01 00:00",
            reason="known long",
        )
        asked = await desk.first.http.post(f"{path}/credit", data=sent)
        assert asked.status_code == 303, words(asked.text)
        page = words(await seen(desk.second, "/ledger"))
        assert "known long" in page
        assert "Look and decide" in page
        await approved(desk)
        assert "Credit granted" in await seen(desk.auditor, path)
        taken = await person.post("/wallet/withdrawals", amount_kes="1000")
        assert taken.status_code == 202, taken.text


class TestAPeriod:
    async def test_is_closed_by_two_persons(self, world: World, desk: Desk) -> None:
        path, accounts = "/ledger/period", world.house.get(Accounts)
        sent = await looked_at(desk.first, path, until="2020-12-31 23:59", reason="audited")
        asked = await desk.first.http.post(path, data=sent)
        assert asked.status_code == 303, words(asked.text)
        assert await accounts.closed_until(world.house.db) is None
        assert "Another person agrees" in words(await seen(desk.first, "/ledger"))
        await approved(desk)
        closed = await accounts.closed_until(world.house.db)
        assert closed is not None
        assert closed.isoformat() == "2020-12-31T20:59:00+00:00"
        assert "Nothing waits" in words(await seen(desk.second, "/ledger"))


async def approved(desk: Desk) -> None:
    """The second manager says yes to the one request that waits."""
    shown = await desk.second.http.get("/ledger")
    path = shown.text.partition('href="/approvals/')[2].partition('"')[0]
    where = f"/approvals/{path}"
    looked = (await desk.second.http.get(where)).text
    evidence = looked.partition("See the evidence")[0].rpartition('href="')[2].partition('"')[0]
    assert evidence.startswith("/ledger")
    assert (await desk.second.http.get(evidence)).status_code == 200
    yes = await act(desk.second, where, f"{where}/approve", password=PASSWORD)
    assert yes.status_code == 303, words(yes.text)
