"""An operator is told what about the server or the user keeps Hookline from its promises."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from hookline.adapters.sql.postgres_concerns import concerns_of
from hookline.adapters.sql.postgres_link import connected
from tests.postgres_server import PostgresServer, postgres_server

USER: Final = "somebody_else"


@pytest.fixture
def url() -> Iterator[str]:
    """A database with our tables, and a user who owns none of them."""
    made = postgres_server().new_database()
    tell(made, f"CREATE USER {USER}")
    yield made
    tell(made, f"DROP OWNED BY {USER}; DROP USER {USER}")
    postgres_server().forget(made)


def tell(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.encode())


def concerns(url: str) -> list[tuple[str, str]]:
    with closing(connected(url)) as connection:
        return [(concern.grade, concern.says) for concern in concerns_of(connection)]


def as_user(url: str) -> str:
    return url.replace("user=postgres", f"user={USER}")


def about(found: list[tuple[str, str]], words: str) -> list[str]:
    """The grades of the concerns that have these words."""
    return [grade for grade, says in found if words in says]


def test_a_server_that_does_not_wait_for_its_disk_is_warned_of(url: str) -> None:
    found = concerns(url)
    assert about(found, "fsync = off") == about(found, "full_page_writes = off") == ["warning"]
    assert len(found) == 2


def test_a_sound_server_is_no_concern() -> None:
    server = PostgresServer(fsync="on", full_page_writes="on")
    try:
        assert concerns(server.new_database()) == []
    finally:
        server.close()


def test_a_user_who_may_only_read_is_a_problem(url: str) -> None:
    tell(url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {USER}; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    grade, says = concerns(as_user(url))[0]
    assert (grade, "may not write to the table" in says, USER in says) == ("problem", True, True)


def test_a_user_who_may_write_and_does_not_own_the_tables_is_warned_of(url: str) -> None:
    tell(url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {USER}; GRANT CREATE ON SCHEMA public TO {USER}")
    assert about(concerns(as_user(url)), "does not own the table") == ["warning"]


@pytest.mark.parametrize("limited", ["USER", "DATABASE"])
def test_too_few_connections_are_told(url: str, limited: str) -> None:
    tell(url, f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {USER}")
    whom = USER if limited == "USER" else str(conninfo_to_dict(url)["dbname"])
    try:
        tell(url, f"ALTER {limited} {whom} CONNECTION LIMIT 3")
        assert about(concerns(as_user(url)), "may have 3 connections; a node needs 6") == ["problem"]
        tell(url, f"ALTER {limited} {whom} CONNECTION LIMIT 6")
        with closing(connected(as_user(url))):
            assert about(concerns(as_user(url)), "5 connections are free") == ["warning"]
    finally:
        tell(url, f"ALTER {limited} {whom} CONNECTION LIMIT -1")
