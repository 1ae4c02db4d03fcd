"""`hookline copy`: everything moves into a database of the other kind, and that one is served from then on."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from hookline.adapters.sql.places import Place
from hookline.bootstrap import storage
from hookline.settings import PostgresUrl, database_at, load_settings


def copy(
    *,
    from_: Annotated[str, typer.Option("--from", metavar="URL", help="Where everything is: sqlite:///PATH.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="An empty database: postgresql://USER@HOST/NAME.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Let the database of --from be served again.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Move everything from one database into an empty one of the other kind, and compare each row.

    No server may run on either. If it is interrupted, do it again: it goes on where it ended.
    """
    source = _place(from_, "--from")
    if undo == (to is not None):
        raise typer.BadParameter("either where to, or --undo.", param_hint="--to")
    if to is None:
        _undo(source, as_json=json)
        return
    target = _place(to, "--to")
    counts = _copied(source, target, timedelta(days=load_settings(os.environ).retention_days))
    if json:
        typer.echo(msgspec.json.encode({"from": str(source), "to": str(target), "rows": counts}))
    else:
        typer.echo(
            f"{_rows(sum(counts.values()))} in {target}, each compared with its original."
            f" Serve that one now, with HOOKLINE_DATABASE; {source} is not served any more."
        )


def _place(url: str, option: str) -> Place:
    try:
        where: Path | PostgresUrl = database_at(url.strip())
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint=option) from None
    return storage.place_at(where)


def _copied(source: Place, target: Place, keep_for: timedelta) -> dict[str, int]:
    """The copy, with its progress on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Looking at both", total=None)

        def show(doing: str, done: int, total: int) -> None:
            bar.update(task, description=doing, completed=done, total=total)

        return storage.copy(source, target, keep_for, show)


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"


def _undo(source: Place, *, as_json: bool) -> None:
    other = storage.undo_copy(source)
    if as_json:
        typer.echo(msgspec.json.encode({"from": str(source), "to": other}))
    else:
        typer.echo(f"{source} may be served again. Never serve {other} beside it: both would send what is owed.")
