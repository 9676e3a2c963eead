"""Every setting of the house in one typed object, read from ``HAZINA_…`` once at the edge.

docs/settings.md lists them; a test keeps that list complete. Production refuses to start with a
simulated or null part, a default secret or a missing proxy setting: see ``refuse_unsafe``.
"""

from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Mode(StrEnum):
    """Where the house runs."""

    DEVELOPMENT = "development"  # simulators and demo logins allowed, loopback only
    PRODUCTION = "production"  # real rails, real secrets, behind TLS


class MpesaMode(StrEnum):
    """Which implementation stands behind the M-Pesa ports."""

    SIMULATED = "simulated"  # our Daraja simulator over real HTTP
    SANDBOX = "sandbox"  # Safaricom's sandbox
    PRODUCTION = "production"  # real shillings
    NULL = "null"  # no M-Pesa: every call is refused, loudly


class SmsMode(StrEnum):
    """Who carries SMS."""

    SIMULATED = "simulated"  # our own gateway with an inbox to look into
    PRODUCTION = "production"  # Africa's Talking, real phones
    NULL = "null"  # nobody: nothing is sent, and no code can go by phone


class MailSecurity(StrEnum):
    """How the way to the mail server is guarded."""

    STARTTLS = "starttls"  # begins in clear, continues in TLS or not at all
    TLS = "tls"  # TLS from the first byte
    NONE = "none"  # in clear: a mail server on the same machine, or a test's


class UnsafeSettings(Exception):
    """Production was asked to start with something that is only safe in development."""


