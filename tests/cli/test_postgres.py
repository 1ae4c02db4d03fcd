"""The commands on a PostgreSQL database: they do as on a file, and never show its password."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.cli.commands import Hookline
from tests.postgres_server import PostgresServer, postgres_server

pytestmark = pytest.mark.slow

#: The server of the tests asks for no password, and so accepts any.
PASSWORD = "swordfish"


@pytest.fixture
def hookline(tmp_path: Path) -> Iterator[Hookline]:
    """The command line on an empty database."""
    url = postgres_server().empty_database()
    yield Hookline(tmp_path, HOOKLINE_DATABASE=f"{url}&password={PASSWORD}")
    postgres_server().drop(url)


def test_it_is_made_once_and_looked_into(hookline: Hookline) -> None:
    assert "There is no" in hookline("doctor").out
    assert "keys create" in hookline("keys", "list").refusal()
    assert hookline("migrate", "--json").value["schema"] >= 1
    assert hookline("migrate", "--json").value["applied"] == []
    findings = {each["about"]: each for each in hookline("doctor", "--json").value}
    assert "is sound" in findings["database"]["says"]
    assert "disk" not in findings


def test_keys_are_made_listed_and_removed(hookline: Hookline) -> None:
    made = hookline("keys", "create", "--name", "a key", "--scope", "read")
    assert made.code == 0
    assert "made now" in made.err
    [key] = hookline("keys", "list", "--json").value
    assert hookline("keys", "remove", key["id"]).code == 0
    assert hookline("keys", "list", "--json").value == []


def test_a_backup_is_left_to_the_tools_of_the_database(hookline: Hookline) -> None:
    assert "pg_dump" in hookline("backup", "copy.db").refusal()
    assert hookline.files() == set()


def test_a_database_that_is_not_there_stops_the_start_in_a_sentence(hookline: Hookline) -> None:
    nowhere = f"postgresql://me:{PASSWORD}@127.0.0.1:9/hookline"
    for words in (("serve", "--database-wait=1"), ("migrate", "--database-wait=1"), ("keys", "list")):
        said = hookline(*words, HOOKLINE_DATABASE=nowhere, HOOKLINE_LISTEN="127.0.0.1:0").refusal()
        assert "database" in said
    assert "problem" in hookline("doctor", HOOKLINE_DATABASE=nowhere).out


def test_a_start_waits_for_a_server_of_databases_that_comes_up_later(tmp_path: Path) -> None:
    server = PostgresServer()
    try:
        url = server.empty_database()
        server.stop()
        hookline = Hookline(tmp_path, HOOKLINE_DATABASE=url, HOOKLINE_API_KEY="a-key-of-the-tests")
        with (
            hookline.started("serve", "--database-wait=600", HOOKLINE_LISTEN="127.0.0.1:0") as node,
            hookline.started("migrate", "--json", "--database-wait=600") as migration,
        ):
            for waiting in (node, migration):
                waiting.complains("store.waiting")
            server.start()
            node.says("listens on")
            assert migration.end().code == 0
            node.tell(signal.SIGTERM)
            ended = node.end()
            assert ended.code == 0
            assert "store.reached step=database" in ended.err
    finally:
        server.close()


def test_ctrl_c_ends_a_start_that_waits(hookline: Hookline) -> None:
    nowhere = "postgresql://me@127.0.0.1:9/hookline"
    for words in (("serve",), ("migrate",)):
        with hookline.started(*words, HOOKLINE_DATABASE=nowhere, HOOKLINE_LISTEN="127.0.0.1:0") as start:
            start.complains("store.waiting")
            start.tell(signal.SIGINT)
            ended = start.end()
            assert ended.code != 0
            assert "Traceback" not in ended.err


def test_every_command_refuses_a_database_that_cannot_keep_every_text(tmp_path: Path) -> None:
    name, encoding = "commands_sql_ascii", "SQL_ASCII"
    with psycopg.connect(postgres_server().url(), autocommit=True) as connection:
        made = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        connection.execute(made.encode())
    url = postgres_server().url(name)
    hookline = Hookline(tmp_path, HOOKLINE_DATABASE=url, HOOKLINE_LISTEN="127.0.0.1:0")
    key = ("keys", "create", "--name", "a key", "--scope", "read")
    sqlite = ("migrate",)
    assert hookline(*sqlite, HOOKLINE_DATABASE=f"sqlite:///{hookline.database}").code == 0
    copies = (
        ("copy", "--from", f"sqlite:///{hookline.database}", "--to", url),
        ("copy", "--from", url, "--to", f"sqlite:///{tmp_path / 'back.db'}"),
        ("copy", "--from", url, "--undo"),
    )
    for words in (("serve",), ("migrate",), ("keys", "list"), key, *copies):
        said = hookline(*words).refusal()
        assert f"encoding {encoding}" in said
        assert "UTF8" in said
    looked = hookline("doctor", "--json")
    assert looked.code == 1
    assert f"encoding {encoding}" in looked.out
    postgres_server().drop(url)


def test_nobody_is_shown_the_password(hookline: Hookline) -> None:
    nowhere = f"postgresql://me:{PASSWORD}@127.0.0.1:9/hookline"
    for words in (
        ("doctor",),
        ("migrate", "--database-wait=0"),
        ("backup", "copy.db"),
        ("keys", "list"),
        ("serve", "--help"),
    ):
        for more in ({}, {"HOOKLINE_DATABASE": nowhere}):
            said = hookline(*words, **more)
            assert PASSWORD not in said.out + said.err
