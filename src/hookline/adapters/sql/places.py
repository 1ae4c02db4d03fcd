"""Where everything is kept: a SQLite file, or a PostgreSQL database that nodes share.

A place is what those ask who do not care which of the two it is. PostgreSQL's is in a module of its own,
`postgres_place.py`: a server on a file does without its driver, which takes 11 MB and a sixth of the time to start.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hookline.adapters.sql import upkeep
from hookline.adapters.sql.copy_marks import Marks
from hookline.adapters.sql.copying import Side
from hookline.adapters.sql.group_commit import SqliteDatabase
from hookline.adapters.sql.grouped import GroupedDatabase
from hookline.adapters.sql.health import Health
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.adapters.sql.sqlite_side import SqliteSide
from hookline.adapters.system_clock import SystemClock

if TYPE_CHECKING:
    from hookline.adapters.sql.postgres import PostgresStore


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

    def marks(self) -> Marks:
        """What it tells of copies from here and to here."""

    def side(self, clock: SystemClock, dice: random.Random) -> AbstractContextManager[Side]:
        """It as one side of a copy, made if need be. Of a file, the lock has to be held."""


@dataclass(frozen=True, slots=True)
class SqlitePlace:
    """A SQLite file."""

    file: Path
    kind: str = "SQLite"

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
        return SqliteStore(self.file, clock, dice)

    def database(self, clock: SystemClock, dice: random.Random) -> SqliteDatabase:
        """See `Place`."""
        return SqliteDatabase(self.file, clock, dice)

    def back_up(self, to: Path, progress: Callable[[int, int], None]) -> None:
        """See `Place`."""
        upkeep.back_up(self.file, to, progress)

    def look_into(self) -> Health:
        """See `Place`."""
        return upkeep.look_into(self.file)

    def marks(self) -> Marks:
        """See `Place`."""
        return upkeep.marks_of(self.file)

    @contextmanager
    def side(self, clock: SystemClock, dice: random.Random) -> Iterator[Side]:
        """See `Place`."""
        with closing(self.store(clock, dice)) as store:
            yield SqliteSide(store, str(self))
