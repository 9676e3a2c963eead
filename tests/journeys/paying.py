"""What the journeys of unasked payments share: a registered paybill and a clock in step."""

from typing import Any

from hazina.kernel.outcome import Accepted
from hazina.rails.receipts import ReceiptRail
from tests.journeys.world import PASSWORD, Person, World


async def registered(world: World) -> ReceiptRail:
    """The simulated M-Pesa has our addresses and tells the journey's own time."""
    await in_step(world)
    rail: ReceiptRail = world.house.get(ReceiptRail)  # type: ignore[type-abstract]
    assert isinstance(await rail.register_notices(), Accepted)
    assert isinstance(await rail.register_pull("254722000000"), Accepted)
    return rail


async def in_step(world: World) -> None:
    """The simulator's clock is set to the journey's."""
    answer = await world.sim.put("/sim/clock", json={"set": world.clock.now().isoformat()})
    assert answer.status_code == 200, answer.text


async def back(person: Person) -> Person:
    """The same person, who signs in anew: an access token lives for minutes, a journey for days."""
    login = {"username": person.username, "password": PASSWORD}
    answer = await person.api.post("/api/v1/auth/login", json=login)
    assert answer.status_code == 200, answer.text
    person.api.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return person


async def account_of(person: Person) -> str:
    found: str = (await person.get("/wallet/deposits/paybill"))["account_number"]
    return found


async def pay(world: World, phone: str, account: str, amount: str = "750") -> dict[str, Any]:
    """Somebody pays from the PayBill menu; the simulator's account of it once all is settled."""
    answer = await world.sim.post(
        f"/sim/handsets/{phone}/paybill",
        json={"account_number": account, "amount": amount, "pin": "1234"},
    )
    assert answer.status_code == 200, answer.text
    await world.settle()
    found: dict[str, Any] = (
        await world.sim.get(f"/sim/c2b/payments/{answer.json()['receipt']}")
    ).json()
    return found


async def payment(world: World, receipt: str) -> Any:
    """The house's own row, None where it has none."""
    sql = "SELECT * FROM receipts.payment WHERE receipt = $1"
    return await world.house.db.fetchrow(sql, receipt)


def payout_result(
    payout: object, receipt: str, amount: str = "600", *, paid: bool = True
) -> dict[str, object]:
    """A result in Daraja's shape, of a payout that was never made, or not as it says."""
    told = [
        {"Key": "TransactionAmount", "Value": int(amount)},
        {"Key": "TransactionReceipt", "Value": receipt},
    ]
    return {
        "Result": {
            "ResultType": 0,
            "ResultCode": 0 if paid else 2040,
            "ResultDesc": "The service request is processed successfully.",
            "OriginatorConversationID": str(payout),
            "ConversationID": "AG_forged",
            "TransactionID": receipt,
            **({"ResultParameters": {"ResultParameter": told}} if paid else {}),
        }
    }
