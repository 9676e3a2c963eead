"""How much of a request's body is read at all, whoever sends it and whatever it claims."""

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hazina.kernel.errors import Refusal
from hazina.web.errors import answer

LIMIT_BYTES = 1024 * 1024


class BodyTooLarge(Refusal):
    """The body is longer than anything we ask for."""

    code = "body_too_large"
    message = "That is more than we read at once."
    action = "Send less."


class BodyLimit:
    """Says 413 by the announced length at once, and by counting where none was announced."""

    def __init__(self, app: ASGIApp, shell: FastAPI, limit_bytes: int = LIMIT_BYTES) -> None:
        self._app = app
        self._shell = shell
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced(scope) > self._limit_bytes:
            scope.setdefault("app", self._shell)
            await answer(Request(scope), BodyTooLarge(), 413)(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._limit_bytes:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
