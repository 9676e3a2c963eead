"""Command line of the simulators; the house mounts `app` as `hazina simulate`."""

# ruff: noqa: FBT002 - Typer turns these parameters into named options

import ipaddress
import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from hazina.simulators.daraja import SimConfig, create_app
from hazina.simulators.serving import serve
from hazina.simulators.sms import SmsConfig
from hazina.simulators.sms import create_app as create_sms_app

app = typer.Typer(help="Servers that play the outside world.", no_args_is_help=True)


@app.callback()
def _simulators() -> None:
    """Servers that play the outside world; no real money anywhere."""


def _env(name: str) -> str:
    return f"DARAJA_SIM_{name}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_DEFAULT = SimConfig()


@app.command()
def daraja(
    host: Annotated[str, typer.Option(envvar=_env("HOST"))] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar=_env("PORT"), help="0 takes a free port.")] = 0,
    data: Annotated[
        Path | None, typer.Option(envvar=_env("DATA"), help="SQLite file; memory when left out.")
    ] = None,
    consumer_key: Annotated[str, typer.Option(envvar=_env("CONSUMER_KEY"))] = _DEFAULT.consumer_key,
    consumer_secret: Annotated[
        str, typer.Option(envvar=_env("CONSUMER_SECRET"))
    ] = _DEFAULT.consumer_secret,
    shortcode: Annotated[str, typer.Option(envvar=_env("SHORTCODE"))] = _DEFAULT.shortcode,
    passkey: Annotated[str, typer.Option(envvar=_env("PASSKEY"))] = _DEFAULT.passkey,
    b2c_shortcode: Annotated[
        str | None, typer.Option(envvar=_env("B2C_SHORTCODE"), help="Default: the shortcode.")
    ] = None,
    initiator_name: Annotated[
        str, typer.Option(envvar=_env("INITIATOR_NAME"))
    ] = _DEFAULT.initiator_name,
    initiator_password: Annotated[
        str, typer.Option(envvar=_env("INITIATOR_PASSWORD"))
    ] = _DEFAULT.initiator_password,
    key_pair: Annotated[
        Path | None,
        typer.Option(
            envvar=_env("KEY_PAIR"),
            help="RSA key PEM, made when missing; clients encrypt with <file>.cert.pem.",
        ),
    ] = None,
    organisation: Annotated[
        str, typer.Option(envvar=_env("ORGANISATION"), help="Name shown on handsets.")
    ] = _DEFAULT.organisation,
    allow_http: Annotated[
        bool, typer.Option(envvar=_env("ALLOW_HTTP"), help="http:// callbacks, loopback only.")
    ] = True,
    seed: Annotated[
        int | None, typer.Option(envvar=_env("SEED"), help="Repeatable identifiers.")
    ] = None,
    unsafe_bind: Annotated[
        bool, typer.Option(envvar=_env("UNSAFE_BIND"), help="Allow a host that is not loopback.")
    ] = False,
    die_with_parent: Annotated[
        bool, typer.Option(envvar=_env("DIE_WITH_PARENT"), help="Linux: end when the parent ends.")
    ] = False,
) -> None:
    """Run a simulated M-Pesa (Daraja) with handsets in the browser."""
    if not _is_loopback(host) and not unsafe_bind:
        raise typer.BadParameter("only loopback without --unsafe-bind", param_hint="--host")
    config = SimConfig(
        data=data,
        consumer_key=consumer_key,
        consumer_secret=consumer_secret,
        shortcode=shortcode,
        passkey=passkey,
        b2c_shortcode=b2c_shortcode,
        initiator_name=initiator_name,
        initiator_password=initiator_password,
        key_pair=key_pair,
        organisation=organisation,
        allow_http=allow_http,
        seed=seed,
    )
    try:
        simulator = create_app(config)
    except sqlite3.OperationalError as problem:
        raise typer.BadParameter(f"cannot use this file: {problem}", param_hint="--data") from None
    serve(simulator, "Daraja simulator", host, port, die_with_parent=die_with_parent)


def _sms_env(name: str) -> str:
    return f"SMS_SIM_{name}"


@app.command()
def sms(
    host: Annotated[str, typer.Option(envvar=_sms_env("HOST"))] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar=_sms_env("PORT"), help="0 takes a free port.")] = 0,
    data: Annotated[
        Path | None,
        typer.Option(envvar=_sms_env("DATA"), help="SQLite file; memory when left out."),
    ] = None,
    username: Annotated[str, typer.Option(envvar=_sms_env("USERNAME"))] = SmsConfig().username,
    api_key: Annotated[str, typer.Option(envvar=_sms_env("API_KEY"))] = SmsConfig().api_key,
    unsafe_bind: Annotated[
        bool,
        typer.Option(envvar=_sms_env("UNSAFE_BIND"), help="Allow a host that is not loopback."),
    ] = False,
    die_with_parent: Annotated[
        bool,
        typer.Option(envvar=_sms_env("DIE_WITH_PARENT"), help="Linux: end when the parent ends."),
    ] = False,
) -> None:
    """Run a simulated SMS gateway with an inbox in the browser."""
    if not _is_loopback(host) and not unsafe_bind:
        raise typer.BadParameter("only loopback without --unsafe-bind", param_hint="--host")
    try:
        gateway = create_sms_app(SmsConfig(data=data, username=username, api_key=api_key))
    except sqlite3.OperationalError as problem:
        raise typer.BadParameter(f"cannot use this file: {problem}", param_hint="--data") from None
    serve(gateway, "SMS simulator", host, port, die_with_parent=die_with_parent)
