"""One PostgreSQL connection inside one commit: rows are gathered and written many at a time, parts can be undone.

Each statement costs a way to the server and back. So rows that are only inserted wait here until the commit ends, or
until somebody names their table, and go in one statement a table. A part (one function of the commit) costs no
savepoint as long as nobody raises: a part that only asked and gathered is undone in memory. Where that is not enough
the whole commit is begun again with care, each part behind a savepoint of its own.
"""

import random
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus

from hookline.adapters.sql.postgres_parts import rows_before
from hookline.adapters.sql.postgres_sql import ManyRows, Statement, one_row, translated
from hookline.adapters.sql.session import Doings, Insert, Parameters, Row
from hookline.ports.clock import Clock

_NOTHING: Final[Parameters] = {}
_TOKEN_BITS: Final = 63
#: The type of each column of our tables.
COLUMN_TYPES: Final = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE pg_table_is_visible(c.oid) AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
"""
SAVEPOINT: Final = "SAVEPOINT part"
RELEASE: Final = "RELEASE SAVEPOINT part"
UNDO: Final = "ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part"


class NotUndone(Exception):
    """A part failed, and what it did is mixed with what others did: everybody has to run again, with care."""


class PostgresSession:
    """`adapters.sql.session.Session` on one connection. A commit has parts, one for each function in it."""

    _connection: psycopg.Connection
    _cursor: psycopg.Cursor[Row]

    def __init__(self, clock: Clock, dice: random.Random) -> None:
        """`use` says on which connection."""
        self._clock = clock
        self._dice = dice
        self._types: dict[tuple[str, str], str] = {}
        self._many: dict[Insert, ManyRows] = {}
        self._gathered: dict[Insert, list[Row]] = {}
        self._before: dict[Insert, int] = {}  # how many rows the parts before this one had gathered
        self._mark = Doings().mark()
        self._careful = False
        self._is_mixed = False  # whether this part did what can only be undone with the whole commit
        self.wrote_webhooks = False  # in this commit
        self.inserted = 0  # rows, since the transaction began
        self.now = clock.now()
        self.doings = Doings()

    def use(self, connection: psycopg.Connection) -> None:
        """Work on this connection from now on."""
        self._connection = connection
        self._cursor = connection.cursor(binary=True)

    def begin(self, *, careful: bool = False) -> None:
        """Begin a transaction that has no parts; a careful one sets a savepoint for each, and looks at each text."""
        self._careful = careful
        self.wrote_webhooks = False
        self.doings = Doings()
        self.inserted = 0
        self._gathered.clear()
        self._begin_counting()

    def begin_part(self) -> None:
        """Begin the part of one function."""
        self._mark = self.doings.mark()
        if self._careful:
            self._write(self._gathered)
            self._connection.execute(SAVEPOINT)
        self._begin_counting()

    def end_part(self) -> None:
        """Keep what this part did."""
        if self._careful:
            self._write(self._gathered)
            self._connection.execute(RELEASE)

    def undo_part(self) -> None:
        """As if this part had not been.

        Raises:
            NotUndone: only the whole commit can be undone.
        """
        self.doings.cut_back(self._mark)
        if self._careful:
            self._gathered.clear()
            self._connection.execute(UNDO.encode())
        elif self._is_mixed or self._connection.info.transaction_status is TransactionStatus.INERROR:
            raise NotUndone
        else:
            for insert, rows in self._gathered.items():
                del rows[self._before.get(insert, 0) :]

    def write_all(self) -> None:
        """Write what still waits."""
        self._write(self._gathered)

    def token(self) -> int:
        return self._dice.getrandbits(_TOKEN_BITS)

    def rows(self, sql: str, parameters: Parameters = _NOTHING) -> list[Row]:
        return self._execute(translated(sql), parameters).fetchall()

    def run(self, sql: str, parameters: Parameters = _NOTHING) -> int:
        return self._execute(translated(sql), parameters).rowcount

    def insert(self, insert: Insert, row: Row) -> None:
        rows = self._gathered.get(insert)
        if rows is None:
            rows = self._gathered[insert] = []
        rows.append(row)
        self.inserted += 1

    def insert_returning_id(self, insert: Insert, row: Row) -> int:
        self._is_mixed = True
        self.wrote_webhooks |= insert.table == "webhook"
        [(new_id,)] = self._send(f"{one_row(insert)} RETURNING id", row).fetchall()
        return int(new_id)

    def rows_before(self, instant: datetime) -> datetime:
        return rows_before(self._cursor, instant)

    def _begin_counting(self) -> None:
        self.now = self._clock.now()
        self._is_mixed = False
        self._before = {insert: len(rows) for insert, rows in self._gathered.items()}

    def _execute(self, statement: Statement, parameters: Parameters) -> psycopg.Cursor[Row]:
        if self._gathered:
            self._write([insert for insert in self._gathered if insert.table in statement.tables])
        self._is_mixed |= statement.changes is not None
        self.wrote_webhooks |= statement.changes == "webhook"
        return self._send(statement.sql, parameters)

    def _write(self, inserts: Iterable[Insert]) -> None:
        for insert in tuple(inserts):
            rows = self._gathered.pop(insert)
            self._is_mixed |= len(rows) > self._before.pop(insert, 0)
            if len(rows) == 1:
                self._send(one_row(insert), rows[0])
            elif rows:
                many = self._many_rows(insert)
                self._send(many.sql, many.parameters(rows))

    def _send(self, sql: str, parameters: Parameters | Sequence[Any]) -> psycopg.Cursor[Row]:
        return self._cursor.execute(sql, _without_nul(parameters) if self._careful else parameters)

    def _many_rows(self, insert: Insert) -> ManyRows:
        if not self._types:
            rows = self._connection.execute(COLUMN_TYPES)
            self._types = {(table, column): type_ for table, column, type_ in rows}
        if insert not in self._many:
            self._many[insert] = ManyRows(insert, [self._types[insert.table, column] for column in insert.columns])
        return self._many[insert]


def _without_nul(value: Any) -> Any:
    """A parameter, or many, as PostgreSQL can keep it: its text has no NUL. The API lets none in; what a receiver or a
    library says may have one, and who asks for something with one finds nothing.
    """
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, dict):
        return {name: _without_nul(each) for name, each in value.items()}
    return [_without_nul(each) for each in value] if isinstance(value, list | tuple) else value
