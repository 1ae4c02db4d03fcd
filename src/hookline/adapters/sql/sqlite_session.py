"""One SQLite connection inside one commit: rows are gathered and written many at a time, parts can be undone.

Each statement costs a hand-over of the interpreter between the thread that writes and the event loop, more than the
statement itself. So rows that are only inserted wait here, and go with those of everybody else in the commit, in a
few statements. Whoever asks or changes anything is served after what waits has been written: nobody can tell.
"""

import random
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from hookline.adapters.sql.session import Doings, Insert, Parameters, Row
from hookline.ports.clock import Clock

_NOTHING: Final[Parameters] = {}
_TOKEN_BITS: Final = 63
#: Rows in one statement: few sizes, so that few statements are prepared. SQLite takes 32,766 parameters.
_SIZES: Final = (64, 8, 1)


class GroupBroken(Exception):
    """Rows that were gathered from several parts break a rule of the schema; whose they are is not known."""


class SqliteSession:
    """`adapters.sql.session.Session` on one connection. A commit has parts, one for each function in it."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, dice: random.Random) -> None:
        self._connection = connection
        self._clock = clock
        self._dice = dice
        self._gathered: list[tuple[Insert, Row]] = []
        self._length = 0  # of what the parts before this one gathered
        self._is_open = True  # whether statements of this part can be undone
        self._mark = Doings().mark()
        self.inserted = 0  # rows, since the transaction began
        self.now = clock.now()
        self.doings = Doings()

    def begin(self) -> None:
        """Begin a transaction that has no parts."""
        self.now = self._clock.now()
        self.doings = Doings()
        self.inserted = 0
        self._gathered.clear()
        self._is_open = True

    def begin_part(self) -> None:
        """Begin the part of one function. Its savepoint is made when its first statement needs one."""
        self.now = self._clock.now()
        self._mark = self.doings.mark()
        self._length = len(self._gathered)
        self._is_open = False

    def end_part(self) -> None:
        """Keep what this part did."""
        if self._is_open:
            self._write_gathered()
            self._connection.execute("RELEASE part")

    def undo_part(self) -> None:
        """As if this part had not been."""
        self.doings.cut_back(self._mark)
        if self._is_open:
            self._gathered.clear()  # what others gathered was written before the savepoint
            self._connection.execute("ROLLBACK TO part")
            self._connection.execute("RELEASE part")
        else:
            del self._gathered[self._length :]

    def write_all(self) -> None:
        """Write what still waits.

        Raises:
            GroupBroken: a row breaks a rule of the schema.
        """
        try:
            self._write_gathered()
        except sqlite3.IntegrityError as problem:
            raise GroupBroken from problem

    def token(self) -> int:
        return self._dice.getrandbits(_TOKEN_BITS)

    def rows(self, sql: str, parameters: Parameters = _NOTHING) -> list[Row]:
        return self._execute(sql, parameters).fetchall()

    def run(self, sql: str, parameters: Parameters = _NOTHING) -> int:
        return self._execute(sql, parameters).rowcount

    def insert(self, insert: Insert, row: Row) -> None:
        self._gathered.append((insert, row))
        self.inserted += 1

    def insert_returning_id(self, insert: Insert, row: Row) -> int:
        [(new_id,)] = self._execute(f"{insert.sql(1)} RETURNING id", row).fetchall()
        return int(new_id)

    def rows_before(self, instant: datetime) -> datetime:
        return instant

    def _execute(self, sql: str, parameters: Parameters | Row) -> sqlite3.Cursor:
        if not self._is_open:
            self._open_part()
        self._write_gathered()
        return self._connection.execute(sql, parameters)

    def _open_part(self) -> None:
        """Write what the parts before gathered, then set the point to which this one can be undone."""
        own = self._gathered[self._length :]
        del self._gathered[self._length :]
        self.write_all()
        self._connection.execute("SAVEPOINT part")
        self._is_open = True
        self._gathered += own

    def _write_gathered(self) -> None:
        by_table: dict[Insert, list[Row]] = defaultdict(list)
        for insert, row in self._gathered:
            by_table[insert].append(row)
        for insert, rows in by_table.items():
            written = 0
            for size in _SIZES:
                while len(rows) - written >= size:
                    self._connection.execute(insert.sql(size), _flat(rows[written : written + size]))
                    written += size
        self._gathered.clear()


def _flat(rows: Sequence[Row]) -> list[Any]:
    return [value for row in rows for value in row]
