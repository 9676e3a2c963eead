"""All that goes wrong outside while a crowd pays: every fault of the simulator, by chance, and what
people do on top of it: forgers, replays, and payers who complain at M-Pesa.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.journeys.crowd import account_of
from tests.journeys.world import Person, World
from tests.loopback import NO_CERTIFICATES

FAR = "203.0.113.7"
AFAR: dict[str, object] = {"source": FAR}
CHANCE = 0.03  # of each fault, for each request that it fits
# Each with its operation (None: every one that it fits) and what it needs to know. A forger's
# messages come from afar: whoever sends from M-Pesa's own addresses and knows the secret path too
# cannot be told from M-Pesa.
FAULTS: tuple[tuple[str, str | None, dict[str, object]], ...] = (
    ("callback_twice", None, {}),
    ("callback_never", None, {}),
    ("callback_late", None, {"delay_s": 420}),
    ("callback_before_response", None, {}),
    ("wrong_source", None, AFAR),
    ("wrong_phone", None, {}),
    ("wrong_amount", "stk", {}),
    ("cancel", "stk", {}),
    ("no_answer", "stk", {}),
    ("stk_and_c2b", "stk", {}),
    ("receipt_twice", "stk", AFAR),
    ("forge", None, AFAR),
    ("drop_after_accept", None, {}),
    ("drop_before_accept", None, {}),
    ("answer_after_accept", None, {"status": 502, "text": "<html>Bad gateway</html>"}),
    ("answer", None, {"status": 200, "body": {"ResponseCode": "1"}}),
    ("http_500", None, {}),
    ("quota_500", None, {}),
    ("html_403", None, {}),
    ("token_revoked", None, {}),
    ("query_contradicts", "query", {}),
    ("query_contradicts", "status", {}),
    ("not_found", "status", {}),
    ("pull_empty", "pull", {}),
    ("timeout_notice", None, {"delay_s": 120}),
    ("b2c_timeout_notice", "b2c", {"delay_s": 120}),
    ("result_object_shape", None, {}),
    ("b2c_fail", "b2c", {"result_code": "2040"}),
    ("b2c_fail", "b2c", {"result_code": "17"}),
    ("result_fail", None, {"result_code": "26"}),
)
# What M-Pesa's status calls paid is booked as paid (MONEY.md): of payouts that fail it tells no
# lies, so the two are played one after the other.
NOT_AT_FIRST, NOT_IN_THE_END = ("b2c_fail", "b2c"), ("query_contradicts", "status")
REVERSED = 0.02  # of all payments to us, mostly after they were booked
PAGE = 500


@dataclass(slots=True)
class Mishaps:
    """What is wrong outside, and with whom; ``done`` counts what people did."""

    world: World
    chance: random.Random
    people: list[Person]
    done: Counter[str] = field(default_factory=Counter)
    _read_to: int = 1  # the first line of the outside's books is its opening money

    async def begin(self, seed: int) -> None:
        """From now on faults may strike; the same seed throws the same dice."""
        how = {"fault_seed": seed, "revoke_previous_token": True, "duplicate_window_s": 120}
        await self.world.sim.put("/sim/settings", json=how)
        await self._all_but(NOT_AT_FIRST)

    async def turn(self) -> None:
        """The second half: those that could not be played beside others."""
        await self._all_but(NOT_IN_THE_END)

    async def _all_but(self, one: tuple[str, str]) -> None:
        orders = [
            {"fault": name, "probability": CHANCE, **needs}
            | ({} if operation is None else {"operation": operation})
            for name, operation, needs in FAULTS
            if (name, operation) != one
        ]
        answer = await self.world.sim.put("/sim/faults", json=orders)
        assert answer.status_code == 200, answer.text

    async def end(self) -> None:
        """M-Pesa is well again."""
        await self.world.sim.delete("/sim/faults")

    async def strike(self) -> None:
        """Some payers have their money back, and somebody lies."""
        fresh = await self._paid_since()
        for receipt in fresh:
            if self.chance.random() < REVERSED:
                await self.world.sim.post(f"/sim/books/{receipt}/reverse")
                self.done["taken back"] += 1
        await self._lie_unasked(self.chance.choice(fresh) if fresh else "")
        await self._replay()

    async def _paid_since(self) -> list[str]:
        """Receipts of the payments to us since the last look."""
        found: list[str] = []
        while True:
            span = {"limit": PAGE, "cursor": self._read_to}
            page = (await self.world.sim.get("/sim/books", params=span)).json()
            rows = page["transactions"]
            found += [one["receipt"] for one in rows if one["kind"] == "Pay Bill Online"]
            self._read_to += len(rows)
            if page["next_cursor"] is None:
                return found

    async def _lie_unasked(self, real: str) -> None:
        """A notice that M-Pesa never sent: invented, or of a real receipt for somebody else or with
        more money; from afar, or from where genuine notices come from."""
        invented = f"UKZ{self.chance.randrange(10**6):07d}"
        thief = self.chance.choice(self.people)
        lie = {
            "phone": thief.phone,
            "amount": str(self.chance.randrange(1000, 90_000)),
            "account_number": await account_of(thief),
            "receipt": real if real and self.chance.random() < 0.5 else invented,
            "source": FAR if self.chance.random() < 0.5 else "127.0.0.1",
        }
        answer = await self.world.sim.post("/sim/c2b/forge", json=lie)
        assert answer.status_code == 200, answer.text
        self.done["forged notice"] += 1

    async def _replay(self) -> None:
        """A message that was booked comes again, with more money under another receipt."""
        sql = (
            "SELECT token, merchant_request_id AS merchant, checkout_request_id AS checkout"
            " FROM deposits.deposit WHERE state = 'paid' AND checkout_request_id IS NOT NULL"
            " ORDER BY state_since DESC LIMIT 1"
        )
        row = await self.world.house.db.fetchrow(sql)
        if row is None:
            return
        told: list[dict[str, Any]] = [
            {"Name": "Amount", "Value": 90_000},
            {"Name": "MpesaReceiptNumber", "Value": f"UKR{self.chance.randrange(10**6):07d}"},
        ]
        body = {
            "MerchantRequestID": row["merchant"], "CheckoutRequestID": row["checkout"],
            "ResultCode": 0, "ResultDesc": "again", "CallbackMetadata": {"Item": told},
        }  # fmt: skip
        async with httpx.AsyncClient(base_url=self.world.wallet, verify=NO_CERTIFICATES) as forger:
            path = f"/hooks/{row['token']}/c"
            answer = await forger.post(path, json={"Body": {"stkCallback": body}})
        assert answer.status_code == 200, answer.text
        self.done["replayed"] += 1
