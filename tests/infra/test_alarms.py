"""An alarm says what is wrong and where to read on."""

from structlog.testing import capture_logs

from hazina.infra.alarms import Alarm
from hazina.infra.observability import REGISTRY


def test_it_names_its_page_and_is_counted() -> None:
    alarm, labels = Alarm("only-of-this-test"), {"alarm": "only-of-this-test"}
    with capture_logs() as said:
        alarm.ring("early", early=True, what=1)
        alarm.ring("late", what=2)
    assert [(one["event"], one["log_level"], one["what"]) for one in said] == [
        ("early", "warning", 1),
        ("late", "error", 2),
    ]
    assert {one["runbook"] for one in said} == {f"docs/runbook/{alarm.name}.md"}
    assert REGISTRY.get_sample_value("hazina_alarms_total", labels) == 2
