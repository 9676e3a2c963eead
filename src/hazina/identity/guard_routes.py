"""What guards an account, as JSON: second factor, devices, payout phones, freezing.

A code that an act asks for comes in the header ``Hazina-Otp``. An API key may read, and change
nothing here.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonValue

from hazina.identity.bearer import BearerCustomer, VisitorDep, house_of
from hazina.identity.devices import PREFIX as DEVICE
from hazina.identity.devices import Devices
from hazina.identity.freeze import Guards
from hazina.identity.outward import PREFIX as PHONE
from hazina.identity.outward import OutwardGuard
from hazina.identity.own_password import OwnPassword
from hazina.identity.people import Customer
from hazina.identity.phones import parse_phone
from hazina.identity.recovery import AccountRecovery
from hazina.identity.second_factor import CustomerFactors, SecondFactorNeeded
from hazina.identity.sessions import CustomerSessions, SignedIn
from hazina.identity.wire import Secret
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.kernel.actor import Actor
from hazina.kernel.ids import parse_id, wire_id

router = APIRouter(prefix="/user", tags=["account guards"])

Code = Annotated[str, Field(min_length=1, max_length=32, repr=False)]


def _config(**example: JsonValue) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"example": dict(example)})


class CodeIn(BaseModel):
    """A code of the app, or a recovery code."""

    model_config = _config(code="123456")
    code: Code


class OwnPasswordIn(BaseModel):
    """The password of who is signed in, asked for again."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"example": {"password": "four random words here"}},
    )
    password: Secret


class FactorOut(BaseModel):
    """Whether a second factor is on."""

    model_config = _config(on=True, recovery_codes_left=9)
    on: bool
    recovery_codes_left: int


class EnrolmentOut(BaseModel):
    """For the app, shown while it is set up and never again; ``uri`` is what a QR code holds."""

    model_config = _config(secret="JBSWY3DP…", uri="otpauth://totp/Hazina:demo?secret=…")  # noqa: S106 - an example
    secret: str
    uri: str


class RecoveryCodesOut(BaseModel):
    """Codes to write down, shown this once; each works once."""

    model_config = _config(recovery_codes=["abcd-efgh-jkmn-pqrs"])
    recovery_codes: list[str]


class DeviceOut(BaseModel):
    """A device that is known."""

    model_config = _config(
        id="dev_0199f1c2a7b47c3e9f7d5b8a6c4e2f10",
        name="Chrome on Android",
        first_seen_at="2026-11-20T09:00:00Z",
        last_seen_at="2026-11-21T09:00:00Z",
    )
    id: str
    name: str
    first_seen_at: datetime
    last_seen_at: datetime


class DevicesOut(BaseModel):
    """Every known device, newest first."""

    items: list[DeviceOut]


class DeviceNameIn(BaseModel):
    """What to call a device."""

    model_config = _config(name="My old phone")
    name: Annotated[str, Field(min_length=1, max_length=64)]


class PhoneIn(BaseModel):
    """A phone that M-Pesa may pay."""

    model_config = _config(phone="0712 345 678")
    phone: Annotated[str, Field(min_length=1, max_length=64, repr=False)]


class PayoutPhoneOut(BaseModel):
    """A phone that may be paid, from ``usable_from`` on."""

    model_config = _config(
        id="pph_0199f1c2a7b47c3e9f7d5b8a6c4e2f10",
        phone="+254 7•• ••• 678",
        usable_from="2026-11-21T09:00:00Z",
    )
    id: str
    phone: str
    usable_from: datetime


class PayoutPhonesOut(BaseModel):
    """Every phone that may be paid beside the account's own, newest first."""

    items: list[PayoutPhoneOut]


class PayoutPhoneAdded(BaseModel):
    """From when on the phone may be paid."""

    model_config = _config(usable_from="2026-11-21T09:00:00Z")
    usable_from: datetime


class StandingOut(BaseModel):
    """What holds the account back now."""

    model_config = _config(
        frozen=False, cooling_until="2026-11-21T09:00:00Z", cooling_because="new_device"
    )
    frozen: bool
    cooling_until: datetime | None
    cooling_because: str | None


class UnfreezeOut(BaseModel):
    """What to send with the code: null where the app is asked, else a code is on its way to the
    phone."""

    model_config = _config(challenge_id="chl_0199f1c2a7b47c3e9f7d5b8a6c4e2f10")
    challenge_id: str | None


