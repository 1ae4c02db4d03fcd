"""Databases for commands: where they are, opened, migrated, copied, backed up and looked into."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hookline.adapters.http_server import Server as Server  # noqa: PLC0414  the command line has it from here
from hookline.adapters.sql import copying, sqlite_file
from hookline.adapters.sql.grouped import GroupedDatabase
from hookline.adapters.sql.health import Health
from hookline.adapters.sql.places import Place, SqlitePlace
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.adapters.sql.startup import STARTUP_SECONDS, retry_while_unreachable
from hookline.adapters.system_clock import SystemClock
from hookline.bootstrap.parts import Dice, system_clock
from hookline.errors import Invalid, Unavailable
from hookline.settings import PostgresUrl, Settings

if TYPE_CHECKING:
    from hookline.adapters.sql.postgres import PostgresStore

_log = logging.getLogger("hookline.store")

#: Who copies between two of a kind.
_OF_ONE_KIND: Final = {
    "SQLite": "`hookline backup` copies a SQLite file.",
    "PostgreSQL": "pg_dump and pg_restore copy a PostgreSQL database.",
}


def place_of(settings: Settings) -> Place:
    """Where everything is kept."""
    return place_at(settings.database)


def place_at(where: Path | PostgresUrl) -> Place:
    """A database by its setting."""
    if isinstance(where, Path):
        return SqlitePlace(sqlite_file.resolved(where))
    from hookline.adapters.sql.postgres_place import PostgresPlace  # noqa: PLC0415  see `adapters.sql.places`

    return PostgresPlace(where.url)


def migrate(
    settings: Settings, patience_seconds: float = STARTUP_SECONDS, *, without_log: bool = False
) -> tuple[list[int], int]:
    """Bring the database to the schema of this version. Returns the migrations applied, and the schema it has now.

    A server that cannot be reached is tried again for `patience_seconds`. `without_log` goes on with a SQLite file
    whose log is missing, without what was in the log.

    Raises:
        Invalid: `without_log`, and the database is no SQLite file.
        Unavailable: the database cannot be used, is of a later version, or is in the hands of a server.
    """

    async def attempt() -> tuple[list[int], int]:
        return _migrate_once(settings, without_log=without_log)

    retry = partial(retry_while_unreachable, clock=SystemClock(), patience_seconds=patience_seconds)
    return asyncio.run(retry(attempt, step="migration"))


def _migrate_once(settings: Settings, *, without_log: bool) -> tuple[list[int], int]:
    place = place_of(settings)
    if without_log:
        if not isinstance(place, SqlitePlace):
            raise Invalid("--without-log is for a SQLite file; the database is none.")
        place = replace(place, without_log=True)
    before, latest = place.schema(), place.latest_schema()
    if before != latest or without_log:
        _require_servable(place)
        with place.only_server(), place.side(place.clock(), Dice()):
            pass  # to open it is to migrate it
    return list(range(before + 1, latest + 1)), max(before, latest)


def back_up(settings: Settings, to: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database while a server may be using it; see `adapters.sql.places`."""
    place_of(settings).back_up(to, progress)


def copy(source: Place, target: Place, keep_for: timedelta, progress: copying.Progress) -> dict[str, int]:
    """Carry everything from the one database into the other, or go on with that; see `adapters.sql.copying`.

    Events are kept for `keep_for` there. Returns how many rows of each table there are.

    Raises:
        Invalid: they are of one kind, the target is not empty, or the source was moved elsewhere.
        Unavailable: one of them cannot be used, is in the hands of a server, or has another schema.
    """
    if source.kind == target.kind:
        raise Invalid(f"{source} and {target} are both {source.kind}.", hint=_OF_ONE_KIND[source.kind])
    _require_schema(source, source.latest_schema())
    _require_schema(target, 0, target.latest_schema())
    if copying.is_done(source.marks(), target.marks()):
        with source.only_server(), source.side(source.clock(), Dice()) as there:
            return copying.finish(there)
    with (
        source.only_server(),
        target.only_server(),
        source.side(source.clock(), Dice()) as there,
        target.side(target.clock(), Dice()) as here,
    ):
        new_id, now = Dice().randbytes(16).hex(), system_clock().now()
        return copying.copy(there, here, new_id=new_id, now=now, keep_for=keep_for, progress=progress)


def undo_copy(source: Place) -> str:
    """Let a database be served again from which everything was copied. Returns where it was copied to.

    Raises:
        Invalid: it was not.
        Unavailable: it cannot be used, or a copy is under way.
    """
    _require_schema(source, source.latest_schema())
    with source.only_server(), source.side(source.clock(), Dice()) as there:
        return copying.undo(there).other


def _require_schema(place: Place, *wanted: int) -> None:
    schema = place.schema()
    if schema in wanted:
        return
    if schema == 0:
        raise Unavailable(f"There is nothing of ours in {place}.", hint="Is it spelt rightly?")
    raise Unavailable(
        f"{place} has schema {schema}; this version has {place.latest_schema()}.",
        hint="Migrate it first: call `hookline migrate` with HOOKLINE_DATABASE set to it."
        if schema < place.latest_schema()
        else "Use the version that made it, or a later one.",
    )


def _require_servable(place: Place) -> None:
    """Refuse a database that was moved elsewhere, or into which a copy is not complete."""
    problem = place.marks().refusal(str(place))
    if problem is not None:
        raise problem


def look_before_serving(place: Place) -> None:
    """See `_require_servable`. Logs also what the operator should change."""
    _require_servable(place)
    for concern in place.concerns():
        _log.warning("store.concern grade=%s says=%r", concern.grade, concern.says)


def look_into(settings: Settings) -> Health:
    """How the database is; see `adapters.sql.places`."""
    return place_of(settings).look_into()


async def open_database(place: Place, clock: SystemClock, dice: random.Random) -> GroupedDatabase:
    """The database, not started. A server of databases is asked in a thread, so that Ctrl-C ends the wait."""
    if place.file is not None:
        return place.database(clock, dice)
    return await asyncio.to_thread(place.database, clock, dice)


@contextmanager
def open_store(settings: Settings) -> "Iterator[SqliteStore | PostgresStore]":
    """The store, for a command that needs no server. A server may run beside it."""
    place = place_of(settings)
    _require_servable(place)
    store = place.store(place.clock(), Dice())
    try:
        yield store
    finally:
        place.close(store)
