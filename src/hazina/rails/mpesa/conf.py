"""What the adapter needs of the settings, checked once at the start. Pure."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from hazina.infra.settings import MpesaMode, Settings
from hazina.rails.ports import CallbackKind

BASE_URLS = {
    MpesaMode.SANDBOX: "https://sandbox.safaricom.co.ke",
    MpesaMode.PRODUCTION: "https://api.safaricom.co.ke",
}

# Addresses that implementers list for Safaricom's callbacks; Safaricom publishes none. Only a
# default for the sandbox: production must say which it trusts.
KNOWN_SOURCES = (
    "196.201.214.200,196.201.214.206,196.201.214.207,196.201.214.208,"
    "196.201.213.44,196.201.213.114,"
    "196.201.212.69,196.201.212.74,196.201.212.127,196.201.212.128,196.201.212.129,"
    "196.201.212.132,196.201.212.136,196.201.212.138"
)
LOOPBACK = "127.0.0.0/8,::1"

# The last part of a callback's address. Safaricom refuses addresses that contain its own names or
# words like query, cmd, sql, exe: one letter spells none of them, and neither can hex.
PATHS = {
    CallbackKind.COLLECTION: "c",
    CallbackKind.PAYOUT: "r",
    CallbackKind.PAYOUT_TIMEOUT: "t",
    CallbackKind.STATUS: "s",
    CallbackKind.STATUS_TIMEOUT: "u",
    CallbackKind.VALIDATION: "v",
    CallbackKind.NOTICE: "n",
    CallbackKind.PAYMENT_STATUS: "p",
    CallbackKind.PAYMENT_STATUS_TIMEOUT: "o",
    CallbackKind.BALANCE: "a",
    CallbackKind.BALANCE_TIMEOUT: "e",
    CallbackKind.RETURN: "b",
    CallbackKind.RETURN_TIMEOUT: "d",
}
KINDS = {path: kind for kind, path in PATHS.items()}

_FORBIDDEN = re.compile(r"m[-_.~]?pesa|safaricom|exe|cmd|sql|query", re.IGNORECASE)
_TOKEN = re.compile(r"[0-9a-f]{16,64}", re.ASCII)


class MpesaMisconfigured(Exception):
    """The settings cannot work; the process must not start with them."""


@dataclass(frozen=True, slots=True)
class MpesaConf:
    """One shortcode, one app. Secrets do not show in its repr."""

    base_url: str
    public_url: str
    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    shortcode: str
    passkey: str = field(repr=False)
    b2c_shortcode: str
    initiator_name: str
    initiator_password: str = field(repr=False)
    certificate: Path | None
    timeout_s: int
    sources: str
    merchant_name: str = "Hazina"

    @property
    def pays_out(self) -> bool:
        """Whether everything that payouts need is set."""
        return bool(self.initiator_name and self.initiator_password and self.certificate)

    def callback_url(self, token: str, kind: CallbackKind) -> str:
        """This will make the address for one callback; ``token`` is 16 to 64 hex digits."""
        return f"{self.public_url}/hooks/{require_token(token)}/{PATHS[kind]}"


def require_token(token: str) -> str:
    if not is_token(token):
        raise ValueError("a callback token is 16 to 64 lower-case hex digits")
    return token


def is_token(token: str) -> bool:
    return _TOKEN.fullmatch(token) is not None


def read_conf(settings: Settings) -> MpesaConf:
    """This will gather the adapter's settings. Raises: MpesaMisconfigured, naming what is wrong."""
    base_url = settings.mpesa_base_url or BASE_URLS.get(settings.mpesa_mode, "")
    conf = MpesaConf(
        base_url=base_url.rstrip("/"),
        public_url=settings.public_url.rstrip("/"),
        consumer_key=settings.mpesa_consumer_key.get_secret_value(),
        consumer_secret=settings.mpesa_consumer_secret.get_secret_value(),
        shortcode=settings.mpesa_shortcode,
        passkey=settings.mpesa_passkey.get_secret_value(),
        b2c_shortcode=settings.mpesa_b2c_shortcode or settings.mpesa_shortcode,
        initiator_name=settings.mpesa_initiator_name,
        initiator_password=settings.mpesa_initiator_password.get_secret_value(),
        certificate=settings.mpesa_certificate,
        timeout_s=settings.mpesa_timeout_s,
        sources=callback_sources(settings),
    )
    if faults := _faults(conf):
        raise MpesaMisconfigured("M-Pesa cannot start: " + "; ".join(faults))
    return conf


def callback_sources(settings: Settings) -> str:
    """Where callbacks are believed from, as the setting says or as the mode implies."""
    if settings.mpesa_callback_sources:
        return settings.mpesa_callback_sources
    return LOOPBACK if settings.mpesa_mode is MpesaMode.SIMULATED else KNOWN_SOURCES


def _faults(conf: MpesaConf) -> list[str]:
    required = {
        "HAZINA_MPESA_BASE_URL": conf.base_url,
        "HAZINA_MPESA_CONSUMER_KEY": conf.consumer_key,
        "HAZINA_MPESA_CONSUMER_SECRET": conf.consumer_secret,
        "HAZINA_MPESA_SHORTCODE": conf.shortcode,
        "HAZINA_MPESA_PASSKEY": conf.passkey,
    }
    faults = [f"{name} is not set" for name, value in required.items() if not value]
    for name, value in (("SHORTCODE", conf.shortcode), ("B2C_SHORTCODE", conf.b2c_shortcode)):
        if value and not (value.isascii() and value.isdecimal()):
            faults.append(f"HAZINA_MPESA_{name} is not a number")
    if _FORBIDDEN.search(conf.public_url):
        faults.append("HAZINA_PUBLIC_URL contains a word that Safaricom refuses in addresses")
    return faults
