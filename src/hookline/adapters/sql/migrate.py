"""Migrations: numbered SQL files, one folder a dialect, each applied once and in one transaction."""

import sqlite3
from importlib import resources
from typing import Final

from hookline.errors import Unavailable

_SQLITE: Final = resources.files("hookline.adapters.sql") / "migrations" / "sqlite"


def sqlite_migrations() -> list[tuple[int, str]]:
    """Number and SQL of every migration, in order."""
    files = sorted((file for file in _SQLITE.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [(int(file.name.split("_")[0]), file.read_text("utf-8")) for file in files]


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
    at = schema_version(connection)
    if at > migrations[-1][0]:
        raise Unavailable(
            f"The database has schema {at}; this version knows schemas up to {migrations[-1][0]}.",
            hint="Start the version that made it, or a later one.",
        )
    missing = [(number, sql) for number, sql in migrations if number > at]
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
