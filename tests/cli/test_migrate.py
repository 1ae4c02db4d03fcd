"""`hookline migrate`: a database of this version, made once, and never taken back."""

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.serving import Server
from tests.cli import spoilt
from tests.cli.commands import Hookline

pytestmark = pytest.mark.slow


def test_it_makes_the_database_and_finds_nothing_to_do_the_second_time(hookline: Hookline) -> None:
    first, second = hookline("migrate", "--json"), hookline("migrate", "--json")
    assert (first.code, second.code) == (0, 0)
    latest = first.value["schema"]
    assert first.value == {"applied": list(range(1, latest + 1)), "schema": latest}
    assert second.value == {"applied": [], "schema": latest}
    assert spoilt.schema_of(hookline.database) == latest


def test_it_says_what_it_did(hookline: Hookline) -> None:
    assert "schema" in hookline("migrate").out
    assert "nothing to do" in hookline("migrate").out


def test_a_database_of_a_later_version_is_left_as_it_is(hookline: Hookline) -> None:
    hookline("migrate")
    spoilt.of_schema(hookline.database, 99)
    assert "99" in hookline("migrate").refusal()
    assert spoilt.schema_of(hookline.database) == 99


def test_a_file_that_is_no_database_is_left_as_it_is(hookline: Hookline) -> None:
    content = spoilt.garbage(hookline.database)
    assert "not a database" in hookline("migrate").refusal()
    assert hookline.database.read_bytes() == content


def test_a_folder_that_does_not_exist_is_refused_in_a_sentence(hookline: Hookline) -> None:
    assert "nowhere" in hookline("migrate", HOOKLINE_DATABASE="sqlite:///nowhere/hookline.db").refusal()
    assert hookline.files() == set()


def test_beside_a_running_server_there_is_nothing_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path) as server:
            assert Hookline.beside(server)("migrate", "--json").value["applied"] == []

    asyncio.run(scenario())
