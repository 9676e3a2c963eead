"""A Daraja simulator and a callback receiver, each behind a real loopback socket.

No client of ours: requests are written by hand, and what comes back is compared as text and JSON.
"""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.types import ASGIApp, Receive, Scope, Send

from hazina.simulators.daraja import SimConfig, create_app
from tests.loopback import NO_CERTIFICATES

PHONE = "254711000111"
TIMESTAMP = "20261120143005"
CONFIRMATION = "/cb/4f0c/c2b/c"
VALIDATION = "/cb/4f0c/c2b/v"


class _Server(uvicorn.Server):
    """uvicorn that tells when it is ready and leaves the test process's signals alone."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(app, log_level="critical", access_log=False, timeout_graceful_shutdown=1)
        )
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    server = _Server(app)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await asyncio.wait_for(server.ready.wait(), 5)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task
    listener.close()


class Sink:
    """Receives callbacks, in order, and can be told to answer badly."""

    def __init__(self) -> None:
        self.base = ""
        self.received: list[tuple[str, str]] = []
        self.statuses: list[int] = []
        self.answers: dict[str, str] = {}
        self.silent: set[str] = set()
        self.sources: list[str | None] = []
        self._news = asyncio.Condition()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        async with self._news:
            self.received.append((scope["path"], body.decode()))
            headers = {name.decode(): value.decode() for name, value in scope["headers"]}
            self.sources.append(headers.get("x-forwarded-for"))
            self._news.notify_all()
        if scope["path"] in self.silent:  # answers when the caller has gone, not before
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        status = self.statuses.pop(0) if self.statuses else 200
        told = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": told})
        answer = self.answers.get(scope["path"], '{"ResultCode":0}')
        await send({"type": "http.response.body", "body": answer.encode()})

    def clear(self) -> None:
        self.received.clear()
        self.sources.clear()
        self.statuses.clear()
        self.answers.clear()
        self.silent.clear()

    async def at(self, path: str, count: int = 1) -> list[Any]:
        """The bodies that came to one path, once there are so many."""

        def there() -> list[str]:
            return [body for came, body in self.received if came == path]

        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(there()) >= count)
        return [exact(body) for body in there()]

    async def wait_for(self, count: int) -> list[tuple[str, str]]:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: len(self.received) >= count)
        return self.received

    async def texts(self, count: int) -> list[str]:
        return [body for _, body in await self.wait_for(count)]

    async def one(self) -> Any:
        return exact((await self.texts(1))[0])


def exact(text: str) -> Any:
    """JSON with decimals kept, so that 250.00 and 250 stay apart."""
    return json.loads(text, parse_float=Decimal)


def shape(value: Any) -> Any:
    """Key sets, nesting and JSON types, values left out."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__


