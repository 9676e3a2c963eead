"""A refusal as JSON: the one envelope, and the one place where a kind becomes a status.

It lives below the web because a stored answer (``infra.idempotency``) is an envelope too.

INVALID is 400 for everything that is wrong with the request itself, a field that does not parse
included: callers tell cases apart by ``code``, not by two statuses for one idea. INSUFFICIENT is
409 like CONFLICT: the request is well-formed and may succeed once the state of things is another.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from hazina.kernel.errors import Kind, Refusal

STATUS: dict[Kind, int] = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.INSUFFICIENT: 409,
    Kind.LIMITED: 429,
    Kind.UNAVAILABLE: 503,
}


def status_of(refusal: Refusal) -> int:
    return STATUS[refusal.kind]


def envelope(refusal: Refusal, *, now: datetime, request_id: str) -> dict[str, object]:
    """``{"error": {code, message, action?, details, timestamp, request_id}}``."""
    error: dict[str, object] = {"code": refusal.code, "message": refusal.message}
    if refusal.action:
        error["action"] = refusal.action
    error["details"] = refusal.details
    at = now.astimezone(UTC).isoformat(timespec="milliseconds")
    error["timestamp"] = at.replace("+00:00", "Z")
    error["request_id"] = request_id
    return {"error": error}


def refusal_in(status: int, body: Mapping[str, object]) -> Refusal:
    """This will read back the refusal that an idempotent act has stored as its answer."""
    error = body["error"]
    assert isinstance(error, Mapping)
    found = Refusal(error["message"], action=error.get("action"), details=error["details"])
    found.code = error["code"]  # type: ignore[misc] # one class stands for every stored refusal
    found.kind = next(kind for kind, its in STATUS.items() if its == status)  # type: ignore[misc]
    return found
