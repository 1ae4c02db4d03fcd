"""`hookline copy`: everything moves, or nothing was changed and a sentence says why; and who may be served then."""

import asyncio
import contextlib
import os
import pty
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from hookline.adapters.sql.sqlite import SqliteStore
from hookline.adapters.system_clock import SystemClock
from hookline.domain.keys import Scope
from hookline.services.keys import create_key
from tests.acceptance.serving import Api, Server, in_patience
from tests.cli import spoilt
from tests.cli.commands import Hookline
from tests.copying import tables
from tests.fakes import Manner, Subscriber, hanging, replying
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.slow

_NOWHERE: Final = "postgresql:///nothing?host=/nowhere/at/all"
_CALL: Final = {"phone_line": "+441400800008", "phone_number": "", "type": "missed"}


@pytest.fixture
def url() -> Iterator[str]:
    """An empty database, without any table."""
    made = postgres_server().empty_database()
    yield made
    postgres_server().drop(made)


@pytest.fixture
def filled(hookline: Hookline) -> Hookline:
    """With one key in its database."""
    with closing(SqliteStore(hookline.database, SystemClock(), random.Random())) as store:
        store.write(create_key, "one", Scope.READ)
    return hookline


def of(hookline: Hookline) -> str:
    return f"sqlite:///{hookline.database}"


def copied(hookline: Hookline, url: str) -> None:
    said = hookline("copy", "--from", of(hookline), "--to", url)
    assert (said.code, said.err) == (0, "")


# What it says


def test_it_says_how_much_there_is_and_which_database_is_served_now(filled: Hookline, url: str) -> None:
    said = filled("copy", "--from", of(filled), "--to", f"{url}&password=swordfish")
    assert (said.code, said.err) == (0, "")
    assert "swordfish" not in said.out
    assert said.out.startswith("1 row is in postgresql://")
    assert f"{filled.database} is not served any more" in said.out


def test_for_programs_it_tells_the_rows_of_each_table(filled: Hookline, url: str) -> None:
    said = filled("copy", "--from", of(filled), "--to", url, "--json")
    assert said.value["from"] == str(filled.database)
    assert said.value["to"].startswith("postgresql://")
    assert {name: rows for name, rows in said.value["rows"].items() if rows} == {"api_key": 1}


def test_the_other_way_it_goes_too(filled: Hookline, url: str) -> None:
    copied(filled, url)
    back = filled.folder / "back.db"
    assert filled("copy", "--from", url, "--to", f"sqlite:///{back}").code == 0
    assert filled("keys", "list", HOOKLINE_DATABASE=f"sqlite:///{back}").code == 0
    assert "was moved to" in filled("keys", "list", HOOKLINE_DATABASE=url).refusal()


def test_to_call_it_again_when_it_is_done_changes_nothing(filled: Hookline, url: str) -> None:
    copied(filled, url)
    assert filled("keys", "create", "--name", "new", "--scope", "read", HOOKLINE_DATABASE=url).code == 0
    copied(filled, url)
    assert tables.count(url, "api_key") == 2


# Who may be served


def test_what_was_moved_is_not_served_until_that_is_undone(filled: Hookline, url: str) -> None:
    copied(filled, url)
    refusal = filled("serve").refusal()
    assert f"What was in {filled.database} was moved to postgresql://" in refusal
    assert "--undo" in refusal
    assert "was moved to" in filled("keys", "list").refusal()
    assert any("was moved to" in each["says"] for each in filled("doctor", "--json").value)
    undone = filled("copy", "--from", of(filled), "--undo")
    assert "may be served again" in undone.out
    assert filled("keys", "list").code == 0


def test_nothing_is_undone_that_was_not_done(filled: Hookline) -> None:
    assert "neither moved nor begun" in filled("copy", "--from", of(filled), "--undo").refusal()


def test_what_was_undone_is_not_copied_over_what_was_copied(filled: Hookline, url: str) -> None:
    copied(filled, url)
    filled("copy", "--from", of(filled), "--undo")
    assert "is not empty: there are rows in api_key" in filled("copy", "--from", of(filled), "--to", url).refusal()
    assert filled("keys", "list").code == 0


# What is refused, and changes nothing


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--to", _NOWHERE), "--from"),
        (("--from", "sqlite:///a.db"), "--to"),
        (("--from", "sqlite:///a.db", "--to", _NOWHERE, "--undo"), "--to"),
        (("--from", "a.db", "--to", _NOWHERE), "expected sqlite:///PATH"),
        (("--from", "sqlite:///a.db", "--to", "mysql://me:secret@there/x"), "expected sqlite:///PATH"),
        (("--from", "sqlite:///a.db", "--to", "postgresql://me:secret@there"), "no such URL"),
    ],
)
def test_a_wrong_call_is_told(hookline: Hookline, words: tuple[str, ...], says: str) -> None:
    refusal = hookline("copy", *words).refusal(2)
    assert says in " ".join(refusal.replace("│", " ").split())
    assert "secret" not in refusal
    assert hookline.files() == set()


