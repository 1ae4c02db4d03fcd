"""`hookline import ...`: files into a running server."""

import typer

from hookline.cli import import_calls, import_phonebook

app = typer.Typer(
    help="Bring files into a running server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(short_help="Report the finished calls of a file.")(import_calls.calls)
app.command(short_help="Make and change the phone lines of a file.")(import_phonebook.lines)
app.command(short_help="Make and change the users of a file.")(import_phonebook.users)
