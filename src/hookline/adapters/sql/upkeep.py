"""Upkeep of a SQLite file as a whole: copies while it is in use, and questions about its health. It changes nothing."""

import os
import sqlite3
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from hookline.adapters.sql import sqlite_file
from hookline.adapters.sql.copy_marks import Marks
from hookline.adapters.sql.health import Health, backlog_of
from hookline.adapters.sql.migrate import schema_version, sqlite_migrations
from hookline.adapters.sql.sqlite_side import marks_in
from hookline.errors import Invalid, Unavailable

#: Pages copied between two words of progress: 4 MiB.
_STEP_PAGES: Final = 1024
#: A file of this size is checked whole at the start: it takes less than a second.
_SMALL_BYTES: Final = 64 * 1024 * 1024
#: Of larger ones, rows at either end of each table.
_END_ROWS: Final = 500
TABLES: Final = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
#: Any question makes a transaction see one state of the file from then on.
FIRST_LOOK: Final = "SELECT COUNT(*) FROM sqlite_schema"


def latest_schema() -> int:
    """The schema of this version."""
    return sqlite_migrations()[-1][0]


def schema_of(path: Path) -> int:
    """The schema of the database at `path`; 0 when there is none yet.

    Raises:
        Unavailable: it cannot be read.
    """
    if not path.exists():
        return 0
    with _reading(path) as connection:
        return schema_version(connection)


def back_up(path: Path, to: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database to a new file while others use it; the copy is checked before it gets its name.

    `progress` is told how many pages are left, of how many.

    Raises:
        Invalid: there is such a file already.
        Unavailable: there is no database, the copy could not be written, or it is damaged. Nothing is left of it.
    """
    with _reading(path) as source:
        # One state for the whole copy: without a transaction, each commit of a server would begin the copy afresh.
        source.execute("BEGIN")
        source.execute(FIRST_LOOK)
        with _new_file(to) as unfinished, closing(sqlite3.connect(unfinished)) as copy:
            source.backup(copy, pages=_STEP_PAGES, progress=lambda _, left, total: progress(left, total))
            copy.execute(sqlite_file.MARK.format(mark=sqlite_file.CLOSED))  # it needs no log
            damage = _damage(copy, "integrity_check")
            if damage:
                raise Unavailable(f"The copy is damaged: {damage}.", hint="Run `hookline doctor`.")


def check_before_use(path: Path, *, pages: bool = True, without_log: bool = False) -> None:
    """Look at the database before it is opened for writing, in a bounded time; nothing is looked at when there is none.

    A file of up to `_SMALL_BYTES` is checked whole. Of a larger one the freelist, and the first and last rows of each
    table with all that is in them: what was written last is what breaks. `hookline doctor` checks every page. Without
    `pages`, only the header and the log are looked at.

    Raises:
        Unavailable: it is damaged, no database, or its log is missing (unless `without_log`).
    """
    had_log = sqlite_file.has_log(path)
    if not path.exists() or (path.stat().st_size == 0 and not had_log):
        return
    with _reading(path) as connection:
        if sqlite_file.lacks_log(connection, had_log=had_log) and not without_log:
            raise sqlite_file.log_is_missing(path)
        is_small = path.stat().st_size <= _SMALL_BYTES
        check = partial(_damage, check="quick_check") if is_small else _damage_at_ends
        damage = check(connection) if pages else ""
    if damage:
        raise Unavailable(
            f"The database {path} is damaged: {damage}.", hint="Restore a backup. `hookline doctor` checks every page."
        )


def _damage_at_ends(connection: sqlite3.Connection) -> str:
    """The first damage that shows in the freelist, or in the first and last rows of a table; "" when none does."""
    try:
        connection.execute("PRAGMA freelist_count").fetchall()
        for name, sql in connection.execute(TABLES).fetchall():
            order = "1" if "WITHOUT ROWID" in sql.upper() else "rowid"
            for direction in ("ASC", "DESC"):
                rows = connection.execute(f'SELECT * FROM "{name}" ORDER BY {order} {direction} LIMIT {_END_ROWS}')
                deque(rows, maxlen=0)  # read, and none is held: each may have texts of 1 MiB
    except sqlite3.DatabaseError as problem:
        return str(problem)
    return ""


def look_into(path: Path) -> Health:
    """How the database is.

    Raises:
        Unavailable: there is none, its log is missing, or it cannot be read.
    """
    had_log = sqlite_file.has_log(path)
    with _reading(path) as connection:
        if sqlite_file.lacks_log(connection, had_log=had_log):
            raise sqlite_file.log_is_missing(path)
        schema, latest = schema_version(connection), latest_schema()
        damage = _damage(connection, "quick_check")
        is_known = schema == latest
        return Health(
            schema=schema,
            latest_schema=latest,
            is_known=is_known,
            damage=damage,
            backlog=backlog_of(connection.execute) if is_known and not damage else None,
        )


def marks_of(path: Path) -> Marks:
    """What the database at `path` tells of copies; nothing when there is none yet.

    Raises:
        Unavailable: it cannot be read.
    """
    if not path.exists():
        return Marks()
    with _reading(path) as connection:
        return marks_in(connection)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that makes no file, changes nothing and migrates nothing."""
    if not path.exists():
        raise Unavailable(f"There is no database {path}.", hint="Look at HOOKLINE_DATABASE; `hookline serve` makes it.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error as problem:
        raise Unavailable(f"The database {path} cannot be read: {problem}.", hint="Run `hookline doctor`.") from problem


@contextmanager
def _new_file(to: Path) -> Iterator[Path]:
    """A file beside `to` that takes its name when the block ends well, and is gone when it does not."""
    if os.path.lexists(to):
        raise _taken(to)
    try:
        handle, name = tempfile.mkstemp(dir=to.parent, prefix=f"{to.name}.", suffix=".unfinished")
        os.close(handle)
    except OSError as problem:
        raise _unwritten(to, problem.strerror) from None
    unfinished = Path(name)
    try:
        yield unfinished
        to.open("x").close()  # first take the name: to rename is to replace
        unfinished.rename(to)
    except FileExistsError:
        raise _taken(to) from None
    except (sqlite3.Error, OSError) as problem:
        raise _unwritten(to, problem) from problem
    finally:
        unfinished.unlink(missing_ok=True)


def _taken(to: Path) -> Invalid:
    return Invalid(f"{to} exists already; a backup never replaces a file.")


def _unwritten(to: Path, reason: object) -> Unavailable:
    return Unavailable(f"{to} could not be written: {reason}.", hint="Nothing was kept.")


def _damage(connection: sqlite3.Connection, check: str) -> str:
    [(first,), *_] = connection.execute(f"PRAGMA {check}").fetchall()
    return "" if first == "ok" else str(first)
