"""The client itself: one method for each thing the ledger's door can be asked.

Every request may be sent again: transfers carry ids of their own, openings and questions change
nothing twice. So what was not answered is asked again, signed anew, a bounded number of times.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx

from hazina.client.local import new_nonce, now_s
from hazina.client.signing import signed_headers
from hazina.client.wire import (
    Account,
    AccountFound,
    Balance,
    Booked,
    Result,
    Statement,
    Transfer,
)

MAX_TRANSFERS = 10_000
MAX_ACCOUNTS = 1_000


class LedgerRefused(Exception):
    """The request was refused as a whole: nothing of it happened, and asking again is no use."""

    def __init__(self, status: int, code: str, message: str, details: dict[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details


class LedgerUnanswered(Exception):
    """No answer came, however often we asked: it may have happened, or not. Sending the same
    transfers with the same ids is safe at any later time."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and how long between: full jitter up to a pause that doubles."""

    attempts: int = 8
    first_pause_s: float = 0.1
    longest_pause_s: float = 5.0

    def pause_s(self, attempt: int, asked_s: float) -> float:
        """``asked_s`` is what the ledger asked for, obeyed as far as the longest pause goes."""
        longest = min(self.longest_pause_s, self.first_pause_s * 2**attempt)
        return min(self.longest_pause_s, asked_s) + random.uniform(0, longest)  # noqa: S311


class LedgerClient:
    """An async context manager; one connection pool, safe for many tasks at once."""

    def __init__(
        self,
        base_url: str,
        credential: str,
        secret: str,
        *,
        timeout_s: float = 30,
        retry: Retry = Retry(),
        transport: httpx.AsyncBaseTransport | None = None,
        now_s: Callable[[], int] = now_s,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._credential = credential
        self._secret = bytes.fromhex(secret)
        self._retry = retry
        self._now_s = now_s
        self._pause = pause
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=timeout_s,
            transport=transport,
            follow_redirects=False,
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"LedgerClient({self._credential})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def post(self, transfers: Sequence[Transfer]) -> list[Result]:
        """This will book transfers in order, at most 10,000, with a result for each, in order. A
        refused transfer is a result like any other. After ``LedgerUnanswered``, post the same
        again.

        Raises: LedgerRefused, LedgerUnanswered, ValueError.
        """
        _check(transfers, MAX_TRANSFERS)
        body = {"transfers": [one.json() for one in transfers]}
        told = await self._ask("POST", "/internal/ledger/transfers", body)
        return [Result.of(one) for one in told["results"]]

    async def open(self, accounts: Sequence[Account]) -> list[AccountFound]:
        """This will open those that are not there yet, at most 1,000.

        Raises: LedgerRefused, LedgerUnanswered, ValueError.
        """
        return await self._accounts("/internal/ledger/accounts", accounts)

    async def accounts(self, accounts: Sequence[Account]) -> list[AccountFound]:
        """Which of these are open, and their ids. Raises as ``open`` does."""
        return await self._accounts("/internal/ledger/accounts/query", accounts)

    async def balances(self, accounts: Sequence[Account]) -> list[Balance]:
        """What each holds, in order. Raises as ``open`` does."""
        _check(accounts, MAX_ACCOUNTS)
        body = {"accounts": [one.json() for one in accounts]}
        told = await self._ask("POST", "/internal/ledger/balances", body)
        return [Balance.of(one) for one in told["balances"]]

    async def transfer(self, id_: UUID) -> Booked:
        """One booked transfer of yours. Raises: LedgerRefused (``not_found``), LedgerUnanswered."""
        return Booked.of(await self._ask("GET", f"/internal/ledger/transfers/{id_}"))

    async def statement(
        self, account_id: UUID, *, limit: int = 50, cursor: str | None = None
    ) -> Statement:
        """One page of an account's lines, newest first; its id is what ``open`` answered.

        Raises: LedgerRefused, LedgerUnanswered.
        """
        query = f"limit={limit}" + (f"&cursor={cursor}" if cursor else "")
        path = f"/internal/ledger/accounts/{account_id}/statement?{query}"
        return Statement.of(await self._ask("GET", path))

    async def _accounts(self, path: str, accounts: Sequence[Account]) -> list[AccountFound]:
        _check(accounts, MAX_ACCOUNTS)
        told = await self._ask("POST", path, {"accounts": [one.json() for one in accounts]})
        return [AccountFound.of(one) for one in told["accounts"]]

    async def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        why: Exception | None = None
        for attempt in range(self._retry.attempts):
            try:
                answer = await self._http.send(self._signed(method, path, content))
            except httpx.TransportError as lost:
                why, asked_s = lost, 0.0
            else:
                if answer.status_code < 500 and answer.status_code != 429:
                    return _read(answer)
                why, asked_s = _refusal(answer), _retry_after_s(answer)
            if attempt + 1 < self._retry.attempts:
                await self._pause(self._retry.pause_s(attempt, asked_s))
        raise LedgerUnanswered(f"{method} {path}: {why}") from why

    def _signed(self, method: str, path: str, content: bytes) -> httpx.Request:
        """One attempt, with a time and a nonce of its own."""
        request = self._http.build_request(
            method, path, content=content, headers={"Content-Type": "application/json"}
        )
        request.headers.update(
            signed_headers(
                self._credential,
                self._secret,
                method=method,
                target=request.url.raw_path.decode("ascii"),
                timestamp=str(self._now_s()),
                nonce=new_nonce(),
                body=content,
            )
        )
        return request


def _check(items: Sequence[object], most: int) -> None:
    if not 1 <= len(items) <= most:
        raise ValueError(f"a list has 1 to {most} members")


def _read(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code != 200:
        raise _refusal(answer)
    told: dict[str, Any] = answer.json()
    return told


def _refusal(answer: httpx.Response) -> LedgerRefused:
    try:
        error = answer.json()["error"]
        return LedgerRefused(
            answer.status_code, error["code"], error["message"], error.get("details", {})
        )
    except (ValueError, KeyError, TypeError):  # something between us and the ledger answered
        return LedgerRefused(answer.status_code, "http_error", answer.reason_phrase, {})


def _retry_after_s(answer: httpx.Response) -> float:
    told = answer.headers.get("Retry-After", "")
    return float(told) if told.isascii() and told.isdigit() else 0.0
