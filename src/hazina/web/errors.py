"""Every way an answer can be no, said the same way each time.

JSON is ``{"error": {code, message, action?, details, timestamp, request_id}}``; a page says cause
and next step in words. Kinds become statuses in ``desk.webkit.status``. What we did not foresee
is ``internal_error`` with the request's id: nothing of the exception leaves the process, all of it
goes to the log. What somebody sent is never echoed: it may be a password in the wrong field.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from hazina.desk.webkit.current import LoginRequired
from hazina.desk.webkit.status import status_of
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Link
from hazina.infra import envelope as infra_envelope
from hazina.infra.alarms import Alarm
from hazina.kernel.errors import Invalid, Refusal
from hazina.kernel.page import MAX_LIMIT

log = structlog.stdlib.get_logger()
BUG = Alarm("request-bug")

JSON_PATHS = ("/api/", "/internal/", "/hooks/")
JSON_EXACT = frozenset({"/openapi.json", "/healthz", "/readyz", "/metrics"})
UNAVAILABLE_RETRY_S = 5
MAX_FIELDS = MAX_LIMIT

_HTTP_CODES = {
    400: ("invalid_request", "That request cannot be read.", "Check it against the reference."),
    404: ("not_found", "There is nothing here under that address.", "Check the address."),
    405: ("method_not_allowed", "This address does not take that method.", "See /docs."),
    413: ("body_too_large", "That is more than we read at once.", "Send less."),
    415: ("media_type_unknown", "We do not read that media type.", "Send JSON."),
}
_TITLES = {
    400: "Something in there is not right",
    401: "Please sign in",
    403: "That is not yours to open",
    404: "There is nothing here",
    405: "That does not work here",
    409: "That is not possible now",
    429: "A little too fast",
    503: "We are repairing something",
}


class ErrorBody(BaseModel):
    """What is wrong, in words and in a code that stays the same."""

    code: str
    message: str
    action: str | None = None
    details: dict[str, Any]
    timestamp: datetime
    request_id: str


class ErrorEnvelope(BaseModel):
    """How every refusal looks."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "code": "amount_invalid",
                        "message": "The amount must be more than zero.",
                        "action": "Write it as a plain number such as 250 or 0.5.",
                        "details": {"field": "amount"},
                        "timestamp": "2026-11-20T09:00:00Z",
                        "request_id": "0199aa00bb11cc22dd33ee44ff556677",
                    }
                }
            ]
        }
    )
    error: ErrorBody


class InternalError(Refusal):
    """The face of a bug: it says that it is ours, and under which reference."""

    code = "internal_error"
    message = "Something broke on our side."
    action = "Nothing you did caused it. Try again; if it stays, give us the reference."


def install_errors(app: FastAPI) -> None:
    """This will make the app answer every refusal, validation error and unknown path our way."""

    @app.exception_handler(LoginRequired)
    async def login_required(_request: Request, error: LoginRequired) -> Response:
        return RedirectResponse(error.location, status_code=303)

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> Response:
        return answer(request, error, status_of(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        refusal = _invalid(error.errors())
        return answer(request, refusal, status_of(refusal))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return answer(request, _from_http(error), error.status_code, error.headers)


def answer(
    request: Request, error: Refusal, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """This will say no: as JSON to machines, as a page to people."""
    extra = {**_retry_after(error, status), **(headers or {})}
    if not (is_json(request.url.path) or getattr(request.app.state, "only_json", False)):
        response = _page(request, error, status)
        response.headers.update(extra)
        return response
    if status == 401:
        signs = request.url.path.startswith("/internal/")
        extra.setdefault("WWW-Authenticate", "Hazina-HMAC-SHA256" if signs else "Bearer")
    return JSONResponse(envelope(request, error), status_code=status, headers=extra)


def is_json(path: str) -> bool:
    return path.startswith(JSON_PATHS) or path in JSON_EXACT


def envelope(request: Request, error: Refusal) -> dict[str, object]:
    now: datetime = request.app.state.house.clock.now()
    return infra_envelope.envelope(error, now=now, request_id=request_id_of(request))


def request_id_of(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))


def _invalid(errors: Sequence[Any]) -> Invalid:
    """FastAPI's errors without what was sent: location and reason are enough to repair it."""
    fields = []
    for error in errors[:MAX_FIELDS]:
        place = [str(part) for part in error["loc"] if part not in ("body", "query", "path")]
        fields.append({"field": ".".join(place) or "body", "problem": str(error["msg"])})
    names = ", ".join(dict.fromkeys(one["field"] for one in fields))
    return Invalid(
        f"Something in the request is not right: {names}.",
        action="See details.fields for what each of them needs.",
        details={"fields": fields},
    )


def _from_http(error: HTTPException) -> Refusal:
    code, message, action = _HTTP_CODES.get(
        error.status_code, ("http_error", "That request cannot be answered.", "See /docs.")
    )
    refusal = Refusal(message, action=action)
    refusal.code = code  # type: ignore[misc] # one class stands for every status of the framework
    return refusal


def _retry_after(error: Refusal, status: int) -> dict[str, str]:
    if status not in (429, 503):
        return {}
    given = error.details.get("retry_after_s", 1 if status == 429 else UNAVAILABLE_RETRY_S)
    seconds = int(given) if isinstance(given, int | float | str) else 1
    return {"Retry-After": str(max(1, seconds))}


def _page(request: Request, error: Refusal, status: int) -> Response:
    try:
        return render(
            request,
            "error.html",
            status=status,
            title=_TITLES.get(status, "Something broke on our side"),
            eyebrow=f"Error {status}",
            message=error.message,
            action=error.action,
            code=error.code,
            link=Link("Back to the start", "/"),
        )
    # The last edge: an error page that cannot be drawn is still an answer.
    except Exception as bug:  # noqa: BLE001
        BUG.ring("the error page could not be drawn", exc_info=bug)
        return PlainTextResponse(f"{error.message} ({error.code})", status_code=status)
