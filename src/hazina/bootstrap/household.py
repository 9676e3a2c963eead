"""What `hazina up` runs: which processes, each with which settings and no more than it needs.

The simulated M-Pesa sees no setting of the house, and no process but the supervisor sees the
owner's database URL. Secrets travel in environments and 0600 files, never in command lines.
"""

import hashlib
import http.client
import json
import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import asyncpg

import hazina
from hazina.bootstrap.pg_record import Urls
from hazina.bootstrap.ports import LOOPBACK, Ports
from hazina.bootstrap.processes import Child
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.manifest import key_file
from hazina.infra.settings import Mode, Settings
from hazina.kernel.clock import SystemClock

SHORTCODE = "600123"
B2C_SHORTCODE = "600124"
INITIATOR = "hazina"
SMS_USERNAME = "hazina"
COOL_DOWN = "HAZINA_COOL_DOWN_HOURS"


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """A login that exists only together with simulators, to be shown in the terminal."""

    page: str  # "wallet" or "console"
    username: str
    password: str
    about: str = ""
    handset: str = ""  # where its simulated phone is shown


@dataclass(frozen=True, slots=True)
class SimulatedMpesa:
    """The credentials that the house and its simulated M-Pesa share, made once per data directory
    (a changed passkey would refuse the callbacks' queries of yesterday's prompts)."""

    consumer_key: str
    consumer_secret: str
    passkey: str
    initiator_password: str

    @property
    def sms_key(self) -> str:
        """The SMS gateway's key follows from what is kept, so that old folders need no new one."""
        return hashlib.sha256(f"sms/{self.passkey}".encode()).hexdigest()[:32]

    @classmethod
    def of(cls, data_dir: Path) -> "SimulatedMpesa":
        """This will read them, or make them the first time."""
        path = data_dir / "simulators" / "daraja.json"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.exists():
            return cls(**json.loads(path.read_text()))
        made = cls(*(secrets.token_hex(size) for size in (16, 16, 32, 12)))
        beside = path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as out:
            json.dump(asdict(made), out)
        beside.replace(path)
        return made


