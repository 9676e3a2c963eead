"""Kind of refusal → HTTP status, for JSON and pages alike: said once, in ``infra.envelope``."""

from hazina.infra.envelope import STATUS, status_of

__all__ = ["STATUS", "status_of"]
