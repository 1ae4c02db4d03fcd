"""The stores that must keep the promises of `ports/storage.py`, and how a test gets at one.

A further store is one more line in `STORES`; every test of this folder that takes the fixture `place` or `store` then
runs on it too. What only one database does is tested in a file of its own (`test_sqlite_*.py`).
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from hookline.adapters.sql.sqlite import SqliteStore, nobody_has_room
from hookline.domain.ids import WebhookId
from hookline.ports.clock import Clock

T = TypeVar("T")
P = ParamSpec("P")

Room = Callable[[WebhookId], int]


class Store(Protocol):
    """A store for those who need no event loop."""

    def write(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `ports.storage.Database.write`."""

    def read(self, function: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """See `ports.storage.Database.read`."""

    def close(self) -> None:
        """Close every connection."""


#: Opens a store on the database that belongs to a folder. The room is that of its listener.
Open = Callable[[Path, Clock, random.Random, Room], Store]

STORES: Final[dict[str, Open]] = {
    "sqlite": lambda folder, clock, dice, room: SqliteStore(folder / "hookline.db", clock, dice, room=room),
}


class Place:
    """One database, in which stores are opened; all that were are closed in the end."""

    def __init__(self, open_store: Open, folder: Path, clock: Clock, dice: random.Random) -> None:
        self._open = open_store
        self._folder = folder
        self._clock = clock
        self._dice = dice
        self._opened: list[Store] = []

    def open(self, room: Room = nobody_has_room) -> Store:
        """One more store on the same database."""
        store = self._open(self._folder, self._clock, self._dice, room)
        self._opened.append(store)
        return store

    def close(self) -> None:
        """Close what was opened."""
        for store in self._opened:
            store.close()
