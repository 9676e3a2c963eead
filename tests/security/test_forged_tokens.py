"""Tokens that were made, changed, kept too long or taken from elsewhere, at every door that reads
one. ``tests/identity/test_tokens.py`` has the same of the class alone."""

import base64
import hmac
import json
from datetime import timedelta

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from hazina.identity.people import CONSOLE, WALLET
from hazina.infra.vault import Vault
from hazina.kernel.clock import SettableClock
from tests.security.estate import Estate, Knocker

DOORS = (
    ("wallet", "/api/v1/user/me", "customer"),
    ("wallet", "/api/v1/operator/me", "administrator"),
)
NAMES = (
    "none", "none without signature", "other key", "RS256", "HS512", "other issuer",
    "other audience", "expired", "from tomorrow", "no end", "changed subject", "cut signature",
    "key from the header", "two parts", "empty",
)  # fmt: skip


def parts(token: str) -> tuple[dict[str, object], dict[str, object], str]:
    header, claims, signature = token.split(".")
    return _decoded(header), _decoded(claims), signature


def _decoded(text: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def _encoded(what: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(what).encode()).rstrip(b"=").decode()


def forged(name: str, genuine: str, key: OctKey, now: int) -> str:
    """A token that differs from a genuine one in what ``name`` says."""
    header, claims, signature = parts(genuine)
    own = (
        RSAKey.generate_key(2048, auto_kid=True)
        if name in ("RS256", "key from the header")
        else None
    )
    stranger = OctKey.import_key(b"another secret, also 32 bytes long")
    match name:
        case "none":
            return f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{_encoded(claims)}."
        case "none without signature":
            return f"{_encoded({'alg': 'none'})}.{_encoded(claims)}.{signature}"
        case "other key":
            return jwt.encode({"alg": "HS256"}, claims, stranger)
        case "RS256":
            assert own is not None
            return jwt.encode({"alg": "RS256"}, claims, own, algorithms=["RS256"])
        case "HS512":
            return jwt.encode({"alg": "HS512"}, claims, key, algorithms=["HS512"])
        case "key from the header":
            assert own is not None
            with_key = {
                "alg": "RS256",
                "jwk": own.as_dict(private=False),
                "jku": "https://evil.test",
            }
            return f"{_encoded(with_key)}.{_encoded(claims)}.{signature}"
        case "cut signature":
            return genuine[:-4]
        case "two parts":
            return genuine.rpartition(".")[0]
        case "empty":
            return ".."
        case "changed subject":
            return f"{_encoded(header)}.{_encoded({**claims, 'sub': 'f' * 32})}.{signature}"
    change: dict[str, object] = {
        "other issuer": {"iss": "somebody"},
        "other audience": {"aud": "hazina:internal"},
        "expired": {"iat": now - 7200, "exp": now - 1},
        "from tomorrow": {"iat": now + 86_400, "exp": now + 90_000},
        "no end": {"exp": None},
    }[name]
    return jwt.encode({"alg": "HS256"}, claims | change, key)


@pytest.mark.parametrize("name", NAMES)
async def test_a_token_that_is_not_genuine_opens_nothing(estate: Estate, name: str) -> None:
    now = int(estate.house.clock.now().timestamp())
    for (shell, path, who), realm in zip(DOORS, (WALLET, CONSOLE), strict=True):
        genuine = estate.knockers[who].token
        key = signing_key(estate, realm.audience)
        again = jwt.encode({"alg": "HS256"}, parts(genuine)[1], key)
        assert (await ask(estate, shell, path, again)).status_code == 200, "the key is the real one"
        answer = await ask(estate, shell, path, forged(name, genuine, key, now))
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not_signed_in")
        assert "jwt" not in answer.text.lower()


async def test_a_token_of_one_realm_is_nothing_in_the_other(estate: Estate) -> None:
    for shell, path, who in DOORS:
        other = estate.knockers["administrator" if who == "customer" else "customer"]
        assert (await ask(estate, shell, path, other.token)).status_code == 401
    answer = await estate.shells["internal"].post(
        "/internal/ledger/balances",
        headers={"Authorization": f"Bearer {estate.knockers['administrator'].token}"},
        content=b"{}",
    )
    assert answer.status_code == 401


async def test_a_token_ends_with_its_session_and_with_its_minutes(estate: Estate) -> None:
    _, leaving = await estate.customer("leaving")
    _, staying = await estate.customer("staying")
    assert (await ask(estate, "wallet", "/api/v1/user/me", leaving.token)).status_code == 200
    await estate.knock("wallet", "POST", "/api/v1/auth/logout", leaving)
    assert (await ask(estate, "wallet", "/api/v1/user/me", leaving.token)).status_code == 401
    clock = estate.house.clock
    assert isinstance(clock, SettableClock)
    before = clock.now()
    try:
        clock.advance(timedelta(minutes=estate.house.settings.access_token_minutes))
        assert (await ask(estate, "wallet", "/api/v1/user/me", staying.token)).status_code == 401
    finally:
        clock.advance(before - clock.now())


@pytest.mark.parametrize("where", ["query", "cookie", "basic"])
async def test_a_token_counts_in_its_header_alone(estate: Estate, where: str) -> None:
    token = estate.knockers["customer"].token
    headers = {
        "cookie": {"Cookie": f"{WALLET.cookie}={token}; access_token={token}"},
        "basic": {"Authorization": f"Basic {token}"},
    }.get(where, {})
    query = f"?access_token={token}&token={token}" if where == "query" else ""
    answer = await estate.shells["wallet"].get(f"/api/v1/user/me{query}", headers=headers)
    assert answer.status_code == 401


async def test_a_session_cookie_opens_its_own_shell_only(estate: Estate) -> None:
    """Under whichever name it is sent."""
    for shell, page, who in (
        ("wallet", "/security", "administrator"),
        ("console", "/deposits", "customer"),
    ):
        stranger = estate.knockers[who]
        assert stranger.cookies
        answer = await estate.knock(shell, "GET", page, stranger, page=True)
        assert answer.headers["location"].startswith("/login?next=")


def signing_key(estate: Estate, audience: str) -> OctKey:
    """What the house itself signs with, made the way it makes it: a forger in the know."""

    settings = estate.house.settings
    given = settings.token_secret.get_secret_value().encode()
    secret = given or estate.house.get(Vault).derive("identity.access-token")
    return OctKey.import_key(hmac.digest(secret, audience.encode(), "sha256"))


async def ask(estate: Estate, shell: str, path: str, token: str) -> httpx.Response:
    who = Knocker("forger", token=token)
    return await estate.knock(shell, "GET", path, who)
