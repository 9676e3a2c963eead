"""What guards an account, over JSON, with codes that arrive by real SMS and real letters."""

import asyncio
import hashlib
import hmac
import json
import re
from dataclasses import replace
from datetime import timedelta

import httpx
import pyotp
import pytest
from structlog.testing import capture_logs

from hazina.identity.devices import Devices
from hazina.identity.login import CustomerLogin
from hazina.identity.recovery import AccountRecovery
from hazina.infra.audit import Audit
from hazina.infra.ratelimit import RateLimited
from hazina.kernel.actor import SYSTEM
from hazina.kernel.errors import Refusal
from hazina.kernel.ids import new_id, parse_id, wire_id
from tests.identity.people import API, PASSWORD, bearer, code_of
from tests.notifications.conftest import ORIGIN, Post

NEW = "lagoon pewter hatchet violin"
CODE = re.compile(r"\b(\d{5} \d{5})\b")
STOP = re.compile(r"\b([A-Z2-7]{5}-[A-Z2-7]{5})\b")


async def sign_in(
    web: httpx.AsyncClient, post: Post, *, password: str = PASSWORD, **more: str
) -> httpx.Response:
    form = {"username": post.customer.username, "password": password, **more}
    return await web.post(f"{API}/auth/login", json=form)


async def token(web: httpx.AsyncClient, post: Post, **more: str) -> dict[str, str]:
    answer = await sign_in(web, post, **more)
    assert answer.status_code == 200, answer.text
    return bearer(answer.json()["access_token"])


def code_now(secret: str, post: Post, *, steps: int = 0) -> str:
    """The code an app shows; ``steps`` looks ahead or back by half minutes."""
    return pyotp.TOTP(secret).at(post.clock.now() + timedelta(seconds=30 * steps))


async def enrol(web: httpx.AsyncClient, post: Post, me: dict[str, str]) -> tuple[str, list[str]]:
    own = {"password": PASSWORD}
    begun = await web.post(f"{API}/user/second-factor", headers=me, json=own)
    secret = begun.json()["secret"]
    body = {"code": code_now(secret, post)}
    done = await web.post(f"{API}/user/second-factor/confirm", headers=me, json=body)
    assert done.status_code == 200, done.text
    post.clock.advance(timedelta(seconds=60))
    return secret, done.json()["recovery_codes"]


async def actions(post: Post) -> set[str]:
    page = await post.house.get(Audit).list_of_object(
        post.house.db, "customer", post.customer.id, limit=100
    )
    return {event.action for event in page.items}