class UnfreezeIn(BaseModel):
    """The second proof that lifts a freeze."""

    model_config = _config(challenge_id=None, code="123456")
    challenge_id: Annotated[str | None, Field(max_length=64)] = None
    code: Code


@router.get("/second-factor")
async def read_factor(request: Request, me: BearerCustomer) -> FactorOut:
    """Whether codes of an app are asked for."""
    house = house_of(request)
    found = await house.get(CustomerFactors).status(house.db, me.person.id)
    return FactorOut(on=found.on, recovery_codes_left=found.recovery_codes_left)


@router.post("/second-factor", status_code=status.HTTP_201_CREATED)
async def begin_factor(
    request: Request,
    response: Response,
    body: OwnPasswordIn,
    me: BearerCustomer,
    origin: VisitorDep,
) -> EnrolmentOut:
    """Begin: put the secret into an app, then confirm with its first code.

    Asks for the password: who stole a session must not lock the owner out with an app of theirs.
    """
    house, actor = house_of(request), me.person.as_actor(origin)
    factors, now = house.get(CustomerFactors), house.clock.now()
    await house.get(OwnPassword).prove(
        me.person.id, body.password, actor, now, act="second_factor_begin", field="password"
    )
    made = await house.db.run(lambda tx: factors.begin(tx, me.person.id, me.person.username, now))
    response.headers["Cache-Control"] = "no-store"
    return EnrolmentOut(secret=made.secret, uri=made.uri)


@router.post("/second-factor/confirm")
async def confirm_factor(
    request: Request, response: Response, body: CodeIn, me: BearerCustomer, origin: VisitorDep
) -> RecoveryCodesOut:
    """Switch it on with a first code; the answer has the recovery codes."""
    house, actor = house_of(request), me.person.as_actor(origin)
    factors, now = house.get(CustomerFactors), house.clock.now()
    codes = await house.db.run(lambda tx: factors.confirm(tx, me.person.id, body.code, actor, now))
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodesOut(recovery_codes=codes)


@router.post("/second-factor/recovery-codes")
async def renew_codes(
    request: Request, response: Response, me: BearerCustomer, origin: VisitorDep
) -> RecoveryCodesOut:
    """Void the recovery codes and take new ones."""
    house, actor = house_of(request), me.person.as_actor(origin)
    factors, now, code = house.get(CustomerFactors), house.clock.now(), _code(actor)
    codes = await house.db.run(lambda tx: factors.renew_codes(tx, me.person.id, code, actor, now))
    response.headers["Cache-Control"] = "no-store"
    return RecoveryCodesOut(recovery_codes=codes)


@router.delete("/second-factor", status_code=status.HTTP_204_NO_CONTENT)
async def remove_factor(request: Request, me: BearerCustomer, origin: VisitorDep) -> None:
    """Switch it off."""
    house, actor = house_of(request), me.person.as_actor(origin)
    factors, now, code = house.get(CustomerFactors), house.clock.now(), _code(actor)
    await house.db.run(lambda tx: factors.remove(tx, me.person.id, code, actor, now))


@router.get("/devices")
async def list_devices(request: Request, me: BearerCustomer) -> DevicesOut:
    """The devices this account is known on, newest first."""
    house = house_of(request)
    devices, now = house.get(Devices), house.clock.now()
    found = await house.db.run(lambda tx: devices.list_devices(tx, me.person.id, now))
    return DevicesOut(
        items=[
            DeviceOut(
                id=wire_id(DEVICE, one.id),
                name=one.name,
                first_seen_at=one.first_seen_at,
                last_seen_at=one.last_seen_at,
            )
            for one in found
        ]
    )


@router.put("/devices/{device_id}", status_code=status.HTTP_204_NO_CONTENT)
async def rename_device(
    request: Request, device_id: str, body: DeviceNameIn, me: BearerCustomer, origin: VisitorDep
) -> None:
    """Give a device a name of one's own."""
    house, actor = house_of(request), me.person.as_actor(origin)
    which, now, devices = parse_id(DEVICE, device_id), house.clock.now(), house.get(Devices)
    await house.db.run(lambda tx: devices.rename(tx, me.person.id, which, body.name, actor, now))


@router.delete("/devices/{device_id}", status_code=status.HTTP_204_NO_CONTENT)
async def forget_device(
    request: Request, device_id: str, me: BearerCustomer, origin: VisitorDep
) -> None:
    """End a device's sessions; it is new the next time."""
    house, actor = house_of(request), me.person.as_actor(origin)
    which, now, devices = parse_id(DEVICE, device_id), house.clock.now(), house.get(Devices)
    await house.db.run(lambda tx: devices.forget(tx, me.person.id, which, actor, now))


