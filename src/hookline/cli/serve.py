"""`hookline serve`: everything in one process, or a part of it beside others."""

import logging
import os
import sys
import textwrap
from typing import Annotated, Final

import typer
import uvloop

from hookline import __version__
from hookline.adapters.sql.startup import STARTUP_SECONDS
from hookline.bootstrap import server, storage
from hookline.cli.store import DatabaseWait
from hookline.services.keys import ensure_first_key
from hookline.settings import ALL, CONFIG, ROLES, Role, Setting, Settings, load_settings, strangers


def _described(setting: Setting) -> str:
    """A setting for the help, within 80 columns."""
    default = f" Default: {setting.default}." if setting.default else ""
    return f"{setting.name}\n" + textwrap.indent(textwrap.fill(setting.meaning + default, 72), "    ")


#: \b keeps the lines as they are.
EPILOG: Final = "\n\n".join(
    (
        f"Settings are taken from the environment, or under the same names from the TOML file that {CONFIG} names:",
        *(f"\b\n{_described(setting)}" for setting in ALL),
    )
)


LOG_LINE: Final = "%(asctime)s %(levelname)s %(message)s"
LOG_TIME: Final = "%Y-%m-%dT%H:%M:%S%z"


def serve(
    *,
    roles: Annotated[
        str | None,
        typer.Option(metavar="ROLES", help=f"What this node does, in place of {ROLES}: api,deliver,timers or fewer."),
    ] = None,
    database_wait: DatabaseWait = STARTUP_SECONDS,
) -> None:
    """Serve the API, deliver webhooks and fire timers, all in one process or some of it, until SIGTERM."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=LOG_LINE, datefmt=LOG_TIME)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    settings = load_settings(os.environ if roles is None else {**os.environ, ROLES: roles})
    for name in strangers(os.environ):
        logging.getLogger("hookline").warning("settings.unknown name=%s", name)

    def ready(url: str) -> None:
        _show_first_key(settings)
        typer.echo(f"Hookline {__version__} listens on {url} (reference: {url}/docs). Ctrl-C stops it.")
        sys.stdout.flush()

    def stopping() -> None:
        typer.echo("Stopping: nothing new is begun, what is being sent may end.")
        sys.stdout.flush()

    uvloop.run(server.serve(settings, ready, stopping, database_wait))
    typer.echo("Stopped. What is still owed goes on at the next start.")


def _show_first_key(settings: Settings) -> None:
    """Make a key where there is none, once the server runs: a start that fails must not use up the one showing."""
    if settings.api_key is not None or Role.API not in settings.roles:
        return
    with storage.open_store(settings) as store:
        key = store.write(ensure_first_key)
    if key is not None:
        typer.echo(f"Your first API key, shown this once:\n\n    {key}\n\nKeep it; more with `hookline keys create`.")
