"""What about a PostgreSQL server or user keeps Hookline from its promises, although it can be connected to.

The questions change nothing. `hookline doctor` shows the answers, and a server logs them when it starts.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import psycopg

from hookline.adapters.sql.health import Concern
from hookline.adapters.sql.postgres_link import is_pooled
from hookline.adapters.sql.postgres_settings import CONNECTIONS_PER_NODE
from hookline.adapters.sql.postgres_sql import TABLES

#: Settings with which a crash of the machine loses or damages what was confirmed.
UNSAFE: Final = """
    SELECT name FROM pg_catalog.pg_settings
    WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name
"""
#: The first of our tables that this user cannot write to, and the first that it does not own.
WITHOUT_RIGHTS: Final = """
    SELECT MIN(relname) FILTER (WHERE NOT (has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
            AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))),
        MIN(relname) FILTER (WHERE NOT pg_has_role(relowner, 'USAGE'))
    FROM pg_catalog.pg_class WHERE relname = ANY(%s) AND relkind IN ('r', 'p') AND pg_table_is_visible(oid)
"""
MAY_CREATE: Final = "SELECT current_schema(), has_schema_privilege(current_schema(), 'CREATE')"
#: Of the limits on connections of the server, the database and the user (-1 is none): the lowest, and how many
#: connections are free by the one that is nearest. Other users' sessions show little more than their database.
CONNECTIONS: Final = """
    WITH limits AS (
        SELECT current_setting('max_connections')::INT - current_setting('superuser_reserved_connections')::INT
                - COALESCE(current_setting('reserved_connections', true), '0')::INT AS allowed,
            COUNT(*) FILTER (WHERE datname IS NOT NULL) AS used
        FROM pg_catalog.pg_stat_activity WHERE pid <> pg_backend_pid()
        UNION ALL
        SELECT datconnlimit, (SELECT COUNT(*) FROM pg_catalog.pg_stat_activity a
            WHERE a.datname = d.datname AND pid <> pg_backend_pid())
        FROM pg_catalog.pg_database d WHERE datname = current_database() AND datconnlimit >= 0
        UNION ALL
        SELECT rolconnlimit, (SELECT COUNT(*) FROM pg_catalog.pg_stat_activity
            WHERE usename = rolname AND pid <> pg_backend_pid())
        FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolconnlimit >= 0)
    SELECT MIN(allowed), MIN(allowed - used) FROM limits
"""


def concerns_of(connection: psycopg.Connection) -> Sequence[Concern]:
    """Everything that the operator should know, the worst first.

    Raises:
        psycopg.Error: the database cannot be asked.
    """
    found = [*_rights(connection), *_durability(connection), *_connections(connection)]
    return sorted(found, key=lambda concern: concern.grade != "problem")


def _rights(connection: psycopg.Connection) -> Iterator[Concern]:
    [(unwritable, unowned)] = connection.execute(WITHOUT_RIGHTS, (list(TABLES),)).fetchall()
    [(schema, may_create)] = connection.execute(MAY_CREATE).fetchall()
    user = connection.info.user
    if unwritable is not None:
        says = f"The user {user} may not write to the table {unwritable}. Connect as the user who owns the tables."
        yield Concern(grade="problem", says=says)
    elif unowned is not None:
        says = (
            f"The user {user} does not own the table {unowned}, so it can neither migrate nor make partitions, and old"
            " rows go one by one. Connect as the user who owns the tables."
        )
        yield Concern(grade="warning", says=says)
    if schema is None:
        says = "The search_path of this user names no schema that exists, so no table can be made. Make that schema."
        yield Concern(grade="problem", says=says)
    elif not may_create:
        says = f"The user {user} may make no table in the schema {schema}: GRANT CREATE ON SCHEMA {schema} TO {user}."
        yield Concern(grade="warning" if unwritable is None else "problem", says=says)


def _durability(connection: psycopg.Connection) -> Iterator[Concern]:
    for (name,) in connection.execute(UNSAFE).fetchall():
        says = (
            f"The server has {name} = off: a crash of its machine can lose or damage what was accepted. Turn it on in"
            " postgresql.conf."
        )
        yield Concern(grade="warning", says=says)


def _connections(connection: psycopg.Connection) -> Iterator[Concern]:
    if is_pooled(connection):  # the limits are those of the pooler then
        return
    [(limit, free)] = connection.execute(CONNECTIONS).fetchall()
    if limit < CONNECTIONS_PER_NODE:
        says = f"This user may have {limit} connections; a node needs {CONNECTIONS_PER_NODE}. Raise the limit."
        yield Concern(grade="problem", says=says)
    elif free < CONNECTIONS_PER_NODE:
        says = (
            f"{max(free, 0)} connections are free, and each further node needs {CONNECTIONS_PER_NODE}. Raise the limit"
            " of the server, the database or the user, or end others."
        )
        yield Concern(grade="warning", says=says)
