"""What waits, and every permitted way out of it, in an operator's steps."""

import re
from datetime import timedelta

import httpx

from hazina.kernel.clock import EAT
from hazina.kernel.ids import new_id, wire_id
from tests.console.conftest import Desk
from tests.journeys.paying import account_of, in_step, pay, payment
from tests.journeys.test_unknown import unknown
from tests.journeys.world import PASSWORD, World
from tests.web.conftest import Browser
from tests.web.money import confirmation, seen, words

FIRST_LINK = re.compile(r'href="(/open-questions/(?:dep|wdr|pay)_[0-9a-f]{32})"')


async def act(browser: Browser, page: str, action: str, **fields: str) -> httpx.Response:
    """This will fill in one of a page's forms and send it."""
    shown = await browser.http.get(page)
    assert shown.status_code == 200, words(shown.text)
    form = confirmation(shown.text, action)
    return await browser.http.post(action, data={**form, **fields})


async def done(browser: Browser, page: str, action: str, **fields: str) -> str:
    """The same, which must work; what the page it leads to says."""
    answer = await act(browser, page, action, **fields)
    assert answer.status_code == 303, words(answer.text)
    return await seen(browser, answer.headers["location"])


async def first_open(browser: Browser, page: str = "/open-questions") -> str:
    listed = (await browser.http.get(page)).text
    found = FIRST_LINK.search(listed)
    assert found, words(listed)
    return found[1]


async def approve(browser: Browser, password: str = PASSWORD) -> httpx.Response:
    listed = (await browser.http.get("/approvals")).text
    found = re.search(r'href="(/approvals/apr_[0-9a-f]{32})"', listed)
    assert found, words(listed)
    return await act(browser, found[1], f"{found[1]}/approve", password=password)


class TestTheControlRoom:
    async def test_counts_what_waits_anywhere_with_its_age_and_where_it_ends(
        self, world: World, desk: Desk
    ) -> None:
        assert "Nothing waits" in await seen(desk.auditor, "/")
        _, payout = await unknown(world)
        world.clock.advance(timedelta(minutes=27))
        path = "/switches/mpesa.in/off"
        looked = await act(desk.clerk, path, f"{path}/review", reason="an outage")
        await desk.clerk.http.post(path, data=confirmation(looked.text, path))
        page = await seen(desk.auditor, "/")
        assert "Questions about M-Pesa 1 27 min" in " ".join(page.split())
        assert page.index("Questions about M-Pesa") < page.index("What is stopped")
        answer = await desk.auditor.http.get("/")
        assert 'href="/open-questions">Ask again' in answer.text
        listed = (await desk.auditor.http.get("/open-questions")).text
        assert wire_id("wdr", payout) in listed


class TestAnUnknownPayout:
    async def test_is_listed_with_its_age_and_every_way_out(self, world: World, desk: Desk) -> None:
        _, found = await unknown(world)
        world.clock.advance(timedelta(minutes=17))
        page = await seen(desk.auditor, "/open-questions")
        assert "The oldest for 17 min" in page
        assert "the money stays held" in page
        path = await first_open(desk.auditor)
        assert path == f"/open-questions/{wire_id('wdr', found)}"
        told = await seen(desk.first, path)
        for title in ("Ask M-Pesa now", "Send it again", "Say that it was never made"):
            assert title in told
        assert "M-Pesa's status found nothing 0 times" in told
        assert "No complete statement covers" in told

    async def test_is_sent_again_after_a_second_look(self, world: World, desk: Desk) -> None:
        await unknown(world)
        path = await first_open(desk.first)
        look = f"{path}/resend"
        page = await seen(desk.first, look)
        assert "Once at most: M-Pesa takes an id once." in page
        left_open = await act(desk.first, look, look, password="a guess at it")
        assert "That is not your password" in words(left_open.text)
        assert await desk.trail() == []
        assert "M-Pesa: taken" in await done(desk.first, look, look, password=PASSWORD)
        await world.settle()
        assert "This is answered" in await seen(desk.first, path)
        late = await desk.first.send(look, {"password": PASSWORD}, page="/approvals")
        assert late.status_code == 409
        assert await desk.trail() == ["withdrawal.resent"]

    async def test_is_asked_about_at_once(self, world: World, desk: Desk) -> None:
        await unknown(world, "drop_after_accept")
        path = await first_open(desk.clerk)
        assert "M-Pesa is asked." in await done(desk.clerk, path, f"{path}/ask")
        await world.settle()
        assert "This is answered" in await seen(desk.clerk, path)
        gone = await desk.clerk.send(f"{path}/ask", {}, page="/approvals")
        assert gone.status_code == 409
        assert "M-Pesa cannot be asked about this" in words(gone.text)
        assert await desk.trail() == ["withdrawal.asked_again", "request.refused"]

    async def test_is_freed_on_proof_by_two_persons(self, world: World, desk: Desk) -> None:
        await unknown(world)
        path = await first_open(desk.first)
        began = world.clock.now() - timedelta(minutes=1)
        for _ in range(3):
            world.clock.advance(timedelta(hours=1))
            await in_step(world)
            await done(desk.clerk, path, f"{path}/ask")
            await world.settle()
        early = await desk.first.send(
            f"{path}/absent", {"absent_reason": "not in the portal"}, page="/approvals"
        )
        assert early.status_code == 409
        until = world.clock.now() - timedelta(minutes=1)
        span = {"from": began.isoformat(), "to": until.isoformat()}
        csv = (await world.sim.get("/sim/statement.csv", params=span)).content
        shown = (await desk.clerk.http.get("/statements")).text
        form = confirmation(shown, "/statements")
        form |= {
            "covers_from": f"{began.astimezone(EAT):%Y-%m-%d %H:%M:%S}",
            "covers_to": f"{until.astimezone(EAT):%Y-%m-%d %H:%M:%S}",
        }
        nothing = await desk.clerk.http.post("/statements", data=form)
        assert nothing.status_code == 400
        assert "Choose the file" in words(nothing.text)
        files = {"file": ("statement.csv", csv, "text/csv")}
        brought = await desk.clerk.http.post("/statements", data=form, files=files)
        assert brought.status_code == 303, words(brought.text)
        assert "lines read" in await seen(desk.clerk, "/statements")
        asked = await done(desk.first, path, f"{path}/absent", absent_reason="not in the portal")
        assert "Waits for a second person" in asked
        assert (await approve(desk.second)).status_code == 303
        assert "This is answered" in await seen(desk.first, path)
        held = await world.house.db.fetchval("SELECT sum(debits_pending) FROM ledger.account")
        assert held == 0