@router.get("/payout-phones")
async def list_payout_phones(request: Request, me: BearerCustomer) -> PayoutPhonesOut:
    """The phones that may be paid beside the account's own."""
    house = house_of(request)
    found = await house.db.run(lambda tx: house.get(OutwardGuard).list_phones(tx, me.person.id))
    return PayoutPhonesOut(
        items=[
            PayoutPhoneOut(
                id=wire_id(PHONE, one.id), phone=one.phone_masked, usable_from=one.usable_from
            )
            for one in found
        ]
    )


@router.post("/payout-phones", status_code=status.HTTP_201_CREATED)
async def add_payout_phone(
    request: Request, body: PhoneIn, me: BearerCustomer, origin: VisitorDep
) -> PayoutPhoneAdded:
    """Let a phone be paid, from a day later on."""
    house, actor = house_of(request), me.person.as_actor(origin)
    guard, phone, now = house.get(OutwardGuard), parse_phone(body.phone), house.clock.now()
    usable = await house.db.run(lambda tx: guard.add(tx, me.person.id, phone, actor, now))
    return PayoutPhoneAdded(usable_from=usable)


@router.delete("/payout-phones/{phone_id}", status_code=status.HTTP_204_NO_CONTENT)
async def remove_payout_phone(
    request: Request, phone_id: str, me: BearerCustomer, origin: VisitorDep
) -> None:
    """Let a phone no longer be paid."""
    house, actor = house_of(request), me.person.as_actor(origin)
    which, guard, now = parse_id(PHONE, phone_id), house.get(OutwardGuard), house.clock.now()
    await house.db.run(lambda tx: guard.remove(tx, me.person.id, which, actor, now))


@router.get("/standing")
async def read_standing(request: Request, me: BearerCustomer) -> StandingOut:
    """Whether the account is frozen or cooling down."""
    house = house_of(request)
    found = await house.get(Guards).standing(house.db, me.person.id)
    cooling = found.cooling(house.clock.now())
    return StandingOut(
        frozen=found.frozen_at is not None,
        cooling_until=found.cool_until if cooling else None,
        cooling_because=found.cool_why if cooling else None,
    )


@router.post("/freeze", status_code=status.HTTP_204_NO_CONTENT)
async def freeze(request: Request, me: BearerCustomer, origin: VisitorDep) -> None:
    """Stop every money command of this account, and end all other sessions."""
    house, actor = house_of(request), me.person.as_actor(origin)
    await freeze_own(house, me, actor, house.clock.now())


@router.post("/unfreeze/begin")
async def begin_unfreeze(request: Request, me: BearerCustomer, origin: VisitorDep) -> UnfreezeOut:
    """Ask for the second proof: the app's, or a code by phone where there is no app."""
    house = house_of(request)
    recovery, now = house.get(AccountRecovery), house.clock.now()
    begun = await recovery.begin_unfreeze(me.person.id, origin, now)
    return UnfreezeOut(challenge_id=wire_id("chl", begun) if begun else None)


@router.post("/unfreeze", status_code=status.HTTP_204_NO_CONTENT)
async def unfreeze(
    request: Request, body: UnfreezeIn, me: BearerCustomer, origin: VisitorDep
) -> None:
    """Lift the freeze."""
    house, actor = house_of(request), me.person.as_actor(origin)
    challenge = parse_id("chl", body.challenge_id) if body.challenge_id else None
    recovery, now = house.get(AccountRecovery), house.clock.now()
    await recovery.unfreeze(me.person.id, challenge, body.code, actor, now)


async def freeze_own(house: House, me: SignedIn[Customer], actor: Actor, now: datetime) -> None:
    """This will freeze the account of who asks, and end its other sessions."""
    guards, sessions = house.get(Guards), house.get(CustomerSessions)

    async def act(tx: Tx) -> None:
        await guards.freeze(tx, me.person.id, "the customer", actor, now)
        await sessions.revoke_others(
            tx, me.person.id, actor, now, keep=me.session_id, why="account frozen"
        )

    await house.db.run(act)


def _code(actor: Actor) -> str:
    """Raises: SecondFactorNeeded."""
    if not actor.otp:
        raise SecondFactorNeeded
    return actor.otp
