"""M-Pesa's driver: the simulated Daraja and its handsets."""

import csv
import io
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import httpx
from tests.journeys.paying import in_step, payout_result
from tests.journeys.world import World
from tests.loopback import NO_CERTIFICATES
from tests.rails.matrix.case import Books, Capability, Lie, Trouble

FAR = "203.0.113.7"
OPERATIONS = {
    Capability.COLLECT: "stk",
    Capability.QUERY: "query",
    Capability.PAY: "b2c",
    Capability.STATUS: "status",
    Capability.LISTEN: "c2b",
    Capability.PROOF: "status",
    Capability.PULL: "pull",
    Capability.REVERSE: "reversal",
}
LOCKED = {
    "requestId": "1",
    "errorCode": "500.001.1001",
    "errorMessage": "Unable to lock subscriber, a transaction is already in process",
}
INTERNAL = {
    "requestId": "1",
    "errorCode": "500.002.1001",
    "errorMessage": "System internal error.",
}
FAULTS: Mapping[Trouble, dict[str, object]] = {
    Trouble.TOLD_TWICE: {"fault": "callback_twice"},
    Trouble.TOLD_EARLY: {"fault": "callback_before_response"},
    Trouble.TOLD_LATE: {"fault": "callback_late"},
    Trouble.NEVER_TOLD: {"fault": "callback_never"},
    Trouble.OTHER_AMOUNT: {"fault": "wrong_amount"},
    Trouble.OTHER_PHONE: {"fault": "wrong_phone"},
    Trouble.FROM_AFAR: {"fault": "wrong_source", "source": FAR},
    Trouble.UNANSWERED: {"fault": "no_answer"},
    Trouble.NOT_PAID: {"fault": "b2c_fail", "result_code": "2040"},
    Trouble.CONTRADICTED: {"fault": "query_contradicts"},
    Trouble.NOT_FOUND: {"fault": "not_found"},
    Trouble.OLD_RECEIPT: {"fault": "receipt_twice"},
    Trouble.ANSWER_LOST: {"fault": "drop_after_accept"},
    Trouble.ANSWER_NONSENSE: {
        "fault": "answer_after_accept", "status": 200, "body": {"ResponseCode": "0"},
    },
    Trouble.ANSWER_BROKEN: {"fault": "answer_after_accept", "status": 500, "body": INTERNAL},
    Trouble.REFUSED_BROKEN: {"fault": "answer", "status": 500, "body": INTERNAL},
    Trouble.REQUEST_LOST: {"fault": "drop_before_accept"},
    Trouble.BUSY: {"fault": "http_500"},
    Trouble.QUOTA: {"fault": "quota_500"},
    Trouble.FIREWALL: {"fault": "html_403"},
    Trouble.TOKEN_ENDED: {"fault": "token_revoked"},
    Trouble.PHONE_BUSY: {"fault": "answer", "status": 500, "body": LOCKED},
    Trouble.QUEUE_NOTICE: {"fault": "timeout_notice"},
    Trouble.ODD_SHAPE: {"fault": "result_object_shape"},
    Trouble.TOLD_AS_NOTICE: {"fault": "stk_and_c2b"},
    Trouble.NOT_REVERSED: {"fault": "result_fail", "result_code": "11"},
}  # fmt: skip
# These requests name no phone: the only one under way is the case's own.
PHONELESS = (
    Capability.QUERY, Capability.STATUS, Capability.PROOF, Capability.PULL, Capability.REVERSE,
)  # fmt: skip


