"""The pages of what guards an account, by somebody with a browser."""

import re
from datetime import timedelta

import httpx
import pyotp

from hazina.bootstrap.registry import manifests
from hazina.identity.operators import Operators
from hazina.identity.people import Role
from hazina.identity.second_factor import OperatorFactors
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from hazina.web.console.app import create_console_app
from tests.identity.people import PASSWORD
from tests.notifications.conftest import Post
from tests.notifications.test_guards import CODE, NEW, STOP
from tests.web.conftest import Browser, browsing
from tests.web.money import confirmation, words

KEY = re.compile(r"data-copy=\"([A-Z2-7]{32})\"")


async def sign_in(browser: Browser, post: Post, password: str = PASSWORD) -> httpx.Response:
    form = {"username": post.customer.username, "password": password}
    return await browser.send("/login", form)


async def enrol(browser: Browser, post: Post) -> str:
    page, begin = "/security/second-factor", "/security/second-factor/begin"
    wrong = await browser.send(begin, {"password": "some other words here"}, page=page)
    assert "That is not your current password" in words(wrong.text)
    begun = await browser.send(begin, {"password": PASSWORD}, page=page)
    found = KEY.search(begun.text)
    assert found is not None, words(begun.text)
    code = pyotp.TOTP(found[1]).at(post.clock.now())
    done = await browser.send(
        "/security/second-factor/confirm", {"otp": code}, page="/security/second-factor"
    )
    assert "Write these down now" in done.text
    assert done.headers["cache-control"] == "no-store"
    post.clock.advance(timedelta(seconds=60))
    return found[1]


