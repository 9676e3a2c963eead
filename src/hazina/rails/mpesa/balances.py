"""Account balance over HTTP: the question; the answer is read in ``results.py``."""

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from hazina.kernel.outcome import Accepted, Outcome, Rejected
from hazina.rails.mpesa.client import Gateway, not_taken
from hazina.rails.mpesa.conf import MpesaConf
from hazina.rails.mpesa.credential import seal_password
from hazina.rails.mpesa.errors import WORDS, Call
from hazina.rails.mpesa.wire import Reply, dump, identifier
from hazina.rails.ports import CallbackKind, StatusRequested


class MpesaBalances:
    """The balance port; without an initiator nothing can be asked."""

    def __init__(self, gateway: Gateway, conf: MpesaConf, certificate: RSAPublicKey) -> None:
        self._gateway, self._conf, self._certificate = gateway, conf, certificate

    @property
    def shortcodes(self) -> tuple[str, ...]:
        """The paybill and, where it is another, what pays out."""
        return tuple(dict.fromkeys((self._conf.b2c_shortcode, self._conf.shortcode)))

    @property
    def payout_shortcode(self) -> str | None:
        """What B2C pays from."""
        return self._conf.b2c_shortcode

    async def ask_balance(self, shortcode: str, callback_token: str) -> Outcome[StatusRequested]:
        """This will ask account balance."""
        credential = seal_password(self._certificate, self._conf.initiator_password)
        body = balance_body(self._conf, shortcode, callback_token, credential)
        reply = await self._gateway.call(Call.BALANCE, body)
        if not isinstance(reply, Reply):
            return reply
        if reply.taken:
            return Accepted(StatusRequested(identifier(reply.fields.get("ConversationID"))))
        return not_taken(Call.BALANCE, reply)


class NullBalances:
    """Nothing to ask, nothing known."""

    shortcodes: tuple[str, ...] = ()
    payout_shortcode: str | None = None

    async def ask_balance(
        self,
        shortcode: str,  # noqa: ARG002
        callback_token: str,  # noqa: ARG002
    ) -> Outcome[StatusRequested]:
        """This will refuse."""
        return Rejected("mpesa_off", WORDS["mpesa_off"])


def balance_body(conf: MpesaConf, shortcode: str, token: str, credential: str) -> bytes:
    """This will build an account balance question."""
    return dump(
        {
            "Initiator": conf.initiator_name,
            "SecurityCredential": credential,
            "CommandID": "AccountBalance",
            "PartyA": shortcode,
            "IdentifierType": "4",
            "Remarks": "Balance",
            "QueueTimeOutURL": conf.callback_url(token, CallbackKind.BALANCE_TIMEOUT),
            "ResultURL": conf.callback_url(token, CallbackKind.BALANCE),
        }
    )
