"""What identity offers to the house: people, sessions, the doors to sign in by, JSON routes."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hazina.identity import guard_routes, key_routes, recovery_routes, tasks
from hazina.identity.api_keys import ApiKeys
from hazina.identity.breached import BreachedList
from hazina.identity.codes import Challenges, Couriers
from hazina.identity.credentials import Credentials
from hazina.identity.customers import Customers
from hazina.identity.devices import Devices
from hazina.identity.freeze import Guards, StopCodes
from hazina.identity.lockout import Lockouts
from hazina.identity.login import CustomerLogin, OperatorLogin
from hazina.identity.operators import Operators
from hazina.identity.outward import OutwardGuard
from hazina.identity.own_password import OwnPassword
from hazina.identity.password_change import PasswordChange
from hazina.identity.passwords import OWASP, Passwords
from hazina.identity.people import CONSOLE, WALLET, Realm
from hazina.identity.recovery import AccountRecovery
from hazina.identity.register import Registration
from hazina.identity.repository import customer_of, operator_of
from hazina.identity.routes import operator_router, router
from hazina.identity.second_factor import CustomerFactors, OperatorFactors
from hazina.identity.sessions import CustomerSessions, OperatorSessions
from hazina.identity.tickets import Tickets
from hazina.identity.tokens import AccessTokens
from hazina.infra.audit import Audit
from hazina.infra.db import Tx
from hazina.infra.house import House, Manifest
from hazina.infra.idempotency import Idempotency
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Outbox
from hazina.infra.ratelimit import RateLimiter
from hazina.infra.settings import Mode
from hazina.infra.vault import CustomerVault, Vault
from hazina.kernel.actor import Actor, ActorKind
from hazina.kernel.money import KES


def build(house: House) -> None:
    """This will put people, their sessions and doors, and what guards their accounts into the
    house."""
    passwords = _passwords(house)
    house.put(passwords)
    house.put(Lockouts(house.get(Vault)))
    house.put(StopCodes(house.get(Vault)))
    house.put(Couriers())
    _build_sessions(house)
    _build_guards(house)
    _build_customers(house, passwords)
    _build_operators(house, passwords)
    credentials = Credentials(house.db, vault=house.get(Vault), audit=house.get(Audit))
    house.put(credentials)
    _build_recovery(house, passwords)
    jobs, sessions = house.get(Jobs), (house.get(CustomerSessions), house.get(OperatorSessions))
    keys = house.get(ApiKeys)
    tasks.register(jobs, house.db, house.clock, *sessions)
    tasks.register_nonces(jobs, house.db, house.clock, credentials, keys)
    tasks.register_guards(jobs, house.db, house.clock, house.get(Challenges), house.get(Lockouts))


def _passwords(house: House) -> Passwords:
    settings = house.settings
    path = settings.breached_passwords_file
    return Passwords(
        replace(OWASP, memory_kib=settings.password_memory_kib),
        breached=BreachedList(path) if path else None,
    )


def _build_sessions(house: House) -> None:
    audit, settings = house.get(Audit), house.settings
    house.put(
        CustomerSessions(
            WALLET,
            customer_of,
            tokens=_tokens(house, WALLET),
            audit=audit,
            lifetime=timedelta(days=settings.session_days),
        )
    )
    house.put(
        OperatorSessions(
            CONSOLE,
            operator_of,
            tokens=_tokens(house, CONSOLE),
            audit=audit,
            lifetime=timedelta(hours=settings.operator_session_hours),
            idle=timedelta(minutes=settings.operator_idle_minutes),
        )
    )


def _build_guards(house: House) -> None:
    vault, audit, outbox = house.get(Vault), house.get(Audit), house.get(Outbox)
    limiter = house.get(RateLimiter)
    customers = Customers(vault, house.get(CustomerVault))
    cool_down = timedelta(hours=house.settings.cool_down_hours)
    guards = Guards(audit=audit, outbox=outbox, cool_down=cool_down)
    factors = CustomerFactors(
        WALLET, house.db, vault=vault, limiter=limiter, audit=audit, outbox=outbox
    )
    for part in (
        customers,
        guards,
        factors,
        OperatorFactors(
            CONSOLE, house.db, vault=vault, limiter=limiter, audit=audit, outbox=outbox
        ),
        Devices(guards=guards, audit=audit, outbox=outbox),
        OutwardGuard(
            guards=guards,
            factors=factors,
            vault=vault,
            audit=audit,
            outbox=outbox,
            factor_from=KES.units(house.settings.second_factor_from_kes * 100),
        ),
        ApiKeys(house.db, vault=vault, guards=guards, factors=factors, audit=audit, outbox=outbox),
    ):
        house.put(part)

    async def let_in(tx: Tx, actor: Actor) -> None:
        if actor.kind is ActorKind.CUSTOMER and actor.id is not None:
            await guards.require_open(tx, actor.id)

    house.get(Idempotency).ask_first(let_in)


def _build_customers(house: House, passwords: Passwords) -> None:
    limiter, audit, limit = house.get(RateLimiter), house.get(Audit), house.settings.login_limit
    sessions, vault = house.get(CustomerSessions), house.get(Vault)
    house.put(
        Registration(
            house.db,
            passwords=passwords,
            vault=vault,
            sealed=house.get(CustomerVault),
            limiter=limiter,
            limit=limit,
            audit=audit,
        )
    )
    house.put(
        CustomerLogin(
            WALLET,
            house.db,
            passwords=passwords,
            sessions=sessions,
            factors=house.get(CustomerFactors),
            lockouts=house.get(Lockouts),
            tickets=Tickets(vault.derive("identity.login-ticket.wallet")),
            limiter=limiter,
            limit=limit,
            audit=audit,
            devices=house.get(Devices),
        )
    )
    own = OwnPassword(house.db, passwords=passwords, limiter=limiter, limit=limit, audit=audit)
    house.put(own)
    house.put(
        PasswordChange(
            house.db,
            customers=house.get(Customers),
            own=own,
            passwords=passwords,
            sessions=sessions,
            audit=audit,
            outbox=house.get(Outbox),
        )
    )


def _build_operators(house: House, passwords: Passwords) -> None:
    sessions, audit = house.get(OperatorSessions), house.get(Audit)
    house.put(Operators(house.db, passwords=passwords, sessions=sessions, audit=audit))
    house.put(
        OperatorLogin(
            CONSOLE,
            house.db,
            passwords=passwords,
            sessions=sessions,
            factors=house.get(OperatorFactors),
            lockouts=house.get(Lockouts),
            tickets=Tickets(house.get(Vault).derive("identity.login-ticket.console")),
            limiter=house.get(RateLimiter),
            limit=house.settings.login_limit,
            audit=audit,
            factor_required=house.settings.mode is Mode.PRODUCTION,
        )
    )


def _build_recovery(house: House, passwords: Passwords) -> None:
    challenges = Challenges(house.db, house.get(Jobs), house.get(Vault), house.get(Couriers))
    house.put(challenges)
    house.put(
        AccountRecovery(
            house.db,
            challenges=challenges,
            customers=house.get(Customers),
            passwords=passwords,
            factors=house.get(CustomerFactors),
            guards=house.get(Guards),
            keys=house.get(ApiKeys),
            devices=house.get(Devices),
            sessions=house.get(CustomerSessions),
            stop_codes=house.get(StopCodes),
            limiter=house.get(RateLimiter),
            limit=house.settings.login_limit,
            audit=house.get(Audit),
            outbox=house.get(Outbox),
        )
    )


def _tokens(house: House, realm: Realm) -> AccessTokens:
    given = house.settings.token_secret.get_secret_value().encode()
    secret = given or house.get(Vault).derive("identity.access-token")
    lifetime = timedelta(minutes=house.settings.access_token_minutes)
    return AccessTokens(secret, audience=realm.audience, lifetime=lifetime)


MANIFEST = Manifest(
    name="identity",
    build=build,
    migrations=Path(__file__).parent / "migrations",
    routes=(
        router,
        operator_router,
        guard_routes.router,
        key_routes.router,
        recovery_routes.router,
    ),
)
