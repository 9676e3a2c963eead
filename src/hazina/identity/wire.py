"""What identity reads and writes as JSON. Sizes are bounded; unknown fields are refused."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from hazina.identity.people import Customer, Operator
from hazina.identity.session_rows import Session
from hazina.identity.sessions import Tokens
from hazina.kernel.ids import wire_id

# Wider than the rules: what is merely wrong gets the sentence of the rule, not of the parser.
Username = Annotated[str, Field(min_length=1, max_length=64)]
Secret = Annotated[str, Field(min_length=1, max_length=512, repr=False)]

_DEMO_LOGIN = {"username": "demo", "password": "four random words here"}
_ACCESS = "eyJhbGciOiJIUzI1NiJ9.…"
_REFRESH = "hzr_Yc1x…"


def _config(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [example]}
    )


class RegisterIn(BaseModel):
    """A new customer."""

    model_config = _config(
        {**_DEMO_LOGIN, "email": "demo@example.com", "phone": "0712 345 678"},
    )
    username: Username
    email: Annotated[str, Field(min_length=1, max_length=320, repr=False)]
    phone: Annotated[str, Field(min_length=1, max_length=64, repr=False)]
    password: Secret


class LoginIn(BaseModel):
    """Username and password; ``otp`` where a second factor is on, ``device_token`` as it was
    handed out to this device before."""

    model_config = _config(_DEMO_LOGIN)
    username: Username
    password: Secret
    otp: Annotated[str | None, Field(max_length=32, repr=False)] = None
    device_token: Annotated[str | None, Field(max_length=128, repr=False)] = None


class RefreshIn(BaseModel):
    """The refresh token of the last answer; it works once."""

    model_config = _config({"refresh_token": _REFRESH})
    refresh_token: Secret


class PasswordIn(BaseModel):
    """A password change proves the current one."""

    model_config = _config(
        {"current_password": "four random words here", "new_password": "and four quite other ones"}
    )
    current_password: Secret
    new_password: Secret


class CustomerOut(BaseModel):
    """A customer as they see themselves; contacts are masked on every screen and wire."""

    id: str
    username: str
    email: str
    phone: str
    kind: str
    created_at: datetime

    @classmethod
    def of(cls, customer: Customer) -> "CustomerOut":
        return cls(
            id=wire_id("cus", customer.id),
            username=customer.username,
            email=customer.email_masked,
            phone=customer.phone_masked,
            kind=customer.kind.value,
            created_at=customer.created_at,
        )


class OperatorOut(BaseModel):
    """An operator as they see themselves."""

    id: str
    username: str
    role: str
    created_at: datetime

    @classmethod
    def of(cls, operator: Operator) -> "OperatorOut":
        return cls(
            id=wire_id("opr", operator.id),
            username=operator.username,
            role=operator.role.value,
            created_at=operator.created_at,
        )


class TokensOut(BaseModel):
    """A pair of tokens; ``expires_in`` are the seconds the access token lives. ``device_token`` is
    there for a new device: keep it, and send it with the next login."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "access_token": _ACCESS,
                    "token_type": "Bearer",
                    "expires_in": 900,
                    "refresh_token": _REFRESH,
                    "session_id": "ses_0199aa00bb11cc22dd33ee44ff556677",
                    "session_expires_at": "2026-12-20T09:00:00Z",
                    "device_token": "hzd_8f2k…",
                }
            ]
        }
    )
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int
    refresh_token: str
    session_id: str
    session_expires_at: datetime
    device_token: str | None = None

    @classmethod
    def of(cls, tokens: Tokens, now: datetime) -> "TokensOut":
        return cls(
            access_token=tokens.access,
            expires_in=int((tokens.access_expires_at - now).total_seconds()),
            refresh_token=tokens.refresh,
            session_id=wire_id("ses", tokens.session_id),
            session_expires_at=tokens.session_expires_at,
            device_token=tokens.device_token,
        )


class PasswordOut(BaseModel):
    """How many other sessions the change has ended."""

    ended_sessions: int


class SessionOut(BaseModel):
    """One live session of the asker; ``current`` marks the one that asks."""

    id: str
    channel: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    ip: str | None
    user_agent: str | None
    current: bool

    @classmethod
    def of(cls, session: Session, *, current: bool) -> "SessionOut":
        return cls(
            id=wire_id("ses", session.id),
            channel=session.channel.value,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            expires_at=session.expires_at,
            ip=session.ip,
            user_agent=session.user_agent,
            current=current,
        )


class SessionsOut(BaseModel):
    """A page of sessions, newest first."""

    items: list[SessionOut]
    next_cursor: str | None