@dataclass
class Daraja:
    """A hand-written client: just enough to say what Daraja's documents say."""

    http: httpx.AsyncClient
    sink: str
    certificate: bytes
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def login(self) -> "Daraja":
        answer = await self.http.get(
            "/oauth/v1/generate?grant_type=client_credentials",
            auth=("sim-consumer-key", "sim-consumer-secret"),
        )
        self.token = answer.json()["access_token"]
        self.headers = {"Authorization": f"Bearer {self.token}"}
        return self

    def push_fields(self, **changes: Any) -> dict[str, Any]:
        fields = {
            "BusinessShortCode": "600123",
            "Password": password(),
            "Timestamp": TIMESTAMP,
            "TransactionType": "CustomerPayBillOnline",
            "Amount": 250,
            "PartyA": PHONE,
            "PartyB": "600123",
            "PhoneNumber": PHONE,
            "CallBackURL": f"{self.sink}/cb/4f0c/stk",
            "AccountReference": "DEP8F3K2Q",
            "TransactionDesc": "Wallet topup",
        }
        return without_none({**fields, **changes})

    async def push(self, **changes: Any) -> httpx.Response:
        return await self.http.post(
            "/mpesa/stkpush/v1/processrequest",
            json=self.push_fields(**changes),
            headers=self.headers,
        )

    async def query(self, checkout_id: str, **changes: Any) -> httpx.Response:
        fields = {
            "BusinessShortCode": "600123",
            "Password": password(),
            "Timestamp": TIMESTAMP,
            "CheckoutRequestID": checkout_id,
        }
        return await self.http.post(
            "/mpesa/stkpushquery/v1/query",
            json=without_none({**fields, **changes}),
            headers=self.headers,
        )

    def credential(self, secret: str = "Sim#Initiator1") -> str:
        key = x509.load_pem_x509_certificate(self.certificate).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        return base64.b64encode(key.encrypt(secret.encode(), padding.PKCS1v15())).decode()

    async def payout(self, originator: str = "wd-1", **changes: Any) -> httpx.Response:
        fields = {
            "OriginatorConversationID": originator,
            "InitiatorName": "simapi",
            "SecurityCredential": self.credential(),
            "CommandID": "BusinessPayment",
            "Amount": "1500",
            "PartyA": "600123",
            "PartyB": PHONE,
            "Remarks": "Withdrawal",
            "QueueTimeOutURL": f"{self.sink}/cb/4f0c/b2c/t",
            "ResultURL": f"{self.sink}/cb/4f0c/b2c/r",
            "Occassion": "W1",
        }
        return await self.http.post(
            "/mpesa/b2c/v3/paymentrequest",
            json=without_none({**fields, **changes}),
            headers=self.headers,
        )

    async def status(self, **changes: Any) -> httpx.Response:
        fields = {
            "Initiator": "simapi",
            "SecurityCredential": self.credential(),
            "CommandID": "TransactionStatusQuery",
            "PartyA": "600123",
            "IdentifierType": "4",
            "ResultURL": f"{self.sink}/cb/4f0c/status",
            "QueueTimeOutURL": f"{self.sink}/cb/4f0c/status/t",
            "Remarks": "ok",
            "Occasion": "",
        }
        return await self.http.post(
            "/mpesa/transactionstatus/v1/query",
            json=without_none({**fields, **changes}),
            headers=self.headers,
        )

    async def balance(self, **changes: Any) -> httpx.Response:
        fields = {
            "Initiator": "simapi",
            "SecurityCredential": self.credential(),
            "CommandID": "AccountBalance",
            "PartyA": "600123",
            "IdentifierType": "4",
            "Remarks": "ok",
            "QueueTimeOutURL": f"{self.sink}/cb/4f0c/balance/t",
            "ResultURL": f"{self.sink}/cb/4f0c/balance",
        }
        return await self.http.post(
            "/mpesa/accountbalance/v1/query",
            json=without_none({**fields, **changes}),
            headers=self.headers,
        )

    async def post(self, path: str, fields: dict[str, Any]) -> httpx.Response:
        return await self.http.post(path, json=without_none(fields), headers=self.headers)

    async def register(self, version: str = "v2", **changes: Any) -> httpx.Response:
        fields = {
            "ShortCode": "600123",
            "ResponseType": "Completed",
            "ConfirmationURL": f"{self.sink}{CONFIRMATION}",
            "ValidationURL": f"{self.sink}{VALIDATION}",
        }
        return await self.post(f"/mpesa/c2b/{version}/registerurl", {**fields, **changes})

    async def paybill(self, phone: str = PHONE, **changes: Any) -> httpx.Response:
        typed = {"account_number": "ACC1007", "amount": "250", "pin": "1234", **changes}
        return await self.http.post(f"/sim/handsets/{phone}/paybill", json=without_none(typed))

    async def paid(self, **changes: Any) -> str:
        """Pays by PayBill and returns the receipt."""
        answer = await self.paybill(**changes)
        assert answer.status_code == 200, answer.text
        receipt: str = answer.json()["receipt"]
        return receipt

    def operator(self, command: str, path: str) -> dict[str, Any]:
        return {
            "Initiator": "simapi",
            "SecurityCredential": self.credential(),
            "CommandID": command,
            "Remarks": "for a test",
            "ResultURL": f"{self.sink}/cb/4f0c/{path}",
            "QueueTimeOutURL": f"{self.sink}/cb/4f0c/{path}/t",
        }

    async def reverse(self, receipt: str, **changes: Any) -> httpx.Response:
        fields = {
            **self.operator("TransactionReversal", "back"),
            "TransactionID": receipt,
            "Amount": "250",
            "ReceiverParty": "600123",
            "RecieverIdentifierType": "11",
            "Occasion": "",
        }
        return await self.post("/mpesa/reversal/v1/request", {**fields, **changes})

    async def sweep(self, amount: int, **changes: Any) -> httpx.Response:
        fields = {
            **self.operator("BusinessTransferFromMMFToUtility", "sweep"),
            "SenderIdentifierType": "4",
            "RecieverIdentifierType": "4",
            "Amount": str(amount),
            "PartyA": "600123",
            "PartyB": "600123",
            "AccountReference": "sweep",
        }
        return await self.post("/mpesa/b2b/v1/paymentrequest", {**fields, **changes})

    async def advance(self, seconds: float) -> None:
        answer = await self.http.put("/sim/clock", json={"advance_s": seconds})
        assert answer.status_code == 200, answer.text

    async def press(
        self, action: str = "pay", pin: str = "1234", phone: str = PHONE
    ) -> httpx.Response:
        return await self.http.post(
            f"/sim/handsets/{phone}/prompt", json={"action": action, "pin": pin}
        )

    async def fault(self, name: str, **parameters: Any) -> None:
        answer = await self.http.put("/sim/faults", json={"fault": name, **parameters})
        assert answer.status_code == 200, answer.text

    async def settings(self, **changes: Any) -> None:
        answer = await self.http.put("/sim/settings", json=changes)
        assert answer.status_code == 200, answer.text

    async def handset(self, phone: str = PHONE, **changes: Any) -> Any:
        if changes:
            return (await self.http.put(f"/sim/handsets/{phone}", json=changes)).json()
        return (await self.http.get(f"/sim/handsets/{phone}")).json()

    async def idle(self) -> None:
        answer = await self.http.get("/sim/wait-idle", params={"timeout": 10})
        assert answer.json() == {"idle": True}

    async def books(self) -> Any:
        books = (await self.http.get("/sim/books")).json()
        assert books["balanced"], books
        return books

    async def deliveries(self, kind: str | None = None) -> Any:
        params = {} if kind is None else {"kind": kind}
        return (await self.http.get("/sim/deliveries", params=params)).json()["deliveries"]


