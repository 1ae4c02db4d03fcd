"""A store is copied into an empty one of the other kind: row by row in the order of keys, a batch in each commit.

A copy that is cut short is begun again: what arrived says how far it came, since nobody serves either of the two
meanwhile (`copy_marks.py`). In the end every row is compared with its original. What the two databases do differently:
`sqlite_side.py`, `postgres_side.py`.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import chain, islice, zip_longest
from typing import Any, Final, Protocol

from hookline.adapters.sql.copy_marks import COMPLETE, MAKE, SET, TAKE_AWAY, Direction, Mark, Marks
from hookline.adapters.sql.copy_tables import TABLES, Copied
from hookline.adapters.sql.session import Row, instant, micros
from hookline.adapters.sql.transaction import SqlTransaction
from hookline.errors import Invalid, Unavailable

#: Told what is being done, how many rows it is done with, and of how many.
Progress = Callable[[str, int, int], None]

#: Rows in one commit. Only one of them is in memory at a time.
BATCH: Final = 5000
OLDEST_EVENT: Final = "SELECT created_at FROM event ORDER BY position LIMIT 1"
#: Rows between two words of progress while they are compared.
_WORD: Final = 5000


class Side(Protocol):
    """One of the two databases, in the hands of the copy alone."""

    @property
    def name(self) -> str:
        """What people call it: no password."""

    def require_alone(self) -> None:
        """Let nobody else write from now on.

        Raises:
            Unavailable: a server uses it.
        """

    def marks(self) -> Marks:
        """What it tells of copies."""

    def recover(self) -> None:
        """Give back what a server that died was sending."""

    def ask(self, sql: str, parameters: Sequence[Any] = ...) -> list[Row]:
        """Run one statement, with `?` for each parameter, and commit it."""

    def rows(self, sql: str, parameters: Sequence[Any] = ...) -> Generator[Row, None, None]:
        """The answer, a few rows at a time. To be closed before anything else is asked that changes anything."""

    def make_room(self, since: datetime, now: datetime, keep_for: timedelta) -> None:
        """Prepare for rows that have been kept since then."""

    def put(self, table: Copied, rows: Iterator[Row]) -> None:
        """Add all these rows, or none."""

    def kept(self, row: Row) -> Row:
        """The row as this database is able to keep it."""

    def last_number(self, table: Copied) -> int:
        """The highest number that it ever gave to a row of the table."""

    def count_on_from(self, table: Copied, number: int) -> None:
        """Let numbers that are given from now on be higher than this."""

    def take_stock(self) -> None:
        """Find out how much there is of everything, so that the first questions are answered on the best way."""


def copy(
    source: Side, target: Side, *, new_id: str, now: datetime, keep_for: timedelta, progress: Progress
) -> dict[str, int]:
    """Carry everything over, or go on with that. Returns how many rows of each table there are.

    Raises:
        Invalid: the target is not empty, or the source was moved elsewhere. Nothing was changed.
        Unavailable: one of the two cannot be used, or a row did not arrive as it was.
    """
    for side in (source, target):
        side.require_alone()
    if not _is_begun(source, target):
        _begin(source, target, new_id, micros(now))
    for side in (source, target):  # once more: whoever came in between did not see the mark, and is seen now
        side.require_alone()
    if not is_done(source.marks(), target.marks()):
        source.recover()
        oldest = source.ask(OLDEST_EVENT)
        target.make_room(max(instant(oldest[0][0]), now - keep_for) if oldest else now, now, keep_for)
        _carry(source, target, progress)
        target.take_stock()
        _compare(source, target, progress)
        target.ask(COMPLETE, ("here",))
    return finish(source)


def is_done(source: Marks, target: Marks) -> bool:
    """Whether all of the one has arrived in the other, which may be served since."""
    away, here = source.away, target.here
    return away is not None and here is not None and here.id == away.id and here.is_complete


def finish(source: Side) -> dict[str, int]:
    """Mark the source as moved. Returns how many rows of each table there were."""
    source.ask(COMPLETE, ("away",))
    return {table.name: _number(source, table.count) for table in TABLES}


def undo(source: Side) -> Mark:
    """Let the source be served again. Returns the mark that is gone.

    Raises:
        Invalid: it has none.
    """
    source.require_alone()
    mark = source.marks().away
    if mark is None:
        raise Invalid(f"{source.name} was neither moved nor begun to be copied.")
    source.ask(TAKE_AWAY)
    return mark


def recover(tx: SqlTransaction) -> None:
    """What a side does to give back what a server that died was sending."""
    tx.outbox.recover()


def _is_begun(source: Side, target: Side) -> bool:
    """Whether a copy of the one into the other was begun."""
    away, here = source.marks().away, target.marks().here
    if away is None:
        return False
    if here is not None and here.id == away.id:
        return True
    raise Invalid(
        f"A copy of {source.name} to {away.other} was begun, and {target.name} has not its other half.",
        hint="Go on with that one, or take the mark away: `hookline copy --from ... --undo`.",
    )


def _begin(source: Side, target: Side, new_id: str, begun_at: int) -> None:
    """Mark both. First the target: a mark on one that is empty says nothing as long as the source has none."""
    problem = source.marks().refusal(source.name)
    if problem is not None:
        raise problem
    _require_empty(target)
    _mark(target, "here", Mark(id=new_id, other=source.name, begun_at=begun_at, is_complete=False))
    _mark(source, "away", Mark(id=new_id, other=target.name, begun_at=begun_at, is_complete=False))


def _mark(side: Side, direction: Direction, mark: Mark) -> None:
    side.ask(MAKE)
    side.ask(SET, (direction, mark.id, mark.other, mark.begun_at, int(mark.is_complete)))


def _require_empty(target: Side) -> None:
    taken = next((table.name for table in TABLES if _number(target, table.has_rows)), None)
    if taken is not None or target.marks().away is not None:
        there = f"there are rows in {taken}" if taken else "it was moved away"
        raise Invalid(
            f"{target.name} is not empty: {there}. A copy goes into an empty database.",
            hint="Nothing was changed. Make a new database.",
        )


def _carry(source: Side, target: Side, progress: Progress) -> None:
    total = sum(_number(source, table.count) for table in TABLES)
    done = 0
    for table in TABLES:
        done += _number(target, table.count)
        progress(f"Copying {table.name}", done, total)
        with closing(_missing(source, target, table)) as rows:
            for batch in _in_batches(rows):
                counted = _Counted(target.kept(row) for row in batch)
                target.put(table, counted)
                done += counted.count
                progress(f"Copying {table.name}", done, total)
        if table.numbers:
            target.count_on_from(table, max(source.last_number(table), _number(source, table.highest)))


def _missing(source: Side, target: Side, table: Copied) -> Generator[Row, None, None]:
    """The rows behind the last one that has arrived."""
    last = target.ask(table.last_key)
    return source.rows(table.select_after, last[0]) if last else source.rows(table.select)


class _Counted(Iterator[Row]):
    """Rows, and how many have been taken."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self.count = 0

    def __next__(self) -> Row:
        row = next(self._rows)
        self.count += 1
        return row