class TestALongStatement:
    HEAD = (
        "Receipt No.,Completion Time,Initiation Time,Details,Transaction Status,Paid In,Withdrawn,"
        "Balance,Balance Confirmed,Reason Type,Other Party Info,Linked Transaction ID,A/C No."
    )

    async def test_comes_in_by_the_console_and_nothing_else_of_that_size_does(
        self, world: World, desk: Desk
    ) -> None:
        """A busy month is longer than what any form may be, and had to go in by hand."""
        at = world.clock.now() - timedelta(hours=1)
        when = f"{at.astimezone(EAT):%d-%m-%Y %H:%M:%S}"
        lines = [
            f"UKL{number:07d},{when},{when},{'x' * 60_000},Completed,1.00,,1.00,true,Other,,,"
            for number in range(40)
        ]
        csv = "\n".join([self.HEAD, *lines]).encode()
        assert len(csv) > 2 * 1024 * 1024
        form = confirmation((await desk.clerk.http.get("/statements")).text, "/statements")
        covers = {
            "covers_from": f"{(at - timedelta(hours=1)).astimezone(EAT):%Y-%m-%d %H:%M:%S}",
            "covers_to": f"{(at + timedelta(minutes=1)).astimezone(EAT):%Y-%m-%d %H:%M:%S}",
        }
        files = {"file": ("statement.csv", csv, "text/csv")}
        brought = await desk.clerk.http.post("/statements", data=form | covers, files=files)
        assert brought.status_code == 303, words(brought.text)
        assert "40 lines read" in await seen(desk.clerk, "/statements")
        elsewhere = await desk.clerk.http.post("/statements/list", data=form, files=files)
        assert elsewhere.status_code == 413

    async def test_is_not_read_for_a_stranger(self, desk: Desk) -> None:
        """A form is read before anybody asks who sent it: 33 MB from whoever wanted to."""
        desk.clerk.http.cookies.clear()
        page = await desk.clerk.http.get("/login")
        form = confirmation(page.text, "/login") | {"covers_from": "2026-11-20 00:00:00"}
        for heads in ({}, {"Cookie": "hz_console=made-up"}):
            files = {"file": ("statement.csv", b"x" * 2 * 1024 * 1024, "text/csv")}
            answer = await desk.clerk.http.post(
                "/statements", data=form, files=files, headers=heads
            )
            assert answer.status_code == 413


