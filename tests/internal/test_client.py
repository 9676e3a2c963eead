"""The client, when the line is bad: it asks again, signed anew, and nothing happens twice."""

from decimal import Decimal

import httpx
import pytest

from hazina.client import (
    WORLD,
    Account,
    LedgerClient,
    LedgerRefused,
    LedgerUnanswered,
    Retry,
    Transfer,
)
from tests.internal.conftest import Services


class BadLine(httpx.AsyncBaseTransport):
    """Does to each attempt what ``faults`` says, in turn; afterwards the line is good."""

    def __init__(self, inner: httpx.AsyncBaseTransport, *faults: object) -> None:
        self._inner = inner
        self._faults = list(faults)
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        fault = self._faults.pop(0) if self._faults else None
        if fault == "not sent":
            raise httpx.ConnectError("refused")
        answer = await self._inner.handle_async_request(request)
        if fault == "lost":
            raise httpx.ReadTimeout("lost on the way back")
        if isinstance(fault, int):
            return httpx.Response(fault, text="<html>a proxy</html>", headers={"Retry-After": "3"})
        return answer


async def lined(services: Services, *faults: object) -> tuple[LedgerClient, BadLine]:
    issued = await services.issue()
    good = await services.client(issued)
    await good.open([Account("alice", "KES")])
    line = BadLine(services.transport(), *faults)
    return await services.client(issued, transport=line, retry=Retry(attempts=4)), line


def paid_in() -> Transfer:
    return Transfer.post(WORLD, "alice", "KES", Decimal("5"))


class TestABadLine:
    async def test_lost_answers_are_asked_for_again(self, services: Services) -> None:
        client, line = await lined(services, "not sent", "lost", 502)
        [result] = await client.post([paid_in()])
        assert result.result == "exists"  # the second attempt had booked it
        bodies = {request.content for request in line.seen}
        nonces = {request.headers["Hazina-Nonce"] for request in line.seen}
        assert (len(line.seen), len(bodies), len(nonces)) == (4, 1, 4)
        [balance] = await client.balances([Account("alice", "KES")])
        assert balance.available == Decimal("5.00")

    async def test_pauses_grow_and_obey(self, services: Services) -> None:
        client, _ = await lined(services, "not sent", "not sent", 503)
        await client.post([paid_in()])
        first, second, third = services.pauses
        assert first <= 0.1
        assert second <= 0.2
        assert 3 <= third <= 3.4

    async def test_after_so_many_attempts_it_says_that_it_does_not_know(
        self, services: Services
    ) -> None:
        client, line = await lined(services, *["lost"] * 4)
        paid = paid_in()
        with pytest.raises(LedgerUnanswered):
            await client.post([paid])
        assert len(line.seen) == 4
        [result] = await client.post([paid])
        assert result.result == "exists"

    async def test_a_refusal_is_not_asked_again(self, services: Services) -> None:
        client, line = await lined(services)
        with pytest.raises(LedgerRefused) as no:
            await client.post([Transfer.post(WORLD, "alice", "KES", Decimal("0.001"))])
        assert (no.value.code, len(line.seen)) == ("amount_invalid", 1)

    async def test_a_clock_that_is_wrong_is_refused(self, services: Services) -> None:
        client = await services.client(now_s=lambda: 1_000)
        with pytest.raises(LedgerRefused) as no:
            await client.balances([Account("alice", "KES")])
        assert (no.value.status, no.value.code) == (401, "credential_refused")

    async def test_empty_lists_are_not_sent(self, services: Services) -> None:
        client, line = await lined(services)
        for asking in (client.post, client.open, client.balances):
            with pytest.raises(ValueError, match="1 to"):
                await asking([])  # type: ignore[operator]
        assert line.seen == []
