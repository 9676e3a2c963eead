"""Alarms: what a person has to look at, each with a page that says what it means and what to do.

An alarm is a log line of level error (``early``: warning) that names its page in ``docs/runbook/``,
and one more on a counter. A tidy test holds that every alarm has its page and every page its alarm.
"""

import structlog
from prometheus_client import Counter

from hazina.infra.observability import REGISTRY

log = structlog.stdlib.get_logger()

RUNG = Counter(
    "hazina_alarms_total",
    "Alarms by name; docs/runbook/<name>.md says what to do.",
    ("alarm",),
    registry=REGISTRY,
)


class Alarm:
    """One alarm; ``name`` is its page. Made once, where it rings."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.page = f"docs/runbook/{name}.md"

    def ring(
        self,
        words: str,
        *,
        early: bool = False,
        exc_info: BaseException | bool = False,
        **facts: object,
    ) -> None:
        """This will say ``words`` with ``facts`` in the log and count it."""
        RUNG.labels(self.name).inc()
        say = log.warning if early else log.error
        say(words, alarm=self.name, runbook=self.page, exc_info=exc_info, **facts)