class TestSuspense:
    async def test_is_given_to_a_customer_by_two_who_both_prove_themselves(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer()
        found = await payment(world, (await pay(world, person.phone, "SHOP RENT"))["receipt"])
        path = await first_open(desk.first, "/suspense")
        page = await seen(desk.first, path)
        assert found["receipt"] in page
        assert "SHOP RENT" in page
        nobody = await act(
            desk.first, path, f"{path}/give", username="nobody-here", give_reason="a hunch"
        )
        assert "No customer has that username" in words(nobody.text)
        await done(
            desk.first, path, f"{path}/give", username=person.username, give_reason="showed it"
        )
        waits = await seen(desk.first, "/approvals")
        assert "showed it" in waits
        listed = (await desk.first.http.get("/approvals")).text
        own = re.search(r'href="(/approvals/apr_[0-9a-f]{32})"', listed)
        assert own
        assert "You asked for this" in await seen(desk.first, own[1])
        mine = await desk.first.send(
            f"{own[1]}/approve", {"password": PASSWORD}, page="/open-questions"
        )
        assert "Whoever asked cannot approve" in words(mine.text)
        wrong = await approve(desk.second, "not my password")
        assert "That is not your password" in words(wrong.text)
        assert await world.balances(person) == {}
        assert (await approve(desk.second)).status_code == 303
        assert await world.balances(person) == {"KES": ("750.00", "0.00")}
        assert "showed it" not in await seen(desk.first, "/approvals")
        assert "Approved" in await seen(desk.auditor, "/approvals?shown=decided")
        assert "Nothing is in suspense" in await seen(desk.auditor, "/suspense")
        assert found["receipt"] in await seen(desk.auditor, path)

    async def test_goes_back_when_the_second_person_agrees_and_not_when_they_refuse(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer(balance="1000.00")
        found = await payment(world, (await pay(world, person.phone, "SHOP RENT"))["receipt"])
        path = await first_open(desk.first, "/suspense")
        await done(desk.first, path, f"{path}/return", back_reason="they asked")
        listed = (await desk.second.http.get("/approvals")).text
        wanted = re.search(r'href="(/approvals/apr_[0-9a-f]{32})"', listed)
        assert wanted
        reject = f"{wanted[1]}/reject"
        silent = await act(desk.second, wanted[1], reject, answer="")
        assert silent.status_code == 400
        assert "nothing was done" in await done(
            desk.second, wanted[1], reject, answer="ask them in writing"
        )
        assert "ask them in writing" in await seen(desk.first, wanted[1])
        assert (await payment(world, found["receipt"]))["state"] == "suspended"
        await done(desk.first, path, f"{path}/return", back_reason="in writing now")
        assert (await approve(desk.second)).status_code == 303
        await world.settle()
        assert (await payment(world, found["receipt"]))["state"] == "returned"
        assert "Sending it back" in await seen(desk.auditor, path)

    async def test_whose_sending_back_is_unknown_ends_by_two_persons_word(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer(balance="1000.00")
        found = await payment(world, (await pay(world, person.phone, "SHOP RENT"))["receipt"])
        await world.sim.post(f"/sim/books/{found['receipt']}/reverse")
        path = await first_open(desk.first, "/suspense")
        await done(desk.first, path, f"{path}/return", back_reason="they asked")
        assert (await approve(desk.second)).status_code == 303
        await world.settle()
        way = f"{path}/returned"
        blank = await act(desk.first, path, way, ended_reason="seen in the portal")
        assert blank.status_code == 400
        await done(desk.first, path, way, went="back", ended_reason="seen in the portal")
        assert (await approve(desk.second)).status_code == 303
        assert (await payment(world, found["receipt"]))["state"] == "returned"


class TestMPesasList:
    async def test_is_read_when_an_operator_wants_it_and_proves_what_no_notice_told(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer()
        await world.fault("callback_never", operation="c2b")
        await pay(world, person.phone, await account_of(person), "300")
        world.clock.advance(timedelta(minutes=6))
        await in_step(world)
        assert await world.balances(person) == {}
        page = await done(desk.clerk, "/statements", "/statements/list")
        assert "M-Pesa's list was read: 1 lines" in page
        assert await world.balances(person) == {"KES": ("300.00", "0.00")}
        assert await desk.trail() == ["pull.asked"]


class TestAHeldJob:
    async def test_is_listed_and_tried_again(self, world: World, desk: Desk) -> None:
        await world.house.db.run(
            lambda tx: tx.execute(
                "INSERT INTO pgqueuer.pgqueuer (priority, status, entrypoint, payload, attempts)"
                " VALUES (0, 'failed', 'deposit.advance', $1, 5)",
                new_id().bytes,
            )
        )
        page = await desk.clerk.http.get("/open-questions")
        assert "deposit.advance" in words(page.text)
        action = re.search(r'action="(/held-jobs/\d+/retry)"', page.text)
        assert action
        assert "Queued." in await done(desk.clerk, "/open-questions", action[1])
        queued = await world.house.db.fetchval(
            "SELECT count(*) FROM pgqueuer.pgqueuer WHERE status = 'queued'"
        )
        assert queued == 1
        assert await desk.trail() == ["job.tried_again"]
        await world.house.db.run(lambda tx: tx.execute("DELETE FROM pgqueuer.pgqueuer"))
