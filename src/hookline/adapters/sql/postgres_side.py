"""PostgreSQL as one of the two sides of a copy; see `copying.py`.

All is done on one connection, which holds the lock of those who write from the first moment to the last: whatever
believes that it may write meanwhile waits, and is told that it could not. So no pooler may stand between.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import errors

from hookline.adapters.sql.copy_marks import GO_ON, READ, Marks
from hookline.adapters.sql.copy_tables import TABLES, Copied
from hookline.adapters.sql.copying import recover
from hookline.adapters.sql.postgres import PostgresStore
from hookline.adapters.sql.postgres_link import PROCESS_ID
from hookline.adapters.sql.postgres_migrate import LOCK_SPACE
from hookline.adapters.sql.postgres_parts import make_parts
from hookline.adapters.sql.postgres_session import COLUMN_TYPES
from hookline.adapters.sql.session import Row
from hookline.errors import Unavailable

HAS_MARKS: Final = "SELECT to_regclass('moving') IS NOT NULL"
OUR_NAME: Final = "SHOW application_name"
#: A copy that was killed holds the lock until the server notices.
TAKE_HOLD: Final = f"""
    SET application_name = 'hookline copy';
    SET statement_timeout = 0;
    SET idle_in_transaction_session_timeout = 0;
    SET lock_timeout = '10s';
    SELECT pg_advisory_lock({LOCK_SPACE}, 2);
"""
#: Who has the name of a server: under which they connect whose URL gives no other, or this one.
OTHERS: Final = """
    SELECT COUNT(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name IN ('hookline', %s)
"""
#: Whoever has just left is seen for a moment longer.
BREATHE: Final = "SELECT pg_sleep(0.1)"
_BREATHS: Final = 20
#: Rows on their way at a time; each may have a body of 1 MiB.
_FETCHED: Final = 32
TAKE_STOCK: Final = f"ANALYZE {', '.join(table.name for table in TABLES)}"
LAST_NUMBER: Final = "SELECT COALESCE(pg_sequence_last_value(pg_get_serial_sequence(?, ?)::regclass), 0)"
SET_NUMBER: Final = "SELECT setval(pg_get_serial_sequence(?, ?)::regclass, ?)"


def marks_in(connection: psycopg.Connection) -> Marks:
    """What the database tells of copies."""
    [(has_marks,)] = connection.execute(HAS_MARKS).fetchall()
    return Marks.of(connection.execute(READ).fetchall() if has_marks else [])


class PostgresSide:
    """`copying.Side` on a connection that nobody else uses."""

    def __init__(self, store: PostgresStore, name: str) -> None:
        """Take hold of the database.

        Raises:
            Unavailable: somebody else holds it, or nobody can.
        """
        self.name = name
        self._store = store
        self._connection = store.connection
        with self._in_sentences():
            self._require_no_pooler()
            [(self._our_name,)] = self._connection.execute(OUR_NAME).fetchall()
            self._connection.execute(TAKE_HOLD.encode())
            found = self._connection.execute(COLUMN_TYPES).fetchall()
            self._types = {(table, column): type_ for table, column, type_ in found}

    def require_alone(self) -> None:
        """See `copying.Side`."""
        with self._in_sentences():
            for _ in range(_BREATHS):
                [(others,)] = self._connection.execute(OTHERS, (self._our_name,)).fetchall()
                if not others:
                    return
                self._connection.execute(BREATHE)
        raise Unavailable(
            f"Another process of Hookline uses {self.name}.",
            hint="Stop every server there, and whatever else does; then call the same command again.",
        )

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
            cursor = self._connection.execute(_spoken(sql), parameters)
            return cursor.fetchall() if cursor.description else []

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Generator[Row, None, None]:
        """See `copying.Side`."""
        with (
            self._in_sentences(),
            self._connection.transaction(),
            self._connection.cursor("copied", binary=True) as cursor,
        ):
            cursor.itersize = _FETCHED
            cursor.execute(_spoken(sql), parameters)
            yield from cursor

    def make_room(self, since: datetime, now: datetime, keep_for: timedelta) -> None:
        """Have parts by time, so that what is copied goes with its part when it is old; see `postgres_parts.py`."""
        with self._in_sentences():
            make_parts(self._connection, since=since, now=now, keep_for=keep_for)

    def put(self, table: Copied, rows: Iterator[Row]) -> None:
        """See `copying.Side`."""
        copying = f"COPY {table.name} ({', '.join(table.columns)}) FROM STDIN (FORMAT BINARY)"
        with (
            self._in_sentences(),
            self._connection.transaction(),
            self._connection.cursor() as cursor,
            cursor.copy(copying.encode()) as copy,
        ):
            copy.set_types([self._types[table.name, column] for column in table.columns])
            for row in rows:
                copy.write_row(row)

    def kept(self, row: Row) -> Row:
        """Text has no NUL here; `postgres_session.py` keeps the same in its place."""
        return tuple(
            value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value for value in row
        )

    def last_number(self, table: Copied) -> int:
        """See `copying.Side`."""
        [(number,)] = self.ask(LAST_NUMBER, (table.name, table.columns[0]))
        return int(number)

    def count_on_from(self, table: Copied, number: int) -> None:
        """See `copying.Side`."""
        if number > 0:
            self.ask(SET_NUMBER, (table.name, table.columns[0], number))

    def take_stock(self) -> None:
        """See `copying.Side`. By itself it would do so after a minute, and plan badly until then."""
        self.ask(TAKE_STOCK)

    def _require_no_pooler(self) -> None:
        """What is held by a connection through a pooler, is held by nobody in particular."""
        [(process_id,)] = self._connection.execute(PROCESS_ID).fetchall()
        if process_id != self._connection.info.backend_pid:
            raise Unavailable(
                f"A pooler stands between here and {self.name}.", hint="Copy with the address of the database itself."
            )

    @contextmanager
    def _in_sentences(self) -> Iterator[None]:
        try:
            yield
        except errors.LockNotAvailable as problem:
            raise Unavailable(
                f"Somebody else writes to {self.name}.", hint="Stop every server there; then call the same again."
            ) from problem
        except psycopg.Error as problem:
            said = (problem.diag.message_primary or str(problem) or type(problem).__name__).strip().splitlines()[0]
            raise Unavailable(f"{self.name} cannot be used now: {said.rstrip('.')}.", hint=GO_ON) from problem


def _spoken(sql: str) -> bytes:
    return sql.replace("?", "%s").encode()
