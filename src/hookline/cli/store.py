"""`hookline migrate` and `hookline backup`: what is done to the database as a whole."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from hookline.adapters.sql.startup import STARTUP_SECONDS
from hookline.bootstrap import storage
from hookline.settings import Settings, load_settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


DatabaseWait = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        min=0,
        help="How long to wait for a PostgreSQL server that cannot be reached.",
        show_default=True,
    ),
]


def migrate(
    *,
    database_wait: DatabaseWait = STARTUP_SECONDS,
    json: Json = False,
    without_log: Annotated[
        bool,
        typer.Option("--without-log", help="Go on with a SQLite file whose log is missing, and lose what was in it."),
    ] = False,
) -> None:
    """Make the database, or bring it to the schema of this version. `serve` does so by itself."""
    settings = load_settings(os.environ)
    applied, schema = storage.migrate(settings, database_wait, without_log=without_log)
    if json:
        typer.echo(msgspec.json.encode({"applied": applied, "schema": schema}))
    elif applied:
        numbers = ", ".join(map(str, applied))
        typer.echo(f"{storage.place_of(settings)}: applied {numbers}; it is at schema {schema} now.")
    else:
        typer.echo(f"{storage.place_of(settings)}: nothing to do, it is at schema {schema}.")


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; a file that does not exist yet.")],
    *,
    json: Json = False,
) -> None:
    """Copy the database to FILE while the server runs, and check the copy."""
    _back_up(load_settings(os.environ), file)
    size = file.stat().st_size
    if json:
        typer.echo(msgspec.json.encode({"file": str(file), "bytes": size}))
    else:
        typer.echo(
            f"{file}: {size:,} bytes, checked. To restore it, stop the server, put it in the database's place, and"
            " remove the files of the old one that end in -wal and -shm."
        )


def _back_up(settings: Settings, file: Path) -> None:
    """The backup, with its progress on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Copying", total=None)

        def show(left: int, total: int) -> None:
            bar.update(task, total=total, completed=total - left)
            if left == 0:
                bar.update(task, description="Checking the copy", total=None)

        storage.back_up(settings, file, show)
