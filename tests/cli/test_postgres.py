"""The commands on a PostgreSQL database: they do as on a file, and never show its password."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import Hookline
from tests.postgres_server import postgres_server

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
    for words in (("serve",), ("migrate",), ("keys", "list")):
        said = hookline(*words, HOOKLINE_DATABASE=nowhere, HOOKLINE_LISTEN="127.0.0.1:0").refusal()
        assert "database" in said
    assert "problem" in hookline("doctor", HOOKLINE_DATABASE=nowhere).out


def test_nobody_is_shown_the_password(hookline: Hookline) -> None:
    nowhere = f"postgresql://me:{PASSWORD}@127.0.0.1:9/hookline"
    for words in (("doctor",), ("migrate",), ("backup", "copy.db"), ("keys", "list"), ("serve", "--help")):
        for more in ({}, {"HOOKLINE_DATABASE": nowhere}):
            said = hookline(*words, **more)
            assert PASSWORD not in said.out + said.err
