"""Where everything is kept: a SQLite file, or a PostgreSQL database that nodes share.

A place is what those ask who do not care which of the two it is. PostgreSQL's is in a module of its own,
`postgres_place.py`: a server on a file does without its driver, which takes 11 MB and a sixth of the time to start.
"""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hookline.adapters.sql import sqlite_file, upkeep
from hookline.adapters.sql.copy_marks import Marks
from hookline.adapters.sql.copying import Side
from hookline.adapters.sql.group_commit import SqliteDatabase
from hookline.adapters.sql.grouped import GroupedDatabase
from hookline.adapters.sql.health import Concern, Health
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.adapters.sql.sqlite_side import SqliteSide
from hookline.adapters.system_clock import SystemClock
from hookline.errors import Unavailable

if TYPE_CHECKING:
    from hookline.adapters.sql.postgres import PostgresStore

_log = logging.getLogger("hookline.store")


class Place(Protocol):
    """One database. As text it is what people may see: no password."""

    @property
    def kind(self) -> str:
        """SQLite or PostgreSQL."""

    @property
    def file(self) -> Path | None:
        """The file that only one process may deliver from; None where nodes share the database."""

    def exists(self) -> bool:
        """Whether there is anything of ours."""

    def schema(self) -> int:
        """The schema that it has; 0 when there is nothing."""

    def latest_schema(self) -> int:
        """The schema of this version."""

    def clock(self) -> SystemClock:
        """The clock by which everything there is measured."""

    def store(self, clock: SystemClock, dice: random.Random) -> "SqliteStore | PostgresStore":
        """A store for a command that needs no server; it makes or migrates what is kept."""

    def database(self, clock: SystemClock, dice: random.Random) -> GroupedDatabase:
        """The store of a server, not started."""

    def back_up(self, to: Path, progress: Callable[[int, int], None]) -> None:
        """Copy everything to a new file."""

    def look_into(self) -> Health:
        """How it is."""

    def concerns(self) -> Sequence[Concern]:
        """What the operator of its server should change."""

    def marks(self) -> Marks:
        """What it tells of copies from here and to here."""

    def side(self, clock: SystemClock, dice: random.Random) -> AbstractContextManager[Side]:
        """It as one side of a copy, made if need be. Of a file, the lock has to be held."""

    def only_server(self) -> AbstractContextManager[None]:
        """Be the one process that delivers from here. Of a database that nodes share there is none.

        Raises:
            Unavailable: another process is.
        """

    def close(self, store: "SqliteStore | PostgresStore") -> None:
        """Close a store that a command had opened beside a server, or alone."""


@dataclass(frozen=True, slots=True)
class SqlitePlace:
    """A SQLite file, by its resolved path: `sqlite_file.resolved`."""

    file: Path
    kind: str = "SQLite"
    without_log: bool = False  # whether a missing log is no reason to refuse

    def __str__(self) -> str:
        return str(self.file)

    def exists(self) -> bool:
        """See `Place`."""
        return self.file.exists()

    def schema(self) -> int:
        """See `Place`."""
        return upkeep.schema_of(self.file)

    def latest_schema(self) -> int:
        """See `Place`."""
        return upkeep.latest_schema()

    def clock(self) -> SystemClock:
        """See `Place`."""
        return SystemClock()

    def store(self, clock: SystemClock, dice: random.Random) -> SqliteStore:
        """See `Place`."""
        upkeep.check_before_use(self.file, pages=False)
        return SqliteStore(self.file, clock, dice)

    def database(self, clock: SystemClock, dice: random.Random) -> SqliteDatabase:
        """See `Place`."""
        upkeep.check_before_use(self.file)
        network = sqlite_file.network_file_system(self.file)
        if network:
            _log.warning("store.on_network path=%s file_system=%s: it may lose what it confirmed", self.file, network)
        _log.debug("store.opening path=%s", self.file)
        return SqliteDatabase(self.file, clock, dice)

    def back_up(self, to: Path, progress: Callable[[int, int], None]) -> None:
        """See `Place`."""
        upkeep.back_up(self.file, to, progress)

    def look_into(self) -> Health:
        """See `Place`."""
        return upkeep.look_into(self.file)

    def concerns(self) -> Sequence[Concern]:
        """See `Place`. A file has no server."""
        return ()

    def marks(self) -> Marks:
        """See `Place`."""
        return upkeep.marks_of(self.file)

    @contextmanager
    def side(self, clock: SystemClock, dice: random.Random) -> Iterator[Side]:
        """See `Place`."""
        upkeep.check_before_use(self.file, without_log=self.without_log)
        with closing(SqliteStore(self.file, clock, dice)) as store:
            store.mark(sqlite_file.CLOSED)
            yield SqliteSide(store, str(self))

    def only_server(self) -> AbstractContextManager[None]:
        """See `Place`."""
        return sqlite_file.only_server(self.file)

    def close(self, store: "SqliteStore | PostgresStore") -> None:
        """See `Place`."""
        assert isinstance(store, SqliteStore)
        try:
            with self.only_server():
                store.mark(sqlite_file.CLOSED)
                store.close()
        except Unavailable:  # a server runs, and it says itself when it closes the file
            store.close()
