"""What can be made to go wrong, and the switchboard that hands faults to requests.

A fault matches by operation and, when given, by phone; each match uses up one of its count. One
with a probability throws dice first: the same seed and order of requests give the same faults.
Faults and dice live in the books' file: a killed simulator comes back with the same ones.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from hazina.simulators.daraja.store import Store

Operation = Literal[
    "stk", "query", "b2c", "status", "balance", "oauth",
    "register", "simulate", "c2b", "reversal", "b2b", "pull", "qr",
]  # fmt: skip
_BEHIND_TOKEN = frozenset(
    {"stk", "query", "b2c", "status", "balance"}
    | {"register", "simulate", "reversal", "b2b", "pull", "qr"}
)
_EVERY = _BEHIND_TOKEN | {"oauth"}
_RESULTS = frozenset({"b2c", "status", "balance", "reversal", "b2b"})
_CALLS_BACK = _RESULTS | {"stk", "c2b"}
_ERRANDS = frozenset({"status", "balance", "reversal", "b2b"})

FAULTS: dict[str, tuple[frozenset[str], str]] = {
    "cancel": (frozenset({"stk"}), "The customer declines the prompt (1032)."),
    "no_answer": (frozenset({"stk"}), "The phone is off: no prompt appears, 1037 when it expires."),
    "wrong_amount": (frozenset({"stk"}), "Another amount is paid, told and booked."),
    "wrong_phone": (frozenset({"stk", "c2b"}), "The callback names another phone: told_phone."),
    "callback_late": (_CALLS_BACK, "The callback comes delay_s seconds later."),
    "callback_never": (_CALLS_BACK, "The callback is never sent; the books know better."),
    "callback_twice": (_CALLS_BACK, "The same callback is sent twice."),
    "callback_before_response": (
        frozenset({"stk", "b2c"}),
        "Prompt answered and callback delivered before the request itself is answered.",
    ),
    "wrong_source": (
        _CALLS_BACK,
        "The callback's X-Forwarded-For says source (nobody's address).",
    ),
    "stk_and_c2b": (
        frozenset({"stk"}),
        "The paid push is confirmed to the C2B URL too, whatever the setting; to url when given.",
    ),
    "receipt_twice": (
        frozenset({"stk"}),
        "An extra forged callback claims this push was paid, with the receipt of an older payment.",
    ),
    "forge": (
        frozenset({"stk", "b2c", "c2b"}),
        "An extra callback that M-Pesa never sent goes to url.",
    ),
    "drop_after_accept": (_BEHIND_TOKEN, "The request is accepted, then the line goes dead."),
    "drop_before_accept": (_EVERY, "The line goes dead before anything was accepted."),
    "answer_after_accept": (_BEHIND_TOKEN, "Accepted, but answered with status and body or text."),
    "answer": (_EVERY, "Any answer at all: status, body (JSON) or text; nothing was accepted."),
    "http_500": (_EVERY, "Spike arrest: HTTP 500, 500.003.02; nothing was accepted."),
    "quota_500": (_EVERY, "Quota: HTTP 500, 500.003.03; nothing was accepted."),
    "html_403": (_EVERY, "The firewall's HTML page; nothing was accepted."),
    "token_revoked": (_BEHIND_TOKEN, "The token is revoked; the product's own refusal answers."),
    "query_contradicts": (
        frozenset({"query", "status"}),
        "The query says 1032 for a paid push and 0 for a failed one; a status the same way.",
    ),
    "not_found": (frozenset({"status"}), "The status query finds nothing, whatever it asks for."),
    "pull_empty": (frozenset({"pull"}), "The pull query finds no transactions (1001)."),
    "timeout_notice": (
        _RESULTS,
        "QueueTimeOutURL is called first, the real result follows delay_s later.",
    ),
    "b2c_timeout_notice": (frozenset({"b2c"}), "timeout_notice for payouts only."),
    "result_object_shape": (_RESULTS, "ResultParameter is one object, codes are strings."),
    "b2c_fail": (frozenset({"b2c"}), "The payout fails with result_code; no money moves."),
    "result_fail": (_ERRANDS, "The request fails with result_code; no money moves."),
}

GATE = (
    "drop_before_accept", "html_403", "answer", "http_500", "quota_500", "token_revoked",
)  # fmt: skip
"""Faults that act before a request is read; all others travel with what was accepted."""

Amount = Annotated[str, Field(pattern=r"^\d{1,9}(\.\d{1,2})?$")]


class FaultOrder(BaseModel):
    """One entry of `PUT /sim/faults`."""

    model_config = ConfigDict(extra="forbid")

    fault: str
    phone: str | None = Field(None, pattern=r"^\d{12}$")
    operation: Operation | None = None
    count: int | None = Field(1, ge=1)
    """How many requests it strikes; null stands until deleted, as does one with a probability."""
    probability: float | None = Field(None, gt=0, le=1)
    """The chance with which it strikes a request it fits; None strikes each."""
    delay_s: float | None = Field(None, ge=0, le=86_400)
    amount: Amount | None = None
    result_code: str | None = Field(None, pattern=r"^[A-Za-z0-9_]{1,16}$")
    result_desc: str | None = Field(None, max_length=200)
    url: str | None = Field(None, max_length=2000)
    body: dict[str, JsonValue] | None = None
    status: int | None = Field(None, ge=200, le=599)
    text: str | None = Field(None, max_length=20_000)
    source: str | None = Field(None, max_length=64, pattern=r"^[0-9A-Fa-f.:, ]+$")
    told_phone: str | None = Field(None, pattern=r"^\d{12}$")

    @field_validator("result_code", "amount", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int | Decimal) else value

    @model_validator(mode="after")
    def _must_exist(self) -> "FaultOrder":
        if self.fault not in FAULTS:
            raise ValueError(f"unknown fault {self.fault!r}; one of {', '.join(sorted(FAULTS))}")
        allowed = FAULTS[self.fault][0]
        if self.operation is not None and self.operation not in allowed:
            raise ValueError(f"{self.fault} acts on {', '.join(sorted(allowed))} only")
        if self.fault in ("b2c_fail", "result_fail") and self.result_code in (None, "0"):
            raise ValueError(f"{self.fault} needs a result_code other than 0")
        if self.probability is not None and "count" not in self.model_fields_set:
            self.count = None
        return self


@dataclass(frozen=True, slots=True)
class Plan:
    """The faults that travel with one accepted request: name to parameters."""

    faults: dict[str, FaultOrder]

    def has(self, name: str) -> bool:
        """This will tell whether the fault strikes this request."""
        return name in self.faults

    def get(self, name: str) -> FaultOrder | None:
        """This will return the fault's parameters, or None."""
        return self.faults.get(name)

    def to_json(self) -> str:
        """This will print the plan for its row."""
        return json.dumps({name: order.model_dump() for name, order in self.faults.items()})

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """This will read a plan back from its row."""
        loaded = json.loads(text)
        return cls({name: FaultOrder.model_validate(order) for name, order in loaded.items()})