class Daraja:
    """``matrix.case.Driver`` for M-Pesa."""

    name = "mpesa"
    capabilities = frozenset(Capability)

    def __init__(self, world: World) -> None:
        self._world, self._sim = world, world.sim

    async def calm(self) -> None:
        _good(await self._sim.delete("/sim/faults"))
        # Told of a collection once: as its own callback. The case that wants both says so.
        _good(await self._sim.put("/sim/settings", json={"stk_confirms_c2b": False}))

    async def trouble(self, what: Trouble, on: Capability, phone: str, **how: object) -> None:
        named = {} if on in PHONELESS else {"phone": phone}
        order = {**FAULTS[what], "operation": OPERATIONS[on], **named, **how}
        _good(await self._sim.put("/sim/faults", json=order))

    async def in_step(self) -> None:
        await in_step(self._world)

    async def purse(self, phone: str) -> Decimal:
        return Decimal((await self._world.handset(phone))["balance"])

    async def books(self) -> Books:
        books = _good(await self._sim.get("/sim/books", params={"limit": 1})).json()
        assert books["balanced"], books
        ours = books["organisation"]
        return Books(
            Decimal(ours["working"]), Decimal(ours["utility"]), Decimal(ours["charges_paid"])
        )

    async def answer(self, phone: str, *, pay: bool) -> None:
        await self._world.answer_prompt(phone, "pay" if pay else "cancel")

    async def pay_unasked(self, phone: str, account: str, amount: str) -> str:
        order = {"account_number": account, "amount": amount, "pin": "1234"}
        receipt: str = _good(
            await self._sim.post(f"/sim/handsets/{phone}/paybill", json=order)
        ).json()["receipt"]
        await self._world.settle()
        return receipt

    async def lie_about_collection(self, lie: Lie, token: str, outside_id: str) -> None:
        items = [
            {"Name": "Amount", "Value": int(lie.amount)},
            {"Name": "MpesaReceiptNumber", "Value": lie.receipt},
            {"Name": "TransactionDate", "Value": 20261120120000},
            {"Name": "PhoneNumber", "Value": 254700000001},
        ]
        callback = {
            "MerchantRequestID": "forged",
            "CheckoutRequestID": "ws_CO_forged" if lie.another else outside_id,
            "ResultCode": 0 if lie.paid else 1032,
            "ResultDesc": "The service request is processed successfully.",
            **({"CallbackMetadata": {"Item": items}} if lie.paid else {}),
        }
        await self._post(f"/hooks/{token}/c", {"Body": {"stkCallback": callback}}, lie)

    async def lie_about_payout(self, lie: Lie, token: str, payout: str) -> None:
        about = "somebody-elses" if lie.another else payout
        result = payout_result(about, lie.receipt, lie.amount, paid=lie.paid)
        await self._post(f"/hooks/{token}/r", result, lie)

    async def lie_unasked(self, lie: Lie, phone: str, account: str) -> None:
        forged = {
            "phone": phone,
            "amount": lie.amount,
            "account_number": account,
            "receipt": lie.receipt,
            "source": "127.0.0.1" if lie.trusted else FAR,
        }
        _good(await self._sim.post("/sim/c2b/forge", json=forged))
        await self._world.settle()

    async def take_back(self, receipt: str) -> None:
        _good(await self._sim.post(f"/sim/books/{receipt}/reverse"))

    async def statement(self, since: datetime, until: datetime) -> bytes:
        span = {"from": since.isoformat(), "to": until.isoformat()}
        return _good(await self._sim.get("/sim/statement.csv", params=span)).content

    def forged_return(self, statement: bytes, genuine: str, receipt: str, amount: str) -> bytes:
        lines = list(csv.reader(io.StringIO(statement.decode(), newline="")))
        head = next(line for line in lines if line and line[0] == "Receipt No.")
        linked, withdrawn = head.index("Linked Transaction ID"), head.index("Withdrawn")
        for line in lines:
            if line[linked : linked + 1] == [genuine]:
                line[linked], line[withdrawn] = receipt, f"-{amount}"
        out = io.StringIO(newline="")
        csv.writer(out).writerows(lines)
        return out.getvalue().encode()

    def cut(self, statement: bytes, receipt: str) -> bytes:
        lines = csv.reader(io.StringIO(statement.decode(), newline=""))
        out = io.StringIO(newline="")
        csv.writer(out).writerows(line for line in lines if line[:1] != [receipt])
        return out.getvalue().encode()

    async def _post(self, path: str, body: object, lie: Lie) -> None:
        headers = {} if lie.trusted else {"X-Forwarded-For": FAR}
        async with httpx.AsyncClient(base_url=self._world.wallet, verify=NO_CERTIFICATES) as forger:
            _good(await forger.post(path, json=body, headers=headers))


def _good(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code == 200, answer.text
    return answer
