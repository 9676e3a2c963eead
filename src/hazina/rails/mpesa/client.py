"""The adapter: the ports, spoken to Daraja over HTTP.

One call, one POST; the only repeat is after a refused token, which the gateway refuses before any
product sees the request. What an answer proves is decided in ``errors.py`` alone.
Leaves out: storing, retrying, asking later. Flows do that.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from hazina.infra.http import Http, HttpNotSent, HttpUnknown
from hazina.kernel.outcome import Accepted, Outcome, Rejected, Unknown
from hazina.rails.mpesa import wire
from hazina.rails.mpesa.conf import MpesaConf
from hazina.rails.mpesa.credential import seal_password
from hazina.rails.mpesa.errors import (
    WORDS,
    AnswerRow,
    Call,
    Means,
    Verdict,
    classify,
    collection_result,
)
from hazina.rails.mpesa.token import TokenSource
from hazina.rails.mpesa.wire import Reply, clean, identifier, read_code
from hazina.rails.ports import (
    Collection,
    CollectionAccepted,
    CollectionState,
    Failed,
    Operation,
    Paid,
    Payout,
    PayoutAccepted,
    Pending,
    PreparedCall,
    StatusRequested,
)

log = structlog.stdlib.get_logger()

PATHS = {
    Call.COLLECT: "/mpesa/stkpush/v1/processrequest",
    Call.QUERY: "/mpesa/stkpushquery/v1/query",
    Call.PAY: "/mpesa/b2c/v3/paymentrequest",
    Call.STATUS: "/mpesa/transactionstatus/v1/query",
    Call.REGISTER: "/mpesa/c2b/v2/registerurl",
    Call.PULL_REGISTER: "/pulltransactions/v1/register",
    Call.PULL: "/pulltransactions/v1/query",
    Call.RETURN: "/mpesa/reversal/v1/request",
    Call.BALANCE: "/mpesa/accountbalance/v1/query",
    Call.CODE: "/mpesa/qrcode/v1/generate",
}
OWN_CODES = frozenset({Call.PULL, Call.PULL_REGISTER, Call.CODE})


class Gateway:
    """Sends one request with the shared token and reads the answer."""

    def __init__(self, http: Http, conf: MpesaConf, tokens: TokenSource) -> None:
        self._http = http
        self._conf = conf
        self._tokens = tokens

    async def call(self, call: Call, body: bytes) -> Reply | Rejected | Unknown:
        """This will POST once, and once more with a new token where the first was refused."""
        sent = await self._send(call, body)
        if isinstance(sent, Sent) and row_of(call, sent.reply).verdict is Verdict.TOKEN:
            await self._tokens.drop(sent.token)
            sent = await self._send(call, body)
        return sent.reply if isinstance(sent, Sent) else sent

    async def _send(self, call: Call, body: bytes) -> "Sent | Rejected | Unknown":
        token = await self._tokens.get()
        if isinstance(token, Rejected):
            return token
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            answer = await self._http.request(
                "POST",
                self._conf.base_url + PATHS[call],
                headers=headers,
                content=body,
                timeout_s=self._conf.timeout_s,
                rail="mpesa",
                operation=call.value,
            )
        except HttpNotSent as error:
            log.warning("mpesa not reached", call=call.value, reason=str(error))
            return Rejected("not_sent", WORDS["not_sent"], retry=True)
        except HttpUnknown as error:
            log.warning("mpesa gave no answer", call=call.value, reason=str(error))
            return Unknown("no_answer", {"call": call.value, "reason": clean(str(error))})
        reply = wire.read_reply(answer.status, answer.body)
        _log(call, reply)
        return Sent(reply, token)


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer, and the token it was asked with."""

    reply: Reply
    token: str = field(repr=False)


