"""Questions about a PostgreSQL database as a whole. They change nothing; copies are `pg_dump`'s."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import psycopg

from hookline.adapters.sql.copy_marks import Marks
from hookline.adapters.sql.health import Concern, Health, backlog_of
from hookline.adapters.sql.postgres_concerns import concerns_of
from hookline.adapters.sql.postgres_link import as_unavailable, connected
from hookline.adapters.sql.postgres_migrate import latest_schema
from hookline.adapters.sql.postgres_migrate import schema_of as schema_in
from hookline.adapters.sql.postgres_side import marks_in


def schema_of(url: str) -> int:
    """The schema of the database; 0 when it has none of our tables.

    Raises:
        Unavailable: it cannot be asked.
    """
    with _asking(url) as connection:
        return schema_in(connection).number


def look_into(url: str) -> Health:
    """How the database is.

    Raises:
        Unavailable: it cannot be asked.
    """
    with _asking(url) as connection:
        schema, latest = schema_in(connection), latest_schema()
        is_known = schema.serves <= latest <= schema.number
        backlog = backlog_of(connection.execute) if is_known else None
        return Health(schema=schema.number, latest_schema=latest, is_known=is_known, damage="", backlog=backlog)


def marks_of(url: str) -> Marks:
    """What the database tells of copies.

    Raises:
        Unavailable: it cannot be asked.
    """
    with _asking(url) as connection:
        return marks_in(connection)


def concerns_about(url: str) -> Sequence[Concern]:
    """What its operator should change.

    Raises:
        Unavailable: it cannot be asked.
    """
    with _asking(url) as connection:
        return concerns_of(connection)


@contextmanager
def _asking(url: str) -> Iterator[psycopg.Connection]:
    with as_unavailable(), closing(connected(url)) as connection:
        yield connection
