"""The browser's stories use the journeys' simulator."""

from tests.journeys.conftest import daraja

__all__ = ["daraja"]
