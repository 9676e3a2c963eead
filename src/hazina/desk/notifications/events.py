"""Which facts of the outbox become messages, and what each message needs of them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hazina.kernel.clock import EAT
from hazina.kernel.money import KES

Payload = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Saying:
    """A topic's template; ``only`` are payload values without which the topic says nothing."""

    template: str
    only: Mapping[str, object] = field(default_factory=dict)


# A deposit or payout that belongs to a product is that product's to tell: nobody hears twice.
_OWN: Mapping[str, object] = {"purpose": None}

SAYINGS: dict[str, tuple[Saying, ...]] = {
    "deposit.paid": (Saying("deposit_paid", _OWN),),
    "deposit.declined": (Saying("deposit_failed", _OWN),),
    "deposit.rejected": (Saying("deposit_failed", _OWN),),
    "deposit.mispaid": (Saying("deposit_suspended", {"code": "mispaid"}),),
    # Whom it was given to hears it as ``payment.allocated``.
    "deposit.resolved": (
        Saying("deposit_sent_back", {"ending": "sent_back"}),
        Saying("deposit_given_away", {"ending": "given_away"}),
    ),
    "withdrawal.paid": (Saying("withdrawal_paid", _OWN),),
    "withdrawal.failed": (Saying("withdrawal_failed", _OWN),),
    "withdrawal.rejected": (Saying("withdrawal_failed", _OWN),),
    "withdrawal.absent": (Saying("withdrawal_failed", _OWN),),
    "withdrawal.given_back": (Saying("withdrawal_given_back"),),
    "payment.credited": (Saying("payment_received"),),
    "payment.allocated": (Saying("payment_allocated"),),
    "trade.completed": (
        Saying("gold_bought", {"side": "buy"}),
        Saying("gold_sold", {"side": "sell"}),
    ),
    "trade.cancelled": (Saying("trade_cancelled"),),
    "trade.kept_as_shillings": (Saying("trade_kept_as_shillings"),),
    "trade.failed": (Saying("sale_failed"),),
    "customer.new_device": (Saying("new_device"),),
    "customer.password_changed": (Saying("password_changed"),),
    "customer.password_reset": (Saying("password_reset"),),
    "customer.second_factor_on": (Saying("second_factor_on"),),
    "customer.second_factor_off": (Saying("second_factor_off"),),
    "customer.recovery_codes_made": (Saying("recovery_codes_made"),),
    "customer.recovery_code_used": (Saying("recovery_code_used"),),
    "customer.api_key_made": (Saying("api_key_made"),),
    "customer.payout_phone_added": (Saying("payout_phone_added"),),
    "customer.clawed_back": (Saying("clawed_back"),),
    "customer.owes": (Saying("clawed_back_owes"),),
    "customer.paid_late": (Saying("paid_late"),),
    "customer.paid_late_owes": (Saying("paid_late_owes"),),
    "customer.unpaid": (Saying("unpaid"),),
    "customer.unpaid_owes": (Saying("unpaid_owes"),),
    "customer.frozen": (Saying("account_frozen"),),
    "customer.unfrozen": (Saying("account_unfrozen"),),
    "customer.blocked": (Saying("account_blocked"),),
    "customer.unblocked": (Saying("account_unblocked"),),
}


def saying(topic: str, payload: Payload) -> Saying | None:
    """What a fact is told as; None: nothing."""
    if payload.get("customer_id") is None:
        return None  # nobody's yet: there is nobody to tell
    for one in SAYINGS[topic]:
        if all(payload.get(name) == value for name, value in one.only.items()):
            return one
    return None


def facts_of(payload: Payload, at: datetime) -> dict[str, str]:
    """Every value as it will be read: amounts with their unit, times in East Africa."""
    facts = {name: str(value) for name, value in payload.items() if value is not None}
    for name in ("amount", "total", "owed"):
        if name in facts:
            facts[name] = _shillings(facts[name])
    if "until" in facts:
        facts["until"] = spoken(datetime.fromisoformat(facts["until"]))
    return {"receipt": "–", **facts, "at": spoken(at)}


def spoken(at: datetime) -> str:
    """``20 Nov 2026 12:00 EAT``."""
    return at.astimezone(EAT).strftime("%d %b %Y %H:%M EAT")


def _shillings(decimal: str) -> str:
    whole, _, cents = KES.money(decimal).decimal.partition(".")
    return f"KES {int(whole):,}.{cents}"
