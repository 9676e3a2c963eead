"""Calls to addresses that somebody gave us, who may be wrong or mean us harm.

https only; the name is resolved once and the call goes to the very address that was looked at, so
that a second answer of the name's server cannot lead it inside. No private, loopback, link-local or
otherwise special address, no redirect, ten seconds, 64 KiB. Loopback, also without TLS, only in
development.
"""

import asyncio
import socket
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from hazina.infra.http import Http, HttpAnswer, HttpNotSent, InsecureAddress
from hazina.infra.settings import Mode

TIMEOUT_S = 10
MAX_ANSWER = 64 * 1024
# Doors to IPv4 addresses in disguise, and the documentation's and benchmarks' networks.
SPECIAL = [
    ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/23", "100.64.0.0/10")
]


class Webhooks:
    """One for each process, with a client of its own: what strangers answer stays small."""

    def __init__(self, mode: Mode) -> None:
        self._http = Http(mode, max_answer=MAX_ANSWER)
        self._loopback = mode is Mode.DEVELOPMENT

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, operation: str
    ) -> HttpAnswer:
        """This will send ``content`` once. Raises: InsecureAddress, HttpNotSent, HttpUnknown."""
        at = await self._vetted(url)
        return await self._http.request(
            "POST", url, content=content, headers=headers, timeout_s=TIMEOUT_S, rail="webhook",
            operation=operation, at=at,
        )  # fmt: skip

    async def close(self) -> None:
        await self._http.close()

    async def _vetted(self, url: str) -> str:
        """The address to call: every one that the name has must be fit for it."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            host = None
        if not host or parts.username or parts.scheme not in ("https", "http"):
            raise InsecureAddress("that is no address to call")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError) as why:
            raise HttpNotSent(f"{host} cannot be resolved") from why
        addresses = [ip_address(one[4][0]) for one in found]
        if not addresses or not all(self._is_fit(one) for one in addresses):
            raise InsecureAddress(f"{host} is not a public address")
        return str(addresses[0])

    def _is_fit(self, address: IPv4Address | IPv6Address) -> bool:
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None:
            return self._is_fit(mapped)
        if address.is_loopback:
            return self._loopback
        special = any(address.version == net.version and address in net for net in SPECIAL)
        return address.is_global and not address.is_multicast and not special
