"""Pages that move by themselves: server-sent events made by looking again.

The server looks every second and speaks only when what it sees has changed; between two looks it
holds nothing, no connection and no transaction. A stream ends after its lifetime and the browser
comes back by itself, so a restart of the house waits for nobody.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import StreamingResponse

EVERY_S = 1.0
HEARTBEAT_S = 15.0
LIFETIME_S = 90.0
_RETRY_MS = 2000


@dataclass(frozen=True, slots=True)
class Look:
    """What is seen now: a rendered fragment of ours, and whether it can still change.

    ``same`` tells two looks apart where the fragment itself has a clock in it, such as a countdown,
    and so is never twice the same.
    """

    html: str
    final: bool
    same: str = ""

    @property
    def mark(self) -> str:
        return hashlib.sha256((self.same or self.html).encode()).hexdigest()[:16]


def live(
    request: Request,
    look: Callable[[], Awaitable[Look]],
    *,
    every_s: float = EVERY_S,
    heartbeat_s: float = HEARTBEAT_S,
    lifetime_s: float = LIFETIME_S,
) -> StreamingResponse:
    """This will stream what ``look`` sees, each time it changes, until it is final.

    ``look`` is called outside any transaction and opens its own; the first refusal it raises is
    raised before the answer starts only when the handler itself looked once (it should).
    """
    seen = request.headers.get("last-event-id", "")
    events = _events(request, look, seen, every_s, heartbeat_s, lifetime_s)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _events(
    request: Request,
    look: Callable[[], Awaitable[Look]],
    seen: str,
    every_s: float,
    heartbeat_s: float,
    lifetime_s: float,
) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    start = spoke = loop.time()
    yield f"retry: {_RETRY_MS}\n\n"
    while loop.time() - start < lifetime_s and not await request.is_disconnected():
        view = await look()
        if view.mark != seen or view.final:
            seen, spoke = view.mark, loop.time()
            yield event_text("final" if view.final else "change", view.html, view.mark)
        if view.final:
            return
        if loop.time() - spoke >= heartbeat_s:
            spoke = loop.time()
            yield ": still here\n\n"
        await asyncio.sleep(every_s)


def event_text(event: str, data: str, mark: str) -> str:
    """One event as the wire wants it: every line of the data with its own prefix."""
    lines = "\n".join(f"data: {line}" for line in data.splitlines() or [""])
    return f"id: {mark}\nevent: {event}\n{lines}\n\n"