@dataclass(frozen=True, slots=True)
class Household:
    """Everything decided before the first process starts."""

    data_dir: Path
    ports: Ports
    urls: Urls
    mpesa: SimulatedMpesa | None

    @property
    def wallet_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.wallet}"

    @property
    def console_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.console}"

    @property
    def daraja_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.daraja}"

    @property
    def sms_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.sms}"

    @property
    def key_pair(self) -> Path:
        return self.data_dir / "simulators" / "daraja.key.pem"

    def settings(self) -> dict[str, str]:
        """The ``HAZINA_…`` variables of web, console and worker."""
        found = {
            "HAZINA_DATA_DIR": str(self.data_dir),
            "HAZINA_DATABASE_URL": self.urls.app,
            "HAZINA_DATABASE_READONLY_URL": self.urls.readonly,
            "HAZINA_PORT": str(self.ports.wallet),
            "HAZINA_CONSOLE_PORT": str(self.ports.console),
        }
        if "HAZINA_PUBLIC_URL" not in os.environ or self.mpesa is not None:
            found["HAZINA_PUBLIC_URL"] = self.wallet_url
        if self.mpesa is not None:
            found |= self._mpesa_settings(self.mpesa) | self._sms_settings(self.mpesa)
            # Nobody waits a day in a practice house; who wants to see it says so.
            found.setdefault(COOL_DOWN, os.environ.get(COOL_DOWN, "0"))
        return found

    def _sms_settings(self, mpesa: SimulatedMpesa) -> dict[str, str]:
        return {
            "HAZINA_SMS_MODE": "simulated",
            "HAZINA_SMS_BASE_URL": self.sms_url,
            "HAZINA_SMS_USERNAME": SMS_USERNAME,
            "HAZINA_SMS_API_KEY": mpesa.sms_key,
        }

    def _mpesa_settings(self, mpesa: SimulatedMpesa) -> dict[str, str]:
        return {
            "HAZINA_MPESA_MODE": "simulated",
            "HAZINA_MPESA_BASE_URL": self.daraja_url,
            "HAZINA_MPESA_CONSUMER_KEY": mpesa.consumer_key,
            "HAZINA_MPESA_CONSUMER_SECRET": mpesa.consumer_secret,
            "HAZINA_MPESA_SHORTCODE": SHORTCODE,
            "HAZINA_MPESA_PASSKEY": mpesa.passkey,
            "HAZINA_MPESA_B2C_SHORTCODE": B2C_SHORTCODE,
            "HAZINA_MPESA_INITIATOR_NAME": INITIATOR,
            "HAZINA_MPESA_INITIATOR_PASSWORD": mpesa.initiator_password,
            "HAZINA_MPESA_CERTIFICATE": f"{self.key_pair}.cert.pem",
            "HAZINA_MPESA_CALLBACK_SOURCES": LOOPBACK,
        }

    def simulators(self) -> list[Child]:
        """The simulated M-Pesa and SMS gateway, none where they were not asked for."""
        found = self.simulator()
        return [] if self.mpesa is None or found is None else [found, self._sms(self.mpesa)]

    def simulator(self) -> Child | None:
        """The simulated M-Pesa alone."""
        return None if self.mpesa is None else self._daraja(self.mpesa)

    def _sms(self, mpesa: SimulatedMpesa) -> Child:
        told = {
            "HOST": LOOPBACK,
            "PORT": str(self.ports.sms),
            "DATA": str(self.data_dir / "simulators" / "sms.sqlite"),
            "USERNAME": SMS_USERNAME,
            "API_KEY": mpesa.sms_key,
        }
        environment = plain_environment() | {f"SMS_SIM_{k}": v for k, v in told.items()}
        return Child("sms", _python("hazina.simulators", "sms"), environment, rank=3)

    def _daraja(self, mpesa: SimulatedMpesa) -> Child:
        told = {
            "HOST": LOOPBACK,
            "PORT": str(self.ports.daraja),
            "DATA": str(self.data_dir / "simulators" / "daraja.sqlite"),
            "KEY_PAIR": str(self.key_pair),
            "CONSUMER_KEY": mpesa.consumer_key,
            "CONSUMER_SECRET": mpesa.consumer_secret,
            "SHORTCODE": SHORTCODE,
            "PASSKEY": mpesa.passkey,
            "B2C_SHORTCODE": B2C_SHORTCODE,
            "INITIATOR_NAME": INITIATOR,
            "INITIATOR_PASSWORD": mpesa.initiator_password,
        }
        environment = plain_environment() | {f"DARAJA_SIM_{k}": v for k, v in told.items()}
        command = _python("hazina.simulators", "daraja")
        return Child("daraja", command, environment, rank=3)

    def processes(self, web_processes: int) -> list[Child]:
        """Web (as many as asked for, on one port), console and worker; the ledger's door for
        services where its port is set."""
        inherited = {k: v for k, v in os.environ.items() if k.startswith("HAZINA_")}
        inherited.pop("HAZINA_DATABASE_OWNER_URL", None)
        environment = plain_environment() | inherited | self.settings()
        more = {f"web-{number}": "web" for number in range(2, web_processes + 1)}
        verbs = {"web": "web"} | more | {"console": "console", "worker": "worker"}
        if environment.get("HAZINA_INTERNAL_PORT"):
            verbs["internal"] = "internal"
        return [
            Child(name, _python("hazina.cli", verb), environment, rank=2 if verb == "worker" else 1)
            for name, verb in verbs.items()
        ]


def plain_environment() -> dict[str, str]:
    """The caller's environment without any setting or database variable."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HAZINA_", "DARAJA_SIM_", "SMS_SIM_", "PG", "PYTHON"))
    }
    source = Path(hazina.__file__).parent.parent
    return kept | {"PYTHONPATH": str(source), "PYTHONUNBUFFERED": "1"}


def why_not_ready(port: int) -> str:
    """What ``/readyz`` answers instead of 200, empty when it is ready. The standard library's
    client: no event loop runs here."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return "" if answer.status == 200 else answer.read(1000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


class KeysMissing(Exception):
    """The vault's key file is gone while the database holds what only it can open."""


async def ensure_keys(settings: Settings, urls: Urls) -> bool:
    """This will make the vault's key file for a database that holds nothing sealed yet, and say
    whether it did. Raises: KeysMissing, rather than start with keys that open nothing."""
    path = key_file(settings)
    if path.exists() or settings.mode is Mode.PRODUCTION:
        return False
    connection = await asyncpg.connect(urls.owner)
    try:
        sealed = await connection.fetchval("SELECT EXISTS (SELECT FROM infra.data_key)")
    finally:
        await connection.close()
    if sealed:
        raise KeysMissing(
            f"the key file {path} is gone and the database holds what only it opens: "
            "put it back from its backup"
        )
    LocalKeyProvider.generate(path, SystemClock().now())
    return True


def read_settings(told: Mapping[str, str]) -> Settings:
    """This will give the settings that the children will read. Raises: UnsafeSettings."""
    os.environ.update(told)
    settings = Settings()
    settings.refuse_unsafe()
    return settings


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", module, *arguments]
