"""Shillings in and out in a browser's steps: form, review, confirm, timeline."""

import asyncio
from html import unescape

import pytest

from hazina.kernel.ids import new_id
from tests.journeys import conftest as journeys
from tests.journeys.world import World, one
from tests.web.conftest import Browser
from tests.web.money import asked, confirmation, customer, funded, reviewed, seen, words

# A world with a simulator, as the journeys have it.
daraja = journeys.daraja
world = journeys.world


class TestADeposit:
    async def test_goes_from_form_to_review_to_timeline_to_booked(self, world: World) -> None:
        async with customer(world) as (person, browser):
            page = await seen(browser, "/deposits/new")
            assert f"••• {person.phone[-3:]}" in page
            answer = await browser.send(
                "/deposits/review", {"amount": "5,000"}, page="/deposits/new"
            )
            review = words(answer.text)
            for said in ("KES 5,000.00", "Our fee KES 0.00", "Who is asked", "Can it be undone?"):
                assert said in review
            assert await one(world.house.db, "SELECT count(*) FROM deposits.deposit") == 0
            told = await browser.http.post("/deposits", data=confirmation(answer.text, "/deposits"))
            path = told.headers["location"]
            assert "We are asking M-Pesa to prompt" in await seen(browser, path)
            await world.work()
            prompted = await browser.http.get(path)
            assert "data-countdown" in prompted.text
            assert "Enter your M-Pesa PIN on your phone" in words(prompted.text)
            assert f"/handset/{person.phone}" in prompted.text
            await world.answer_prompt(person.phone)
            await world.settle()
            paid = await browser.http.get(path)
            assert "data-final" in paid.text
            assert "KES 5,000.00 are in your treasury." in words(paid.text)
            assert "data-countdown" not in paid.text

    async def test_confirmed_twice_at_once_is_one(self, world: World) -> None:
        async with customer(world) as (_person, browser):
            form = await reviewed(browser, "deposits", "500")
            both = await asyncio.gather(
                *(browser.http.post("/deposits", data=form) for _ in range(2))
            )
            assert {answer.status_code for answer in both} == {303}
            assert len({answer.headers["location"] for answer in both}) == 1
            assert await one(world.house.db, "SELECT count(*) FROM deposits.deposit") == 1

    async def test_reviewed_again_is_a_new_act(self, world: World) -> None:
        async with customer(world) as (_person, browser):
            first = await reviewed(browser, "deposits", "500")
            second = await reviewed(browser, "deposits", "600")
            assert first["key"] != second["key"]

    async def test_without_our_own_form_is_refused(self, world: World) -> None:
        async with customer(world) as (_person, browser):
            form = await reviewed(browser, "deposits", "500")
            forged = {name: value for name, value in form.items() if name != "csrf"}
            answer = await browser.http.post("/deposits", data=forged)
            assert answer.status_code == 403
            assert await one(world.house.db, "SELECT count(*) FROM deposits.deposit") == 0

    async def test_of_somebody_else_is_not_there(self, world: World) -> None:
        async with customer(world) as (_one, mine), customer(world) as (_other, theirs):
            path = await asked(mine, "deposits", "500")
            for what in (path, f"{path}/events", f"/deposits/dep_{new_id().hex}", "/deposits/x"):
                assert (await theirs.http.get(what)).status_code == 404
            assert "Nothing asked for yet" in await seen(theirs, "/deposits")

    @pytest.mark.parametrize(
        ("amount", "says"),
        [
            ("", "please fill this in"),
            ("-5", "must be more than zero"),
            ("0", "must be more than zero"),
            ("12.50", "whole shillings only"),
            ("1e3", "not an amount"),
            ("ten", "not an amount"),
            ("9", "Use between KES 10 and KES 250,000"),
            ("250001", "Use between KES 10 and KES 250,000"),
            ("9" * 39, "not an amount"),
            ("<b>5</b>", "not an amount"),
        ],
    )
    async def test_of_a_bad_amount_keeps_the_form(
        self, wallet: Browser, amount: str, says: str
    ) -> None:
        await wallet.register()
        for path in ("/deposits/review", "/deposits"):
            answer = await wallet.send(path, {"amount": amount}, page="/deposits/new")
            assert answer.status_code == 400
            assert says in words(answer.text)
            assert 'aria-invalid="true"' in answer.text
            assert unescape(answer.text).count(f'name="amount" type="text" value="{amount}"') == 1

    async def test_to_a_bad_number_opens_the_field_with_it(self, wallet: Browser) -> None:
        await wallet.register()
        form = {"amount": "500", "phone": "0812 345 678"}
        answer = await wallet.send("/deposits/review", form, page="/deposits/new")
        assert answer.status_code == 400
        assert "That is not a Kenyan mobile number." in words(answer.text)
        assert '<details class="figures-table" open>' in answer.text
        assert 'value="0812 345 678"' in answer.text

    async def test_to_another_number_prompts_that_one(self, world: World) -> None:
        other = "254799000111"
        await world.handset(other, balance="1000.00", auto="none")
        async with customer(world) as (_person, browser):
            answer = await browser.send(
                "/deposits/review",
                {"amount": "50", "phone": "0799 000 111"},
                page="/deposits/new",
            )
            assert "+254 799 000 111" in words(answer.text)
            path = await asked(browser, "deposits", "50", "0799 000 111")
            await world.work()
            assert f"/handset/{other}" in (await browser.http.get(path)).text
            await world.answer_prompt(other)
            await world.settle()
            assert "KES 50.00 are in your treasury." in await seen(browser, path)

    async def test_while_the_phone_is_asked_is_refused_in_words(self, world: World) -> None:
        async with customer(world) as (_person, browser):
            await asked(browser, "deposits", "500")
            form = await reviewed(browser, "deposits", "700")
            answer = await browser.http.post("/deposits", data=form)
            assert answer.status_code == 409
            assert "already has a payment request" in words(answer.text)
            assert 'value="700"' in answer.text
            assert f'name="key" value="{form["key"]}"' not in answer.text

    async def test_cancelled_on_the_phone_can_be_tried_again(self, world: World) -> None:
        async with customer(world) as (person, browser):
            path = await asked(browser, "deposits", "700")
            await world.work()
            await world.answer_prompt(person.phone, "cancel")
            await world.settle()
            page = await browser.http.get(path)
            assert "Nothing was taken" in words(page.text)
            assert "/deposits/new?amount=700" in page.text
            assert 'value="700"' in (await browser.http.get("/deposits/new?amount=700")).text

    async def test_that_nobody_knows_of_says_so(self, world: World) -> None:
        await world.fault("drop_after_accept", operation="stk")
        async with customer(world) as (_person, browser):
            path = await asked(browser, "deposits", "500")
            await world.work()
            page = await seen(browser, path)
            assert "Please do not pay again yet" in page
            assert "We do not know yet whether it was paid." in page

    async def test_without_simulated_phones_names_none(self, wallet: Browser) -> None:
        await wallet.register()
        path = await asked(wallet, "deposits", "500")
        assert "/handset/" not in (await wallet.http.get(path)).text
        assert "/handset/" not in (await wallet.http.get("/")).text

    async def test_change_something_keeps_what_was_typed(self, wallet: Browser) -> None:
        await wallet.register()
        form = {"amount": "5,000", "phone": "0712345678"}
        answer = await wallet.send("/deposits/review", form, page="/deposits/new")
        back = await wallet.http.post(
            "/deposits/new", data=confirmation(answer.text, "/deposits/new")
        )
        assert back.status_code == 200
        assert 'value="5,000"' in back.text
        assert 'value="0712345678"' in back.text

    async def test_streams_what_happens_and_ends(self, world: World) -> None:
        async with customer(world) as (person, browser):
            path = await asked(browser, "deposits", "500")
            await world.work()
            await world.answer_prompt(person.phone)
            await world.settle()
            answer = await browser.http.get(f"{path}/events")
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert "event: final" in answer.text
            assert "in your treasury" in answer.text