class TestSigningIn:
    async def test_has_a_second_step_for_who_set_one_up(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        browser = Browser(web)
        assert (await sign_in(browser, post)).status_code == 303
        secret = await enrol(browser, post)
        await browser.send("/logout", {}, page="/security")
        step = await sign_in(browser, post)
        form = confirmation(step.text, "/login/code")
        wrong = await web.post("/login/code", data={**form, "otp": "000000"})
        assert wrong.status_code == 400
        assert (await web.get("/security")).status_code == 303
        form = confirmation(wrong.text, "/login/code")
        right = {**form, "otp": pyotp.TOTP(secret).at(post.clock.now())}
        assert (await web.post("/login/code", data=right)).status_code == 303
        assert (await web.get("/security")).status_code == 200

    async def test_step_that_is_forged_or_late_starts_again(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        browser = Browser(web)
        await sign_in(browser, post)
        secret = await enrol(browser, post)
        await browser.send("/logout", {}, page="/security")
        form = confirmation((await sign_in(browser, post)).text, "/login/code")
        post.clock.advance(timedelta(minutes=6))
        code = pyotp.TOTP(secret).at(post.clock.now())
        forged = f"{form['ticket'][:-1]}{'0' if form['ticket'][-1] != '0' else '1'}"
        for ticket in (form["ticket"], forged, "x"):
            answer = await web.post("/login/code", data={**form, "ticket": ticket, "otp": code})
            assert answer.headers["location"] == "/login"

    async def test_keeps_its_device(self, web: httpx.AsyncClient, post: Post) -> None:
        browser = Browser(web)
        await sign_in(browser, post)
        kept = web.cookies["hz_device"]
        await browser.send("/logout", {}, page="/security")
        await sign_in(browser, post)
        assert web.cookies["hz_device"] == kept
        assert "Money cannot leave yet" not in (await web.get("/security")).text


class TestMoneyOut:
    async def test_asks_for_the_code_on_the_review(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        browser = Browser(web)
        await sign_in(browser, post)
        secret = await enrol(browser, post)
        shown = await web.get("/withdrawals/new")
        form = confirmation(shown.text, "/withdrawals/review")
        act = {**form, "amount": "20000", "phone": "", "key": new_id().hex}
        wrong = await web.post("/withdrawals", data={**act, "otp": "000000"})
        assert "Code from your app" in wrong.text
        again = confirmation(wrong.text, "/withdrawals")
        right = {**again, "otp": pyotp.TOTP(secret).at(post.clock.now())}
        answer = await web.post("/withdrawals", data=right)
        assert "KES 20000.00 is needed and KES 0.00 is there." in words(answer.text)


class TestTheSecurityPage:
    async def test_makes_keys_and_phones_and_takes_them_away(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        browser = Browser(web)
        await sign_in(browser, post)
        made = await browser.send("/security/keys", {"label": "a bot", "read": "yes"})
        assert "Keep this now" in made.text
        listed = await web.get("/security/keys")
        revoke = re.search(r"/security/keys/key_[0-9a-f]{32}/revoke", listed.text)
        assert revoke is not None
        await browser.send(revoke[0], {}, page="/security/keys")
        assert "No keys" in (await web.get("/security/keys")).text
        await browser.send("/security/phones", {"phone": f"07{new_id().int % 10**8:08d}"})
        listed = await web.get("/security/phones")
        remove = re.search(r"/security/phones/pph_[0-9a-f]{32}/remove", listed.text)
        assert remove is not None
        await browser.send(remove[0], {}, page="/security/phones")
        assert "Only your own" in (await web.get("/security/phones")).text

    async def test_freezes_and_unfreezes(self, web: httpx.AsyncClient, post: Post) -> None:
        browser = Browser(web)
        await sign_in(browser, post)
        await browser.send("/security/freeze", {}, page="/security")
        page = await web.get("/security")
        assert "Nothing leaves this account until you unfreeze it." in page.text
        begun = await browser.send("/security/unfreeze/begin", {}, page="/security")
        await post.work()
        code = next(found[1] for text in await post.texts() if (found := CODE.search(text)))
        form = confirmation(begun.text, "/security/unfreeze")
        done = await web.post("/security/unfreeze", data={**form, "otp": code})
        assert done.status_code == 303
        assert "Freeze my account" in (await web.get("/security")).text


class TestGettingBackIn:
    async def test_goes_by_the_codes_of_phone_and_mail(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        browser = Browser(web)
        step = await browser.send("/recover", {"username": post.customer.username})
        await post.work()
        by_phone = next(found[1] for text in await post.texts() if (found := CODE.search(text)))
        letter = next(one for one in post.letters if "code" in one["Subject"])
        by_mail = CODE.search(letter.get_content())
        assert by_mail is not None
        form = confirmation(step.text, "/recover/finish")
        sent = {
            **form,
            "phone_code": by_phone,
            "second": "email",
            "second_code": by_mail[1],
            "password": NEW,
        }
        assert (await web.post("/recover/finish", data=sent)).headers["location"] == "/login"
        assert (await sign_in(browser, post, NEW)).status_code == 303
        await post.work()
        code = next(found[1] for text in await post.texts() if (found := STOP.search(text)))
        stop = {"username": post.customer.username, "code": code}
        assert (await browser.send("/freeze", stop)).headers["location"] == "/login"
        assert (await web.get("/security")).status_code == 303


class TestTheInbox:
    async def test_counts_what_is_unread_until_it_is_read(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        browser = Browser(web)
        await sign_in(browser, post)
        await post.tell("deposit.paid", amount="500.00", receipt="SGH0000002", purpose=None)
        assert 'class="badge">1<' in (await web.get("/security")).text
        page = await web.get("/messages")
        assert "KES 500.00 received" in words(page.text)
        assert 'class="badge"' not in (await web.get("/security")).text
        answer = await browser.send(
            "/messages/wishes", {"language": "sw", "email": "yes"}, page="/messages"
        )
        assert answer.status_code == 303
        assert "KES 500.00 zimepokelewa" in words((await web.get("/messages")).text)


class TestAnOperator:
    async def test_signs_in_with_the_second_step(self, post: Post) -> None:
        house, name = post.house, f"clerk-{new_id().hex[-8:]}"
        now, factors = house.clock.now(), house.get(OperatorFactors)
        made = await house.get(Operators).create(name, PASSWORD, Role.AUDITOR, SYSTEM, now)
        begun = await house.db.run(lambda tx: factors.begin(tx, made.id, name, now))
        code = pyotp.TOTP(begun.secret).at(now)
        await house.db.run(lambda tx: factors.confirm(tx, made.id, code, SYSTEM, now))
        post.clock.advance(timedelta(seconds=60))
        async with browsing(create_console_app(house, manifests())) as browser:
            step = await browser.send("/login", {"username": name, "password": PASSWORD})
            form = confirmation(step.text, "/login/code")
            form["otp"] = pyotp.TOTP(begun.secret).at(post.clock.now())
            assert (await browser.http.post("/login/code", data=form)).status_code == 303
            assert (await browser.http.get("/")).status_code == 200
