"""In and out: register, sign in, sessions, password; forged forms and foreign ways on."""

import re

import pytest

from hazina.bootstrap.registry import manifests
from hazina.desk.webkit import csrf, flash
from hazina.identity.operators import Operators
from hazina.identity.people import Role
from hazina.infra.house import House
from hazina.infra.settings import MpesaMode, Settings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from hazina.web.wallet.app import create_wallet_app
from tests.web.conftest import SECRET, Browser, browsing


class TestForgedForms:
    async def test_without_a_token_nothing_happens(self, wallet: Browser) -> None:
        await wallet.http.get("/login")
        answer = await wallet.http.post("/login", data={"username": "a", "password": SECRET})
        assert answer.status_code == 403
        assert "form_expired" in answer.text

    async def test_a_token_of_another_browser_is_worthless(self, wallet: Browser) -> None:
        theirs = (await wallet.http.get("/login")).text.split('name="csrf" value="')[1][:97]
        wallet.http.cookies.clear()
        await wallet.http.get("/login")
        answer = await wallet.http.post("/sample/form", data={"csrf": theirs})
        assert answer.status_code == 403

    async def test_a_planted_cookie_is_worthless_without_the_key(self, wallet: Browser) -> None:
        wallet.http.cookies.set(csrf.COOKIE, "0" * 32)
        forged = f"{'0' * 32}.{'0' * 64}"
        assert (await wallet.http.post("/sample/form", data={"csrf": forged})).status_code == 403

    async def test_a_token_from_before_signing_in_ends_with_it(self, wallet: Browser) -> None:
        before = (await wallet.http.get("/sample/form")).text.split('name="csrf" value="')[1][:97]
        await wallet.register()
        assert (await wallet.http.post("/sample/form", data={"csrf": before})).status_code == 403

    async def test_another_site_is_refused_even_with_a_token(self, wallet: Browser) -> None:
        page = await wallet.http.get("/sample/form")
        token = page.text.split('name="csrf" value="')[1][:97]
        for origin, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 303)):
            answer = await wallet.http.post(
                "/sample/form", data={"csrf": token}, headers={"sec-fetch-site": origin}
            )
            assert answer.status_code == status

    async def test_every_page_route_that_changes_something_is_guarded(
        self, wallet: Browser
    ) -> None:
        await wallet.register()
        for path in (
            "/logout",
            "/preferences",
            "/security/password",
            "/security/sessions/end-others",
        ):
            assert (await wallet.http.post(path)).status_code == 403, path

    async def test_the_cookie_is_kept_from_scripts_and_other_sites(self, wallet: Browser) -> None:
        cookie = (await wallet.http.get("/")).headers["set-cookie"]
        assert cookie.startswith(f"{csrf.COOKIE}=")
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie


class TestRegister:
    async def test_a_new_customer_is_in_and_greeted_once(self, wallet: Browser) -> None:
        name = await wallet.register()
        home = await wallet.http.get("/")
        assert name in home.text
        assert "Your account is ready" in home.text
        assert "Your account is ready" not in (await wallet.http.get("/")).text

    async def test_what_was_typed_survives_and_the_password_does_not(self, wallet: Browser) -> None:
        form = {"username": "ab", "phone": "12", "email": "x@y", "password": "<short>"}
        answer = await wallet.send("/register", form)
        assert answer.status_code == 400
        assert 'value="ab"' in answer.text
        assert "<short>" not in answer.text
        assert "&lt;short&gt;" not in answer.text
        assert 'aria-invalid="true"' in answer.text

    async def test_hostile_names_are_escaped(self, wallet: Browser) -> None:
        evil = '"><script>alert(1)</script>'
        answer = await wallet.send("/register", {"username": evil})
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;alert" in answer.text


