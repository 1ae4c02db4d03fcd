"""Migrations: numbered SQL files, one folder a dialect, each applied once and in one transaction.

What PostgreSQL does otherwise: `postgres_migrate.py`.
"""

import sqlite3
from importlib import resources
from typing import Final

from hookline.errors import Unavailable

_MIGRATIONS: Final = resources.files("hookline.adapters.sql") / "migrations"


def sqlite_migrations() -> list[tuple[int, str]]:
    """Number and SQL of every migration of SQLite, in order."""
    return migrations_of("sqlite")


def migrations_of(dialect: str) -> list[tuple[int, str]]:
    """Number and SQL of every migration of a dialect, in order."""
    folder = _MIGRATIONS / dialect
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [(int(file.name.split("_")[0]), file.read_text("utf-8")) for file in files]


def missing_of(migrations: list[tuple[int, str]], at: int) -> list[tuple[int, str]]:
    """Those that a database with this schema has not seen.

    Raises:
        Unavailable: the database was made by a later version.
    """
    if at > migrations[-1][0]:
        raise Unavailable(
            f"The database has schema {at}; this version knows schemas up to {migrations[-1][0]}.",
            hint="Start the version that made it, or a later one.",
        )
    return [(number, sql) for number, sql in migrations if number > at]


def schema_version(connection: sqlite3.Connection) -> int:
    """Number of the last migration that was applied; 0 for an empty database."""
    [(version,)] = connection.execute("PRAGMA user_version")
    return int(version)


def migrate_sqlite(connection: sqlite3.Connection) -> list[int]:
    """Apply what is missing. Returns the numbers that were applied.

    Raises:
        Unavailable: the database was made by a later version.
    """
    migrations = sqlite_migrations()
    if schema_version(connection) == migrations[-1][0]:
        return []
    connection.execute("BEGIN IMMEDIATE")  # one process migrates, others wait and then find nothing to do
    try:
        applied = _apply_missing(connection, migrations)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return applied


def _apply_missing(connection: sqlite3.Connection, migrations: list[tuple[int, str]]) -> list[int]:
    missing = missing_of(migrations, schema_version(connection))
    for number, sql in missing:
        for statement in _statements(sql):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    return [number for number, _ in missing]


def _statements(sql: str) -> list[str]:
    """The single statements of a file: `executescript` would commit before it begins."""
    statements, pending = [], ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
