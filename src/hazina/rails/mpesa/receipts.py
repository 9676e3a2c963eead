"""Payments that come unasked, over HTTP: C2B addresses, pull, status by receipt, reversal."""

from datetime import datetime
from typing import BinaryIO

import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from hazina.kernel.outcome import Accepted, Outcome, Rejected, Unknown
from hazina.rails.mpesa import c2b
from hazina.rails.mpesa.client import Gateway, not_taken, row_of, unknown
from hazina.rails.mpesa.conf import MpesaConf
from hazina.rails.mpesa.credential import seal_password
from hazina.rails.mpesa.errors import WORDS, Call, Verdict
from hazina.rails.mpesa.statement import read_statement
from hazina.rails.mpesa.wire import Reply, identifier
from hazina.rails.ports import Operation, PreparedCall, StatusRequested
from hazina.rails.receipts import (
    CodeOrder,
    PulledPage,
    Registered,
    ReturnAccepted,
    ReturnOrder,
    Statement,
)

log = structlog.stdlib.get_logger()

OFF = "mpesa_off"


class MpesaReceipts:
    """C2B, pull, transaction status and reversal behind the receipt port."""

    def __init__(
        self, gateway: Gateway, conf: MpesaConf, certificate: RSAPublicKey | None, token: str
    ) -> None:
        self._gateway = gateway
        self._conf = conf
        self._certificate = certificate
        self._token = token

    @property
    def shortcode(self) -> str:
        """The paybill."""
        return self._conf.shortcode

    @property
    def notice_token(self) -> str:
        """One for each deployment: derived from its root key, so that it survives a restore."""
        return self._token

    def read_statement(self, file: BinaryIO) -> Statement:
        """The portal's CSV."""
        return read_statement(file)

    def payer_digest(self, msisdn: str) -> str:
        """SHA-256 of the twelve digits, as C2B v1 tells it."""
        return c2b.digest_of(msisdn)

    def payer_mask(self, msisdn: str) -> str:
        """The first four and the last three digits, as C2B v2 tells it."""
        return c2b.mask_of(msisdn)

    async def register_notices(self) -> Outcome[Registered]:
        """This will register our addresses; registered already is as good."""
        reply = await self._gateway.call(Call.REGISTER, c2b.register_body(self._conf, self._token))
        if not isinstance(reply, Reply):
            return reply
        if reply.taken:
            return Accepted(Registered(before=False))
        if row_of(Call.REGISTER, reply).verdict is Verdict.ACCEPTED:
            return Accepted(Registered(before=True))
        return not_taken(Call.REGISTER, reply)

    async def register_pull(self, msisdn: str) -> Outcome[Registered]:
        """This will register for pulling; 1001 is "already", as good."""
        body = c2b.pull_register_body(self._conf, msisdn, self._token)
        reply = await self._gateway.call(Call.PULL_REGISTER, body)
        if not isinstance(reply, Reply):
            return reply
        before = c2b.pull_registered(reply.fields) if reply.status == 200 else None
        if before is not None:
            return Accepted(Registered(before))
        return not_taken(Call.PULL_REGISTER, reply)

    async def pull(self, since: datetime, until: datetime, offset: int) -> Outcome[PulledPage]:
        """This will read one page. A question that was refused says nothing of payments."""
        body = c2b.pull_body(self._conf, since, until, offset)
        reply = await self._gateway.call(Call.PULL, body)
        if not isinstance(reply, Reply):
            return reply
        found = c2b.read_pull(reply.fields) if reply.status == 200 else None
        if found is not None:
            return Accepted(found.page)
        if row_of(Call.PULL, reply).verdict is Verdict.ACCEPTED:
            return Accepted(PulledPage((), 0))
        return not_taken(Call.PULL, reply)

    async def ask_payment(self, receipt: str, callback_token: str) -> Outcome[StatusRequested]:
        """This will ask transaction status by receipt."""
        if self._certificate is None:
            return Rejected("setup", WORDS["setup"])
        credential = seal_password(self._certificate, self._conf.initiator_password)
        body = c2b.payment_status_body(self._conf, receipt, callback_token, credential)
        reply = await self._gateway.call(Call.STATUS, body)
        if not isinstance(reply, Reply):
            return reply
        if reply.taken:
            return Accepted(StatusRequested(identifier(reply.fields.get("ConversationID"))))
        return not_taken(Call.STATUS, reply)

    async def draw_code(self, order: CodeOrder) -> Outcome[bytes]:
        """This will have a dynamic QR drawn; it moves nothing."""
        reply = await self._gateway.call(Call.CODE, c2b.code_body(self._conf, order))
        if not isinstance(reply, Reply):
            return reply
        picture = c2b.read_code_picture(reply.fields) if reply.status == 200 else None
        return Accepted(picture) if picture else not_taken(Call.CODE, reply)

    def prepare_return(self, order: ReturnOrder) -> PreparedCall:
        """This will build a reversal; without a certificate it is refused when it is sent."""
        if self._certificate is None:
            return PreparedCall(Operation.RETURN, b"")
        credential = seal_password(self._certificate, self._conf.initiator_password)
        return PreparedCall(Operation.RETURN, c2b.return_body(self._conf, order, credential))

    async def send_return(self, prepared: PreparedCall) -> Outcome[ReturnAccepted]:
        """This will order one reversal, once: it has no id of ours."""
        assert prepared.operation is Operation.RETURN
        if not prepared.body:
            return Rejected("setup", WORDS["setup"])
        reply = await self._gateway.call(Call.RETURN, prepared.body)
        if not isinstance(reply, Reply):
            return reply
        conversation = identifier(reply.fields.get("ConversationID"))
        if reply.taken and conversation:
            return Accepted(ReturnAccepted(conversation))
        if reply.taken:
            return unknown(Call.RETURN, reply, "unclear_answer")
        return not_taken(Call.RETURN, reply)


