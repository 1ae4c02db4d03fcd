"""`hookline import calls`: a file of finished calls goes into a running server, each row once, however often it stops.

What stands in the file: `cli/call_files.py`. How far it has come: `cli/positions.py`.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from hookline.bootstrap import parts
from hookline.cli.asking import admin_key, ask
from hookline.cli.call_files import READERS, CallFile, read_calls
from hookline.cli.failed import Failed
from hookline.cli.positions import Position, place_beside, read_position, write_position
from hookline.domain.events import CallPayload
from hookline.domain.instants import parse_instant, wire_form
from hookline.services.idempotency import REMEMBERED_FOR
from hookline.settings import load_settings

#: A batch is as many rows as one commit is good for, and well below what a body may have.
_MOST_ROWS: Final = 500
_MOST_BYTES: Final = 500_000
#: How long a batch may be under way until the server may have forgotten its key; clocks may be apart.
_KNOWN_FOR: Final = REMEMBERED_FOR - timedelta(hours=1)


class Unsure(StrEnum):
    """What to do with rows of which nobody knows whether they are in."""

    SEND = "send"
    SKIP = "skip"


def calls(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A .csv, .json or .jsonl file.")
    ],
    *,
    unsure: Annotated[
        Unsure | None, typer.Option(help="What to do with rows that may be in or not; it says so when there are any.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    api_key: Annotated[str | None, typer.Option(help="A key that may report, if not HOOKLINE_API_KEY.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, and do not ask first.")] = False,
) -> None:
    """Report the finished calls of FILE to a running server: callFinished for each.

    If it is interrupted, do it again: it goes on where it ended, and no call is reported twice.
    """
    if file.suffix.lower() not in READERS:
        raise typer.BadParameter(f"expected a file named {', '.join(READERS)}.", param_hint="FILE")
    settings = load_settings(os.environ)
    importing = _Import(file=read_calls(file), base_url=settings.base_url, key=admin_key(api_key, settings))
    position = importing.taken_up(unsure)
    if not position.is_complete and not (yes or json or _is_agreed(position.total - position.done)):
        raise Failed("Nothing was imported.")
    importing.go_on(position)
    if json:
        typer.echo(msgspec.json.encode({"file": str(file), "calls": position.total, "alreadyIn": position.done}))
    else:
        typer.echo(_told(position.total, position.done))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Import:
    """The import of a file into a server."""

    file: CallFile
    base_url: str
    key: str

    @property
    def place(self) -> Path:
        """Where it is kept how far it has come."""
        return place_beside(self.file.path)

    def taken_up(self, unsure: Unsure | None) -> Position:
        """How far it has come.

        Raises:
            Failed: another import is not complete, or nobody knows of some rows whether they are in.
        """
        fresh = Position(digest=self.file.digest, server=self.base_url, total=len(self.file.calls))
        found = read_position(self.place)
        if found is None or (found.is_complete and not _is_of(found, fresh)):
            return fresh
        if not _is_of(found, fresh):
            raise self._interrupted(found)
        return self._sure(found, unsure) if _is_forgotten(found) else found

    def _interrupted(self, found: Position) -> Failed:
        other = "the file has changed since" if found.server == self.base_url else f"that was into {found.server}"
        return Failed(
            f"{self.file.path}: an import was interrupted after {found.done:,} of {found.total:,} calls, and {other}.",
            hint=f"End that one, or remove {self.place} to import from the first row on.",
        )

    def _sure(self, found: Position, unsure: Unsure | None) -> Position:
        first, count = found.done + 1, len(next(_batches(self.file.calls, found.done))[1])
        if unsure is None:
            raise Failed(
                f"{self.file.path}: the import was interrupted at {found.sending_since} while calls {first:,} to"
                f" {first + count - 1:,} were under way, and that is too long ago to ask whether they are in.",
                hint="Look for them with GET /v3/calls, and say --unsure send or --unsure skip.",
            )
        done = found.done + (count if unsure is Unsure.SKIP else 0)
        return replace(found, done=done, sending_since="")

    def go_on(self, position: Position) -> None:
        """Send what is left, batch by batch, and keep how far it has come."""
        clock, console = parts.system_clock(), Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            task = bar.add_task("Importing", total=position.total, completed=position.done)
            for start, batch in _batches(self.file.calls, position.done):
                # Since when is kept from the first time on: the key may be as old as that.
                since = position.sending_since or wire_form(clock.now())
                self._send(replace(position, sending_since=since), batch)
                position = replace(position, done=start + len(batch), sending_since="")
                write_position(self.place, position)
                bar.update(task, completed=position.done)

    def _send(self, position: Position, batch: Sequence[CallPayload]) -> None:
        write_position(self.place, position)
        key = f"import-{self.file.digest[:40]}-{position.done}"
        body = {"calls": msgspec.to_builtins(batch)}
        try:
            told = ask(self.base_url, self.key, "POST", "/v3/calls/batch", body, idempotency_key=key)
            if not told.is_fine:  # so none of them is in
                write_position(self.place, replace(position, sending_since=""))
            told.fine()
        except Failed as problem:
            raise Failed(
                f"{problem} {position.done:,} of {position.total:,} calls are in.",
                hint=f"{problem.hint} Then do this again: it goes on where it ended.".strip(),
            ) from None


def _is_forgotten(found: Position) -> bool:
    """Whether the batch that was under way may be in without the server knowing its key any more."""
    if not found.sending_since:
        return False
    since = parse_instant(found.sending_since, "sending_since")
    return parts.system_clock().now() >= since + _KNOWN_FOR


def _is_of(one: Position, other: Position) -> bool:
    return (one.digest, one.server, one.total) == (other.digest, other.server, other.total)


def _batches(rows: Sequence[CallPayload], start: int) -> Iterator[tuple[int, Sequence[CallPayload]]]:
    """What is sent at once from this row on, with the number of its first row: always the same of the same rows."""
    while start < len(rows):
        end, size = start, 0
        while end < min(len(rows), start + _MOST_ROWS):
            size += len(msgspec.json.encode(rows[end]))
            if size > _MOST_BYTES and end > start:
                break
            end += 1
        yield start, rows[start:end]
        start = end


def _is_agreed(count: int) -> bool:
    """Whether somebody at a terminal agrees; where nobody can be asked, whoever called it knew what they did."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    return typer.confirm(f"{_calls(count)} to import; webhooks are told of each. Begin?")


def _told(count: int, before: int) -> str:
    told = f"{_calls(count)} imported."
    return f"{told} {before:,} of them were in before." if before else told


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"
