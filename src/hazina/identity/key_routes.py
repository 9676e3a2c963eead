"""API keys as JSON: made, listed and revoked by a person, never by a key."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from hazina.identity.api_keys import PREFIX, ApiKey, ApiKeys, NewKey, parse_scopes
from hazina.identity.bearer import BearerCustomer, VisitorDep, house_of
from hazina.kernel.ids import parse_id

router = APIRouter(prefix="/user/api-keys", tags=["api keys"])

_KEY: JsonDict = {
    "id": "key_0199f1c2a7b47c3e9f7d5b8a6c4e2f10",
    "label": "my bot",
    "scopes": ["read", "trade"],
    "networks": ["198.51.100.7"],
    "created_at": "2026-11-20T09:00:00Z",
    "expires_at": "2027-11-20T09:00:00Z",
    "last_used_at": None,
}


class KeyIn(BaseModel):
    """A new key; ``networks`` empty: from anywhere, which a key with ``withdraw`` may not be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "label": "my bot",
                "scopes": ["read", "trade"],
                "networks": ["198.51.100.7"],
                "days": 90,
            }
        },
    )
    label: Annotated[str, Field(min_length=1, max_length=64)]
    scopes: Annotated[list[Annotated[str, Field(max_length=16)]], Field(max_length=8)]
    networks: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=20)] = []
    days: Annotated[int, Field(ge=1, le=365)] = 365


class KeyOut(BaseModel):
    """A key, without its secret."""

    model_config = ConfigDict(json_schema_extra={"example": _KEY})
    id: str
    label: str
    scopes: list[str]
    networks: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyOut":
        return cls(
            id=key.wire_id,
            label=key.label,
            scopes=sorted(key.scopes),
            networks=list(key.networks),
            created_at=key.created_at,
            expires_at=key.expires_at,
            last_used_at=key.last_used_at,
        )


class MadeKeyOut(KeyOut):
    """A key just made, with the secret that signs its requests: 64 hex digits, shown this once."""

    model_config = ConfigDict(json_schema_extra={"example": {**_KEY, "secret": "5d0c…"}})
    secret: str


class KeysOut(BaseModel):
    """Every key that is not revoked, newest first."""

    items: list[KeyOut]


@router.post("", status_code=status.HTTP_201_CREATED)
async def make_key(
    request: Request, response: Response, body: KeyIn, me: BearerCustomer, origin: VisitorDep
) -> MadeKeyOut:
    """Make a key. Where a second factor is on, a code comes in ``Hazina-Otp``."""
    house, actor = house_of(request), me.person.as_actor(origin)
    keys, now = house.get(ApiKeys), house.clock.now()
    wanted = NewKey(
        body.label, parse_scopes(body.scopes), tuple(body.networks), timedelta(days=body.days)
    )
    made, secret = await house.db.run(lambda tx: keys.create(tx, me.person.id, wanted, actor, now))
    response.headers["Cache-Control"] = "no-store"
    return MadeKeyOut(**KeyOut.of(made).model_dump(), secret=secret)


@router.get("")
async def list_keys(request: Request, me: BearerCustomer) -> KeysOut:
    """The keys of this account."""
    house = house_of(request)
    found = await house.db.run(lambda tx: house.get(ApiKeys).list_keys(tx, me.person.id))
    return KeysOut(items=[KeyOut.of(key) for key in found])


@router.delete("/{key_id}", status_code=status.HTTP_204_NO_CONTENT)
async def revoke_key(request: Request, key_id: str, me: BearerCustomer, origin: VisitorDep) -> None:
    """End a key from its next request on."""
    house, actor = house_of(request), me.person.as_actor(origin)
    which, keys, now = parse_id(PREFIX, key_id), house.get(ApiKeys), house.clock.now()
    await house.db.run(lambda tx: keys.revoke(tx, me.person.id, which, actor, now))
