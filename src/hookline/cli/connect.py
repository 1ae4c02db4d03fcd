"""`hookline connect ...`: look at a phone system before it is connected. Nothing is changed there, nor here."""

import asyncio
import json as json_
import os
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from hookline.bootstrap import connectors
from hookline.cli.failed import Failed
from hookline.connectors.asterisk.link import NoLink
from hookline.connectors.asterisk.looking import NEEDED, Seen
from hookline.connectors.freeswitch.link import NoLink as NoEventSocket
from hookline.connectors.freeswitch.looking import Seen as SeenFreeSwitch

app = typer.Typer(
    help="Look at a phone system before it is connected.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_MOST_SHOWN: Final = 20
#: What json_cdr.conf.xml needs beside the address, and event_socket.conf.xml.
_JSON_CDR: Final = (
    ("log-b-leg", "true"),
    ("encode", "false"),
    ("retries", "3"),
    ("delay", "5"),
    ("enable-cacert-check", "true"),
)
_EVENT_SOCKET: Final = (
    ("listen-ip", "(an address that Hookline reaches)"),
    ("password", "..."),
    ("apply-inbound-acl", "(a list with Hookline's address)"),
)


@app.callback()
def _root() -> None:
    """Look at a phone system before it is connected."""


@app.command(short_help="Check the login of an Asterisk, and show its trunks.")
def asterisk(
    *,
    host: Annotated[str, typer.Option(help="Where it is.")],
    username: Annotated[str, typer.Option(help="The account in manager.conf.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the manager interface.")] = 5038,
    secret_env: Annotated[
        str, typer.Option(help="Environment variable that holds the secret; without it you are asked.")
    ] = "",
    tls: Annotated[bool, typer.Option("--tls", help="Connect with TLS.")] = False,
    md5: Annotated[bool, typer.Option("--md5", help="Send a digest of the secret only.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check login and classes of events, show versions, trunks and contexts, and how to connect it. Exit 1 if not."""
    settings: dict[str, Any] = {
        "host": host, "port": port, "username": username, "secret": _secret(secret_env), "tls": tls,
        "auth": "md5" if md5 else "plain",
    }  # fmt: skip
    with Console(stderr=True).status(f"Looking at {host}"):
        try:
            seen = asyncio.run(connectors.look_at_asterisk(settings))
        except NoLink as problem:
            raise Failed(str(problem)) from None
    wanted = _connector(settings, seen)
    if json:
        typer.echo(json_.dumps({**asdict(seen), "missing": seen.missing, "connector": wanted}, ensure_ascii=False))
    else:
        _show(seen, wanted)
    if seen.missing:
        raise typer.Exit(1)


@app.command(short_help="Check the event socket of a FreeSWITCH, and show what to set.")
def freeswitch(
    *,
    host: Annotated[str, typer.Option(help="Where its event socket is.")],
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the event socket.")] = 8021,
    password_env: Annotated[
        str, typer.Option(help="Environment variable that holds the password; without it you are asked.")
    ] = "",
    url: Annotated[str, typer.Option(help="The connector's address, if it exists already.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Log in to the event socket, look for mod_json_cdr and gateways, and show how to connect it. Exit 1 if not."""
    settings = {"eslHost": host, "eslPort": port, "eslPassword": _secret(password_env, "Password")}
    with Console(stderr=True).status(f"Looking at {host}"):
        try:
            seen = asyncio.run(connectors.look_at_freeswitch(settings))
        except NoEventSocket as problem:
            raise Failed(str(problem)) from None
    told = {"trunkChannelPrefixes": seen.trunk_prefixes} if seen.gateways else {}
    plain = {**settings, "eslPassword": "...", "username": "switch", "password": "...", **told}
    wanted = {"kind": "freeswitch", "name": host, "settings": plain}
    if json:
        typer.echo(json_.dumps({**asdict(seen), "connector": wanted}, ensure_ascii=False))
    else:
        _show_freeswitch(seen, wanted, url)
    if not seen.has_json_cdr:
        raise typer.Exit(1)


def _show_freeswitch(seen: SeenFreeSwitch, wanted: dict[str, Any], url: str) -> None:
    screen = Console(highlight=False, soft_wrap=True, markup=False)
    screen.print(f"ok       login       FreeSWITCH {seen.version or '(version unknown)'}, event socket.")
    if seen.has_json_cdr:
        screen.print("ok       records     mod_json_cdr is loaded; whether it posts here is known when a call ends.")
    else:
        screen.print("problem  records     mod_json_cdr is not loaded: add it to modules.conf.xml.")
    for each in seen.gateways[:_MOST_SHOWN]:
        screen.print(f"gateway  {each.name:12}of the profile {each.profile}.")
    if len(seen.gateways) > _MOST_SHOWN:
        screen.print(f"         and {len(seen.gateways) - _MOST_SHOWN} more.")
    screen.print("\nTo connect it, with trunks as they look from here:\n\nPOST /v3/connectors")
    screen.print(json_.dumps(wanted, ensure_ascii=False, indent=2))
    address = url or "https://.../in/freeswitch/...  (the url in the answer)"
    screen.print("\nIn json_cdr.conf.xml:\n")
    for name, value in (("url", address), ("auth-scheme", "basic"), ("cred", "switch:..."), *_JSON_CDR):
        screen.print(f'<param name="{name}" value="{value}"/>')
    screen.print("\nIn event_socket.conf.xml:\n")
    for name, value in _EVENT_SOCKET:
        screen.print(f'<param name="{name}" value="{value}"/>')


def _secret(variable: str, name: str = "Secret") -> str:
    if not variable:
        return str(typer.prompt(name, hide_input=True, err=True))
    secret = os.environ.get(variable)
    if not secret:
        raise Failed(f"The environment variable {variable} is not set.")
    return secret


def _connector(settings: dict[str, Any], seen: Seen) -> dict[str, Any]:
    """The body that connects it, but for the secret."""
    guessed = {
        "trunkChannelPrefixes": seen.trunk_prefixes,
        "inboundContexts": seen.inbound_contexts,
        "outboundContexts": seen.outbound_contexts,
    }
    plain = {name: value for name, value in settings.items() if value not in (False, "plain", 5038)}
    told = {name: value for name, value in guessed.items() if value}
    return {"kind": "asterisk", "name": settings["host"], "settings": {**plain, "secret": "...", **told}}


def _show(seen: Seen, wanted: dict[str, Any]) -> None:
    screen = Console(highlight=False, soft_wrap=True, markup=False)
    screen.print(f"ok       login       Asterisk {seen.asterisk or '(version unknown)'}, manager interface {seen.ami}.")
    if seen.missing:
        screen.print(f"problem  events      The account does not hear {', '.join(seen.missing)}: add it to `read`.")
    elif seen.reads is None:
        screen.print(f"unknown  events      It may not be asked; `read` in manager.conf needs {', '.join(NEEDED)}.")
    else:
        screen.print(f"ok       events      It hears {', '.join(seen.reads)}.")
    if seen.has_times is False:
        screen.print("warning  times       Events have no time of their own: set timestampevents = yes.")
    if seen.endpoints is None:
        screen.print("unknown  trunks      The account may not ask for endpoints (write = system,reporting).")
    for each in (seen.endpoints or ())[:_MOST_SHOWN]:
        kind = "trunk" if each.is_trunk else "phone"
        screen.print(f"{kind:9}{each.prefix:16}in the context {each.context or '(unknown)'}.")
    if len(seen.endpoints or ()) > _MOST_SHOWN:
        screen.print(f"         and {len(seen.endpoints or ()) - _MOST_SHOWN} more.")
    screen.print("\nTo connect it, with trunks and contexts as they look from here:\n")
    screen.print("POST /v3/connectors")
    screen.print(json_.dumps(wanted, ensure_ascii=False, indent=2))
