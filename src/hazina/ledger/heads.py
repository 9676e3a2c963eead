"""Heads: what the newest block says, signed, so that it can leave the database.

A head kept outside pins all history up to its block: whoever rewrites any of it, with every right
in the database, cannot make the chain meet that head again. The Ed25519 key is derived from the
vault's root secret, which no rotation changes; so it is another system's secret than the database.

A head proves nothing about what was booked after it, and its signature only as much as its public
key was known beforehand: write the key down where the database's owner cannot reach it.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hazina.infra.alarms import Alarm
from hazina.infra.db import Database
from hazina.infra.http import HttpNotSent, HttpUnknown, InsecureAddress
from hazina.infra.vault import Vault
from hazina.infra.webhooks import Webhooks
from hazina.kernel.clock import Clock
from hazina.kernel.errors import Kind, Refusal
from hazina.ledger.service import Reader

log = structlog.stdlib.get_logger()

UNTOLD = Alarm("ledger-head-untold")

VERSION = 1
PURPOSE = "ledger-heads"
EVERY_S = 600  # a look whether the day's head is there

BLOCK = """
SELECT b.number, b.hash, b.transfers, b.totals, b.sealed_at FROM ledger.block b
"""
NEWEST = BLOCK + "ORDER BY b.number DESC LIMIT 1"
NUMBERED = BLOCK + "WHERE b.number = $1"
TOLD = "SELECT true FROM ledger.head_told WHERE day = $1"
REMEMBER_TOLD = """
INSERT INTO ledger.head_told (day, block, told_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""


class NothingSealed(Refusal):
    """The ledger has no block yet."""

    code = "nothing_sealed"
    kind = Kind.NOT_FOUND
    message = "Nothing is sealed yet, so there is no head."
    action = "Start the worker: it seals what was booked within seconds."


class HeadUnreadable(Refusal):
    """A file is not a head of ours."""

    code = "head_unreadable"
    kind = Kind.INVALID
    message = "That is not a head that this house wrote."
    action = "Use the JSON file as it was written, unchanged."


@dataclass(frozen=True, slots=True)
class Head:
    """``totals``: what was ever moved, per asset in its smallest unit. Bytes are base64."""

    version: int
    block: int
    hash: str
    at: str
    transfers: int
    totals: Mapping[str, str]
    public_key: str
    signature: str = ""

    def message(self) -> bytes:
        """What is signed: the other fields as JSON, keys sorted, without spaces."""
        told = asdict(self)
        del told["signature"]
        return b"hazina ledger head\n" + json.dumps(
            told, sort_keys=True, separators=(",", ":")
        ).encode("ascii")

    def as_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def of_json(cls, text: str | bytes) -> "Head":
        """Raises: HeadUnreadable."""
        try:
            told = json.loads(text)
            head = cls(**told)
            kinds = (head.version, head.block, head.transfers)
            if not all(type(number) is int for number in kinds) or head.version != VERSION:
                raise ValueError("another form")
            if not 0 < head.block < 2**63 or not isinstance(head.totals, dict):
                raise ValueError("another form")
            base64.b64decode(head.hash, validate=True)
        except (ValueError, TypeError, AttributeError, binascii.Error):
            raise HeadUnreadable from None
        return head


class Signer:
    """Signs heads with the house's own key."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def __repr__(self) -> str:
        return "Signer()"

    @property
    def public_key(self) -> str:
        return _text(self._key().public_key().public_bytes_raw())

    def sign(self, head: Head) -> Head:
        """This will sign ``head`` as this house, whatever key it named before."""
        ours = replace(head, public_key=self.public_key, signature="")
        return replace(ours, signature=_text(self._key().sign(ours.message())))

    def _key(self) -> Ed25519PrivateKey:
        # Not kept: the key file may not be there yet when the house is assembled.
        return Ed25519PrivateKey.from_private_bytes(self._vault.derive(PURPOSE))


async def take_head(reader: Reader, signer: Signer, now: datetime) -> Head:
    """The newest block's head, signed. Raises: NothingSealed, VaultError."""
    rows = await reader.fetch(NEWEST)
    if not rows:
        raise NothingSealed
    row = rows[0]
    return signer.sign(
        Head(
            VERSION, row["number"], _text(row["hash"]), now.isoformat(), row["transfers"],
            row["totals"], "",
        )
    )  # fmt: skip


async def contradictions(
    reader: Reader, head: Head, public_keys: frozenset[str] = frozenset()
) -> list[str]:
    """What speaks against an old head: its signature, its signer, or today's chain; empty when
    nothing does.

    The chain from its block on must be proven besides: a head pins what is below it only as long as
    the blocks follow from one another. ``public_keys`` are those known to be the house's.
    """
    if not _signed(head):
        return ["the signature is not that of the head's public key"]
    faults = []
    if public_keys and head.public_key not in public_keys:
        faults.append(f"it was signed by another key, {head.public_key}")
    rows = await reader.fetch(NUMBERED, head.block)
    if not rows:
        return [*faults, f"block {head.block}: it is gone"]
    row = rows[0]
    if _text(row["hash"]) != head.hash:
        faults.append(f"block {head.block}: its hash is {_text(row['hash'])}, not {head.hash}")
    if row["transfers"] != head.transfers or row["totals"] != head.totals:
        faults.append(f"block {head.block}: its totals are not the head's")
    return faults


class DailyHeads:
    """Writes the day's head beside the data and into the log, and sends it where it is wanted: all
    of that leaves the machine, or can."""

    def __init__(
        self,
        db: Database,
        signer: Signer,
        clock: Clock,
        data_dir: Path,
        *,
        webhooks: Webhooks | None = None,
        webhook: str = "",
    ) -> None:
        self._db, self._signer, self._clock = db, signer, clock
        self._folder = data_dir / "heads"
        self._webhooks, self._webhook = webhooks, webhook

    async def write(self) -> Path | None:
        """This will write the head of this day (UTC) once; None where it is there already, or
        nothing is sealed."""
        now = self._clock.now()
        path = self._folder / f"{now:%Y-%m-%d}.json"
        if path.exists():
            return None
        try:
            head = await take_head(self._db, self._signer, now)
        except NothingSealed:
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(head.as_json(), indent=1) + "\n")
        draft.replace(path)
        log.info("ledger head", **head.as_json())
        return path

    async def tell(self) -> bool:
        """This will send the day's head to the webhook once; whether it did so now.

        Told means that the other side answered 2xx. Where it did not, the next sweep sends the head
        of its moment: whoever listens may get two of a day, and keeps the one of the higher block.
        """
        now = self._clock.now()
        if not self._webhook or self._webhooks is None:
            return False
        if await self._db.fetchval(TOLD, now.date()):
            return False
        try:
            head = await take_head(self._db, self._signer, now)
        except NothingSealed:
            return False
        body = json.dumps(head.as_json()).encode()
        try:
            answer = await self._webhooks.post(
                self._webhook, body, {"content-type": "application/json"}, operation="head"
            )
        except (HttpNotSent, HttpUnknown, InsecureAddress) as why:
            UNTOLD.ring("ledger head was not told", block=head.block, why=str(why))
            return False
        if not 200 <= answer.status < 300:
            UNTOLD.ring("ledger head was not told", block=head.block, why=f"status {answer.status}")
            return False
        await self._db.run(lambda tx: tx.execute(REMEMBER_TOLD, now.date(), head.block, now))
        return True

    async def sweep(self) -> None:
        await self.write()
        await self.tell()


def _signed(head: Head) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(head.public_key, validate=True))
        key.verify(base64.b64decode(head.signature, validate=True), head.message())
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _text(value: bytes) -> str:
    return base64.b64encode(bytes(value)).decode("ascii")
