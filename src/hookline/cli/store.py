"""`hookline migrate` and `hookline backup`: what is done to the database as a whole."""

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from hookline import bootstrap
from hookline.settings import load_settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def migrate(*, json: Json = False) -> None:
    """Make the database, or bring it to the schema of this version. `serve` does so by itself."""
    settings = load_settings(os.environ)
    applied, schema = bootstrap.migrate(settings)
    if json:
        typer.echo(msgspec.json.encode({"applied": applied, "schema": schema}).decode())
    elif applied:
        typer.echo(f"{settings.database}: migrated, now at schema {schema}.")
    else:
        typer.echo(f"{settings.database}: nothing to do, it is at schema {schema}.")


def backup(
    file: Annotated[Path, typer.Argument(help="Where to; a file that does not exist yet.")], *, json: Json = False
) -> None:
    """Copy the database to FILE while the server runs, and check the copy."""
    settings = load_settings(os.environ)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Copying", total=None)
        bootstrap.back_up(
            settings, file, lambda left, total: progress.update(task, total=total, completed=total - left)
        )
    size = file.stat().st_size
    typer.echo(
        msgspec.json.encode({"file": str(file), "bytes": size}).decode()
        if json
        else f"{file}: {size:,} bytes, checked. To restore it, stop the server and put it in the database's place."
    )
