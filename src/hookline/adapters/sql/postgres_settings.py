"""How a PostgreSQL session has to be set up, and what a server has to be like: decided here, whatever the role, the
database, the server's files or the environment say.

Three sources could change the meaning of our statements, and each is shut off:

- The environment: libpq fills what a URL leaves out from variables such as PGOPTIONS. `connection_parameters` names
  every parameter that decides where a connection leads or how it behaves; only credentials and TLS come from variables.
- Defaults of the role, the database and the server (`ALTER ROLE ... SET`): `set_up_session` sets ours for the session.
  A transaction pooler gives each transaction another session, so there `LOCAL_SETTINGS` go with each transaction.
- Properties that no client can change: `require_usable` refuses them.
"""

from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from hookline.adapters.sql.session import to_json
from hookline.errors import Unavailable

#: The oldest version whose features are enough, as PostgreSQL numbers versions.
OLDEST_VERSION: Final = 140_000
#: Bodies, names and notes are Unicode; no other encoding can keep them all.
ENCODING: Final = "UTF8"
#: Connections of one node (`postgres_database.py`).
CONNECTIONS_PER_NODE: Final = 6

#: What a URL may change.
_DEFAULT_PARAMETERS: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "application_name": "hookline",
    # After a failover the address may lead to a standby, which takes no writes: that counts as no server.
    "target_session_attrs": "primary",
}
#: What nothing may change.
_FIXED_PARAMETERS: Final = {"client_encoding": ENCODING}
#: Parameters that libpq would fill from the environment, with the values that mean "not given".
_NOT_FROM_ENVIRONMENT: Final = {
    "host": "",
    "hostaddr": "",
    "port": "",
    "options": "",
    "load_balance_hosts": "disable",
}
_UTF8_SPELLINGS: Final = frozenset({"utf8", "unicode", "auto"})

#: Settings of a session that our statements depend on. The timeouts hold for statements outside transactions;
#: each transaction of the store sets limits of its own.
SESSION_SETTINGS: Final[Mapping[str, str]] = {
    "array_nulls": "on",
    "bytea_output": "hex",
    "datestyle": "ISO",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "exit_on_error": "off",
    "extra_float_digits": "1",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "intervalstyle": "postgres",
    "lock_timeout": "0",
    "row_security": "off",  # a policy that hides rows is an error, not an answer with fewer rows
    "standard_conforming_strings": "on",
    "statement_timeout": "0",
    "synchronous_commit": "on",  # instead of "off" only; the other levels wait for a disk too
    "timezone": "UTC",
    "transaction_timeout": "0",  # since version 17
}
#: One round trip, whichever of the settings the version has. What the operator chose for `synchronous_commit` is kept,
#: so that a later change of the server's file does not reach this session.
SET_UP: Final = """
    SELECT set_config(known.name,
        CASE WHEN known.name = 'synchronous_commit' AND known.setting <> 'off' THEN known.setting ELSE wanted.value END,
        false)
    FROM json_each_text(%s::json) AS wanted JOIN pg_catalog.pg_settings AS known ON lower(known.name) = wanted.key
"""
SYNCHRONOUS_COMMIT: Final = "SHOW synchronous_commit"
#: For each transaction through a pooler: those of `SESSION_SETTINGS` that a transaction of the store depends on.
LOCAL_SETTINGS: Final = "SET LOCAL standard_conforming_strings = on; SET LOCAL row_security = off;"
LOCAL_DURABILITY: Final = "SET LOCAL synchronous_commit = on;"


class Unusable(Unavailable):
    """The server or the database can never keep what Hookline promises."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)


def problem_of_url(url: str) -> str:
    """Why this URL names no database that Hookline can use, as the end of a sentence; "" when it may.

    The text never holds a value from the URL, which may be a password.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        given = {}
    if not given.get("dbname"):
        return "expected postgresql://USER:PASSWORD@HOST:PORT/NAME, got something that is no such URL."
    encoding = str(given.get("client_encoding", "auto")).lower()
    if encoding.replace("-", "").replace("_", "") not in _UTF8_SPELLINGS:
        return "expected no client_encoding: text is sent as UTF-8."
    if given.get("target_session_attrs", "any") not in ("any", "primary", "read-write"):
        return "expected no target_session_attrs but primary: Hookline writes."
    if "replication" in given:
        return "expected no replication: that is a protocol for standby servers."
    return ""


def connection_parameters(url: str) -> dict[str, str]:
    """Every parameter of a connection. What the URL leaves open is not taken from the environment, except who connects
    and how that is proved: PGUSER, PGPASSWORD, PGPASSFILE, and the variables of TLS and GSSAPI.

    Raises:
        psycopg.ProgrammingError: this is no URL of a database.
    """
    given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    closed = {} if "service" in given else _NOT_FROM_ENVIRONMENT
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    wanted = {**closed, **_DEFAULT_PARAMETERS, **given, **_FIXED_PARAMETERS}
    return {name: value for name, value in wanted.items() if name in known}


def require_usable(connection: psycopg.Connection) -> None:
    """Refuse a server that is too old, or a database whose encoding loses text. Costs no round trip.

    Raises:
        Unusable: it is one of these.
    """
    version = connection.info.server_version
    if version < OLDEST_VERSION:
        raise Unusable(
            f"The database is PostgreSQL {version // 10_000}; Hookline needs {OLDEST_VERSION // 10_000} or later.",
            hint="Upgrade the server, or use another.",
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != ENCODING:
        raise Unusable(
            f"The database {connection.info.dbname} has the encoding {encoding}; Hookline needs {ENCODING}, since names"
            " and notes may be in any script.",
            hint="Make another: CREATE DATABASE hookline TEMPLATE template0 ENCODING 'UTF8'.",
        )
    client_encoding = connection.info.parameter_status("client_encoding")
    if client_encoding != ENCODING:
        raise Unusable(
            f"The server or a pooler speaks {client_encoding} although {ENCODING} was asked for.",
            hint="Let the pooler pass client_encoding on.",
        )


def set_up_session(connection: psycopg.Connection) -> None:
    """Set `SESSION_SETTINGS`. Not through a pooler: it would leave them to another client.

    Raises:
        psycopg.Error: the server could not be asked.
    """
    connection.execute(SET_UP, (to_json(SESSION_SETTINGS),))


def local_settings(connection: psycopg.Connection) -> str:
    """The statements with which each transaction through this pooler has to begin.

    Raises:
        psycopg.Error: the server could not be asked.
    """
    [(level,)] = connection.execute(SYNCHRONOUS_COMMIT).fetchall()
    return f"{LOCAL_SETTINGS} {LOCAL_DURABILITY}" if level == "off" else LOCAL_SETTINGS
