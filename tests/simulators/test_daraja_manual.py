"""The manual names every endpoint, setting, fault and option there is."""

from pathlib import Path

import pytest
from starlette.routing import Route

from hazina.simulators.daraja import Settings, SimConfig, create_app
from hazina.simulators.daraja.faults import FAULTS

MANUAL = (Path(__file__).parents[2] / "docs/rails/daraja-simulator.md").read_text()
PAGES = ("/static/", "/open-handset", "/faults", "/reset", "/controls/", "/books/", "/handset/")


def api_paths() -> list[str]:
    paths = {route.path for route in create_app(SimConfig()).routes if isinstance(route, Route)}
    return sorted(path for path in paths if path != "/" and not path.startswith(PAGES))


@pytest.mark.parametrize("path", api_paths())
def test_endpoint_is_in_the_manual(path: str) -> None:
    assert path in MANUAL


@pytest.mark.parametrize("name", [*FAULTS, *Settings.model_fields])
def test_fault_or_setting_is_in_the_manual(name: str) -> None:
    assert f"`{name}`" in MANUAL
