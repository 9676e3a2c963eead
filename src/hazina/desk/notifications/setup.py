"""How the desk puts its messages into the house: channels by setting, subscribers, jobs."""

from functools import partial
from uuid import UUID

from hazina.desk.notifications.channels.mail import MailChannel
from hazina.desk.notifications.channels.port import Channel, NullChannel, Sender
from hazina.desk.notifications.channels.sms import SmsChannel
from hazina.desk.notifications.events import SAYINGS
from hazina.desk.notifications.sending import SEND, Delivery, RecoverMessages
from hazina.desk.notifications.service import Notifications
from hazina.desk.recovery import Recovery
from hazina.desk.switches import Switches
from hazina.identity.codes import CodeWay, Couriers
from hazina.identity.customers import Customers
from hazina.identity.freeze import StopCodes
from hazina.infra.audit import Audit
from hazina.infra.house import House
from hazina.infra.http import Http
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Outbox
from hazina.infra.settings import Settings, SmsMode
from hazina.kernel.clock import Clock
from hazina.kernel.outcome import Outcome

CHANNEL_OF = {CodeWay.PHONE: Channel.SMS, CodeWay.EMAIL: Channel.EMAIL}
SWEEP_S = 30
CODE_TEXT = "code"
AFRICAS_TALKING = "https://api.africastalking.com"


def build(house: House) -> None:
    """This will put Delivery and Notifications into the house, and let identity send its codes."""
    jobs = house.get(Jobs)
    delivery = Delivery(
        house.db,
        house.clock,
        jobs,
        customers=house.get(Customers),
        stop_codes=house.get(StopCodes),
        senders={
            Channel.SMS: sms_channel(house.settings, house.get(Http)),
            Channel.EMAIL: mail_channel(house.settings, house.clock),
        },
        audit=house.get(Audit),
    )
    notifications = Notifications(jobs, house.get(Audit), delivery, house.get(Switches))
    house.get(Recovery).register("messages", RecoverMessages())
    house.put(delivery)
    house.put(notifications)
    jobs.register(SEND, delivery.send, attempts=3)
    jobs.every("message.sweep", SWEEP_S, delivery.sweep)
    for topic in SAYINGS:
        house.get(Outbox).register(topic, notifications.tell)
    couriers = house.get(Couriers)
    for way, channel in CHANNEL_OF.items():
        if channel in delivery.available():
            couriers.register(way, partial(_carry, delivery, channel))


async def _carry(
    delivery: Delivery, channel: Channel, customer_id: UUID, code: str
) -> Outcome[str]:
    return await delivery.deliver_now(customer_id, channel, CODE_TEXT, code)


def sms_channel(settings: Settings, http: Http) -> Sender:
    """The gateway, the simulator behind the same adapter, or nothing."""
    if settings.sms_mode is SmsMode.NULL:
        return NullChannel()
    return SmsChannel(
        http,
        base_url=settings.sms_base_url or AFRICAS_TALKING,
        username=settings.sms_username,
        api_key=settings.sms_api_key.get_secret_value(),
        sender=settings.sms_sender,
    )


def mail_channel(settings: Settings, clock: Clock) -> Sender:
    """The mail server, or nothing."""
    if not settings.smtp_host:
        return NullChannel()
    return MailChannel(
        clock,
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value(),
        sender=settings.mail_from,
    )
