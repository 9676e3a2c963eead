"""A house whose messages go to a real mail server and a real SMS gateway on loopback."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.message import EmailMessage
from uuid import UUID

import httpx
import pytest_asyncio
from pydantic import SecretStr

from hazina.bootstrap.registry import manifests
from hazina.bootstrap.wiring import assemble
from hazina.identity.people import Customer
from hazina.identity.register import Application, Registration
from hazina.infra.db import Database, Row
from hazina.infra.house import House
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Outbox
from hazina.infra.settings import MailSecurity, Settings, SmsMode
from hazina.kernel.actor import Actor, ActorKind
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import new_id
from hazina.ledger.service import Ledger, prepare
from hazina.simulators.sms import SmsConfig, create_app
from hazina.web.wallet.app import create_wallet_app
from tests import server
from tests.conftest import place_called
from tests.identity.people import PASSWORD, new_person
from tests.journeys.world import address, listener, serving
from tests.loopback import NO_CERTIFICATES
from tests.notifications.smtp_sink import SmtpSink, mail_server

ORIGIN = Actor(ActorKind.SYSTEM, ip="192.0.2.7", user_agent="test")


@dataclass(slots=True)
class Post:
    """A house with both channels, and what a test does with it."""

    house: House
    mail: SmtpSink
    sms: httpx.AsyncClient
    customer: Customer
    phone: str
    email: str

    @property
    def letters(self) -> list[EmailMessage]:
        """This customer's: jobs that another test left are worked off here as well."""
        return [letter for letter in self.mail.letters if letter["To"] == self.email]

    @property
    def clock(self) -> SettableClock:
        clock = self.house.clock
        assert isinstance(clock, SettableClock)
        return clock

    async def tell(self, topic: str, **facts: object) -> None:
        payload = {"customer_id": str(self.customer.id), **facts}
        now = self.house.clock.now()
        outbox = self.house.get(Outbox)
        await self.house.db.run(lambda tx: outbox.emit(tx, topic, new_id(), payload, now))
        await self.work()

    async def work(self) -> None:
        await self.house.get(Jobs).run_all_due()

    async def sweep(self) -> None:
        await self.house.get(Jobs).sweep("message.sweep")
        await self.work()

    async def texts(self) -> list[str]:
        answer = await self.sms.get("/sim/messages", params={"phone": self.phone})
        return [str(one["text"]) for one in answer.json()]

    async def fail_next(self, **fault: object) -> None:
        await self.sms.put("/sim/faults", json={"next": [fault]})

    async def rows(self, customer_id: UUID | None = None) -> dict[str, Row]:
        found = await self.house.db.fetch(
            "SELECT * FROM desk.message WHERE customer_id = $1 ORDER BY id",
            customer_id or self.customer.id,
        )
        return {row["channel"]: row for row in found}


# What a test may leave that another would work off, or that stops the house: its messages, jobs and
# recovery. Customers are each test's own.
CLEAN = "TRUNCATE pgqueuer.pgqueuer, infra.outbox, desk.message, desk.recovery"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def quiet() -> AsyncIterator[tuple[Database, Database]]:
    """A database of one file's own, as the application and as its owner see it."""
    place = await place_called(f"hazina_test_{new_id().hex}")
    app = await Database.connect(place.app, size=20)
    owner = await Database.connect(place.owner, size=2)
    await prepare(Ledger(), app)
    yield app, owner
    await app.close()
    await owner.close()
    await server.drop(place.admin, place.name)


@pytest_asyncio.fixture(loop_scope="session")
async def post(
    settings: Settings, quiet: tuple[Database, Database], clock: SettableClock
) -> AsyncIterator[Post]:
    fresh, owner = quiet
    await owner.run(lambda tx: tx.execute(CLEAN))
    on = listener()
    gateway = create_app(SmsConfig(username="house", api_key="key"))
    async with mail_server() as mail, serving(gateway, on):
        told = settings.model_copy(
            update={
                "sms_mode": SmsMode.SIMULATED,
                "sms_base_url": address(on),
                "sms_username": "house",
                "sms_api_key": SecretStr("key"),
                "smtp_host": "127.0.0.1",
                "smtp_port": mail.port,
                "smtp_security": MailSecurity.NONE,
                "mail_from": "house@example.com",
                "cool_down_hours": 24,
            }
        )
        house, person = assemble(told, fresh, clock), new_person()
        application = Application(person.username, person.email, person.phone, PASSWORD)
        made = await house.get(Registration).register(application, ORIGIN, clock.now())
        async with httpx.AsyncClient(base_url=address(on), verify=NO_CERTIFICATES) as sms:
            yield Post(house, mail, sms, made, person.phone, person.email)
        await house.close()


@pytest_asyncio.fixture(loop_scope="session")
async def web(post: Post) -> AsyncIterator[httpx.AsyncClient]:
    app = create_wallet_app(post.house, manifests())
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://wallet.test") as client:
        yield client