def _in_batches(rows: Iterator[Row]) -> Iterator[Iterator[Row]]:
    """Each has to be taken to its end before the next one is."""
    for first in rows:
        yield chain((first,), islice(rows, BATCH - 1))


def _compare(source: Side, target: Side, progress: Progress) -> None:
    """Look at each row on both sides.

    Raises:
        Unavailable: one is not as it was.
    """
    total = sum(_number(source, table.count) for table in TABLES)
    done = 0
    for table in TABLES:
        with closing(source.rows(table.select)) as rows, closing(target.rows(table.select)) as copies:
            for there, here in zip_longest(rows, copies):
                if there != here and (there is None or here is None or target.kept(there) != here):
                    raise _not_as_it_was(source, target, table, here if there is None else there)
                done += 1
                if done % _WORD == 0:
                    progress(f"Comparing {table.name}", done, total)


def _not_as_it_was(source: Side, target: Side, table: Copied, row: Row) -> Unavailable:
    counts = f"{_number(source, table.count):,} rows there, {_number(target, table.count):,} here"
    key = ", ".join(map(str, row[: table.key_length]))
    return Unavailable(
        f"The table {table.name} did not arrive as it was: the first difference is at {key}; {counts}.",
        hint=(
            f"Neither of the two is served. Take the mark off {source.name} (`hookline copy --from ... --undo`), and"
            " copy into a new database."
        ),
    )


def _number(side: Side, sql: str) -> int:
    [(number,)] = side.ask(sql)
    return int(number)
