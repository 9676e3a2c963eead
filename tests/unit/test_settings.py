"""Production refuses to start half-real; settings that contradict each other are refused."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from hazina.infra.settings import Mode, MpesaMode, Settings, SmsMode, UnsafeSettings

SAFE: dict[str, object] = {
    "mode": Mode.PRODUCTION,
    "mpesa_mode": MpesaMode.PRODUCTION,
    "database_url": SecretStr("postgresql://app@db/hazina"),
    "public_url": "https://pay.example.co.ke",
    "trusted_proxies": "10.0.0.1",
    "cookie_secure": True,
    "key_file": Path("keys.json"),
    "token_secret": SecretStr("x" * 32),
    "mpesa_callback_sources": "196.201.214.200",
    "sms_mode": SmsMode.PRODUCTION,
    "smtp_host": "mail.example.co.ke",
}


def test_production_with_everything_real_starts() -> None:
    Settings(**SAFE).refuse_unsafe()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mpesa_mode", MpesaMode.SIMULATED),
        ("mpesa_mode", MpesaMode.SANDBOX),
        ("mpesa_mode", MpesaMode.NULL),
        ("database_url", None),
        ("public_url", "http://pay.example.co.ke"),
        ("trusted_proxies", ""),
        ("cookie_secure", False),
        ("key_file", None),
        ("token_secret", SecretStr("short")),
        ("mpesa_callback_sources", ""),
        ("password_memory_kib", 8),
        ("sms_mode", SmsMode.SIMULATED),
        ("sms_mode", SmsMode.NULL),
        ("smtp_host", ""),
        ("cool_down_hours", 0),
    ],
)
def test_production_refuses(name: str, value: object) -> None:
    with pytest.raises(UnsafeSettings, match=f"HAZINA_{name.upper()}"):
        Settings(**{**SAFE, name: value}).refuse_unsafe()  # type: ignore[arg-type]


def test_development_may_simulate() -> None:
    Settings(mpesa_mode=MpesaMode.SIMULATED).refuse_unsafe()


@pytest.mark.parametrize("flow", ["deposit", "withdrawal"])
def test_a_least_amount_above_the_most_is_refused(flow: str) -> None:
    with pytest.raises(ValidationError, match=f"{flow}_min_kes"):
        Settings(**{f"{flow}_min_kes": 200, f"{flow}_max_kes": 100})  # type: ignore[arg-type]


def test_secrets_do_not_show() -> None:
    shown = repr(Settings(**SAFE))  # type: ignore[arg-type]
    assert "x" * 32 not in shown
    assert "app@db" not in shown