def test_two_of_a_kind_are_others_work(filled: Hookline, url: str) -> None:
    before = filled.files()
    assert "hookline backup" in filled("copy", "--from", of(filled), "--to", "sqlite:///b.db").refusal()
    assert "pg_dump" in filled("copy", "--from", url, "--to", url).refusal()
    assert filled.files() == before


def test_without_a_source_nothing_is_made(hookline: Hookline, url: str) -> None:
    assert "There is nothing of ours in" in hookline("copy", "--from", of(hookline), "--to", url).refusal()
    assert hookline.files() == set()
    assert tables.names(url) == set()


def test_a_source_that_is_no_database_is_told(hookline: Hookline, url: str) -> None:
    spoilt.garbage(hookline.database)
    assert "not a database" in hookline("copy", "--from", of(hookline), "--to", url).refusal()
    assert tables.names(url) == set()


def test_a_source_of_an_older_schema_has_to_be_migrated_first(filled: Hookline, url: str) -> None:
    latest = spoilt.schema_of(filled.database)
    spoilt.of_schema(filled.database, latest - 1)
    assert "hookline migrate" in filled("copy", "--from", of(filled), "--to", url).refusal()
    spoilt.of_schema(filled.database, latest + 1)
    assert "later" in filled("copy", "--from", of(filled), "--to", url).refusal()
    assert tables.names(url) == set()


def test_a_target_that_is_not_there_is_told(filled: Hookline) -> None:
    assert "cannot be used now" in filled("copy", "--from", of(filled), "--to", _NOWHERE).refusal()
    assert filled("keys", "list").code == 0


def test_a_target_that_is_not_empty_is_left_alone(filled: Hookline, url: str) -> None:
    filled("keys", "create", "--name", "theirs", "--scope", "read", HOOKLINE_DATABASE=url)
    assert "is not empty: there are rows in api_key" in filled("copy", "--from", of(filled), "--to", url).refusal()
    assert tables.count(url, "api_key") == 1
    assert filled("keys", "list").code == 0


def test_what_was_moved_is_not_moved_elsewhere(filled: Hookline, url: str) -> None:
    copied(filled, url)
    other = postgres_server().empty_database()
    refusal = filled("copy", "--from", of(filled), "--to", other).refusal()
    assert "has not its other half" in refusal
    assert "api_key" not in tables.names(other) or tables.count(other, "api_key") == 0


def test_under_a_server_nothing_is_copied(tmp_path: Path, url: str) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path) as server:
            hookline = Hookline.beside(server)
            refusal = await asyncio.to_thread(hookline, "copy", "--from", of(hookline), "--to", url)
            assert "Another server delivers from" in refusal.refusal()
            assert tables.names(url) == set()

    asyncio.run(scenario())


def test_into_a_database_that_is_served_nothing_is_copied(filled: Hookline, url: str, tmp_path: Path) -> None:
    async def scenario() -> None:
        there = tmp_path / "there"
        there.mkdir()
        async with Server.running(there, HOOKLINE_DATABASE=url):
            refusal = await asyncio.to_thread(filled, "copy", "--from", of(filled), "--to", url)
            assert "Another process of Hookline uses postgresql://" in refusal.refusal()
        assert filled("keys", "list").code == 0
        copied(filled, url)

    asyncio.run(scenario())


# Real servers


def test_what_a_killed_server_owed_is_sent_once_by_the_server_of_the_new_database(tmp_path: Path, url: str) -> None:
    async def scenario() -> None:
        manner: Manner = hanging
        async with Subscriber.running(lambda _: manner) as subscriber:
            async with Server.running(tmp_path) as server, Api.to(server) as api:
                await api.subscribe(subscriber)
                await api.subscribe(subscriber, "/ordered", ordered=True)
                await api.post("/v3/calls/batch", {"calls": [_CALL] * 50})
                await in_patience(subscriber.until(lambda: len(subscriber.received) > 10), "requests")
            # Counted in the copy: another program that opens the file would move the log of the killed server into it.
            await asyncio.to_thread(copied, Hookline.beside(server), url)
            owed = tables.count(url, "delivery")
            assert owed == 100
            manner = replying(200)
            subscriber.received.clear()
            async with Server.running(tmp_path, HOOKLINE_DATABASE=url) as served, Api.to(served) as api:
                await in_patience(subscriber.until(lambda: len(subscriber.received) >= owed), "what was owed")
                while tables.count(url, "delivery"):
                    await api.get("/v3/deliveries?limit=1")
        arrived = Counter((each.target, each.header("webhook-id")) for each in subscriber.received)
        assert len(arrived) == owed
        assert set(arrived.values()) == {1}

    asyncio.run(scenario())


def test_on_a_terminal_it_shows_how_far_it_is(filled: Hookline, url: str) -> None:
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as screen:  # noqa: PTH123  a number, no path
        words = [sys.executable, "-m", "hookline", "copy", "--from", of(filled), "--to", url]
        ended = subprocess.run(
            words, cwd=filled.folder, env={**filled.environment, "TERM": "xterm"}, stderr=theirs, check=False
        )
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal ends
            while piece := screen.read(65536):
                shown += piece
    assert ended.returncode == 0
    assert b"Looking at both" in shown or b"Copying" in shown
