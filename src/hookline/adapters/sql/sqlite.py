"""SQLite: one connection that writes, others that read, and all that only SQLite does.

WAL with `synchronous=FULL`: a commit is on disk when it returns. Many functions share one commit, each behind its own
savepoint, so a hundred callers pay for one fsync and one caller's refusal undoes only its own part. What goes wrong
below SQL (a full disk, a locked file) undoes the whole commit and reaches everybody in it as `Unavailable`.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from hookline.adapters.sql import sqlite_file
from hookline.adapters.sql.group import Answered, Call, every_body_fits, nobody_has_room, run_parts
from hookline.adapters.sql.migrate import migrate_sqlite
from hookline.adapters.sql.session import Doings
from hookline.adapters.sql.sqlite_session import GroupBroken, SqliteSession
from hookline.adapters.sql.transaction import SqlTransaction
from hookline.domain.deliveries import LEASE
from hookline.domain.ids import WebhookId
from hookline.errors import Unavailable
from hookline.ports.clock import Clock
from hookline.ports.storage import Fits

T = TypeVar("T")
P = ParamSpec("P")

#: How long another process may hold the file before we answer that we cannot.
BUSY_TIMEOUT_SECONDS: Final = 2.0


class SqliteStore:
    """One connection to a database file. Not to be shared between threads that run at the same time."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        dice: random.Random,
        *,
        room: Callable[[WebhookId], int] = nobody_has_room,
        fits: Fits = every_body_fits,
        busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
        read_only: bool = False,
    ) -> None:
        """Open (and, unless `read_only`, make or migrate) the database at `path`.

        Raises:
            Unavailable: the file cannot be opened, or is no database of ours.
        """
        self._path = path
        if not read_only:
            with suppress(OSError):  # SQLite will say better that it cannot be made
                sqlite_file.make_private(path)
        with _as_unavailable(path):
            self._connection = sqlite3.connect(
                path, timeout=busy_timeout_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            try:
                _prepare(self._connection, read_only=read_only)
            except BaseException:
                self._connection.close()
                raise
        self._read_only = read_only
        self._session = SqliteSession(self._connection, clock, dice)
        self._tx = SqlTransaction(self._session, dice, room=room, fits=fits, lease=LEASE)
        self._seen_version = -1

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for what is done to the file as a whole (backup, checks, checkpoints)."""
        return self._connection

    def mark(self, mark: int) -> None:
        """Say in the file that a server has it open, or that none has; see `sqlite_file`."""
        with _as_unavailable(self._path):
            self._connection.execute(sqlite_file.MARK.format(mark=mark))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def write(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function in a transaction of its own."""
        [answered], _ = self.write_group([Call(function, args, kwargs)])
        result: T = answered.value()
        return result

    def read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one function on one unchanging state of the database."""
        with _as_unavailable(self._path):
            try:
                self._begin("BEGIN")
                return function(self._tx, *args, **kwargs)
            finally:
                if self._read_only:
                    self._connection.rollback()
                else:
                    self._roll_back()  # what the function changed may be held

    def write_group(self, calls: Sequence[Call]) -> tuple[list[Answered], Doings]:
        """Run many functions inside one commit; each that raises undoes only its own part.

        There are answers of the first functions only, and at least one, when these insert many rows. The others were
        not run.
        """
        try:
            with _as_unavailable(self._path):
                self._begin("BEGIN IMMEDIATE")
                answers = run_parts(calls, self._session, self._tx, _breaks_group)
                self._session.write_all()
                self._connection.commit()
        except GroupBroken as problem:
            self._roll_back()
            return self._one_by_one(calls, problem)
        except Unavailable as problem:
            self._roll_back()
            return [Answered(error=problem) for _ in calls], Doings()
        except BaseException:
            self._roll_back()
            raise
        return answers, self._session.doings

    def _one_by_one(self, calls: Sequence[Call], problem: GroupBroken) -> tuple[list[Answered], Doings]:
        """Find out who broke a rule of the schema: everybody again, each in a commit of its own."""
        if len(calls) == 1:
            return [Answered(error=problem.__cause__)], Doings()
        answers, together = [], Doings()
        for call in calls:
            [answer], doings = self.write_group([call])
            answers.append(answer)
            together.add(doings)
        return answers, together

    def _begin(self, statement: str) -> None:
        self._connection.execute(statement)
        [(version,)] = self._connection.execute("PRAGMA data_version")
        if version != self._seen_version:  # another connection wrote since
            self._seen_version = version
            self._tx.forget_held()
            self._tx.forget_bodies()
        self._session.begin()

    def _roll_back(self) -> None:
        self._tx.forget_held()
        if self._connection.in_transaction:  # SQLite itself rolls back on some errors
            self._connection.rollback()


def _prepare(connection: sqlite3.Connection, *, read_only: bool) -> None:
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        return
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten, not only unlinked
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # group_commit.py checkpoints beside the commits
    migrate_sqlite(connection)


@contextmanager
def _as_unavailable(path: Path) -> Iterator[None]:
    """What SQLite says below SQL, as a sentence for whoever asked."""
    try:
        yield
    except sqlite3.DatabaseError as problem:
        if not _is_below_sql(problem):
            raise
        raise Unavailable(f"The database {path.name} cannot be used now: {problem}.") from problem


def _breaks_group(problem: Exception) -> bool:
    """Whether more than the part of whoever raised it has to be undone."""
    return isinstance(problem, GroupBroken) or _is_below_sql(problem)


def _is_below_sql(problem: Exception) -> bool:
    """Whether the file or the disk failed, so that the whole commit is in doubt, and not one statement of ours."""
    return isinstance(problem, sqlite3.DatabaseError) and not isinstance(
        problem, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError
    )
