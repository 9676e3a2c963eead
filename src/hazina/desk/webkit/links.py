"""Where a page may send its reader: only to paths of this house."""

import re

_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*", re.ASCII)
_NEVER = ("/login", "/logout", "/register")


def safe_next(value: object, default: str = "/") -> str:
    """This will give back ``value`` when it is a plain local path, otherwise ``default``.

    ``//host``, ``/\\host``, schemes, white space and control characters all lead elsewhere in some
    browser; signing in or out is never what somebody wanted next.
    """
    if not isinstance(value, str) or len(value) > 512 or not _PATH.fullmatch(value):
        return default
    path = value.split("?", 1)[0].split("#", 1)[0].rstrip("/")
    return default if path in _NEVER else value