class NullReceipts:
    """No M-Pesa: nothing is told, nothing can be asked."""

    shortcode = ""
    notice_token = ""

    def read_statement(self, file: BinaryIO) -> Statement:
        """The portal's CSV."""
        return read_statement(file)

    def payer_digest(self, msisdn: str) -> str:
        """The same digest, so that what was kept stays comparable."""
        return c2b.digest_of(msisdn)

    def payer_mask(self, msisdn: str) -> str:
        """The same, so that what was kept stays comparable."""
        return c2b.mask_of(msisdn)

    async def register_notices(self) -> Outcome[Registered]:
        """This will refuse."""
        return _off("register")

    async def register_pull(self, msisdn: str) -> Outcome[Registered]:  # noqa: ARG002
        """This will refuse."""
        return _off("pull_register")

    async def pull(
        self,
        since: datetime,  # noqa: ARG002
        until: datetime,  # noqa: ARG002
        offset: int,  # noqa: ARG002
    ) -> Outcome[PulledPage]:
        """This will not know."""
        return Unknown(OFF)

    async def ask_payment(
        self,
        receipt: str,  # noqa: ARG002
        callback_token: str,  # noqa: ARG002
    ) -> Outcome[StatusRequested]:
        """This will refuse the question."""
        return _off("status")

    async def draw_code(self, order: CodeOrder) -> Outcome[bytes]:  # noqa: ARG002
        """This will refuse."""
        return _off("code")

    def prepare_return(self, order: ReturnOrder) -> PreparedCall:  # noqa: ARG002
        """This will prepare nothing."""
        return PreparedCall(Operation.RETURN, b"")

    async def send_return(self, prepared: PreparedCall) -> Outcome[ReturnAccepted]:  # noqa: ARG002
        """This will refuse."""
        return _off("return")


def _off(call: str) -> Rejected:
    log.error("M-PESA IS OFF: a call was refused", call=call)
    return Rejected(OFF, WORDS[OFF])
