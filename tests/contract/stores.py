"""The stores that must keep the promises of `ports/storage.py`, and how a test gets at one.

A further store is one more line in `STORES`; every test of this folder that takes the fixture `place` or `store` then
runs on it too. What only one database does is tested in a file of its own (`test_sqlite_*.py`).
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from hookline.adapters.sql.group import Answered, Call, every_body_fits, nobody_has_room
from hookline.adapters.sql.postgres import PostgresStore
from hookline.adapters.sql.session import Doings
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.ids import WebhookId
from hookline.ports.clock import Clock
from hookline.ports.storage import Fits
from tests.postgres_server import postgres_server

T = TypeVar("T")
P = ParamSpec("P")

Room = Callable[[WebhookId], int]


class Store(Protocol):
    """A store for those who need no event loop."""

    def write(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `ports.storage.Database.write`."""

    def read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `ports.storage.Database.read`."""

    def write_group(self, calls: Sequence[Call]) -> tuple[list[Answered], Doings]:
        """Run many functions inside one commit; each that raises undoes only its own part."""

    def close(self) -> None:
        """Close every connection."""

    @property
    def connection(self) -> Any:
        """The driver's, for a look behind the store: both drivers' have `execute`."""


def tables(store: Store) -> list[str]:
    """The names of all tables."""
    names = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    if isinstance(store, PostgresStore):
        names = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    return [name for (name,) in store.connection.execute(names)]


#: Opens a store on the database that belongs to a folder. The room is that of its listener.
class Open(Protocol):
    """See `STORES`."""

    def __call__(self, folder: Path, clock: Clock, dice: random.Random, room: Room, fits: Fits = ..., /) -> Store: ...


STORES: Final[dict[str, Open]] = {
    "sqlite": lambda folder, clock, dice, room, fits=every_body_fits: SqliteStore(
        folder / "hookline.db", clock, dice, room=room, fits=fits
    ),
    "postgres": lambda folder, clock, dice, room, fits=every_body_fits: PostgresStore(
        database_of(folder), clock, dice, room=room, fits=fits
    ),
}


def database_of(folder: Path) -> str:
    """The URL of the PostgreSQL database that belongs to a folder; it is made when first asked for."""
    note = folder / "postgres-url"
    if not note.exists():
        note.write_text(postgres_server().new_database(), "utf-8")
    return note.read_text("utf-8")


def forget_database_of(folder: Path) -> None:
    """Nobody needs the PostgreSQL database of this folder any more, if it has one."""
    note = folder / "postgres-url"
    if note.exists():
        postgres_server().forget(note.read_text("utf-8"))


def examples(name: str, count: int) -> int:
    """With how many generated scripts a store is tried: the same statements decide on each, and one is far quicker."""
    return count if name == "sqlite" else count // 6


class Place:
    """One database, in which stores are opened; all that were are closed in the end."""

    def __init__(self, open_store: Open, folder: Path, clock: Clock, dice: random.Random) -> None:
        self._open = open_store
        self._folder = folder
        self._clock = clock
        self._dice = dice
        self._opened: list[Store] = []

    def open(self, room: Room = nobody_has_room, fits: Fits = every_body_fits) -> Store:
        """One more store on the same database."""
        store = self._open(self._folder, self._clock, self._dice, room, fits)
        self._opened.append(store)
        return store

    def close(self) -> None:
        """Close what was opened."""
        for store in self._opened:
            store.close()
        forget_database_of(self._folder)
