"""`hookline keys`: made, listed and removed, beside a server that hears of it."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hookline.cli.asking import ask
from tests.acceptance.serving import Server, real_seconds
from tests.cli.commands import Hookline

pytestmark = pytest.mark.slow

CALL = {"phone_line": "+441400800008", "phone_number": "", "type": "missed"}


def test_a_key_that_was_made_is_printed_alone_and_listed_without_being_shown(hookline: Hookline) -> None:
    key = hookline("keys", "create", "--name", "telephones", "--scope", "ingest").out
    assert re.fullmatch(r"hl_\w+\n", key)
    listed = hookline("keys", "list").out
    assert "telephones" in listed
    assert "ingest" in listed
    assert key.strip() not in listed


def test_json_says_what_a_program_needs(hookline: Hookline) -> None:
    made = hookline("keys", "create", "--name", "telephones", "--scope", "ingest", "--json").value
    assert made.keys() == {"key", "name", "scope"}
    [listed] = hookline("keys", "list", "--json").value
    assert listed.keys() == {"id", "name", "scope", "createdAt"}
    assert (listed["name"], listed["scope"]) == (made["name"], made["scope"]) == ("telephones", "ingest")


def test_a_removed_key_is_gone_and_cannot_be_removed_again(hookline: Hookline) -> None:
    for name in ("one", "two"):
        hookline("keys", "create", "--name", name, "--scope", "read")
    one, two = hookline("keys", "list", "--json").value
    assert hookline("keys", "remove", one["id"]).code == 0
    assert hookline("keys", "list", "--json").value == [two]
    assert one["id"] in hookline("keys", "remove", one["id"]).refusal()


def test_no_keys_are_an_empty_list(hookline: Hookline) -> None:
    hookline("migrate")
    assert hookline("keys", "list", "--json").value == []
    assert "No key is kept." in hookline("keys", "list").out


def test_a_database_that_is_not_there_is_not_made_by_looking(hookline: Hookline) -> None:
    assert str(hookline.database) in hookline("keys", "list").refusal()
    assert str(hookline.database) in hookline("keys", "remove", "key_1").refusal()
    assert hookline.files() == set()


def test_a_name_that_cannot_be_is_refused(hookline: Hookline) -> None:
    for name in (" ", "x" * 101):
        assert "1 to 100 characters" in hookline("keys", "create", "--name", name, "--scope", "read").refusal()


def test_a_running_server_knows_each_key_by_its_scope_and_soon_forgets_one_that_was_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path) as server:
            hookline = Hookline.beside(server)
            url = hookline.server_url
            keys = {
                scope: hookline("keys", "create", "--name", f"to {scope}", "--scope", scope).out.strip()
                for scope in ("admin", "ingest", "read")
            }

            def statuses(method: str, path: str, body: object = None) -> dict[str, int]:
                return {scope: ask(url, key, method, path, body).status for scope, key in keys.items()}

            assert statuses("POST", "/v3/calls", CALL) == {"admin": 201, "ingest": 201, "read": 403}
            assert statuses("GET", "/v3/calls") == {"admin": 200, "ingest": 403, "read": 200}
            assert statuses("DELETE", "/v3/webhooks/1") == {"admin": 404, "ingest": 403, "read": 403}

            ids = {each["name"]: each["id"] for each in hookline("keys", "list", "--json").value}
            assert hookline("keys", "remove", ids["to read"]).code == 0
            await becomes(lambda: ask(url, keys["read"], "GET", "/v3/calls").status == 401)
            assert ask(url, keys["admin"], "GET", "/v3/calls").status == 200

    asyncio.run(scenario())


async def becomes(fact: Callable[[], bool]) -> None:
    """Ask a server until something is so, which has to become so by itself, within 30 s."""
    for _ in range(300):
        if fact():
            return
        await real_seconds(0.1)
    raise AssertionError("It did not become so.")
