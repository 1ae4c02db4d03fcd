"""Where what is measured is kept: databases that are gone when the block ends."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from tests.postgres_server import PostgresServer

#: Gives the URL of an empty database, for as long as a block lasts.
Place = Callable[[], AbstractContextManager[str]]

#: As an operator would run it: the tests' own server does not wait for the disk and does not tidy up.
_IN_EARNEST: Final = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on", "shared_buffers": "256MB"}


def sqlite_in(folder: Path) -> str:
    """The URL of the database file in a folder."""
    return f"sqlite:///{folder / 'bench.db'}"


def own_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that is gone when the block ends."""
    return tempfile.TemporaryDirectory(prefix="hookline-bench-")


@contextlib.contextmanager
def on_sqlite() -> Iterator[str]:
    """A SQLite file."""
    with own_folder() as folder:
        yield sqlite_in(Path(folder))


@contextlib.contextmanager
def on_postgres() -> Iterator[str]:
    """A database on a PostgreSQL of its own, which commits to the disk."""
    with contextlib.closing(PostgresServer(**_IN_EARNEST)) as server:
        yield server.empty_database()
