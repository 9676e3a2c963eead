"""What the M-Pesa rail offers: the two ports, the callbacks' door, and the job that reads them."""

from pathlib import Path

import structlog

from hazina.infra.alarms import Alarm
from hazina.infra.audit import Audit
from hazina.infra.house import House, Manifest
from hazina.infra.http import Http
from hazina.infra.inbox import Inbox
from hazina.infra.jobs import Jobs
from hazina.infra.ratelimit import RateLimiter
from hazina.infra.settings import Mode, MpesaMode, Settings
from hazina.infra.vault import Vault
from hazina.kernel.clock import Clock
from hazina.rails.balances import BalanceRail
from hazina.rails.callbacks import Callbacks
from hazina.rails.mpesa.balances import MpesaBalances, NullBalances
from hazina.rails.mpesa.callbacks import SOURCE, CallbackDoor, router
from hazina.rails.mpesa.client import Gateway, MpesaCollections, MpesaPayouts
from hazina.rails.mpesa.conf import MpesaMisconfigured, read_conf
from hazina.rails.mpesa.credential import load_certificate
from hazina.rails.mpesa.null import NullCollections, NullPayouts
from hazina.rails.mpesa.receipts import MpesaReceipts, NullReceipts
from hazina.rails.mpesa.results import parse
from hazina.rails.mpesa.shared_token import TokenRow
from hazina.rails.mpesa.token import TokenSource
from hazina.rails.ports import PayoutRail, Rails
from hazina.rails.receipts import ReceiptRail

log = structlog.stdlib.get_logger()
OFF = Alarm("mpesa-off")

NOTICES = "mpesa/notices"  # what the fixed address's token is derived for
PAYOUTS_NEED = "set HAZINA_MPESA_INITIATOR_NAME, …_INITIATOR_PASSWORD and …_CERTIFICATE"


def build(house: House) -> None:
    """This will put Rails, Callbacks and the callbacks' door into the house."""
    jobs, inbox = house.get(Jobs), house.get(Inbox)
    callbacks = Callbacks(
        house.db, inbox, jobs, house.clock, audit=house.get(Audit), source=SOURCE, parse=parse
    )
    house.put(callbacks)
    gateway = make_gateway(house)
    rails = make_rails(house.settings, house.get(Http), house.clock, gateway)
    receipts = make_receipts(house.settings, gateway, house.get(Vault))
    house.put(receipts, kind=ReceiptRail)
    house.put(make_balances(house.settings, gateway), kind=BalanceRail)
    house.put(rails)
    house.put(
        CallbackDoor(
            house.db, inbox, jobs, house.clock, house.settings, callbacks, house.get(RateLimiter)
        )
    )


def make_gateway(house: House) -> Gateway | None:
    """This will make the one line to M-Pesa, with the one token that all processes share.

    Raises: MpesaMisconfigured.
    """
    if house.settings.mpesa_mode is MpesaMode.NULL:
        return None
    conf, http, clock = read_conf(house.settings), house.get(Http), house.clock
    row = TokenRow(
        house.db,
        house.get(Vault),
        clock,
        base_url=conf.base_url,
        consumer_key=conf.consumer_key,
    )
    return Gateway(http, conf, TokenSource(http, conf, clock, row))


def make_receipts(settings: Settings, gateway: Gateway | None, vault: Vault) -> ReceiptRail:
    """This will choose who tells of payments that come unasked. Raises: MpesaMisconfigured."""
    if gateway is None:
        return NullReceipts()
    conf = read_conf(settings)
    asks = conf.certificate is not None and conf.pays_out
    key = load_certificate(conf.certificate) if conf.certificate is not None and asks else None
    return MpesaReceipts(gateway, conf, key, vault.derive(NOTICES)[:16].hex())


def make_balances(settings: Settings, gateway: Gateway | None) -> BalanceRail:
    """This will choose who tells our balances: nobody without an initiator."""
    if gateway is None:
        return NullBalances()
    conf = read_conf(settings)
    if conf.certificate is None or not conf.pays_out:
        return NullBalances()
    return MpesaBalances(gateway, conf, load_certificate(conf.certificate))


def make_rails(
    settings: Settings, http: Http, clock: Clock, gateway: Gateway | None = None
) -> Rails:
    """This will choose the implementation by ``mpesa_mode``; real, sandbox and simulated differ by
    base URL only. Raises: MpesaMisconfigured.
    """
    if settings.mpesa_mode is MpesaMode.NULL:
        OFF.ring("M-PESA IS OFF: nothing can be collected or paid out (HAZINA_MPESA_MODE=null)")
        return Rails(NullCollections(), NullPayouts())
    conf = read_conf(settings)
    gateway = gateway or Gateway(http, conf, TokenSource(http, conf, clock))
    payouts: PayoutRail = NullPayouts()
    if conf.certificate is not None and conf.pays_out:
        payouts = MpesaPayouts(gateway, conf, load_certificate(conf.certificate))
    elif settings.mode is Mode.PRODUCTION:
        raise MpesaMisconfigured(f"production refuses to start without payouts: {PAYOUTS_NEED}")
    else:
        OFF.ring(f"M-PESA PAYOUTS ARE OFF: {PAYOUTS_NEED}")
    log.info("M-Pesa is on", mode=settings.mpesa_mode.value, base_url=conf.base_url)
    return Rails(MpesaCollections(gateway, conf), payouts)


MANIFEST = Manifest(
    name="mpesa",
    build=build,
    migrations=Path(__file__).parent / "migrations",
    callbacks=(router,),
)
