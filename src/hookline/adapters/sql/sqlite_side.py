"""SQLite as one of the two sides of a copy; see `copying.py`."""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from hookline.adapters.sql.copy_marks import GO_ON, READ, Marks
from hookline.adapters.sql.copy_tables import Copied
from hookline.adapters.sql.copying import recover
from hookline.adapters.sql.session import Row
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.errors import Unavailable

HAS_MARKS: Final = "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name = 'moving'"
#: Nobody moves the log beside the commits here, so each commit looks whether it has grown too long.
MOVE_THE_LOG: Final = "PRAGMA wal_autocheckpoint = 1000"
LAST_NUMBER: Final = "SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = ?"
FORGET_NUMBER: Final = "DELETE FROM sqlite_sequence WHERE name = ?"
SET_NUMBER: Final = "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)"


def marks_in(connection: sqlite3.Connection) -> Marks:
    """What the file tells of copies."""
    [(has_marks,)] = connection.execute(HAS_MARKS)
    return Marks.of(connection.execute(READ).fetchall() if has_marks else [])


class SqliteSide:
    """`copying.Side` on a file that this process has locked."""

    def __init__(self, store: SqliteStore, name: str) -> None:
        self.name = name
        self._store = store
        self._connection = store.connection
        self._connection.execute(MOVE_THE_LOG)

    def require_alone(self) -> None:
        """It is: whoever serves the file has its lock, and so do we."""

    def marks(self) -> Marks:
        """See `copying.Side`."""
        with self._in_sentences():
            return marks_in(self._connection)

    def recover(self) -> None:
        """See `copying.Side`."""
        self._store.write(recover)

    def ask(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """See `copying.Side`."""
        with self._in_sentences():
            return self._connection.execute(sql, parameters).fetchall()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Generator[Row, None, None]:
        """See `copying.Side`."""
        with self._in_sentences():
            yield from self._connection.execute(sql, parameters)

    def make_room(self, since: datetime, now: datetime, keep_for: timedelta) -> None:
        """There is always room in a file."""

    def put(self, table: Copied, rows: Iterator[Row]) -> None:
        """See `copying.Side`."""
        marks = ", ".join("?" * len(table.columns))
        insert = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks})"
        with self._in_sentences(), self._transaction():
            self._connection.executemany(insert, rows)

    def kept(self, row: Row) -> Row:
        """See `copying.Side`."""
        return row

    def last_number(self, table: Copied) -> int:
        """See `copying.Side`."""
        [(number,)] = self.ask(LAST_NUMBER, (table.name,))
        return int(number)

    def count_on_from(self, table: Copied, number: int) -> None:
        """See `copying.Side`."""
        if number == 0:
            return
        with self._in_sentences(), self._transaction():
            self._connection.execute(FORGET_NUMBER, (table.name,))
            self._connection.execute(SET_NUMBER, (table.name, number))

    def take_stock(self) -> None:
        """Its plans do not ask how much there is."""

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.commit()
        except BaseException:
            self._connection.rollback()
            raise

    @contextmanager
    def _in_sentences(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            raise Unavailable(f"{self.name} cannot be used now: {problem}.", hint=GO_ON) from problem