class TestLogin:
    async def test_one_comes_back_to_where_one_wanted_to_go(self, wallet: Browser) -> None:
        name = await wallet.register()
        await wallet.send("/logout", {}, page="/security")
        refused = await wallet.http.get("/sample/mine?x=1")
        assert refused.status_code == 303
        assert refused.headers["location"] == "/login?next=%2Fsample%2Fmine%3Fx%3D1"
        shown = await wallet.http.get(refused.headers["location"])
        wanted = re.search(r'name="next" value="([^"]*)"', shown.text)
        assert wanted is not None
        form = {"username": name, "password": SECRET, "next": wanted[1]}
        answer = await wallet.send("/login", form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sample/mine?x=1")
        assert (await wallet.http.get("/sample/mine")).text == name

    @pytest.mark.parametrize("way", ["//evil.example", "https://evil.example", "/\\evil.example"])
    async def test_a_foreign_way_on_is_not_taken(self, wallet: Browser, way: str) -> None:
        name = await wallet.register()
        await wallet.send("/logout", {}, page="/security")
        assert "evil.example" not in (await wallet.http.get("/login", params={"next": way})).text
        answer = await wallet.send("/login", {"username": name, "password": SECRET, "next": way})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        inside = await wallet.http.get("/login", params={"next": way})
        assert (inside.status_code, inside.headers["location"]) == (303, "/")

    async def test_a_wrong_password_says_no_more_than_that(self, wallet: Browser) -> None:
        name = await wallet.register()
        await wallet.send("/logout", {}, page="/security")
        wrong = await wallet.send("/login", {"username": name, "password": "not this one"})
        nobody = await wallet.send(
            "/login", {"username": "no_such_one", "password": "not this one"}
        )
        assert wrong.status_code == nobody.status_code == 401
        assert "do not belong together" in wrong.text
        assert "do not belong together" in nobody.text

    async def test_signing_out_ends_the_session_itself(self, wallet: Browser) -> None:
        await wallet.register()
        old = dict(wallet.http.cookies)
        await wallet.send("/logout", {}, page="/security")
        wallet.http.cookies.update(old)
        assert (await wallet.http.get("/sample/mine")).status_code == 303


class TestSecurity:
    async def test_a_lost_phone_is_put_out_at_once(
        self, wallet: Browser, wallet_app: object
    ) -> None:
        name = await wallet.register()
        async with browsing(wallet_app) as phone:  # type: ignore[arg-type] # the fixture's app
            await phone.send("/login", {"username": name, "password": SECRET})
            page = await wallet.http.get("/security")
            ends = re.findall(r'action="(/security/sessions/ses_[0-9a-f]{32}/end)"', page.text)
            assert len(ends) == 1
            answer = await wallet.send(ends[0], {}, page="/security")
            assert answer.headers["location"] == "/security"
            assert (await phone.http.get("/sample/mine")).status_code == 303
        assert (await wallet.http.get("/sample/mine")).status_code == 200

    async def test_a_changed_password_ends_the_others(
        self, wallet: Browser, wallet_app: object
    ) -> None:
        name = await wallet.register()
        async with browsing(wallet_app) as phone:  # type: ignore[arg-type] # the fixture's app
            await phone.send("/login", {"username": name, "password": SECRET})
            form = {"current_password": SECRET, "new_password": "another four random words"}
            await wallet.send("/security/password", form, page="/security")
            assert "1 other session was ended" in (await wallet.http.get("/security")).text
            assert (await phone.http.get("/sample/mine")).status_code == 303

    @pytest.mark.parametrize(
        ("form", "field"),
        [
            (
                {"current_password": "wrong", "new_password": "another four words"},
                "current_password",
            ),
            ({"current_password": SECRET, "new_password": "short"}, "new_password"),
        ],
    )
    async def test_a_refusal_stands_at_its_field(
        self, wallet: Browser, form: dict[str, str], field: str
    ) -> None:
        await wallet.register()
        answer = await wallet.send("/security/password", form, page="/security")
        assert answer.status_code in (400, 403)
        assert f'id="{field}-error"' in answer.text

    async def test_somebody_elses_session_is_not_there(self, wallet: Browser) -> None:
        await wallet.register()
        path = f"/security/sessions/ses_{new_id().hex}/end"
        await wallet.send(path, {}, page="/security")
        assert "had ended already" in (await wallet.http.get("/security")).text


class TestFlash:
    async def test_a_message_is_escaped_and_shown_once(self, wallet: Browser) -> None:
        await wallet.send("/sample/form", {})
        assert "It is &lt;b&gt;done&lt;/b&gt;." in (await wallet.http.get("/sample/form")).text
        assert "done" not in (await wallet.http.get("/sample/form")).text

    @pytest.mark.parametrize(
        "cookie", ["x", "W10=.00", ".", "a.b.c", "WyJnb29kIiwgImV2aWwiXQ==." + "0" * 64]
    )
    async def test_a_message_that_we_did_not_sign_is_nothing(
        self, wallet: Browser, cookie: str
    ) -> None:
        wallet.http.cookies.set(flash.COOKIE, cookie)
        answer = await wallet.http.get("/sample/form")
        assert answer.status_code == 200
        assert 'class="notice' not in answer.text


class TestPreferences:
    async def test_looks_are_kept_without_any_script(self, wallet: Browser) -> None:
        await wallet.send("/preferences", {"theme": "toggle"}, page="/sample/form")
        assert '<html lang="en" data-theme="dark">' in (await wallet.http.get("/")).text
        await wallet.send("/preferences", {"amounts": "toggle"}, page="/sample/form")
        assert 'data-amounts="hidden"' in (await wallet.http.get("/")).text

    async def test_one_is_led_back_but_never_elsewhere(self, wallet: Browser) -> None:
        page = await wallet.http.get("/sample/form")
        token = page.text.split('name="csrf" value="')[1][:97]
        for referer, to in (
            ("http://wallet.test/security?x=1", "/security"),
            ("http://x//evil", "/"),
        ):
            answer = await wallet.http.post(
                "/preferences", data={"csrf": token}, headers={"referer": referer}
            )
            assert answer.headers["location"] == to


class TestConsole:
    async def test_an_operator_gets_in_and_a_customer_does_not(
        self, console: Browser, wallet: Browser, house: House
    ) -> None:
        name = f"op{new_id().hex[-12:]}"
        operators = house.get(Operators)
        await operators.create(name, SECRET, Role.AUDITOR, SYSTEM, house.clock.now())
        customer = await wallet.register()
        refused = await console.send("/login", {"username": customer, "password": SECRET})
        assert refused.status_code == 401
        console.http.cookies.update(wallet.http.cookies)
        assert (await console.http.get("/")).status_code == 303
        console.http.cookies.clear()
        assert (
            await console.send("/login", {"username": name, "password": SECRET})
        ).status_code == 303
        room = await console.http.get("/")
        assert name in room.text
        assert "auditor" in room.text
        await console.send("/logout", {}, page="/")
        assert (await console.http.get("/")).status_code == 303

    async def test_the_console_has_no_json_api(self, console: Browser) -> None:
        assert (await console.http.post("/api/v1/auth/login", json={})).status_code == 404
        assert (await console.http.get("/docs")).status_code == 404


class TestPractice:
    async def test_simulated_money_is_called_so_on_every_page(
        self, house: House, settings: Settings
    ) -> None:
        simulated = settings.model_copy(update={"mpesa_mode": MpesaMode.SIMULATED})
        for mode, said in ((simulated, True), (settings, False)):
            house.settings = mode
            async with browsing(create_wallet_app(house, manifests())) as browser:
                assert ("no real money moves" in (await browser.http.get("/")).text) is said
