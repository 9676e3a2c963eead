"""Handsets: the control API, the pages, the books, and many phones at once."""

import asyncio
import re
from contextlib import AsyncExitStack

import httpx
import pytest

from hazina.simulators.daraja import SimConfig, create_app
from tests.loopback import NO_CERTIFICATES
from tests.simulators.conftest import PHONE, Daraja, Sink, exact, served


class TestControl:
    async def test_waits_for_a_prompt_and_shows_it(self, daraja: Daraja) -> None:
        waiting = asyncio.create_task(daraja.http.get(f"/sim/handsets/{PHONE}/wait-prompt"))
        await daraja.push()
        shown = (await waiting).json()
        assert shown["balance"] == "100000.00"
        assert shown["prompt"]["amount"] == "250.00"
        assert shown["prompt"]["account_reference"] == "DEP8F3K2Q"
        assert "pay KES 250 to HAZINA account DEP8F3K2Q" in shown["prompt"]["text"]

    async def test_waits_in_vain_with_null(self, daraja: Daraja) -> None:
        answer = await daraja.http.get(
            f"/sim/handsets/{PHONE}/wait-prompt", params={"timeout": 0.05}
        )
        assert answer.json()["prompt"] is None

    @pytest.mark.parametrize(
        ("balance", "pin", "code", "text"),
        [
            ("250.00", "1234", 0, "The service request is processed successfully."),
            ("249.99", "1234", 1, "The balance is insufficient for the transaction."),
            ("250.00", "0000", 2001, "The initiator information is invalid."),
        ],
    )
    async def test_pays_with_the_right_pin_and_enough_money(
        self, daraja: Daraja, sink: Sink, balance: str, pin: str, code: int, text: str
    ) -> None:
        await daraja.handset(balance=balance)
        await daraja.push()
        after = (await daraja.press(pin=pin)).json()
        told = (await sink.one())["Body"]["stkCallback"]
        assert (told["ResultCode"], told["ResultDesc"]) == (code, text)
        assert after["balance"] == ("0.00" if code == 0 else balance)
        assert len(after["messages"]) == (1 if code == 0 else 0)

    async def test_has_nothing_to_press_without_a_prompt(self, daraja: Daraja) -> None:
        assert (await daraja.press()).status_code == 409

    async def test_ignored_prompts_expire(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.settings(prompt_lifetime_s=0.3)
        await daraja.push()
        await daraja.press("ignore")
        assert (await sink.one())["Body"]["stkCallback"]["ResultCode"] == 1037

    async def test_an_automatic_phone_answers_an_open_prompt(
        self, daraja: Daraja, sink: Sink
    ) -> None:
        await daraja.push()
        await daraja.handset(auto="cancel")
        assert (await sink.one())["Body"]["stkCallback"]["ResultCode"] == 1032

    async def test_keeps_every_shilling_in_the_books(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.push(Amount=5000)
        await daraja.press()
        await daraja.payout(Amount=1500)
        await sink.wait_for(2)
        books = await daraja.books()
        assert books["organisation"] == {
            "working": "5000.00",
            "utility": "4998500.00",
            "charges_paid": "-5.00",
        }
        assert (books["mpesa_revenue"], books["handsets"]) == ("5.00", "96500.00")
        assert books["total"] == books["opening"] == "5100000.00"
        receipt = books["transactions"][-1]["receipt"]
        told = (await daraja.http.get(f"/sim/books/{receipt}")).json()
        assert [(e["account"], e["amount"], e["balance_after"]) for e in told["entries"]] == [
            ("org:utility", "-1500.00", "4998500.00"),
            (f"handset:{PHONE}", "1500.00", "96500.00"),
            ("org:charges", "-5.00", "-5.00"),
            ("mpesa:revenue", "5.00", "5.00"),
        ]

    async def test_refuses_unknown_settings(self, daraja: Daraja) -> None:
        for wrong in ({"colour": 1}, {"prompt_lifetime_s": 0}, {"lock_shape": "x"}):
            answer = await daraja.http.put("/sim/settings", json=wrong)
            assert answer.status_code == 422, wrong

    async def test_the_same_seed_gives_the_same_identifiers(self) -> None:
        seen = []
        for _ in "ab":
            transport = httpx.ASGITransport(create_app(SimConfig(seed=42)))
            async with httpx.AsyncClient(transport=transport, base_url="http://daraja") as http:
                client = await Daraja(http, "http://127.0.0.1:9", b"").login()
                pushed = (await client.push()).json()["MerchantRequestID"]
                receipts = [t["receipt"][3:] for t in (await client.books())["transactions"]]
                seen.append((client.token, pushed, receipts))
        assert seen[0] == seen[1]


class TestPages:
    async def test_a_person_pays_through_the_forms(self, daraja: Daraja, sink: Sink) -> None:
        await daraja.push(Amount=5000)
        page = await daraja.http.get(f"/handset/{PHONE}")
        assert "KES 5,000" in page.text
        assert "DEP8F3K2Q" in page.text
        path = f"/handset/{PHONE}/prompt"
        forgot = await daraja.http.post(path, data={"action": "pay", "pin": ""})
        assert forgot.headers["location"] == f"/handset/{PHONE}?wrong=pin"
        paid = await daraja.http.post(path, data={"action": "pay", "pin": "1234"})
        assert paid.status_code == 303
        assert (await sink.one())["Body"]["stkCallback"]["ResultCode"] == 0
        page = await daraja.http.get(f"/handset/{PHONE}")
        assert "Paid KES 5,000." in page.text
        assert "M-PESA balance now KES 95,000.00" in page.text
        late = await daraja.http.post(path, data={"action": "pay", "pin": "1234"})
        assert late.headers["location"].endswith("wrong=gone")

    async def test_carry_no_inline_script_or_style_and_say_so(self, daraja: Daraja) -> None:
        await daraja.push()
        for path in ("/", f"/handset/{PHONE}", f"/handset/{PHONE}?part=screen"):
            page = await daraja.http.get(path)
            assert page.status_code == 200, path
            assert "script-src 'self'" in page.headers["content-security-policy"]
            assert not re.search(r"<script(?! src)|<style| style=| on[a-z]+=|https?://", page.text)

    async def test_show_hostile_text_as_text(self, daraja: Daraja) -> None:
        await daraja.settings(strict_text=False, account_reference_max=64)
        await daraja.push(AccountReference="<script>alert(1)</script>")
        for path in ("/", f"/handset/{PHONE}"):
            assert "<script>alert" not in (await daraja.http.get(path)).text

    async def test_open_a_phone_however_it_was_typed(self, daraja: Daraja) -> None:
        for typed in ("0711 000 111", "+254 711 000111", "711000111"):
            answer = await daraja.http.post("/open-handset", data={"phone": typed})
            assert answer.headers["location"] == f"/handset/{PHONE}", typed
        wrong = await daraja.http.post("/open-handset", data={"phone": "0211"})
        assert wrong.headers["location"] == "/?wrong=phone"

    async def test_switch_faults_and_phones(self, daraja: Daraja) -> None:
        on = {"fault": "b2c_fail", "result_code": "2040", "phone": "", "standing": "yes"}
        await daraja.http.post("/faults", data=on)
        listed = (await daraja.http.get("/sim/faults")).json()["faults"]
        assert (listed[0]["fault"], listed[0]["count"]) == ("b2c_fail", None)
        await daraja.fault("cancel", phone=PHONE)
        board = (await daraja.http.get("/")).text
        assert "standing" in board  # the fault without a phone once broke this page
        assert f"Only {PHONE}." in board
        await daraja.http.post("/faults", data={"off": str(listed[0]["id"])})
        assert len((await daraja.http.get("/sim/faults")).json()["faults"]) == 1
        await daraja.http.post("/faults", data={"off": "all"})
        assert (await daraja.http.get("/sim/faults")).json()["faults"] == []
        bad = await daraja.http.post("/faults", data={"fault": "b2c_fail"})
        assert bad.headers["location"] == "/?wrong=fault"
        form = {"auto": "pay", "balance": "2,500.50"}
        await daraja.http.post(f"/handset/{PHONE}/settings", data=form)
        shown = await daraja.handset()
        assert (shown["auto"], shown["balance"], shown["registered"]) == ("pay", "2500.50", False)

    async def test_tell_a_waiting_browser(self, daraja: Daraja) -> None:
        async with daraja.http.stream("GET", f"/handset/{PHONE}/events") as events:
            lines = events.aiter_lines()
            first = await anext(lines)
            await daraja.push()
            second = await anext(line async for line in lines if line)
        assert first.startswith("data: ")
        assert "ws_CO_" in second

    async def test_say_what_they_show_so_that_nothing_is_missed_meanwhile(
        self, daraja: Daraja
    ) -> None:
        """A payment that ended between the page and its first event once stayed "asking"."""
        page = (await daraja.http.get(f"/handset/{PHONE}")).text
        shown = re.findall(r'data-mark="([^"]*)"', page)[0]
        async with daraja.http.stream("GET", f"/handset/{PHONE}/events") as events:
            assert await anext(events.aiter_lines()) == f"data: {shown}"
        await daraja.paid()
        async with daraja.http.stream("GET", f"/handset/{PHONE}/events") as events:
            assert await anext(events.aiter_lines()) != f"data: {shown}"

    async def test_serve_their_own_files_only(self, daraja: Daraja) -> None:
        for name, status in (("sim.css", 200), ("sim.js", 200), ("icon.svg", 200), ("x", 404)):
            assert (await daraja.http.get(f"/static/{name}")).status_code == status


class TestLoad:
    async def test_five_hundred_phones_at_once(self, daraja: Daraja, sink: Sink) -> None:
        phones = [f"2547110{number:05d}" for number in range(500)]
        async with AsyncExitStack() as stack:
            # Ten clients, since the work of one client's pool grows with its square.
            clients = [
                Daraja(
                    await stack.enter_async_context(
                        httpx.AsyncClient(
                            base_url=daraja.http.base_url, timeout=30, verify=NO_CERTIFICATES
                        )
                    ),
                    daraja.sink,
                    b"",
                    headers=daraja.headers,
                )
                for _ in range(10)
            ]

            async def top_up(number: int, phone: str) -> int:
                client = clients[number % 10]
                await client.handset(phone, auto="pay")
                pushed = await client.push(PhoneNumber=phone, PartyA=phone, Amount=100)
                return pushed.status_code

            answers = await asyncio.gather(*(top_up(n, phone) for n, phone in enumerate(phones)))
        assert set(answers) == {200}
        told = [exact(text)["Body"]["stkCallback"] for text in await sink.texts(500)]
        assert {item["ResultCode"] for item in told} == {0}
        receipts = {item["CallbackMetadata"]["Item"][1]["Value"] for item in told}
        assert len(receipts) == 500
        assert (await daraja.books())["organisation"]["working"] == "50000.00"


async def test_callbacks_can_stay_in_the_process(sink: Sink) -> None:
    """An app under test needs no socket: the callback transport reaches it by ASGI."""
    app = create_app(SimConfig(seed=1), callback_transport=httpx.ASGITransport(sink))
    sink.received.clear()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://daraja") as http:
        client = await Daraja(http, "http://localhost:1", b"").login()
        await client.settings(callback_delay_ms=0)
        await client.handset(auto="pay")
        await client.push()
        assert (await sink.one())["Body"]["stkCallback"]["ResultCode"] == 0
        await client.idle()
        await client.books()


async def test_refuses_http_callbacks_when_told() -> None:
    app = create_app(SimConfig(allow_http=False))
    async with (
        served(app) as base,
        httpx.AsyncClient(base_url=base, verify=NO_CERTIFICATES) as http,
    ):
        client = await Daraja(http, "http://127.0.0.1:9", b"").login()
        assert (await client.push()).json()["errorMessage"].endswith("Invalid CallBackURL")
