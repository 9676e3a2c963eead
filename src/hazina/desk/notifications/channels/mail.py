"""E-mail by SMTP, in a thread: one connection for one letter.

Until the last dot of DATA nothing has been taken, so a lost line before it proves that nothing was
sent. After it, only the server's answer tells. A letter's Message-ID is its own id: a second copy
is the same letter to a mail program, so an unknown one may be sent again.
"""

import asyncio
import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from email.utils import format_datetime

from hazina.desk.notifications.channels.port import Letter
from hazina.infra import points
from hazina.infra.db import in_transaction
from hazina.infra.points import Phase
from hazina.infra.settings import MailSecurity
from hazina.kernel.clock import Clock
from hazina.kernel.outcome import Accepted, Outcome, Rejected, Unknown

CALL = "call.mail.send"
TIMEOUT_S = 20
PERMANENT = 500


class MailChannel:
    """One mail server and the address that letters come from."""

    available = True
    repeatable = True

    def __init__(
        self,
        clock: Clock,
        *,
        host: str,
        port: int,
        security: MailSecurity,
        username: str,
        password: str,
        sender: str,
    ) -> None:
        self._clock = clock
        self._host, self._port, self._security = host, port, security
        self._username, self._password = username, password
        self._sender = sender
        self._domain = sender.rpartition("@")[2]

    async def send(self, letter: Letter) -> Outcome[str]:
        if in_transaction.get():
            raise AssertionError("no network inside a transaction")
        points.reach(Phase.BEFORE, CALL)
        outcome = await asyncio.to_thread(self._send, letter)
        points.reach(Phase.AFTER, CALL)
        return outcome

    def _send(self, letter: Letter) -> Outcome[str]:
        message = self._message(letter)
        try:
            server = self._open()
        except (OSError, smtplib.SMTPException) as why:
            # Also a wrong password of ours: somebody will mend it.
            return Rejected("not_sent", type(why).__name__, retry=True)
        try:
            return self._hand_over(server, letter, message)
        except (OSError, smtplib.SMTPException) as why:
            return Rejected("not_sent", type(why).__name__, retry=True)
        finally:
            # What the server says to our leaving changes nothing about the letter.
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()

    def _open(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._security is MailSecurity.TLS:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=TIMEOUT_S, context=context
            )
        else:
            server = smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_S)
        try:
            if self._security is MailSecurity.STARTTLS:
                server.starttls(context=context)
            if self._username:
                server.login(self._username, self._password)
        except BaseException:
            server.close()
            raise
        return server

    def _hand_over(
        self, server: smtplib.SMTP, letter: Letter, message: EmailMessage
    ) -> Outcome[str]:
        server.ehlo_or_helo_if_needed()
        for code, _ in (server.mail(self._sender), server.rcpt(letter.to)):
            if code not in (250, 251):
                return _refused(code, "the mail server refused sender or recipient")
        try:
            code, _ = server.data(message.as_bytes())
        except smtplib.SMTPDataError as said:
            return _refused(said.smtp_code, "the mail server did not let us begin")
        except (OSError, smtplib.SMTPException) as why:
            server.close()
            return Unknown(f"the line was lost: {type(why).__name__}")
        if code != 250:
            return _refused(code, "the mail server refused the letter")
        return Accepted(str(message["Message-ID"]))

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = f"Hazina <{self._sender}>"
        message["To"] = letter.to
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = f"<{letter.id.hex}@{self._domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.body + "\n")
        return message


def _refused(code: int, words: str) -> Rejected:
    return Rejected(str(code), words, retry=code < PERMANENT)