class MpesaCollections:
    """STK push behind the collection port."""

    def __init__(self, gateway: Gateway, conf: MpesaConf) -> None:
        self._gateway = gateway
        self._conf = conf

    def prepare(self, collection: Collection, now: datetime) -> PreparedCall:
        """This will build an STK push signed with ``now``."""
        return PreparedCall(Operation.COLLECT, wire.collect_body(self._conf, collection, now))

    async def collect(self, prepared: PreparedCall) -> Outcome[CollectionAccepted]:
        """This will send an STK push, once."""
        assert prepared.operation is Operation.COLLECT
        reply = await self._gateway.call(Call.COLLECT, prepared.body)
        if not isinstance(reply, Reply):
            return reply
        merchant = identifier(reply.fields.get("MerchantRequestID"))
        checkout = identifier(reply.fields.get("CheckoutRequestID"))
        if reply.taken and merchant and checkout:
            return Accepted(CollectionAccepted(merchant, checkout))
        return not_taken(Call.COLLECT, reply)

    async def query(self, checkout_request_id: str, now: datetime) -> Outcome[CollectionState]:
        """This will ask the STK push query; anything not positively understood is Unknown."""
        body = wire.query_body(self._conf, checkout_request_id, now)
        reply = await self._gateway.call(Call.QUERY, body)
        if isinstance(reply, Rejected):
            return Unknown("question_refused", {"call": Call.QUERY.value, "code": reply.code})
        if isinstance(reply, Unknown):
            return reply
        if row_of(Call.QUERY, reply).verdict is Verdict.PENDING:
            return Accepted(Pending())
        code = read_code(reply.fields.get("ResultCode"))
        same = reply.fields.get("CheckoutRequestID") == checkout_request_id
        if not (reply.taken and code and same):
            return unknown(Call.QUERY, reply, "question_refused")
        row = collection_result(code)
        match row.means:
            case Means.PAID:
                return Accepted(Paid())
            case Means.FAILED:
                return Accepted(Failed(code, row.words))
            case Means.PENDING:
                return Accepted(Pending())
            case Means.UNCLEAR:
                return Unknown("unclear_code", {"call": Call.QUERY.value, "code": code})


class MpesaPayouts:
    """B2C v3 and transaction status behind the payout port."""

    def __init__(self, gateway: Gateway, conf: MpesaConf, certificate: RSAPublicKey) -> None:
        self._gateway = gateway
        self._conf = conf
        self._certificate = certificate

    def prepare(self, payout: Payout, now: datetime) -> PreparedCall:  # noqa: ARG002 - unsigned here
        """This will build a B2C payment under our id."""
        return PreparedCall(Operation.PAY, wire.pay_body(self._conf, payout, self._credential()))

    async def pay(self, prepared: PreparedCall) -> Outcome[PayoutAccepted]:
        """This will send a B2C payment; a duplicate of ours means that it was taken before."""
        assert prepared.operation is Operation.PAY
        reply = await self._gateway.call(Call.PAY, prepared.body)
        if not isinstance(reply, Reply):
            return reply
        conversation = identifier(reply.fields.get("ConversationID"))
        if reply.taken and conversation:
            return Accepted(PayoutAccepted(conversation))
        if row_of(Call.PAY, reply).verdict is Verdict.ACCEPTED:
            return Accepted(PayoutAccepted(None))
        return not_taken(Call.PAY, reply)

    async def ask_status(
        self,
        payout_id: UUID,
        callback_token: str,
        now: datetime,  # noqa: ARG002 - this question carries no time
        *,
        receipt: str | None = None,
    ) -> Outcome[StatusRequested]:
        """This will ask transaction status; the answer comes to ``callback_token``'s address."""
        body = wire.status_body(self._conf, payout_id, receipt, callback_token, self._credential())
        reply = await self._gateway.call(Call.STATUS, body)
        if not isinstance(reply, Reply):
            return reply
        if reply.taken:
            return Accepted(StatusRequested(identifier(reply.fields.get("ConversationID"))))
        return not_taken(Call.STATUS, reply)

    def _credential(self) -> str:
        return seal_password(self._certificate, self._conf.initiator_password)


def row_of(call: Call, reply: Reply) -> AnswerRow:
    return classify(call, reply.status, reply.error_code, reply.text)


def not_taken(call: Call, reply: Reply) -> Rejected | Unknown:
    """What an answer that is no plain success comes to."""
    row = row_of(call, reply)
    match row.verdict:
        case Verdict.REJECTED:
            return Rejected(row.code, WORDS[row.code])
        case Verdict.LATER:
            return Rejected(row.code, WORDS[row.code], retry=True)
        case Verdict.TOKEN:  # refused twice; nothing was done either time
            return Rejected(row.code, WORDS[row.code], retry=row.code == "token_refused")
        case Verdict.ACCEPTED | Verdict.PENDING | Verdict.UNKNOWN:
            return unknown(call, reply, "unclear_answer")


def unknown(call: Call, reply: Reply, reason: str) -> Unknown:
    evidence = {
        "call": call.value,
        "status": str(reply.status),
        "code": reply.error_code or "",
        "text": clean(reply.text),
        "request_id": reply.request_id or "",
    }
    return Unknown(reason, {key: value for key, value in evidence.items() if value})


def _log(call: Call, reply: Reply) -> None:
    # These have a ResponseCode of their own; what it means is read by who asked.
    if reply.taken or (call in OWN_CODES and reply.status == 200):
        log.info("mpesa took it", call=call.value)
        return
    row = row_of(call, reply)
    log.warning(
        "mpesa did not take it",
        call=call.value,
        verdict=row.verdict.value,
        status=reply.status,
        code=reply.error_code,
        text=clean(reply.text),
        request_id=reply.request_id,
    )
