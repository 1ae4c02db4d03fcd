"""A PostgreSQL session means what we mean, whatever role, database, server, URL and environment say; and what cannot be
made so is refused.
"""

import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from hookline.adapters.sql.postgres import PostgresStore
from hookline.adapters.sql.postgres_link import connected, is_pooled
from hookline.adapters.sql.postgres_settings import SESSION_SETTINGS, Unusable, problem_of_url
from hookline.adapters.sql.postgres_sweep import SWEEP
from hookline.adapters.sql.startup import Unreachable
from hookline.domain.keys import Scope
from hookline.errors import HooklineError, Unavailable
from hookline.services.booking import book_meeting
from hookline.services.keys import create_key, list_keys
from tests.copying.test_postgres_side import pooled
from tests.fakes import ManualClock
from tests.postgres_server import postgres_server
from tests.values import HOUR, details

#: What a role or a database may have been given, each of which would change or end what Hookline does.
HOSTILE: Final = {
    "array_nulls": "off",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "datestyle": "German, DMY",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
    "exit_on_error": "on",
    "extra_float_digits": "-15",
    "idle_in_transaction_session_timeout": "1000",
    "idle_session_timeout": "1000",
    "intervalstyle": "iso_8601",
    "lock_timeout": "1000",
    "row_security": "on",
    "standard_conforming_strings": "off",
    "statement_timeout": "1000",
    "synchronous_commit": "off",
    "timezone": "Pacific/Chatham",
}
UNICODE: Final = "\u017dofie \u674e \u05d0 \U0001f4de"


@pytest.fixture
def url() -> Iterator[str]:
    """A database without any table."""
    made = postgres_server().empty_database()
    yield made
    postgres_server().drop(made)


def name_of(url: str) -> str:
    return str(conninfo_to_dict(url)["dbname"])


def tell(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def given_to_the_database(url: str) -> None:
    for name, value in HOSTILE.items():
        with psycopg.connect(postgres_server().url(), autocommit=True) as connection:
            setting = sql.SQL("ALTER DATABASE {} SET {} = {}").format(
                sql.Identifier(name_of(url)), sql.Identifier(name), sql.Literal(value)
            )
            connection.execute(setting)


def settings_of(connection: psycopg.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT lower(name), setting FROM pg_settings").fetchall()
    return {name: setting for name, setting in rows if name in SESSION_SETTINGS}


def test_what_a_database_was_given_is_undone_in_each_session(url: str) -> None:
    given_to_the_database(url)
    with closing(connected(url)) as connection:
        found = settings_of(connection)
        assert found["datestyle"].startswith("ISO")
        wanted = {name: value for name, value in SESSION_SETTINGS.items() if name in found}
        assert {**found, "datestyle": "ISO"} == wanted
        assert connection.info.encoding == "utf-8"
        assert [row for (row,) in connection.execute("SHOW client_encoding")] == ["UTF8"]


def test_a_store_does_its_work_whatever_the_database_was_given(
    url: str, clock: ManualClock, dice: random.Random
) -> None:
    given_to_the_database(url)
    with closing(PostgresStore(url, clock, dice)) as store:
        store.write(create_key, UNICODE, Scope.READ)
        store.write(book_meeting, details(clock.now() + HOUR))
        assert [key.name for key in store.read(list_keys)] == [UNICODE]
        store.connection.execute(SWEEP)


def test_each_commit_waits_for_the_disk_through_a_pooler_too(
    url: str, clock: ManualClock, dice: random.Random, tmp_path: Path
) -> None:
    given = ("synchronous_commit = off", "standard_conforming_strings = off", "row_security = on")
    for setting in given:
        tell(postgres_server().url(), f"ALTER DATABASE {name_of(url)} SET {setting}")
    with pooled(url, tmp_path) as way, closing(PostgresStore(way, clock, dice)) as store:
        assert is_pooled(store.connection)
        shown = ("synchronous_commit", "standard_conforming_strings", "row_security")

        def in_a_commit(_: object) -> list[str]:
            return [str(store.connection.execute(f"SHOW {name}".encode()).fetchall()[0][0]) for name in shown]

        assert store.write(in_a_commit) == ["on", "on", "off"]
        assert in_a_commit(None) == ["off", "off", "on"]  # nothing is left in the session


@pytest.mark.parametrize("level", ["local", "remote_write", "remote_apply", "on"])
def test_how_far_a_commit_waits_for_standbys_is_left_to_the_operator(url: str, level: str) -> None:
    tell(postgres_server().url(), f"ALTER DATABASE {name_of(url)} SET synchronous_commit = {level}")
    with closing(connected(url)) as connection:
        assert settings_of(connection)["synchronous_commit"] == level


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "LATIN9", "WIN1252", "EUC_JP"])
def test_a_database_that_cannot_keep_every_text_is_refused(
    encoding: str, clock: ManualClock, dice: random.Random
) -> None:
    name = f"not_unicode_{encoding.lower()}"
    tell(
        postgres_server().url(),
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'",
    )
    try:
        with pytest.raises(Unusable, match=f"encoding {encoding}; Hookline needs UTF8"):
            PostgresStore(postgres_server().url(name), clock, dice)
    finally:
        tell(postgres_server().url(), f"DROP DATABASE {name}")


