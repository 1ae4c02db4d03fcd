"""A PostgreSQL database as the place where everything is kept; see `places.py`."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from hookline.adapters.sql import postgres_migrate, postgres_upkeep
from hookline.adapters.sql.copy_marks import Marks
from hookline.adapters.sql.copying import Side
from hookline.adapters.sql.health import Concern, Health
from hookline.adapters.sql.postgres import PostgresStore
from hookline.adapters.sql.postgres_database import PostgresDatabase
from hookline.adapters.sql.postgres_side import PostgresSide
from hookline.adapters.system_clock import ServerClock, SystemClock
from hookline.errors import Invalid


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """A PostgreSQL database."""

    url: str
    file: None = None
    kind: str = "PostgreSQL"

    def __str__(self) -> str:
        told = conninfo_to_dict(self.url)
        return f"postgresql://{told.get('host', '')}/{told.get('dbname', '')}"

    def exists(self) -> bool:
        """See `Place`."""
        return self.schema() > 0

    def schema(self) -> int:
        """See `Place`."""
        return postgres_upkeep.schema_of(self.url)

    def latest_schema(self) -> int:
        """See `Place`."""
        return postgres_migrate.latest_schema()

    def clock(self) -> ServerClock:
        """See `Place`."""
        return ServerClock()

    def store(self, clock: SystemClock, dice: random.Random) -> PostgresStore:
        """See `Place`."""
        return PostgresStore(self.url, clock, dice, agree=clock.agree)

    def database(self, clock: SystemClock, dice: random.Random) -> PostgresDatabase:
        """See `Place`."""
        return PostgresDatabase(self.url, clock, dice, agree=clock.agree)

    def back_up(self, to: Path, progress: Callable[[int, int], None]) -> None:
        """Nothing that PostgreSQL's own tools would not do better."""
        del progress
        raise Invalid(
            f"{self} is a PostgreSQL database: pg_dump copies it, or the backups of who runs it.",
            hint=f"For example: pg_dump --format=custom --file={to} URL",
        )

    def look_into(self) -> Health:
        """See `Place`."""
        return postgres_upkeep.look_into(self.url)

    def concerns(self) -> Sequence[Concern]:
        """See `Place`."""
        return postgres_upkeep.concerns_about(self.url)

    def marks(self) -> Marks:
        """See `Place`."""
        return postgres_upkeep.marks_of(self.url)

    @contextmanager
    def side(self, clock: SystemClock, dice: random.Random) -> Iterator[Side]:
        """See `Place`."""
        with closing(self.store(clock, dice)) as store:
            yield PostgresSide(store, str(self))

    def only_server(self) -> AbstractContextManager[None]:
        """Nodes share it."""
        return nullcontext()

    def close(self, store: object) -> None:
        """See `Place`."""
        assert isinstance(store, PostgresStore)
        store.close()
