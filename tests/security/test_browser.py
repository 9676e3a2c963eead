"""What another site, a planted link or a crafted request can make a browser do here: nothing."""

import re
from html import unescape
from http.cookies import SimpleCookie

import httpx
import pytest

from hazina.identity.people import CONSOLE, WALLET
from tests.security.doors import DOORS, ROLES, Door
from tests.security.estate import ADDRESS, Estate, Knocker

PAGES = sorted(one for one in DOORS if one.is_page)
READ = [one for one in PAGES if one.method == "GET" and "{" not in one.path]
SENT = [one for one in PAGES if one.method == "POST"]
ELSEWHERE = (
    "https://evil.test/", "//evil.test/", "/\\evil.test", "/%09/evil.test", "javascript:alert(1)",
    "/\t/evil.test", "https:evil.test", "\\\\evil.test", "/..//evil.test", "/login",
    "/x\r\nSet-Cookie: a=b",
)  # fmt: skip

# A path of this house in every browser: one slash, then nothing that is read as another or skipped.
LOCAL = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def at(estate: Estate, door: Door) -> Knocker:
    return estate.knockers["administrator" if DOORS[door] in ROLES else "customer"]


def path_of(estate: Estate, door: Door) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: estate.ids.get(found[1], "x" * 32), door.path)


class TestAnotherSite:
    async def test_cannot_send_any_form(self, estate: Estate) -> None:
        """With the reader's cookies, as a browser would: without a token, with a made-up one, with
        one of another reader, and with a good one that comes from elsewhere."""
        await estate.knock(
            "wallet", "POST", "/preferences", estate.knockers["developer"], page=True
        )
        wrong = []
        for door in SENT:
            who, http = at(estate, door), estate.shells[door.shell]
            good = await estate.csrf(door.shell, who)
            other = await estate.csrf(door.shell, estate.knockers["anonymous"])
            tries = [
                ({}, {}),
                ({"csrf": f"{'0' * 32}.{'0' * 64}"}, {}),
                ({"csrf": other[1]}, {}),
                ({"csrf": good[1]}, {"Sec-Fetch-Site": "cross-site"}),
                ({"csrf": good[1]}, {"Sec-Fetch-Site": "same-site"}),
            ]
            for form, more in tries:
                jar = who.cookies | {"hz_csrf": good[0]}
                cookies = "; ".join(f"{name}={value}" for name, value in jar.items())
                answer = await http.post(
                    path_of(estate, door), data=form, headers={"Cookie": cookies, **more}
                )
                if answer.status_code != 403 or "form_expired" not in answer.text:
                    wrong.append(f"{door.name} {form} {more}: {answer.status_code}")
        assert not wrong, "\n".join(wrong)
        assert len(SENT) > 25

    async def test_cannot_send_json_with_the_readers_cookie(self, estate: Estate) -> None:
        who = estate.knockers["customer"]
        for path in ("/api/v1/wallet/withdrawals", "/api/v1/user/api-keys"):
            answer = await estate.shells["wallet"].post(
                path,
                content=b"{}",
                headers={"Cookie": f"{WALLET.cookie}={who.cookie}", "Content-Type": "text/plain"},
            )
            assert answer.status_code == 401

    async def test_is_never_allowed_by_cors(self, estate: Estate) -> None:
        for shell, path in (("wallet", "/api/v1/user/me"), ("internal", "/healthz")):
            for method in ("OPTIONS", "GET"):
                answer = await estate.shells[shell].request(
                    method, path, headers={"Origin": "https://evil.test"}
                )
                assert not [name for name in answer.headers if name.startswith("access-control")]


class TestAPlantedLink:
    @pytest.mark.parametrize("shell", ["wallet", "console"])
    async def test_never_leads_elsewhere(self, estate: Estate, shell: str) -> None:
        anonymous = estate.knockers["anonymous"]
        for to in ELSEWHERE:
            estate.shells[shell].cookies.clear()
            shown = await estate.shells[shell].get("/login", params={"next": to})
            carried = re.search(r'name="next" value="([^"]*)"', shown.text)
            assert carried is not None
            assert LOCAL.fullmatch(unescape(carried[1])), to
            back = await estate.knock(
                shell, "POST", "/preferences", anonymous, form={"theme": "toggle"}, page=True,
                more={"Referer": to.replace("\r\n", "").replace("\t", "")},
            )  # fmt: skip
            assert LOCAL.fullmatch(back.headers["location"]), to
            if shell == "wallet":
                name, password = estate.victim.username, estate.victim.password
                form = {"username": name, "password": password, "next": to}
                sent = await estate.knock(shell, "POST", "/login", anonymous, form=form, page=True)
                assert sent.status_code == 303
                assert LOCAL.fullmatch(sent.headers["location"]), to

    async def test_is_made_of_no_host_that_was_sent(self, estate: Estate) -> None:
        """Neither ``Host`` nor a proxy's header nobody trusts gets into a page or a redirect."""
        forged = {
            "Host": "evil.test", "X-Forwarded-Host": "evil.test", "Forwarded": "host=evil.test",
            "X-Original-URL": "/security", "X-Rewrite-URL": "/security",
        }  # fmt: skip
        for door in READ:
            answer = await estate.knock(
                door.shell, "GET", door.path, at(estate, door), page=True, more=forged
            )
            told = answer.text + str(answer.headers)
            assert "evil.test" not in told, door.name


