"""The schema of a PostgreSQL database: which it has, and how it gets the one of this version.

One node migrates while the others wait for an advisory lock, and then find nothing to do. All missing migrations are
one transaction, so that a node that dies in the middle leaves the database as it was.
"""

from typing import Final

import psycopg

from hookline.adapters.sql.migrate import migrations_of, missing_of
from hookline.errors import Unavailable

#: Which migration was the last: a table, since PostgreSQL has no number of its own for that.
MAKE_VERSION: Final = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"
VERSION: Final = "SELECT COALESCE(MAX(version), 0) FROM schema_version"
KEEP_VERSION: Final = "INSERT INTO schema_version (version) VALUES (%s)"
HAS_VERSION: Final = "SELECT to_regclass('schema_version') IS NOT NULL"
OLDEST: Final = 140_000
#: The space of our advisory locks; in it, 1 is held by who migrates and 2 by who writes (`postgres.py`).
LOCK_SPACE: Final = int.from_bytes(b"hook", "big")
#: Held to the end of the transaction.
ONE_MIGRATES: Final = f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, 1)"


def latest_schema() -> int:
    """The schema of this version."""
    return migrations_of("postgres")[-1][0]


def schema_version(connection: psycopg.Connection) -> int:
    """Number of the last migration that was applied; 0 for an empty database."""
    [(has_version,)] = connection.execute(HAS_VERSION).fetchall()
    if not has_version:
        return 0
    [(version,)] = connection.execute(VERSION).fetchall()
    return int(version)


def migrate_postgres(connection: psycopg.Connection) -> list[int]:
    """Apply what is missing. Returns the numbers that were applied.

    Raises:
        Unavailable: the database was made by a later version, or is older than what we know.
    """
    if connection.info.server_version < OLDEST:
        raise Unavailable(
            f"The database is PostgreSQL {connection.info.server_version // 10_000}; Hookline needs 14 or later."
        )
    migrations = migrations_of("postgres")
    if not missing_of(migrations, schema_version(connection)):
        return []
    with connection.transaction():
        connection.execute(ONE_MIGRATES)
        connection.execute(MAKE_VERSION)
        missing = missing_of(migrations, schema_version(connection))
        for number, sql in missing:
            connection.execute(sql.encode())
            connection.execute(KEEP_VERSION, (number,))
    return [number for number, _ in missing]