class Settings(BaseSettings):
    """Shapes and units are in the names; secrets are ``SecretStr`` and never printed."""

    model_config = SettingsConfigDict(env_prefix="HAZINA_", extra="ignore", frozen=True)

    mode: Mode = Mode.DEVELOPMENT
    data_dir: Path = Field(default=Path("data"), description="Where the embedded house lives.")

    # Database. Empty: the embedded server. The owner's URL is used by migrations only.
    database_url: SecretStr | None = Field(default=None, description="Application role.")
    database_owner_url: SecretStr | None = Field(default=None, description="Migrations only.")
    database_readonly_url: SecretStr | None = Field(default=None, description="Reports, proof.")
    database_pool_size: int = Field(default=16, ge=2, le=200)

    # Web shells.
    host: str = "127.0.0.1"
    port: int = Field(default=8420, description="JSON API and customer pages.")
    console_port: int = Field(default=8421, description="Operators' console, its own cookie.")
    internal_host: str = Field(default="127.0.0.1", description="Where other services ask.")
    internal_port: int | None = Field(
        default=None, ge=0, le=65_535, description="The ledger's door for services; empty: shut."
    )
    web_processes: int = Field(default=1, ge=1, le=64)
    worker_jobs: int = Field(default=10, ge=1, le=100, description="Side by side, in one worker.")
    public_url: str = Field(
        default="http://127.0.0.1:8420", description="How the outside reaches us: callbacks."
    )
    trusted_proxies: str = Field(
        default="", description="Comma-separated addresses whose X-Forwarded-For counts."
    )
    cookie_secure: bool = Field(default=False, description="True behind TLS.")

    # Secrets.
    key_file: Path | None = Field(
        default=None, description="Vault keys; data_dir/keys.json if empty."
    )
    token_secret: SecretStr = Field(
        default=SecretStr(""), description="Signs access tokens; derived from the vault if empty."
    )

    # Identity.
    access_token_minutes: int = Field(default=15, ge=1, le=120)
    session_days: int = Field(default=30, ge=1, le=365)
    operator_session_hours: int = Field(
        default=12, ge=1, le=168, description="How long an operator stays signed in."
    )
    operator_idle_minutes: int = Field(
        default=30, ge=5, le=720, description="An operator's session ends when idle for so long."
    )
    password_memory_kib: int = Field(
        default=19_456, ge=8, le=1_048_576, description="Argon2id's memory for one hash."
    )
    login_limit: str = Field(default="10/minute", description="Per network.")
    stk_limit: str = Field(default="5/minute", description="STK prompts per customer.")
    rate_limit_storage: str = Field(default="memory://", description="memory:// or redis://…")

    breached_passwords_file: Path | None = Field(
        default=None, description="SHA-1 hashes of lost passwords, one a line, ascending."
    )
    cool_down_hours: int = Field(
        default=24,
        ge=0,
        le=168,
        description="No money out after a reset, a new device, a new payout phone.",
    )
    second_factor_from_kes: int = Field(
        default=10_000, ge=0, description="Outward money that asks for a code again."
    )

    # Messages.
    sms_mode: SmsMode = SmsMode.NULL
    sms_base_url: str = Field(default="", description="Empty: Africa's Talking itself.")
    sms_username: str = ""
    sms_api_key: SecretStr = SecretStr("")
    sms_sender: str = Field(default="", description="Alphanumeric sender, if one is registered.")
    smtp_host: str = Field(default="", description="Empty: no e-mail is sent.")
    smtp_port: int = Field(default=587, ge=1, le=65_535)
    smtp_security: MailSecurity = MailSecurity.STARTTLS
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    mail_from: str = Field(default="hazina@localhost", description="The address of our letters.")

    # M-Pesa.
    mpesa_mode: MpesaMode = MpesaMode.NULL
    mpesa_base_url: str = ""
    mpesa_consumer_key: SecretStr = SecretStr("")
    mpesa_consumer_secret: SecretStr = SecretStr("")
    mpesa_shortcode: str = ""
    mpesa_passkey: SecretStr = SecretStr("")
    mpesa_b2c_shortcode: str = ""
    mpesa_initiator_name: str = ""
    mpesa_initiator_password: SecretStr = SecretStr("")
    mpesa_certificate: Path | None = Field(default=None, description="PEM or DER, from the portal.")
    mpesa_timeout_s: int = Field(default=30, ge=1, le=120)
    mpesa_callback_sources: str = Field(
        default="", description="Trusted callback addresses or networks, comma-separated."
    )
    mpesa_prompt_window_s: int = Field(
        default=300, ge=1, description="How long a query's 'failed' may not end a reservation."
    )
    mpesa_query_after_s: int = Field(default=20, ge=1, description="First STK query after this.")
    mpesa_status_after_s: int = Field(
        default=60, ge=1, description="First question about a payout without a result."
    )
    mpesa_b2c_tariff: str = Field(
        default="100:0,1500:5,5000:9,20000:11,150000:13,250000:13",
        description="up-to-shillings:charge-shillings, ascending; what M-Pesa takes from us.",
    )
    statement_max_mb: int = Field(
        default=32, ge=1, le=64, description="The longest M-Pesa statement the console takes."
    )
    mpesa_utility_low_kes: int = Field(
        default=50_000, ge=0, description="Below this the utility account raises an alarm."
    )

    # The ledger's door for other services.
    ledger_queue: int = Field(
        default=10_000, ge=10_000, description="Transfers that may wait in one process."
    )
    ledger_head_webhook: str = Field(
        default="", description="Where the day's signed head is sent, https; empty: nowhere."
    )

    # Money, whole shillings.
    deposit_min_kes: int = Field(default=10, ge=1)
    deposit_max_kes: int = Field(default=250_000, ge=1)
    withdrawal_min_kes: int = Field(default=10, ge=10)
    withdrawal_max_kes: int = Field(default=250_000, ge=10, le=250_000)
    withdrawal_fee_bps: int = Field(default=0, ge=0, le=1_000)
    withdrawal_fee_min_kes: int = Field(default=0, ge=0)
    withdrawal_excise_bps: int = Field(default=1_500, ge=0, le=10_000, description="Of our fee.")
    deposit_daily_limit_kes: int = Field(default=500_000, ge=0)
    withdrawal_daily_limit_kes: int = Field(default=500_000, ge=0)
    quote_lifetime_s: int = Field(default=60, ge=5, le=600)
    gold_min_kes: int = Field(default=10, ge=1, description="The smallest purchase or sale.")
    gold_low_grams: int = Field(
        default=100, ge=0, description="Less gold for sale than this is called short."
    )
    gold_max_kes: int = Field(default=5_000_000, ge=1, description="The largest, at once.")
    in_transit_limit_kes: int = Field(
        default=50_000, ge=0, description="Paid by query without receipt is credited up to this."
    )

    # Tests.
    kill_at: str = Field(default="", description="Folder of orders to die at points.")

    # Logs.
    log_level: str = "info"
    log_json: bool = False

    # Traces.
    otlp_endpoint: str = Field(
        default="", description="OpenTelemetry collector (OTLP over HTTP); empty: no traces."
    )

    @field_validator("internal_port", mode="before")
    @classmethod
    def _shut(cls, given: object) -> object:
        return None if given == "" else given

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.deposit_min_kes > self.deposit_max_kes:
            raise ValueError("deposit_min_kes is above deposit_max_kes")
        if self.withdrawal_min_kes > self.withdrawal_max_kes:
            raise ValueError("withdrawal_min_kes is above withdrawal_max_kes")
        return self

    def refuse_unsafe(self) -> None:
        """This will stop production from starting half-real. Raises: UnsafeSettings."""
        if self.mode is not Mode.PRODUCTION:
            return
        faults = [text for bad, text in self._faults() if bad]
        if faults:
            raise UnsafeSettings("production refuses to start: " + "; ".join(faults))

    def _faults(self) -> list[tuple[bool, str]]:
        simulated = self.mpesa_mode is not MpesaMode.PRODUCTION
        return [
            (simulated, f"HAZINA_MPESA_MODE is {self.mpesa_mode.value}, not production"),
            (self.database_url is None, "HAZINA_DATABASE_URL is not set"),
            (not self.public_url.startswith("https://"), "HAZINA_PUBLIC_URL is not https"),
            (not self.trusted_proxies, "HAZINA_TRUSTED_PROXIES is not set"),
            (not self.cookie_secure, "HAZINA_COOKIE_SECURE is not true"),
            (self.key_file is None, "HAZINA_KEY_FILE is not set"),
            (len(self.token_secret.get_secret_value()) < 32, "HAZINA_TOKEN_SECRET is too short"),
            (self.password_memory_kib < 19_456, "HAZINA_PASSWORD_MEMORY_KIB is below 19456"),
            (not self.mpesa_callback_sources, "HAZINA_MPESA_CALLBACK_SOURCES is not set"),
            (
                self.sms_mode is not SmsMode.PRODUCTION,
                f"HAZINA_SMS_MODE is {self.sms_mode.value}, not production",
            ),
            (not self.smtp_host, "HAZINA_SMTP_HOST is not set"),
            (bool(self.kill_at), "HAZINA_KILL_AT is set"),
            (self.cool_down_hours < 24, "HAZINA_COOL_DOWN_HOURS is below 24"),
        ]


@cache
def load_settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
