"""Who is on the other end: the caller's address behind proxies that we run. Pure.

X-Forwarded-For is written by whoever sends it; only the part appended by our own proxies counts.
It is read from the right, hop by hop, for as long as the hop it came from is one of ours.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]
# Every request asks; reading an address takes as long as a twentieth of it, and most come again.
REMEMBERED = 1_024
LONGEST = 100  # no address is; whoever sends more does not fill what is remembered


def parse_networks(text: str) -> Networks:
    """This will read ``"10.0.0.1, 10.1.0.0/16"``. Raises: ValueError naming what it cannot read."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def is_within(address: str | None, networks: Networks) -> bool:
    """This will tell whether an address lies in one of the networks; no address lies in none."""
    found = _read(address or "")
    return found is not None and any(
        found.version == network.version and found in network for network in networks
    )


def client_ip(peer: str | None, forwarded_for: Sequence[str], trusted: Networks) -> str | None:
    """This will find the caller: the first hop from the right that is not a proxy of ours.

    ``peer`` is the socket's address, ``forwarded_for`` the values of X-Forwarded-For in order. A
    hop that is not an address ends the search: what stands left of it could be anybody's.
    """
    if not is_within(peer, trusted):
        return _text(peer)
    seen = peer
    for hop in reversed(",".join(forwarded_for).split(",")):
        if _read(hop) is None:
            break
        seen = hop
        if not is_within(hop, trusted):
            break
    return _text(seen)


def network_of(address: str | None) -> str:
    """What counts as one caller: an IPv4 address, but of IPv6 the /64 that one line is given."""
    found = _read(address or "")
    if isinstance(found, IPv6Address):
        return str(ip_network((found, 64), strict=False))
    return str(found) if found else "-"


def _text(address: str | None) -> str | None:
    found = _read(address or "")
    return None if found is None else str(found)


def _read(text: str) -> Address | None:
    """An address, also written with a port, in brackets, or as IPv4 inside IPv6."""
    text = text.strip()
    return _parsed(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=REMEMBERED)
def _parsed(text: str) -> Address | None:
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