def password(timestamp: str = TIMESTAMP, passkey: str = "sim-passkey") -> str:
    return base64.b64encode(f"600123{passkey}{timestamp}".encode()).decode()


def without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


@pytest.fixture(scope="session")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key for the whole run: making keys is slow."""
    path = tmp_path_factory.mktemp("keys") / "daraja.pem"
    create_app(SimConfig(key_pair=path))
    return path


@pytest.fixture(scope="session")
async def receiver() -> AsyncIterator[Sink]:
    sink = Sink()
    async with served(sink) as base:
        sink.base = base
        yield sink


@pytest.fixture(scope="session")
async def simulator(key_pair: Path) -> AsyncIterator[httpx.AsyncClient]:
    """One simulator for the run; each test resets it."""
    app = create_app(SimConfig(key_pair=key_pair, seed=7))
    async with (
        served(app) as base,
        httpx.AsyncClient(base_url=base, timeout=20, verify=NO_CERTIFICATES) as http,
    ):
        yield http


@pytest.fixture
def sink(receiver: Sink) -> Sink:
    return receiver


@pytest.fixture
async def daraja(
    receiver: Sink, simulator: httpx.AsyncClient, key_pair: Path
) -> AsyncIterator[Daraja]:
    """A simulator fresh from its reset; after each test its books must balance."""
    await simulator.post("/sim/reset")
    receiver.clear()
    certificate = key_pair.with_name(key_pair.name + ".cert.pem").read_bytes()
    client = await Daraja(simulator, receiver.base, certificate).login()
    await client.settings(callback_delay_ms=0)
    yield client
    await client.books()


@pytest.fixture
def make_client(sink: Sink, key_pair: Path) -> Callable[[httpx.AsyncClient], Daraja]:
    certificate = key_pair.with_name(key_pair.name + ".cert.pem").read_bytes()
    return lambda http: Daraja(http, sink.base, certificate)