def test_the_environment_decides_neither_where_a_connection_leads_nor_how_it_behaves(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "PGOPTIONS": "-c search_path=nowhere -c statement_timeout=1",
        "PGCLIENTENCODING": "LATIN1",
        "PGHOSTADDR": "192.0.2.1",
        "PGHOST": "192.0.2.1",
        "PGPORT": "9",
        "PGDATABASE": "nothing",
        "PGTARGETSESSIONATTRS": "standby",
        "PGLOADBALANCEHOSTS": "random",
        "PGAPPNAME": "somebody",
        "PGCONNECT_TIMEOUT": "0",
        "PGTZ": "Pacific/Chatham",
        "PGDATESTYLE": "German",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with closing(connected(url)) as connection:
        asked = "SELECT current_database(), current_schema(), current_setting('TimeZone'), application_name"
        [answer] = connection.execute(f"{asked} FROM pg_stat_activity WHERE pid = pg_backend_pid()").fetchall()
        assert answer == (name_of(url), "public", "UTC", "hookline")
        assert connection.info.parameter_status("client_encoding") == "UTF8"


def test_a_password_may_come_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PGPASSWORD", "from the environment")
    with closing(connected(url)) as connection:
        assert connection.info.password == "from the environment"
    monkeypatch.delenv("PGPASSWORD")
    passwords = tmp_path / "passwords"
    passwords.write_text("*:*:*:postgres:from a file\n", "utf-8")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    with closing(connected(url)) as connection:
        assert connection.info.password == "from a file"


def test_options_in_the_url_are_the_operators(url: str) -> None:
    tell(url, "CREATE SCHEMA ours")
    with closing(connected(f"{url}&options=-csearch_path%3Dours&application_name=node1")) as connection:
        asked = "SELECT current_schema(), current_setting('application_name')"
        assert connection.execute(asked).fetchall() == [("ours", "node1")]


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("client_encoding=LATIN1", "client_encoding"),
        ("target_session_attrs=standby", "target_session_attrs"),
        ("target_session_attrs=read-only", "target_session_attrs"),
        ("target_session_attrs=prefer-standby", "target_session_attrs"),
        ("replication=database", "replication"),
        ("colour=red", "no such URL"),
    ],
)
def test_an_option_that_contradicts_what_we_need_is_refused_by_its_name(option: str, problem: str) -> None:
    assert problem in problem_of_url(f"postgresql://me:secret@db.example/hookline?{option}")
    assert "secret" not in problem_of_url(f"postgresql://me:secret@db.example/hookline?{option}")


@pytest.mark.parametrize("option", ["client_encoding=utf-8", "client_encoding=UTF8", "target_session_attrs=read-write"])
def test_an_option_that_says_what_is_so_anyway_is_taken(url: str, option: str) -> None:
    assert problem_of_url(f"{url}&{option}") == ""
    connected(f"{url}&{option}").close()


def test_a_search_path_that_leads_nowhere_is_told(url: str, clock: ManualClock, dice: random.Random) -> None:
    tell(postgres_server().url(), f"ALTER DATABASE {name_of(url)} SET search_path = nowhere")
    with pytest.raises(Unavailable, match="search_path"):
        PostgresStore(url, clock, dice)


def kind_of_failure(url: str) -> type[HooklineError]:
    with pytest.raises(HooklineError) as refusal:
        PostgresStore(url, ManualClock(), random.Random(1))
    return refusal.type


def test_a_server_that_is_away_may_come_back_and_a_wrong_url_may_not(tmp_path: Path) -> None:
    assert kind_of_failure(f"postgresql:///hookline?host={tmp_path}") is Unreachable
    assert kind_of_failure("postgresql://me@127.0.0.1:9/hookline") is Unreachable
    assert kind_of_failure("postgresql://me@db.invalid/hookline") is Unreachable
    assert kind_of_failure(postgres_server().url("no_such_database")) is Unavailable
    assert kind_of_failure(f"{postgres_server().url()}&sslmode=perhaps") is Unavailable
