"""Getting back in, and the brake for who cannot, as JSON: nobody is signed in here."""

from typing import Annotated

from fastapi import APIRouter, Request, status
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonValue

from hazina.identity.bearer import VisitorDep, house_of
from hazina.identity.recovery import AccountRecovery, Proofs, SecondProof
from hazina.identity.wire import Secret, Username
from hazina.kernel.ids import parse_id, wire_id

router = APIRouter(prefix="/auth/recovery", tags=["identity"])
PREFIX = "chl"
_ID = "chl_0199f1c2a7b47c3e9f7d5b8a6c4e2f10"
Code = Annotated[str, Field(min_length=1, max_length=32, repr=False)]


def _config(**example: JsonValue) -> ConfigDict:
    return ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"example": dict(example)}
    )


class StartIn(BaseModel):
    """Whose account it is."""

    model_config = _config(username="demo", device_token=None)
    username: Username
    device_token: Annotated[str | None, Field(max_length=128, repr=False)] = None


class StartOut(BaseModel):
    """The same answer for everybody; if the account exists, its phone gets a code."""

    model_config = _config(recovery_id=_ID)
    recovery_id: str


class FinishIn(BaseModel):
    """The phone's code, a second proof (``app``, ``recovery_code`` or ``email``), the password."""

    model_config = _config(
        phone_code="12345 67890",
        second="email",
        second_code="09876 54321",
        new_password="and four quite other ones",  # noqa: S106 - an example
    )
    phone_code: Code
    second: SecondProof
    second_code: Code
    new_password: Secret


class StopIn(BaseModel):
    """The code of a notice, which freezes the account and does nothing else."""

    model_config = _config(username="demo", code="ABCDE-FGHIJ")
    username: Username
    code: Code


@router.post("", status_code=status.HTTP_202_ACCEPTED)
async def start(request: Request, body: StartIn, origin: VisitorDep) -> StartOut:
    """Begin: a code goes to the account's phone."""
    house = house_of(request)
    begun = await house.get(AccountRecovery).start(
        body.username, origin, house.clock.now(), device=body.device_token
    )
    return StartOut(recovery_id=wire_id(PREFIX, begun))


@router.post("/stop", status_code=status.HTTP_204_NO_CONTENT)
async def stop(request: Request, body: StopIn, origin: VisitorDep) -> None:
    """Freeze an account whose password somebody else has reset."""
    house = house_of(request)
    recovery = house.get(AccountRecovery)
    await recovery.stop(body.username, body.code, origin, house.clock.now())


@router.post("/{recovery_id}/email", status_code=status.HTTP_202_ACCEPTED)
async def ask_email(request: Request, recovery_id: str, origin: VisitorDep) -> StartOut:
    """Have the second code sent by mail, once."""
    house, which = house_of(request), parse_id(PREFIX, recovery_id)
    await house.get(AccountRecovery).ask_email(which, origin, house.clock.now())
    return StartOut(recovery_id=wire_id(PREFIX, which))


@router.post("/{recovery_id}", status_code=status.HTTP_204_NO_CONTENT)
async def finish(request: Request, recovery_id: str, body: FinishIn, origin: VisitorDep) -> None:
    """Set the new password; nothing leaves the account for a day."""
    house, which = house_of(request), parse_id(PREFIX, recovery_id)
    proofs = Proofs(body.phone_code, body.second, body.second_code)
    recovery = house.get(AccountRecovery)
    await recovery.finish(which, proofs, body.new_password, origin, house.clock.now())
