"""Upkeep of a SQLite file as a whole: copies while it is in use, and questions about its health."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from hookline.adapters.sql.migrate import schema_version, sqlite_migrations
from hookline.adapters.sql.session import instant_or_none
from hookline.errors import Invalid, Unavailable

#: Pages copied at a time; between two steps the server's commits go on.
_STEP_PAGES: Final = 256
_OLDEST_OWED: Final = "SELECT MIN(due_at) FROM delivery WHERE token IS NULL"
_DEAD: Final = "SELECT COUNT(*) FROM settled_delivery WHERE status = 'dead'"
_OWED: Final = "SELECT COUNT(*) FROM delivery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What a look into the file shows."""

    schema: int
    latest_schema: int
    damage: str  # "" when there is none
    owed: int
    oldest_owed_at: datetime | None
    dead: int


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that makes no file, changes nothing and migrates nothing.

    Raises:
        Unavailable: there is no such database.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as problem:
        raise Unavailable(f"The database {path} cannot be opened: {problem}.", hint="") from problem
    try:
        yield connection
    finally:
        connection.close()


def schema_of(path: Path) -> int:
    """The schema of the database at `path`; 0 when there is none yet."""
    if not path.exists():
        return 0
    with reading(path) as connection:
        return schema_version(connection)


def back_up(source: sqlite3.Connection, to: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database to a new file while others use it; the copy is checked before it gets its name.

    `progress` is told how many pages are left, of how many.

    Raises:
        Invalid: there is such a file already.
        Unavailable: the copy could not be written, or is damaged.
    """
    if to.exists():
        raise Invalid(f"{to} exists already; a backup never replaces a file.")
    unfinished = to.with_name(to.name + ".unfinished")
    try:
        with sqlite3.connect(unfinished) as copy:
            source.backup(copy, pages=_STEP_PAGES, progress=lambda _, left, total: progress(left, total))
        damage = _damage(copy, "integrity_check")
        copy.close()
        if damage:
            raise Unavailable(f"The copy is damaged: {damage}", hint="Run `hookline doctor`.")
        unfinished.rename(to)
    except (sqlite3.Error, OSError) as problem:
        raise Unavailable(f"{to} could not be written: {problem}.", hint="Nothing was kept.") from problem
    finally:
        unfinished.unlink(missing_ok=True)


def look_into(connection: sqlite3.Connection) -> Health:
    """How the database is.

    Raises:
        Unavailable: it cannot be read.
    """
    try:
        [(oldest,)] = connection.execute(_OLDEST_OWED)
        [(dead,)] = connection.execute(_DEAD)
        [(owed,)] = connection.execute(_OWED)
        return Health(
            schema=schema_version(connection),
            latest_schema=sqlite_migrations()[-1][0],
            damage=_damage(connection, "quick_check"),
            owed=owed,
            oldest_owed_at=instant_or_none(oldest),
            dead=dead,
        )
    except sqlite3.Error as problem:
        raise Unavailable(f"The database cannot be read: {problem}.") from problem


def _damage(connection: sqlite3.Connection, check: str) -> str:
    [(first,), *_] = connection.execute(f"PRAGMA {check}").fetchall()
    return "" if first == "ok" else str(first)
