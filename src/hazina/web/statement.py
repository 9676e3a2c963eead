"""A customer's statement over several assets: merged, newest first, one cursor for all of it.

The cursor says per asset below which version to go on, ``KES.41~XAU.7``; an asset that is not
named there starts at its newest line. Every read carries the owner.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from hazina.kernel.errors import Invalid
from hazina.kernel.money import ASSETS, KES, XAU, Asset
from hazina.kernel.page import Page
from hazina.ledger.chart import customer
from hazina.ledger.history import History, StatementLine

SHOWN_ASSETS = (KES, XAU)
_CURSOR = re.compile(r"[A-Z]{3,8}\.[0-9]{1,18}(~[A-Z]{3,8}\.[0-9]{1,18}){0,7}", re.ASCII)


class AssetUnknown(Invalid):
    """An asset was asked for that no customer here can own."""

    code = "asset_unknown"
    message = "We do not keep that asset."


def assets_of(code: str | None) -> Sequence[Asset]:
    """The assets that a filter stands for; none given, all of them. Raises: AssetUnknown."""
    if not code:
        return SHOWN_ASSETS
    found = ASSETS.get(code.upper())
    if found is None or found not in SHOWN_ASSETS:
        known = " or ".join(asset.code for asset in SHOWN_ASSETS)
        raise AssetUnknown(action=f"Ask for {known}.", details={"field": "asset"})
    return (found,)


async def merged(
    history: History,
    owner: UUID,
    assets: Sequence[Asset],
    *,
    limit: int,
    cursor: str | None = None,
    booked_only: bool = False,
) -> Page[StatementLine]:
    """One page of ``owner``'s lines in ``assets``, newest first: one indexed read per asset.

    Raises: Invalid when ``cursor`` is not one of ours.
    """
    places = _read(cursor)
    lines: list[StatementLine] = []
    more = False
    for asset in assets:
        page = await history.statement(
            customer(owner, asset),
            limit=limit,
            cursor=places.get(asset.code),
            booked_only=booked_only,
        )
        lines += page.items
        more = more or page.next_cursor is not None
    lines.sort(key=_place, reverse=True)
    shown, more = lines[:limit], more or len(lines) > limit
    for line in shown:  # an asset's lines stay in their order: the last one seen is the oldest
        places[line.change.asset.code] = str(line.version)
    return Page(shown, _write(places) if more and shown else None)


def _read(cursor: str | None) -> dict[str, str]:
    if not cursor:
        return {}
    if not _CURSOR.fullmatch(cursor):
        raise Invalid.field("cursor", "That cursor is not one of ours: start from the first page.")
    parts = (part.partition(".") for part in cursor.split("~"))
    return {code: version for code, _, version in parts}


def _write(places: dict[str, str]) -> str:
    return "~".join(f"{code}.{version}" for code, version in sorted(places.items()))


def _place(line: StatementLine) -> tuple[datetime, str, int]:
    """An asset's own lines keep the order of their versions."""
    return line.booked_at, line.change.asset.code, line.version