class TestEveryAnswer:
    async def test_carries_its_headers(self, estate: Estate) -> None:
        """Pages, JSON, refusals, files: no script or frame of others, and no cache of what is
        somebody's."""
        wrong = []
        for door in sorted(DOORS):
            if door.shell == "internal":
                continue
            answer = await estate.knock(
                door.shell, door.method, path_of(estate, door), estate.knockers["anonymous"],
                page=door.is_page,
            )  # fmt: skip
            policy = answer.headers.get("content-security-policy", "")
            good = (
                policy.startswith("default-src 'none'")
                and "unsafe" not in policy
                and "frame-ancestors 'none'" in policy
                and answer.headers["x-content-type-options"] == "nosniff"
                and answer.headers["cache-control"] == "no-store"
                and "server" not in answer.headers
            )
            if not good:
                wrong.append(f"{door.name}: {dict(answer.headers)}")
        assert not wrong, "\n".join(wrong)

    async def test_has_no_script_or_style_of_its_own(self, estate: Estate) -> None:
        inline = re.compile(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", re.I)
        for door in READ:
            page = await estate.knock(door.shell, "GET", door.path, at(estate, door), page=True)
            found = inline.search(page.text)
            assert found is None, (door.name, found)
            assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page.text), door.name

    async def test_sets_cookies_that_scripts_and_sites_do_not_get(self, estate: Estate) -> None:
        form = {"username": estate.victim.username, "password": estate.victim.password}
        answers = [
            await estate.knock(
                "wallet", "POST", "/login", estate.knockers["anonymous"], form=form, page=True
            ),
            *[await estate.shells[shell].get("/login") for shell in ("wallet", "console")],
            *[await estate.knock(d.shell, "GET", d.path, at(estate, d), page=True) for d in READ],
        ]
        names = set()
        for answer in answers:
            for line in answer.headers.get_list("set-cookie"):
                for name, found in SimpleCookie(line).items():
                    names.add(name)
                    assert found["httponly"], line
                    assert found["samesite"].lower() in ("lax", "strict"), line
                    assert found["domain"] == "", line
        for http in estate.shells.values():
            http.cookies.clear()
        assert {WALLET.cookie, "hz_device", "hz_csrf"} <= names
        assert CONSOLE.cookie not in names


class TestACraftedRequest:
    @pytest.mark.parametrize(
        "path",
        [
            "/static/../../../../etc/passwd",
            "/static/..%2f..%2f..%2fetc%2fpasswd",
            "/static/%2e%2e/%2e%2e/settings.py",
            "/static/....//....//etc/passwd",
            "/static/%00",
            "/static//etc/passwd",
            "/deposits/..%2f..%2fadmin",
        ],
    )
    async def test_reaches_no_file(self, estate: Estate, path: str) -> None:
        request = httpx.Request("GET", "http://wallet.test/")
        request.extensions["target"] = path.encode()
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = await estate.shells["wallet"].send(request)
        assert answer.status_code in (303, 404)
        assert "root:" not in answer.text

    async def test_is_not_read_beyond_the_limit(self, estate: Estate) -> None:
        """Announced or not, at every route that reads a body."""
        wrong = []
        for door in sorted(one for one in DOORS if one.method in ("POST", "PUT", "PATCH")):
            limit = 9 * 2**20 if door.shell == "internal" else 2 * 2**20
            if (door.shell, door.path) == ("console", "/statements"):
                limit = 34 * 2**20  # people bring files there
            path = path_of(estate, door)
            if "{token}" in door.path:
                path = f"/hooks/{'ab' * 16}/a"
            kind = "application/x-www-form-urlencoded" if door.is_page else "application/json"
            answer = await estate.shells[door.shell].request(
                door.method, path, headers={"Content-Length": str(limit), "Content-Type": kind},
                content=b"a" * 10,
            )  # fmt: skip
            if answer.status_code not in (413, 404):
                wrong.append(f"{door.name}: {answer.status_code}")
        assert not wrong, "\n".join(wrong)

    async def test_does_not_choose_its_own_address(self, estate: Estate) -> None:
        """No proxy is trusted here: who asks is who connected."""
        lie = {"X-Forwarded-For": "198.51.100.1", "X-Real-IP": "198.51.100.1"}
        who = estate.knockers["customer"]
        form = {"username": "nobody.here", "password": "wrong horse battery"}
        await estate.knock("wallet", "POST", "/login", who, form=form, page=True, more=lie)
        seen = await estate.owner.fetchval(
            "SELECT ip FROM infra.audit_event WHERE action = 'customer.login_refused'"
            " ORDER BY id DESC LIMIT 1"
        )
        assert str(seen) == ADDRESS


def test_no_address_is_called_that_a_person_gave(estate: Estate) -> None:
    """Nothing a customer sends is an address. Whoever adds a field that is one sends to it through
    ``infra/webhooks.py``, and names the field here."""
    schemas = estate.apps["wallet"].openapi()["components"]["schemas"]
    fields = {
        f"{name}.{field}"
        for name, one in schemas.items()
        for field, about in one.get("properties", {}).items()
        if re.search(r"ur[il]$|webhook|callback|endpoint|host|address", field)
        or about.get("format") in ("uri", "url")
    }
    given = {field for field in fields if field.partition(".")[0].endswith("In")}
    assert given == set()
