"""The schema of a PostgreSQL database: which it has, and how it gets the one of this version.

One node migrates while the others wait for an advisory lock, and then find nothing to do. All missing migrations are
one transaction, so that a node that dies in the middle leaves the database as it was.

Nodes of the version before run on meanwhile and afterwards, and may be started again: migrations only add what those
need not know. One that does more says so in its file (`BREAKS`). The database keeps which schema a version has to know
in order to work on it, so that an older one can tell whether it still may.
"""

import logging
from collections.abc import Sequence
from typing import Final, NamedTuple

import psycopg

from hookline.adapters.sql.migrate import migrations_of
from hookline.errors import Unavailable

#: A line of a migration after which versions that do not know it can work on the database no more.
BREAKS: Final = "-- Versions that do not know this migration cannot work on the database any more."
#: Which migrations were applied: a table, since PostgreSQL has no number of its own for that. `serves` is the schema
#: that a version has to know, at least.
MAKE_VERSION: Final = """
    CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL, serves INTEGER NOT NULL)
"""
VERSION: Final = "SELECT version, serves FROM schema_version ORDER BY version DESC LIMIT 1"
KEEP_VERSION: Final = "INSERT INTO schema_version (version, serves) VALUES (%s, %s)"
HAS_VERSION: Final = "SELECT to_regclass('schema_version') IS NOT NULL"
#: Tables of somebody else where ours would come to be. Those of extensions are nobody's.
OF_OTHERS: Final = """
    SELECT c.relname FROM pg_catalog.pg_class c
    WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema())
        AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relname NOT IN ('schema_version', 'moving')
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
    ORDER BY c.relname LIMIT 1
"""
#: The space of our advisory locks; in it, 1 is held by who migrates and 2 by who writes (`postgres.py`).
LOCK_SPACE: Final = int.from_bytes(b"hook", "big")
#: Held to the end of the transaction. Others wait for as long as a migration takes, but not for a node that is silent;
#: it waits for its tables as long as those who write bear it.
ONE_MIGRATES: Final = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL lock_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 60000;
"""
IS_FREE_TO_MIGRATE: Final = f"SELECT pg_try_advisory_xact_lock({LOCK_SPACE}, 1)"
WAIT_TO_MIGRATE: Final = f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, 1)"
#: Once the lock is held.
BEFORE_MIGRATING: Final = "SET LOCAL lock_timeout = 10000"
#: A role whose search_path names no schema that exists can make no table.
SCHEMA_OF_OURS: Final = "SELECT current_schema()"
#: So that nobody who writes holds one of the tables and waits for another.
NOBODY_WRITES: Final = f"SELECT pg_advisory_xact_lock({LOCK_SPACE}, 2)"

_log = logging.getLogger("hookline.store")


class Schema(NamedTuple):
    """What a database has: the last migration that was applied, and the one that a version has to know at least."""

    number: int
    serves: int


def latest_schema() -> int:
    """The schema of this version."""
    return migrations_of("postgres")[-1][0]


def schema_of(connection: psycopg.Connection) -> Schema:
    """The schema of the database; 0 for an empty one."""
    [(has_version,)] = connection.execute(HAS_VERSION).fetchall()
    try:
        rows = connection.execute(VERSION).fetchall() if has_version else []
    except psycopg.errors.UndefinedColumn:
        raise _of_somebody_else("schema_version") from None
    return Schema(*rows[0]) if rows else Schema(0, 0)


def migrate_postgres(connection: psycopg.Connection, migrations: Sequence[tuple[int, str]] | None = None) -> list[int]:
    """Apply what is missing of the migrations of this version, or of these. Returns the numbers that were applied.

    Raises:
        Unavailable: the database was made by a later version which this one cannot work beside, or is older than what
            we know.
    """
    migrations = migrations_of("postgres") if migrations is None else migrations
    if not _missing_of(migrations, schema_of(connection)):
        return []
    with connection.transaction():
        _take_turn(connection)
        connection.execute(MAKE_VERSION)  # which also makes us see what was made while we waited
        at = schema_of(connection)
        others = connection.execute(OF_OTHERS).fetchall() if at.number == 0 else []
        if others:
            raise _of_somebody_else(others[0][0])
        missing = _missing_of(migrations, at)
        if missing:
            connection.execute(NOBODY_WRITES)
        for schema, sql in missing:
            connection.execute(sql.encode())
            connection.execute(KEEP_VERSION, schema)
    return [schema.number for schema, _ in missing]


def _take_turn(connection: psycopg.Connection) -> None:
    """Be the only node that migrates, until the transaction ends."""
    connection.execute(ONE_MIGRATES.encode())
    [(is_free,)] = connection.execute(IS_FREE_TO_MIGRATE.encode()).fetchall()
    if not is_free:
        _log.info("store.waiting step=migration reason='another node migrates'")
        connection.execute(WAIT_TO_MIGRATE.encode())
    connection.execute(BEFORE_MIGRATING)
    if connection.execute(SCHEMA_OF_OURS).fetchall() == [(None,)]:
        raise Unavailable(
            "The search_path of this user names no schema that exists, so no table can be made.",
            hint="Make that schema, or take it away: ALTER ROLE ... RESET search_path.",
        )


def _of_somebody_else(table: str) -> Unavailable:
    return Unavailable(
        f"The database has tables of something else, such as {table}.",
        hint="Give Hookline a database of its own, or a schema of its own by the search_path of its user.",
    )


def _missing_of(migrations: Sequence[tuple[int, str]], at: Schema) -> list[tuple[Schema, str]]:
    """What a database with this schema has not seen, each with the schema that it makes."""
    latest = migrations[-1][0]
    if at.serves > latest:
        raise Unavailable(
            f"The database has schema {at.number}, on which versions work that know schema {at.serves} or a later one;"
            f" this version knows schemas up to {latest}.",
            hint="Start the version that made it, or a later one.",
        )
    if at.number > latest:
        _log.warning("store.newer schema=%d known=%d", at.number, latest)
    missing, serves = [], 1
    for number, sql in migrations:
        serves = number if BREAKS in sql else serves
        if number > at.number:
            missing.append((Schema(number, serves), sql))
    return missing
