"""QR codes as inline SVG: one path, dark on white in either theme, so that any camera reads it."""

import segno
from markupsafe import Markup, escape

_QUIET = 4  # modules of white around, as the QR standard asks


def qr_svg(text: str, label: str) -> Markup:
    """This will draw ``text`` as a QR code; ``label`` is what a screen reader says instead."""
    modules = [[bool(bit) for bit in row] for row in segno.make(text, error="m").matrix]
    size = len(modules) + 2 * _QUIET
    path = "".join(
        f"M{x + _QUIET} {y + _QUIET}h1v1h-1z"
        for y, row in enumerate(modules)
        for x, dark in enumerate(row)
        if dark
    )
    return Markup(
        '<svg class="qr-code" viewBox="0 0 {size} {size}" role="img" aria-label="{label}" '
        'shape-rendering="crispEdges"><rect width="{size}" height="{size}" fill="#ffffff"/>'
        '<path d="{path}" fill="#0b1f18"/></svg>'
    ).format(size=size, label=escape(label), path=path)
