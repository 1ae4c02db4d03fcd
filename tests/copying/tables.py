"""What is in a database, seen past everything of ours: rows, columns, keys, and what counts its keys."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

Row = tuple[Any, ...]


@contextmanager
def opened(where: Path | str) -> Iterator[Any]:
    """A connection to a file, or to a URL; both have `execute`."""
    if isinstance(where, Path):
        with closing(sqlite3.connect(where)) as file:
            yield file
    else:
        with psycopg.connect(where, autocommit=True) as connection:
            yield connection


def names(where: Path | str) -> set[str]:
    """All tables."""
    sql = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    if isinstance(where, str):
        sql = (
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace"
        )
    with opened(where) as connection:
        return {name for (name,) in connection.execute(sql).fetchall()}


def columns(where: Path | str, table: str) -> set[str]:
    """The columns of a table."""
    with opened(where) as connection:
        cursor = connection.execute(f'SELECT * FROM "{table}" LIMIT 0')
        return {each[0] for each in cursor.description}


def counted(where: Path | str) -> set[str]:
    """The tables whose keys the database counts."""
    sql = "SELECT name FROM sqlite_schema WHERE sql LIKE '%AUTOINCREMENT%'"
    if isinstance(where, str):
        sql = (
            "SELECT DISTINCT attrelid::regclass::text FROM pg_attribute"
            " WHERE attnum > 0 AND pg_get_serial_sequence(attrelid::regclass::text, attname) IS NOT NULL"
            " AND attrelid IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace)"
        )
    with opened(where) as connection:
        return {name for (name,) in connection.execute(sql).fetchall()}


def key(file: Path, table: str) -> tuple[str, ...]:
    """The primary key of a table of a file, in order."""
    with opened(file) as connection:
        found = connection.execute(f"PRAGMA table_info('{table}')").fetchall()
    return tuple(name for _, name in sorted((place, name) for _, name, _, _, _, place in found if place))


def rows(where: Path | str, table: str, order: tuple[str, ...]) -> list[dict[str, Any]]:
    """All rows, by the names of their columns."""
    by = ", ".join(f'"{each}"' for each in order)
    with opened(where) as connection:
        cursor = connection.execute(f'SELECT * FROM "{table}" ORDER BY {by}')
        named = [each[0] for each in cursor.description]
        return [dict(zip(named, row, strict=True)) for row in cursor.fetchall()]


def count(where: Path | str, table: str) -> int:
    """How many rows there are."""
    with opened(where) as connection:
        [(number,)] = connection.execute(f'SELECT COUNT(*) FROM "{table}"').fetchall()
    return int(number)
