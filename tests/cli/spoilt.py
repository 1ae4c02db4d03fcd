"""Database files that are not as they must be."""

import sqlite3
from contextlib import closing
from pathlib import Path


def garbage(path: Path) -> bytes:
    """Make `path` no database at all. Returns its bytes."""
    content = b"This is no database, whatever its name says. " * 200
    path.write_bytes(content)
    return content


def scratch(path: Path) -> None:
    """Damage all but the first page of a database, which still opens."""
    page = 4096
    content = path.read_bytes()
    path.write_bytes(content[:page] + bytes([0xA5]) * (len(content) - page))


def of_schema(path: Path, schema: int) -> None:
    """Say that a database is of another version."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema}")


def schema_of(path: Path) -> int:
    """The schema that a database says it has."""
    with closing(sqlite3.connect(path)) as connection:
        [(schema,)] = connection.execute("PRAGMA user_version")
    return int(schema)


def check(path: Path) -> str:
    """What SQLite finds in a database: "ok" when all is well."""
    with closing(sqlite3.connect(path)) as connection:
        [(first,), *_] = connection.execute("PRAGMA quick_check")
    return str(first)


def count(path: Path, table: str) -> int:
    """How many rows there are."""
    with closing(sqlite3.connect(path)) as connection:
        [(rows,)] = connection.execute(f"SELECT COUNT(*) FROM {table}")
    return int(rows)