class Dice:
    """Chance that can be repeated; throw inside a transaction of the store.

    Each kind of throw has a sequence of its own, so that one operation's requests do not disturb
    another's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seed = ""

    def fall(self, what: str, probability: float) -> bool:
        """This will throw once and tell whether it happened."""
        number = self._store.next_number(f"dice:{what}")
        digest = hashlib.sha256(f"{self.seed}:{what}:{number}".encode()).digest()
        return int.from_bytes(digest[:6]) < probability * 2**48

    def begin_anew(self) -> None:
        """This will start every sequence from its first throw."""
        self._store.run("DELETE FROM meta WHERE key GLOB 'count:dice:*'")


class Faults:
    """The switchboard; changes belong inside a transaction of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.dice = Dice(store)

    def add(self, order: FaultOrder) -> None:
        """This will switch a fault on."""
        self._store.run(
            "INSERT INTO faults (name, phone, operation, remaining, params)"
            " VALUES (?, ?, ?, ?, ?)",
            order.fault, order.phone, order.operation, order.count, order.model_dump_json(),
        )  # fmt: skip

    def clear(self, fault_id: int | None = None) -> int:
        """This will switch off one fault or all; returns how many."""
        if fault_id is None:
            return self._store.run("DELETE FROM faults").rowcount
        return self._store.run("DELETE FROM faults WHERE id = ?", fault_id).rowcount

    def listed(self) -> list[dict[str, object]]:
        """This will list what is switched on, oldest first."""
        rows = self._store.rows("SELECT id, remaining, params FROM faults ORDER BY id")
        return [
            {
                "id": row["id"],
                **{k: v for k, v in json.loads(row["params"]).items() if v is not None},
                "count": row["remaining"],
            }
            for row in rows
        ]

    def take(self, operation: str, phone: str | None, names: Collection[str]) -> Plan:
        """This will collect the faults that strike a request now, and use up one of each."""
        taken: dict[str, FaultOrder] = {}
        for row in self._store.rows("SELECT * FROM faults ORDER BY id"):
            name = row["name"]
            fits = (
                name in names
                and name not in taken
                and operation in FAULTS[name][0]
                and row["operation"] in (None, operation)
                and row["phone"] in (None, phone)
            )
            if not fits:
                continue
            order = FaultOrder.model_validate_json(row["params"])
            chance = order.probability
            if chance is None or self.dice.fall(f"{operation}:{name}", chance):
                taken[name] = order
                self._use_up(row["id"], row["remaining"])
        return Plan(taken)

    def _use_up(self, fault_id: int, remaining: int | None) -> None:
        if remaining is None:
            return
        if remaining <= 1:
            self.clear(fault_id)
        else:
            self._store.run("UPDATE faults SET remaining = ? WHERE id = ?", remaining - 1, fault_id)


def travelling() -> Collection[str]:
    """This will name the faults that are taken when a request is accepted."""
    return [name for name in FAULTS if name not in GATE]
