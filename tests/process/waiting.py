"""The one way these tests wait: for a condition, with a deadline, saying what was awaited."""

import time
from collections.abc import Callable

POLL_S = 0.02


def wait_until(what: str, is_true: Callable[[], bool], *, deadline_s: float = 30) -> None:
    """This will return as soon as ``is_true()``; past the deadline it fails, naming ``what``."""
    end = time.monotonic() + deadline_s
    while not is_true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(POLL_S)