class TestASecondFactor:
    async def test_is_asked_for_at_the_next_login(self, web: httpx.AsyncClient, post: Post) -> None:
        secret, _ = await enrol(web, post, await token(web, post))
        missing = await sign_in(web, post)
        assert (missing.status_code, code_of(missing)) == (401, "second_factor_needed")
        wrong = await sign_in(web, post, otp="000000")
        assert code_of(wrong) == "second_factor_wrong"
        assert (await sign_in(web, post, otp=code_now(secret, post))).status_code == 200

    async def test_code_is_taken_once(self, web: httpx.AsyncClient, post: Post) -> None:
        secret, _ = await enrol(web, post, await token(web, post))
        code = code_now(secret, post)
        assert (await sign_in(web, post, otp=code)).status_code == 200
        assert code_of(await sign_in(web, post, otp=code)) == "second_factor_wrong"
        before = code_now(secret, post, steps=-1)
        assert code_of(await sign_in(web, post, otp=before)) == "second_factor_wrong"

    async def test_can_be_replaced_once_by_each_recovery_code(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        _, codes = await enrol(web, post, await token(web, post))
        assert len(set(codes)) == 10
        assert (await sign_in(web, post, otp=codes[0].upper())).status_code == 200
        assert code_of(await sign_in(web, post, otp=codes[0])) == "second_factor_wrong"
        await post.work()
        assert any("recovery codes was used" in text for text in await post.texts())

    async def test_is_not_used_up_by_who_has_the_password_alone(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        """A hundred wrong codes a day were everybody's together: a thief with the password spent
        them, and the owner could not sign in."""
        secret, _ = await enrol(web, post, await token(web, post))
        login, now = post.house.get(CustomerLogin), post.clock.now()
        typed = (post.customer.username, PASSWORD)
        refused = []
        for n in range(6):
            thief = replace(SYSTEM, ip=f"198.51.100.{n + 1}", otp="000000")
            try:
                await login.for_tokens(*typed, thief, now)
            except Refusal as refusal:
                refused.append(refusal.code)
        assert refused == ["second_factor_wrong"] * 5 + ["rate_limited"]
        own = replace(ORIGIN, otp=code_now(secret, post))
        owner = await login.for_tokens(*typed, own, now)
        assert owner.refresh

    @pytest.mark.parametrize("kind", ["app", "recovery"])
    async def test_code_opens_one_of_many_doors_that_try_it_at_once(
        self, web: httpx.AsyncClient, post: Post, kind: str
    ) -> None:
        secret, written = await enrol(web, post, await token(web, post))
        code = written[0] if kind == "recovery" else code_now(secret, post)
        login, now = post.house.get(CustomerLogin), post.clock.now()
        origin = replace(ORIGIN, otp=code)
        tries = [login.for_tokens(post.customer.username, PASSWORD, origin, now) for _ in range(4)]
        opened = await asyncio.gather(*tries, return_exceptions=True)
        assert sorted(getattr(one, "code", "opened") for one in opened) == [
            "opened", *["second_factor_wrong"] * 3,
        ]  # fmt: skip

    async def test_is_not_guessed(self, web: httpx.AsyncClient, post: Post) -> None:
        me = await token(web, post)
        await enrol(web, post, me)
        codes = [
            code_of(await web.delete(f"{API}/user/second-factor", headers={**me, "Hazina-Otp": c}))
            for c in ("000001", "000002", "000003", "000004", "000005", "000006")
        ]
        assert codes[0] == "second_factor_wrong"
        assert codes[-1] == "rate_limited"
        assert "customer.second_factor_refused" in await actions(post)

    async def test_goes_off_with_a_code_only(self, web: httpx.AsyncClient, post: Post) -> None:
        me = await token(web, post)
        secret, _ = await enrol(web, post, me)
        assert code_of(await web.delete(f"{API}/user/second-factor", headers=me)) == (
            "second_factor_needed"
        )
        right = {**me, "Hazina-Otp": code_now(secret, post)}
        assert (await web.delete(f"{API}/user/second-factor", headers=right)).status_code == 204
        assert (await sign_in(web, post)).status_code == 200
        assert {"customer.second_factor_on", "customer.second_factor_off"} <= await actions(post)

    async def test_is_not_set_up_by_who_has_the_session_and_not_the_password(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        """A thief with a cookie locked the owner out with an app of the thief's own."""
        me, path = await token(web, post), f"{API}/user/second-factor"
        guess = await web.post(path, headers=me, json={"password": "some other words here"})
        assert (guess.status_code, code_of(guess)) == (403, "password_wrong")
        assert "secret" not in guess.text
        assert code_of(await web.post(path, headers=me, json={})) == "invalid_request"
        assert "customer.second_factor_begin_refused" in await actions(post)
        assert (await web.get(path, headers=me)).json()["on"] is False

    async def test_secret_is_sealed(self, web: httpx.AsyncClient, post: Post) -> None:
        secret, codes = await enrol(web, post, await token(web, post))
        rows = await post.house.db.fetch(
            "SELECT f::text || coalesce((SELECT string_agg(c::text, ' ') FROM"
            " identity.recovery_code c WHERE c.account_id = f.account_id), '') AS line"
            " FROM identity.second_factor f WHERE account_id = $1",
            post.customer.id,
        )
        stored = rows[0]["line"]
        for clear in (secret, secret.encode().hex(), *codes):
            assert clear not in stored


class TestANewDevice:
    async def test_is_told_and_cools_money_down_but_the_first_is_not(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        first = await sign_in(web, post)
        kept = first.json()["device_token"]
        me = bearer(first.json()["access_token"])
        assert (await web.get(f"{API}/user/standing", headers=me)).json()["cooling_until"] is None
        again = await sign_in(web, post, device_token=kept)
        assert again.json()["device_token"] is None
        await sign_in(web, post)
        await post.work()
        assert "opened on a new device" in (await post.texts())[0]
        standing = (await web.get(f"{API}/user/standing", headers=me)).json()
        assert standing["cooling_because"] == "new_device"
        refused = await withdraw(web, me)
        assert (refused.status_code, code_of(refused)) == (403, "cooling_down")
        assert refused.json()["error"]["details"]["until"].startswith("2026-11-21T09:00")

    async def test_is_over_after_a_day(self, web: httpx.AsyncClient, post: Post) -> None:
        kept = (await sign_in(web, post)).json()["device_token"]
        await sign_in(web, post)
        post.clock.advance(timedelta(hours=24, seconds=-1))
        me = await token(web, post, device_token=kept)
        assert code_of(await withdraw(web, me)) == "cooling_down"
        post.clock.advance(timedelta(seconds=1))
        assert code_of(await withdraw(web, me)) == "insufficient_funds"

    async def test_that_was_not_used_for_longer_than_a_cookie_lives_is_new_again(
        self, post: Post
    ) -> None:
        """A token that was copied once was good for ever."""
        login, devices = post.house.get(CustomerLogin), post.house.get(Devices)

        async def sign_in_with(token: str | None) -> str | None:
            now = post.clock.now()
            opened = await login.for_page(
                post.customer.username, PASSWORD, ORIGIN, now, device=token
            )
            return opened.device_token

        token = await sign_in_with(None)
        for days, kept in ((399, True), (399, True), (401, False)):
            post.clock.advance(timedelta(days=days))
            now, db = post.clock.now(), post.house.db
            assert await devices.knows(db, post.customer.id, token, now) is kept
            assert (await sign_in_with(token) is None) is kept
        listed = await db.run(lambda tx: devices.list_devices(tx, post.customer.id, now))
        assert len(listed) == 1

    async def test_can_be_named_and_forgotten_with_its_sessions(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        me = await token(web, post)
        other = await token(web, post)
        listed = (await web.get(f"{API}/user/devices", headers=me)).json()["items"]
        newest = listed[0]["id"]
        path = f"{API}/user/devices/{newest}"
        assert (await web.put(path, headers=me, json={"name": "Old phone"})).status_code == 204
        assert (await web.delete(path, headers=me)).status_code == 204
        assert (await web.get(f"{API}/user/me", headers=other)).status_code == 401
        assert (await web.get(f"{API}/user/me", headers=me)).status_code == 200


async def withdraw(
    web: httpx.AsyncClient, me: dict[str, str], amount: str = "100", **body: str
) -> httpx.Response:
    return await web.post(
        f"{API}/wallet/withdrawals",
        json={"amount_kes": amount, **body},
        headers={**me, "Idempotency-Key": new_id().hex},
    )


class TestMoneyOut:
    async def test_goes_to_another_phone_only_when_it_was_added_a_day_before(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        me, other = await token(web, post), f"07{new_id().int % 10**8:08d}"
        assert code_of(await withdraw(web, me, phone=other)) == "payout_phone_unknown"
        added = await web.post(f"{API}/user/payout-phones", headers=me, json={"phone": other})
        assert added.json()["usable_from"].startswith("2026-11-21T09:00")
        assert code_of(await withdraw(web, me, phone=other)) == "cooling_down"
        await post.work()
        assert "can be paid from your wallet from 21 Nov 2026 12:00 EAT" in (await post.texts())[0]
        post.clock.advance(timedelta(hours=24))
        kept = await sign_in(web, post)
        assert kept.status_code == 200
        phones = (
            await web.get(f"{API}/user/payout-phones", headers=bearer(kept.json()["access_token"]))
        ).json()["items"]
        assert phones[0]["phone"].startswith("+254 7")

    async def test_above_the_setting_asks_for_a_code_again(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        me = await token(web, post)
        secret, _ = await enrol(web, post, me)
        assert code_of(await withdraw(web, me, "9999")) == "insufficient_funds"
        assert code_of(await withdraw(web, me, "10000")) == "second_factor_needed"
        wrong = {**me, "Hazina-Otp": "000000"}
        assert code_of(await withdraw(web, wrong, "10000")) == "second_factor_wrong"
        assert "customer.second_factor_refused" in await actions(post)
        right = {**me, "Hazina-Otp": code_now(secret, post)}
        assert code_of(await withdraw(web, right, "10000")) == "insufficient_funds"


class TestAFrozenAccount:
    async def test_takes_no_money_command_until_a_code_by_phone_lifts_it(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        me = await token(web, post)
        assert (await web.post(f"{API}/user/freeze", headers=me)).status_code == 204
        for path, body in (
            ("/wallet/withdrawals", {"amount_kes": "100"}),
            ("/wallet/deposits", {"amount_kes": "100"}),
        ):
            answer = await web.post(
                f"{API}{path}", json=body, headers={**me, "Idempotency-Key": new_id().hex}
            )
            assert code_of(answer) == "account_frozen"
        begun = await web.post(f"{API}/user/unfreeze/begin", headers=me)
        await post.work()
        code = next(found[1] for text in await post.texts() if (found := CODE.search(text)))
        body = {"challenge_id": begun.json()["challenge_id"], "code": code}
        bad = {**body, "code": "00000 00000"}
        lift = f"{API}/user/unfreeze"
        assert code_of(await web.post(lift, headers=me, json=bad)) == "recovery_refused"
        assert "customer.unfreeze_refused" in await actions(post)
        assert (await web.post(lift, headers=me, json=body)).status_code == 204
        assert code_of(await withdraw(web, me)) == "insufficient_funds"
        assert {"customer.frozen", "customer.unfrozen"} <= await actions(post)


async def recover(web: httpx.AsyncClient, post: Post, **changed: str) -> httpx.Response:
    begun = await web.post(f"{API}/auth/recovery", json={"username": post.customer.username})
    path = f"{API}/auth/recovery/{begun.json()['recovery_id']}"
    await web.post(f"{path}/email")
    await post.work()
    by_phone = next(found[1] for text in await post.texts() if (found := CODE.search(text)))
    letter = next(one for one in reversed(post.letters) if "code" in one["Subject"])
    by_mail = CODE.search(letter.get_content())
    assert by_mail is not None
    body = {
        "phone_code": by_phone,
        "second": "email",
        "second_code": by_mail[1],
        "new_password": NEW,
        **changed,
    }
    return await web.post(path, json=body)


class TestRecovery:
    async def test_by_phone_and_mail_sets_a_password_and_a_day_of_quiet(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        old = await token(web, post)
        with capture_logs() as logs:
            answer = await recover(web, post)
        assert answer.status_code == 204, answer.text
        assert (await web.get(f"{API}/user/me", headers=old)).status_code == 401
        assert code_of(await sign_in(web, post)) == "login_refused"
        me = await token(web, post, password=NEW)
        assert code_of(await withdraw(web, me)) == "cooling_down"
        sent = [CODE.search(text) for text in await post.texts()]
        assert not any(found[1] in str(logs) for found in sent if found)

    async def test_notice_has_a_code_that_freezes_and_does_nothing_else(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        await recover(web, post)
        await post.work()
        text = next(one for one in await post.texts() if "was reset" in one)
        code = STOP.search(text)
        assert code is not None
        stored = await post.house.db.fetchval(
            "SELECT string_agg(m::text, ' ') FROM desk.message m WHERE customer_id = $1",
            post.customer.id,
        )
        assert code[1] not in stored
        me = await token(web, post, password=NEW)
        stop, name = f"{API}/auth/recovery/stop", post.customer.username
        wrong = await web.post(stop, json={"username": name, "code": "AAAAA-AAAAA"})
        assert code_of(wrong) == "stop_refused"
        assert "customer.stop_refused" in await actions(post)
        right = await web.post(stop, json={"username": name, "code": code[1].lower()})
        assert right.status_code == 204
        assert (await web.get(f"{API}/user/me", headers=me)).status_code == 401
        again = await token(web, post, password=NEW)
        standing = await web.get(f"{API}/user/standing", headers=again)
        assert standing.json()["frozen"] is True

    @pytest.mark.parametrize("which", ["phone_code", "second_code"])
    async def test_needs_both_codes(self, web: httpx.AsyncClient, post: Post, which: str) -> None:
        answer = await recover(web, post, **{which: "1"})
        assert (answer.status_code, code_of(answer)) == (401, "recovery_refused")
        assert (await sign_in(web, post)).status_code == 200

    async def test_ends_after_five_tries_and_after_ten_minutes(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        begun = await web.post(f"{API}/auth/recovery", json={"username": post.customer.username})
        challenge = begun.json()["recovery_id"]
        await post.work()
        by_phone = next(found[1] for text in await post.texts() if (found := CODE.search(text)))
        body = {"phone_code": "1", "second": "app", "second_code": "1", "new_password": NEW}
        for _ in range(5):
            await web.post(f"{API}/auth/recovery/{challenge}", json=body)
        right = {**body, "phone_code": by_phone}
        late = await web.post(f"{API}/auth/recovery/{challenge}", json=right)
        assert code_of(late) == "recovery_refused"
        tries = "SELECT tries FROM identity.challenge WHERE id = $1"
        assert await post.house.db.fetchval(tries, parse_id("chl", challenge)) == 5

    async def test_of_nobody_answers_like_that_of_somebody(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        answer = await web.post(f"{API}/auth/recovery", json={"username": "nobody-here"})
        assert answer.status_code == 202
        path = f"{API}/auth/recovery/{answer.json()['recovery_id']}"
        await post.work()
        body = {"phone_code": "1", "second": "app", "second_code": "1", "new_password": NEW}
        assert code_of(await web.post(path, json=body)) == "recovery_refused"

    async def test_is_not_used_up_by_others_for_somebody_else(self, post: Post) -> None:
        """Three starts an hour for a name were anybody's to spend: its owner could not get in."""
        recovery, now = post.house.get(AccountRecovery), post.clock.now()
        name = post.customer.username

        async def start(ip: str, device: str | None = None) -> str:
            try:
                await recovery.start(name, replace(SYSTEM, ip=ip), now, device=device)
            except RateLimited:
                return "limited"
            return "sent"

        assert [await start("198.51.100.1") for _ in range(4)] == ["sent"] * 3 + ["limited"]
        # Many addresses of one line are one asker; another line is another.
        spread = [await start(f"2001:db8:1:2::{n}") for n in range(1, 5)]
        assert spread == ["sent"] * 3 + ["limited"]
        # What strangers together cause to be sent is bounded, and the owner's device is none.
        await post.work()
        assert await start("203.0.113.9") == "sent"
        await post.work()
        assert len(await post.texts()) == 6
        login, typed = post.house.get(CustomerLogin), (name, PASSWORD)
        known = await login.for_page(*typed, replace(SYSTEM, ip="203.0.113.9"), now)
        assert known.device_token is not None
        assert await start("203.0.113.9", known.device_token) == "sent"
        assert await start("203.0.113.10", "hzd_nobodys") == "sent"
        await post.work()
        assert len([text for text in await post.texts() if CODE.search(text)]) == 7

    async def test_goes_on_for_its_owner_while_strangers_ask_without_end(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        """Six starts an hour were all strangers' together: whoever spent them kept an owner out
        who had lost every device. Now the code that came last opens what the owner starts."""
        recovery, now = post.house.get(AccountRecovery), post.clock.now()

        for n in range(40):
            origin = replace(SYSTEM, ip=f"198.51.100.{n + 1}")
            begun = await recovery.start(post.customer.username, origin, now)
            await recovery.ask_email(begun, origin, now)
        answer = await recover(web, post)
        assert answer.status_code == 204, answer.text
        await post.work()
        codes = [text for text in await post.texts() if CODE.search(text)]
        letters = [one for one in post.letters if "code" in one["Subject"]]
        assert (len(codes), len(letters)) == (6, 6)
        # What opened once opens nothing more, whoever has started with it before or since.
        used = CODE.search(codes[0])
        assert used is not None
        again = await recovery.start(post.customer.username, replace(SYSTEM, ip="192.0.2.9"), now)
        await post.work()
        path = f"{API}/auth/recovery/{wire_id('chl', again)}"
        body = {"phone_code": used[1], "second": "app", "second_code": "1"}
        late = await web.post(path, json={**body, "new_password": PASSWORD})
        assert code_of(late) == "recovery_refused"
        assert len([text for text in await post.texts() if CODE.search(text)]) == 7


def signed(
    key: dict[str, str], post: Post, method: str, target: str, body: bytes = b"", **changed: str
) -> dict[str, str]:
    """Headers as docs/internal-api.md says them; written out here, apart from the house's code."""
    headers = {
        "hazina-credential": key["id"],
        "hazina-timestamp": str(int(post.clock.now().timestamp())),
        "hazina-nonce": new_id().hex,
        **changed,
    }
    text = "\n".join(
        (
            "HAZINA-HMAC-SHA256",
            method,
            target,
            headers["hazina-timestamp"],
            headers["hazina-nonce"],
            hashlib.sha256(body).hexdigest(),
        )
    )
    mac = hmac.new(bytes.fromhex(key["secret"]), text.encode(), "sha256").hexdigest()
    return {"hazina-signature": mac, **headers}


async def make_key(
    web: httpx.AsyncClient, me: dict[str, str], scopes: list[str], networks: list[str] | None = None
) -> dict[str, str]:
    body = {"label": "a bot", "scopes": scopes, "networks": networks or []}
    answer = await web.post(f"{API}/user/api-keys", headers=me, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, str] = answer.json()
    return found


class TestAnApiKey:
    async def test_reads_as_its_customer_and_each_request_counts_once(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        key = await make_key(web, await token(web, post), ["read"])
        target = f"{API}/user/me"
        headers = signed(key, post, "GET", target)
        answer = await web.get(target, headers=headers)
        assert answer.json()["username"] == post.customer.username
        assert code_of(await web.get(target, headers=headers)) == "credential_refused"

    async def test_does_what_its_scopes_say_and_nothing_else(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        key = await make_key(web, await token(web, post), ["trade"])
        target = f"{API}/user/me"
        refused = await web.get(target, headers=signed(key, post, "GET", target))
        assert code_of(refused) == "key_scope_missing"
        target, body = f"{API}/wallet/withdrawals", json.dumps({"amount_kes": "100"}).encode()
        more = {"content-type": "application/json", "idempotency-key": new_id().hex}
        refused = await web.post(
            target, content=body, headers=signed(key, post, "POST", target, body) | more
        )
        assert code_of(refused) == "key_scope_missing"
        for path in ("auth/logout", "user/freeze", "user/second-factor", "user/api-keys"):
            target = f"{API}/{path}"
            body = json.dumps({"label": "x", "scopes": ["read"]}).encode()
            answer = await web.post(
                target,
                content=body,
                headers=signed(key, post, "POST", target, body) | more,
            )
            assert code_of(answer) == "key_scope_missing"

    async def test_moves_money_out_from_its_addresses_only(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        me = await token(web, post)
        body = {"label": "a bot", "scopes": ["withdraw"]}
        refused = await web.post(f"{API}/user/api-keys", headers=me, json=body)
        assert refused.json()["error"]["details"]["field"] == "networks"
        target, act = f"{API}/wallet/withdrawals", json.dumps({"amount_kes": "20000"}).encode()
        more = {"content-type": "application/json", "idempotency-key": new_id().hex}
        for network, expected in (
            ("192.0.2.0/24", "insufficient_funds"),
            ("198.51.100.7", "credential_refused"),
        ):
            key = await make_key(web, me, ["withdraw"], [network])
            headers = signed(key, post, "POST", target, act) | more
            assert code_of(await web.post(target, content=act, headers=headers)) == expected

    @pytest.mark.parametrize("change", ["body", "time", "secret", "target", "revoked", "frozen"])
    async def test_that_does_not_hold_is_refused_alike(
        self, web: httpx.AsyncClient, post: Post, change: str
    ) -> None:
        me = await token(web, post)
        key = await make_key(web, me, ["read"])
        target = f"{API}/user/me"
        headers = signed(key, post, "GET", target)
        match change:
            case "body":
                headers = signed(key, post, "GET", target, b"another")
            case "time":
                post.clock.advance(timedelta(minutes=6))
            case "secret":
                headers = signed({**key, "secret": "00" * 32}, post, "GET", target)
            case "target":
                headers = signed(key, post, "GET", f"{API}/user/devices")
            case "revoked":
                await web.delete(f"{API}/user/api-keys/{key['id']}", headers=me)
            case _:
                await web.post(f"{API}/user/freeze", headers=me)
        answer = await web.get(target, headers=headers)
        assert (answer.status_code, code_of(answer)) == (401, "credential_refused")

    async def test_asks_for_the_second_factor_when_it_is_made(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        me = await token(web, post)
        secret, _ = await enrol(web, post, me)
        body = {"label": "a bot", "scopes": ["read"]}
        path = f"{API}/user/api-keys"
        assert code_of(await web.post(path, headers=me, json=body)) == "second_factor_needed"
        right = {**me, "Hazina-Otp": code_now(secret, post)}
        made = await web.post(path, headers=right, json=body)
        assert made.status_code == 201
        listed = (await web.get(path, headers=me)).text
        assert made.json()["secret"] not in listed


class TestWrongPasswords:
    async def test_make_the_next_ones_wait_whoever_is_meant(
        self, web: httpx.AsyncClient, post: Post
    ) -> None:
        for name in (post.customer.username, f"nobody-{new_id().hex[-8:]}"):
            form = {"username": name, "password": "not the right one"}
            codes = [code_of(await web.post(f"{API}/auth/login", json=form)) for _ in range(7)]
            assert codes == ["login_refused"] * 6 + ["rate_limited"]
        assert code_of(await sign_in(web, post)) == "rate_limited"
        post.clock.advance(timedelta(seconds=3))
        assert (await sign_in(web, post)).status_code == 200