class TestAWithdrawal:
    async def test_goes_from_form_to_review_to_timeline_to_paid(self, world: World) -> None:
        async with customer(world) as (person, browser):
            await funded(world, person, "3000")
            form = await seen(browser, "/withdrawals/new")
            assert "Available KES 3,000.00" in form
            assert "KES 500,000.00 of today's limit left" in form
            path = await asked(browser, "withdrawals", "1200")
            page = await seen(browser, path)
            assert "KES 1,200.00 are reserved for it." in page
            await world.settle()
            page = await seen(browser, path)
            assert "M-Pesa receipt" in page
            assert "KES 1,200.00 have left your treasury." in page
            assert (await world.handset(person.phone))["balance"] == "98200.00"
            assert "KES 498,800.00 of today's limit left" in await seen(browser, "/withdrawals/new")

    async def test_confirmed_twice_at_once_is_one(self, world: World) -> None:
        async with customer(world) as (person, browser):
            await funded(world, person, "3000")
            form = await reviewed(browser, "withdrawals", "1000")
            both = await asyncio.gather(
                *(browser.http.post("/withdrawals", data=form) for _ in range(2))
            )
            assert len({answer.headers["location"] for answer in both}) == 1
            assert await world.balances(person) == {"KES": ("2000.00", "1000.00")}

    async def test_of_more_than_is_there_keeps_the_form(self, world: World) -> None:
        async with customer(world) as (person, browser):
            await funded(world, person, "3000")
            answer = await browser.send(
                "/withdrawals/review", {"amount": "4000"}, page="/withdrawals/new"
            )
            assert answer.status_code == 400
            assert "KES 4,000.00 are needed, and KES 3,000.00 are there." in words(answer.text)
            assert 'value="4000"' in answer.text

    async def test_spent_meanwhile_is_refused_when_it_is_confirmed(self, world: World) -> None:
        async with customer(world) as (person, browser):
            await funded(world, person, "3000")
            form = await reviewed(browser, "withdrawals", "2000")
            await asked(browser, "withdrawals", "2500")
            answer = await browser.http.post("/withdrawals", data=form)
            assert answer.status_code in (400, 409)
            assert "is needed" in words(answer.text)
            assert 'value="2000"' in answer.text

    async def test_that_nobody_knows_of_says_so_and_stays_reserved(self, world: World) -> None:
        await world.fault("drop_after_accept", operation="b2c")
        await world.fault("callback_never", operation="b2c")
        async with customer(world) as (person, browser):
            await funded(world, person, "3000")
            path = await asked(browser, "withdrawals", "1200")
            await world.work()
            page = await seen(browser, path)
            assert "We do not know yet whether M-Pesa paid" in page
            assert "Your money stays reserved" in page
            assert "Checking with M-Pesa" in await seen(browser, "/")

    async def test_that_failed_says_that_the_money_is_free(self, world: World) -> None:
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        async with customer(world) as (person, browser):
            await funded(world, person, "3000")
            path = await asked(browser, "withdrawals", "1200")
            await world.settle()
            page = await browser.http.get(path)
            assert "Your money is free again" in words(page.text)
            assert "/withdrawals/new?amount=1200" in page.text

    async def test_of_somebody_else_is_not_there(self, world: World) -> None:
        async with customer(world) as (person, mine), customer(world) as (_other, theirs):
            await funded(world, person, "3000")
            path = await asked(mine, "withdrawals", "500")
            for what in (path, f"{path}/events"):
                assert (await theirs.http.get(what)).status_code == 404
