"""Our own style sheet, script and pictures, under addresses that name their content.

An address holds a hash of what it answers, so browsers may keep it for ever and a new release is
seen at once. Files are read once, and compressed once.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from hazina.kernel.errors import NotFound

STATIC = Path(__file__).parent / "static"
PREFIX = "/static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
_CSS_URL = re.compile(r'url\("([a-z0-9-]+\.svg)"\)')


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent."""

    name: str
    url: str
    media_type: str
    body: bytes
    packed: bytes


class Assets:
    """Every file of a folder. ``url("hazina.css")`` is what templates ask for."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._by_name: dict[str, Asset] = {}
        # Pictures first: the style sheet names them by their hashed addresses.
        for path in sorted(folder.iterdir(), key=lambda p: (p.suffix == ".css", p.name)):
            if path.suffix in _TYPES:
                self._by_name[path.name] = self._read(path)
        self._by_url = {asset.url: asset for asset in self._by_name.values()}

    def url(self, name: str) -> str:
        return self._by_name[name].url

    def find(self, url: str) -> Asset | None:
        return self._by_url.get(url)

    def _read(self, path: Path) -> Asset:
        body = path.read_bytes()
        if path.suffix == ".css":
            text = _CSS_URL.sub(lambda m: f'url("{self.url(m[1])}")', body.decode())
            body = text.encode()
        digest = hashlib.sha256(body).hexdigest()[:12]
        return Asset(
            name=path.name,
            url=f"{PREFIX}/{path.stem}.{digest}{path.suffix}",
            media_type=_TYPES[path.suffix],
            body=body,
            packed=gzip.compress(body, mtime=0),
        )


@cache
def own() -> Assets:
    """Those of the house, once in a process."""
    return Assets()


async def serve(request: Request) -> Response:
    """The one handler of ``/static/…``. Raises: NotFound for an address we never gave out."""
    assets = request.app.state.assets
    assert isinstance(assets, Assets)
    asset = assets.find(request.url.path)
    if asset is None:
        raise NotFound
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    packed = "gzip" in request.headers.get("accept-encoding", "")
    if packed:
        headers["Content-Encoding"] = "gzip"
    body = asset.packed if packed else asset.body
    return Response(body, media_type=asset.media_type, headers=headers)
