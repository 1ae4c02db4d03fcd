"""The commands, put together; and how a failure ends: with a sentence on stderr and exit code 1."""

import sys
from typing import Annotated, Final, NoReturn

import typer

from hookline import __version__
from hookline.cli import connect, copy, demo, doctor, erase, importing, keys, replay, serve, store, trigger
from hookline.cli.failed import Failed
from hookline.errors import HooklineError, Unavailable
from hookline.settings import WrongSetting

#: What is said to a program that asked the API -> what is said to people.
_HERE: Final = {Unavailable("").hint: "Nothing was changed. `hookline doctor` tells more."}

app = typer.Typer(
    name="hookline",
    help="Meetings and phone calls become signed webhooks: at once, exactly, and without fail.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(short_help="Run the server.", epilog=serve.EPILOG)(serve.serve)
app.command(short_help="See it work, on this machine, in ten seconds.")(demo.demo)
app.command(short_help="Send the sample of an event to your receivers.")(trigger.trigger)
app.command(short_help="Send a range of time to a webhook again.")(replay.replay)
app.command(short_help="Take a person out of everything that is kept.")(erase.erase)
app.command(short_help="Find out whether all is well, and what to do if not.")(doctor.doctor)
app.command(short_help="Copy the database while the server runs.")(store.backup)
app.command(short_help="Move everything into a database of the other kind.")(copy.copy)
app.command(short_help="Make the database, or bring it up to date.")(store.migrate)
app.add_typer(connect.app, name="connect", short_help="Look at a phone system before it is connected.")
app.add_typer(importing.app, name="import", short_help="Bring files into a running server.")
app.add_typer(keys.app, name="keys", short_help="Make, list and remove API keys.")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hookline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Meetings and phone calls become signed webhooks: at once, exactly, and without fail."""


def main() -> None:
    """Run the command line."""
    try:
        app()
    except (Failed, HooklineError, WrongSetting) as refusal:
        _fail(getattr(refusal, "for_operator", str(refusal)), getattr(refusal, "hint", ""))
    except OSError as problem:
        where = "" if problem.filename is None else f"{problem.filename}: "
        _fail(f"{where}{problem.strerror or problem}.")


def _fail(message: str, hint: str = "") -> NoReturn:
    typer.echo(message, err=True)
    if hint:
        typer.echo(_HERE.get(hint, hint), err=True)
    sys.exit(1)
