"""Access tokens: only ours, only for this door, only now."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from hazina.identity.tokens import AccessTokens, NotSignedIn
from hazina.kernel.ids import new_id

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
SECRET = b"a secret for tests, 32 bytes long"
LIFETIME = timedelta(minutes=15)
WALLET = AccessTokens(SECRET, audience="hazina:wallet", lifetime=LIFETIME)
CONSOLE = AccessTokens(SECRET, audience="hazina:console", lifetime=LIFETIME)
ACCOUNT, SESSION = new_id(), new_id()


def claims(**changed: object) -> dict[str, object]:
    at = int(NOW.timestamp())
    own: dict[str, object] = {
        "iss": "hazina",
        "aud": "hazina:wallet",
        "sub": ACCOUNT.hex,
        "sid": SESSION.hex,
        "iat": at,
        "exp": at + 900,
    }
    return {name: value for name, value in (own | changed).items() if value is not None}


def signed(header: dict[str, object], body: dict[str, object], tokens: AccessTokens) -> str:
    return jwt.encode(header, body, tokens._key, algorithms=["HS256", "HS384", "HS512"])


def unsigned(header: dict[str, object], body: dict[str, object]) -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part(header)}.{part(body)}."


def refused(token: str, now: datetime = NOW) -> bool:
    try:
        WALLET.read(token, now)
    except NotSignedIn:
        return True
    return False


def test_a_token_names_its_account_and_session_until_it_ends() -> None:
    token = WALLET.issue(ACCOUNT, SESSION, NOW)
    read = WALLET.read(token, NOW + LIFETIME - timedelta(seconds=1))
    assert (read.account_id, read.session_id) == (ACCOUNT, SESSION)
    assert read.expires_at == NOW + LIFETIME
    assert refused(token, NOW + LIFETIME)
    assert refused(token, NOW + timedelta(days=400))


def test_a_token_from_the_future_is_refused() -> None:
    assert refused(WALLET.issue(ACCOUNT, SESSION, NOW + timedelta(minutes=1)))


def test_a_token_of_the_other_realm_is_refused_by_its_key_and_by_its_audience() -> None:
    assert refused(CONSOLE.issue(ACCOUNT, SESSION, NOW))
    assert refused(signed({"alg": "HS256"}, claims(aud="hazina:console"), WALLET))


def test_an_unsigned_token_is_refused() -> None:
    for alg in ("none", "None", "NONE", "", None):
        assert refused(unsigned({"alg": alg, "typ": "JWT"}, claims()))


def test_another_algorithm_is_refused_even_with_our_key() -> None:
    assert not refused(signed({"alg": "HS256"}, claims(), WALLET))
    assert refused(signed({"alg": "HS384"}, claims(), WALLET))
    assert refused(signed({"alg": "HS512"}, claims(), WALLET))


def test_another_key_is_refused() -> None:
    key = OctKey.import_key(b"another secret, also 32 bytes long")
    assert refused(jwt.encode({"alg": "HS256"}, claims(), key))


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "sid", "iat", "exp"])
def test_every_claim_is_needed(name: str) -> None:
    assert refused(signed({"alg": "HS256"}, claims(**{name: None}), WALLET))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", "somebody"),
        ("aud", []),
        ("aud", ["hazina:console"]),
        ("sub", "not-an-id"),
        ("sub", 7),
        ("sid", ["x"]),
        ("sid", ""),
        ("exp", "9999999999"),
        ("exp", True),
        ("exp", 10**30),
        ("iat", "now"),
    ],
)
def test_a_claim_of_the_wrong_shape_is_refused_and_never_a_crash(name: str, value: object) -> None:
    assert refused(signed({"alg": "HS256"}, claims(**{name: value}), WALLET))


@given(st.text(max_size=200))
def test_any_text_is_refused_and_never_a_crash(text: str) -> None:
    assert refused(text)


@given(st.integers(min_value=0, max_value=300), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_token_with_one_sign_changed_is_refused(place: int, sign: str) -> None:
    token = WALLET.issue(ACCOUNT, SESSION, NOW)
    place %= len(token)
    forged = token[:place] + sign + token[place + 1 :]
    # The last sign of a base64 text has spare bits: some spellings are the very same bytes.
    if forged != token and place != len(token) - 1:
        assert refused(forged)


def test_a_short_secret_does_not_start() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        AccessTokens(b"short", audience="hazina:wallet", lifetime=LIFETIME)
