"""What the simulator is told at the start (SimConfig) and what may change while it runs (Settings).

Owns names, defaults and their meaning. Settings are kept in the books' file, so that a simulator
killed in the middle of a test comes back as it was.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

CREDENTIAL_ATTEMPTS = 3
"""Wrong initiator passwords answered with 2001 before the credential locks (8006)."""


@dataclass(frozen=True, slots=True)
class SimConfig:
    """The identity of the simulated organisation; the same values go to the client under test."""

    data: Path | None = None
    """SQLite file of the books; None keeps them in memory."""
    consumer_key: str = "sim-consumer-key"
    consumer_secret: str = "sim-consumer-secret"  # noqa: S105 - opens nothing but this simulator
    shortcode: str = "600123"
    passkey: str = "sim-passkey"
    b2c_shortcode: str | None = None
    """Shortcode of payouts; None means the same as `shortcode`."""
    initiator_name: str = "simapi"
    initiator_password: str = "Sim#Initiator1"  # noqa: S105 - opens nothing but this simulator
    key_pair: Path | None = None
    """RSA private key PEM; created when missing. None makes a key that dies with the process."""
    allow_http: bool = True
    """Accept http:// callback URLs, on loopback only."""
    seed: int | None = None
    """The same seed gives the same identifiers in the same order."""
    organisation: str = "HAZINA"
    opening_utility_cents: int = 500_000_000
    token_lifetime_s: int = 3599

    @property
    def payout_shortcode(self) -> str:
        """This will return the shortcode that pays out."""
        return self.b2c_shortcode or self.shortcode


class Settings(BaseModel):
    """The knobs of `PUT /sim/settings`."""

    model_config = ConfigDict(extra="forbid")

    prompt_lifetime_s: float = Field(60, gt=0, le=3600)
    """An unanswered prompt ends with 1037 after this long."""
    callback_delay_ms: int = Field(150, ge=0, le=3_600_000)
    """Between an event and its first callback."""
    callback_retries: int = Field(0, ge=0, le=20)
    """Further attempts when a callback is not answered with 2xx; Safaricom documents none."""
    callback_retry_delay_ms: int = Field(1_000, ge=0, le=3_600_000)
    callback_timeout_s: float = Field(10, gt=0, le=120)
    processing_shape: Literal["alternate", "error", "4999"] = "alternate"
    """How the STK query says "not finished": HTTP 500, or 200 with code 4999, or in turns."""
    lock_shape: Literal["error", "callback"] = "error"
    """How an open prompt refuses the next push: 500.001.1001 at once, or callback code 1001."""
    duplicate_window_s: int = Field(0, ge=0, le=86_400)
    """Same phone and amount within this time fails with 17; the real window is 120. 0 is off."""
    auto_delay_ms: int = Field(0, ge=0, le=600_000)
    """How long an automatic handset thinks before it answers."""
    b2c_processing_ms: int = Field(0, ge=0, le=600_000)
    """How long an accepted payout stays Initiated before money moves."""
    revoke_previous_token: bool = False
    """A new OAuth token ends the one before, as the newer portal documents say."""
    status_unknown_code: str = Field("25", pattern=r"^[A-Za-z0-9_]{1,16}$")
    """Result code of a status query for a transaction that does not exist."""
    daily_limit_kes: int = Field(500_000, ge=0)
    """Per handset and Nairobi day, each way; 0 is off."""
    max_handset_balance_kes: int = Field(500_000, ge=0)
    """A payout that would lift a handset above this fails with 8; 0 is off."""
    account_reference_max: int = Field(12, ge=1, le=64)
    """Documented 12; the real sandbox was seen to accept 15."""
    transaction_desc_max: int = Field(13, ge=1, le=182)
    strict_text: bool = True
    """Refuse @ # & and the like in AccountReference and TransactionDesc."""
    handset_opening_balance: str = Field("100000.00", pattern=r"^\d{1,9}(\.\d{1,2})?$")
    callback_forwarded_for: str = Field("", max_length=64)
    """X-Forwarded-For of every callback, as a proxy before the client would add; "" sends none."""
    async_processing_ms: int = Field(0, ge=0, le=600_000)
    """How long an accepted reversal or B2B transfer takes."""
    c2b_external_validation: bool = True
    """Ask the ValidationURL before each PayBill payment; Safaricom switches it on per paybill."""
    c2b_validation_timeout_s: float = Field(8, gt=0, le=60)
    """After this long without an answer, the registered ResponseType decides."""
    c2b_names: Literal["first", "full", "none"] = "first"
    """Which of the payer's names a confirmation carries."""
    c2b_mask: Literal["spaced", "tight"] = "spaced"
    """v2 MSISDN as "2547 ***** 111" or "25471****111"."""
    stk_confirms_c2b: bool = True
    """A paid STK push is confirmed to the registered C2B URL too."""
    status_of_reversed: str = Field("Completed", min_length=1, max_length=40)
    """TransactionStatus of a payment that was reversed later; no document tells."""
    pull_none_shape: Literal["alternate", "text", "list", "error"] = "alternate"
    """Pull without rows: 1001 with "[[]]" as text, as lists, as HTTP 500, or in turns."""
    pull_rows: int = Field(100, ge=1, le=10_000)
    """Rows in one answer of the pull query."""
    pull_zone: Literal["Z", "none"] = "Z"
    """trxDate in UTC with Z, or in East Africa Time without a zone."""
    pull_spaced_key: bool = False
    """The registration answers "Response Status" with a space, as one integrator saw it."""
    qr_code: Literal["00", "AG"] = "00"
    """ResponseCode of a QR code: "00" as seen, or an AG_ id as the documents say."""
    spike_per_second: int = Field(0, ge=0, le=100_000)
    """More requests than this within a second get 500.003.02; 0 is off."""
    quota_per_day: int = Field(0, ge=0, le=100_000_000)
    """More requests than this on a Nairobi day get 500.003.03; 0 is off."""
    firewall_probability: float = Field(0, ge=0, le=1)
    """Share of requests, tokens included, that the firewall's HTML page answers."""
    fault_seed: int | None = None
    """Seed of every chance; setting it begins its dice anew. None uses the simulator's own."""
