"""The commands, put together; and how a failure ends: with a sentence on stderr and exit code 1."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Final, NoReturn

import typer

from hookline import __version__
from hookline.cli.failed import Failed
from hookline.errors import HooklineError, Unavailable
from hookline.settings import WrongSetting

#: What is said to a program that asked the API -> what is said to people.
_HERE: Final = {Unavailable("").hint: "Nothing was changed. `hookline doctor` tells more."}


@dataclass(frozen=True, slots=True)
class _Command:
    """A command or a group of commands. Its module is imported when it is called, or listed with all others."""

    module: str  # of this package
    name: str  # of a function, or of a `Typer` for a group
    short_help: str

    def add_to(self, app: typer.Typer, called: str) -> None:
        module = import_module(f"hookline.cli.{self.module}")
        found = getattr(module, self.name)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=called, short_help=self.short_help)
        else:
            app.command(called, short_help=self.short_help, epilog=getattr(module, "EPILOG", None))(found)


_COMMANDS: Final[Mapping[str, _Command]] = {
    "serve": _Command("serve", "serve", "Run the server."),
    "demo": _Command("demo", "demo", "See it work, on this machine, in ten seconds."),
    "trigger": _Command("trigger", "trigger", "Send the sample of an event to your receivers."),
    "replay": _Command("replay", "replay", "Send a range of time to a webhook again."),
    "erase": _Command("erase", "erase", "Take a person out of everything that is kept."),
    "doctor": _Command("doctor", "doctor", "Find out whether all is well, and what to do if not."),
    "backup": _Command("store", "backup", "Copy the database while the server runs."),
    "copy": _Command("copy", "copy", "Move everything into a database of the other kind."),
    "migrate": _Command("store", "migrate", "Make the database, or bring it up to date."),
    "connect": _Command("connect", "app", "Look at a phone system before it is connected."),
    "import": _Command("importing", "app", "Bring files into a running server."),
    "keys": _Command("keys", "app", "Make, list and remove API keys."),
}


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """The command line for these words: the command that they name, or all when they name none."""
    app = typer.Typer(
        name="hookline",
        help="Meetings and phone calls become signed webhooks: at once, exactly, and without fail.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    named = [word for word in words[:1] if word in _COMMANDS or word == "--version"]
    for called in named or _COMMANDS:
        if called in _COMMANDS:
            _COMMANDS[called].add_to(app, called)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hookline {__version__}")
        raise typer.Exit


def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Meetings and phone calls become signed webhooks: at once, exactly, and without fail."""


def main() -> None:
    """Run the command line."""
    try:
        command_line(sys.argv[1:])()
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
