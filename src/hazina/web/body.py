"""How much of a request's body is read at all, whoever sends it and whatever it claims: 413 by the
announced length at once, and by counting where none was announced (``web.edge``)."""

from collections.abc import Mapping

from hazina.kernel.errors import Refusal

LIMIT_BYTES = 1024 * 1024


class BodyTooLarge(Refusal):
    """The body is longer than anything we ask for."""

    code = "body_too_large"
    message = "That is more than we read at once."
    action = "Send less."


def announced(heads: Mapping[bytes, bytes]) -> int:
    """How long a request says its body is; 0 where it says nothing that can be read."""
    said = heads.get(b"content-length", b"")
    return int(said) if said.isdigit() else 0
