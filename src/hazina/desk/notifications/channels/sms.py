"""SMS by Africa's Talking: POST /version1/messaging, a form in, JSON out.

Its answers as evidence: a recipient with status 100, 101 or 102 was taken; 401 to 409 and 502 and a
4xx of the gate say that nothing was sent; everything else proves nothing, and stays unknown. A
message that comes twice costs twice and frightens, so an unknown one is not sent again.
"""

from urllib.parse import urlencode

from hazina.desk.notifications.channels.port import Letter
from hazina.infra.http import Http, HttpAnswer, HttpNotSent, HttpUnknown
from hazina.kernel.outcome import Accepted, Outcome, Rejected, Unknown

TIMEOUT_S = 20
PATH = "/version1/messaging"
TAKEN = {100, 101, 102}  # processed, sent, queued
# risk hold, sender id, number, number type, balance, blacklist, route, do-not-disturb, gateway
REFUSED = {401, 402, 403, 404, 405, 406, 407, 409, 502}
PASSING = {405}  # no balance: somebody tops up
GATE_REFUSED = {400, 404, 405, 411, 413, 415, 422}
GATE_PASSING = {401, 403, 429}  # a key that somebody must mend, or too many at once


class SmsChannel:
    """One account at the gateway; our simulator speaks the same."""

    available = True
    repeatable = False

    def __init__(
        self, http: Http, *, base_url: str, username: str, api_key: str, sender: str
    ) -> None:
        self._http = http
        self._url = base_url.rstrip("/") + PATH
        self._username = username
        self._api_key = api_key
        self._sender = sender

    async def send(self, letter: Letter) -> Outcome[str]:
        form = {"username": self._username, "to": letter.to, "message": letter.body}
        if self._sender:
            form["from"] = self._sender
        try:
            answer = await self._http.request(
                "POST",
                self._url,
                headers={
                    "apiKey": self._api_key,
                    "accept": "application/json",
                    "content-type": "application/x-www-form-urlencoded",
                },
                content=urlencode(form).encode(),
                timeout_s=TIMEOUT_S,
                rail="sms",
                operation="send",
            )
        except HttpNotSent as why:
            return Rejected("not_sent", str(why), retry=True)
        except HttpUnknown as why:
            return Unknown(str(why))
        return _outcome(answer)


def _outcome(answer: HttpAnswer) -> Outcome[str]:
    if answer.status in GATE_PASSING:
        return Rejected(str(answer.status), "the gateway does not take us now", retry=True)
    if answer.status in GATE_REFUSED:
        return Rejected(str(answer.status), "the gateway refused the request")
    if answer.status not in (200, 201):
        return Unknown(f"the gateway answered {answer.status}")
    try:
        return _recipient(answer.json())
    except (ValueError, KeyError, TypeError, IndexError):
        return Unknown("the gateway's answer does not parse")


def _recipient(told: object) -> Outcome[str]:
    """Raises: KeyError, TypeError, IndexError for any other shape than theirs."""
    recipients: list[dict[str, object]] = told["SMSMessageData"]["Recipients"]  # type: ignore[index]
    if not recipients:
        # Their form of "invalid sender" and the like: a message, and nobody it went to.
        return Rejected("nobody", "the gateway sent it to nobody")
    one = recipients[0]
    code = one["statusCode"]
    if not isinstance(code, int):
        raise TypeError("a status code is a number")
    if code in TAKEN:
        return Accepted(str(one["messageId"])[:100])
    if code in REFUSED:
        return Rejected(str(code), str(one.get("status", ""))[:100], retry=code in PASSING)
    return Unknown(f"the gateway said {code}")
