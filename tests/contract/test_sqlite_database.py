"""SQLite for those who run on an event loop: many callers, one writer, and a listener who hears what was committed."""

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import NoReturn

import pytest

from hookline.adapters.sql import group, group_commit
from hookline.adapters.sql.group_commit import SqliteDatabase
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.ids import WebhookId
from hookline.domain.keys import Scope
from hookline.errors import Unavailable
from hookline.ports.storage import News, Transaction
from hookline.services.booking import book_meeting
from hookline.services.calls import report_call
from hookline.services.erasure import erase_contact
from hookline.services.keys import create_key, list_keys
from hookline.services.webhooks import delete_webhook
from tests.fakes import ManualClock, turn, until
from tests.values import call_payload, details, webhook


class Refused(Exception):
    """What a function may raise."""


class Ear:
    """A listener that keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[News] = []

    def room(self, _: WebhookId) -> int:
        return 1000

    def has_room_for(self, *_: int) -> bool:
        return True

    def committed(self, news: News) -> None:
        self.heard.append(news)


class Database:
    """How a test opens one."""

    def __init__(self, folder: Path, clock: ManualClock, dice: random.Random) -> None:
        self.path = folder / "hookline.db"
        self.clock = clock
        self.dice = dice
        self.ear = Ear()

    @asynccontextmanager
    async def open(self, *, busy_timeout_seconds: float = 0) -> AsyncIterator[SqliteDatabase]:
        database = SqliteDatabase(self.path, self.clock, self.dice, busy_timeout_seconds=busy_timeout_seconds)
        database.listen(self.ear)
        database.start()
        yield database
        await database.close()

    def names_on_disk(self) -> list[str]:
        store = SqliteStore(self.path, self.clock, self.dice)
        names = sorted(key.name for key in store.read(list_keys))
        store.close()
        return names


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock, dice: random.Random) -> Database:
    return Database(tmp_path, clock, dice)


def fail(tx: Transaction, name: str) -> NoReturn:
    create_key(tx, name, Scope.READ)
    raise Refused(name)


def test_many_callers_at_once_are_each_told_their_own(database: Database) -> None:
    async def scenario() -> list[str]:
        async with database.open() as opened:
            return await asyncio.gather(*(opened.write(_named, f"{number:03}") for number in range(300)))

    assert asyncio.run(scenario()) == [f"{number:03}" for number in range(300)]
    assert database.names_on_disk() == [f"{number:03}" for number in range(300)]


def test_one_that_raises_tells_its_own_caller_only(database: Database) -> None:
    async def scenario() -> list[str | BaseException]:
        async with database.open() as opened:
            writes = [opened.write(_named, "a"), opened.write(fail, "b"), opened.write(_named, "c")]
            return await asyncio.gather(*writes, return_exceptions=True)

    first, second, third = asyncio.run(scenario())
    assert (first, third) == ("a", "c")
    assert isinstance(second, Refused)
    assert database.names_on_disk() == ["a", "c"]


def test_what_was_written_can_be_read_at_once(database: Database) -> None:
    async def scenario() -> None:
        async with database.open() as opened:
            for count in range(1, 20):
                await opened.write(_named, f"{count}")
                assert len(await opened.read(list_keys)) == count

    asyncio.run(scenario())


def test_a_caller_that_gave_up_disturbs_nobody(database: Database) -> None:
    async def scenario() -> str:
        async with database.open() as opened:
            impatient = asyncio.ensure_future(opened.write(_named, "a"))
            patient = asyncio.ensure_future(opened.write(_named, "b"))
            await asyncio.wait([asyncio.ensure_future(opened.read(list_keys))])
            impatient.cancel()
            return await patient

    assert asyncio.run(scenario()) == "b"


def test_closing_commits_what_waits_and_takes_no_more(database: Database) -> None:
    async def scenario() -> list[str]:
        async with database.open() as opened:
            writes = [asyncio.ensure_future(opened.write(_named, f"{number:03}")) for number in range(300)]
            await asyncio.wait(writes, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(Unavailable, match="stopping"):
            await opened.write(_named, "too late")
        return await asyncio.gather(*writes)

    assert asyncio.run(scenario()) == database.names_on_disk()


def test_the_listener_hears_of_a_commit_before_its_caller_is_told(database: Database) -> None:
    async def scenario() -> None:
        async with database.open() as opened:
            kept = await opened.write(lambda tx: tx.webhooks.add(webhook()))
            assert not any(news.claims for news in database.ear.heard)
            await opened.write(book_meeting, details())
            news = database.ear.heard[-1]
            assert [claim.webhook for claim in news.claims] == [kept]
            assert (news.owed, news.timers) == (False, True)
            await opened.write(delete_webhook, kept.id)
            assert database.ear.heard[-1].webhooks == {kept.id}

    asyncio.run(scenario())


def test_the_listener_hears_nothing_of_what_was_refused_or_changed_nothing_for_it(database: Database) -> None:
    def book_and_fail(tx: Transaction) -> NoReturn:
        book_meeting(tx, details())
        raise Refused

    async def scenario() -> None:
        async with database.open() as opened:
            await opened.write(lambda tx: tx.webhooks.add(webhook()))
            database.ear.heard.clear()
            with pytest.raises(Refused):
                await opened.write(book_and_fail)
            await opened.write(_named, "a")
            await opened.write(list_keys)

    asyncio.run(scenario())
    assert not database.ear.heard


def test_while_the_file_is_locked_callers_are_told_and_afterwards_all_goes_on(database: Database) -> None:
    async def scenario() -> None:
        async with database.open() as opened:
            other = sqlite3.connect(database.path, isolation_level=None)
            other.execute("BEGIN EXCLUSIVE")
            for outcome in await asyncio.gather(
                *(opened.write(_named, f"{number}") for number in range(5)), return_exceptions=True
            ):
                assert isinstance(outcome, Unavailable)
            assert await opened.read(list_keys) == []
            other.rollback()
            other.close()
            assert await opened.write(_named, "a") == "a"

    asyncio.run(scenario())
    assert database.names_on_disk() == ["a"]


def test_readers_see_what_a_store_beside_the_server_changed(database: Database) -> None:
    async def scenario() -> int:
        async with database.open() as opened:
            assert await opened.read(list_keys) == []
            beside = SqliteStore(database.path, database.clock, database.dice)
            beside.write(create_key, "by hand", Scope.ADMIN)
            beside.close()
            return len(await opened.read(list_keys))

    assert asyncio.run(scenario()) == 1


def test_callers_are_told_also_when_the_listener_makes_a_mistake(database: Database) -> None:
    class Mistaken(Ear):
        def committed(self, news: News) -> NoReturn:
            raise Refused(str(news))

    async def scenario() -> None:
        mistakes: list[BaseException | None] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: mistakes.append(context.get("exception")))
        database.ear = Mistaken()
        async with database.open() as opened:
            await opened.write(book_meeting, details())
        assert [type(mistake) for mistake in mistakes] == [Refused]

    asyncio.run(scenario())


def test_whatever_goes_wrong_in_the_store_its_callers_are_told(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with database.open() as opened:
            with closing(sqlite3.connect(database.path)) as other:  # the last connection would take the log with it
                other.execute("SELECT COUNT(*) FROM sqlite_schema").fetchall()
                opened._store.close()
                outcomes = await asyncio.gather(*(opened.write(list_keys) for _ in range(3)), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [sqlite3.ProgrammingError] * 3

    asyncio.run(scenario())
    assert "store.failed" in caplog.text


def test_what_did_not_fit_in_a_commit_is_done_in_the_next_ones_in_order(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "ROWS_PER_GROUP", 5)
    names = [str(number) for number in range(100)]

    async def scenario() -> None:
        async with database.open() as opened:
            writes = [asyncio.ensure_future(opened.write(_named, name)) for name in names]
            await turn()
        await asyncio.gather(*writes)  # also when the database is closed before all is done
        async with database.open() as opened:
            assert [key.name for key in await opened.read(list_keys)] == names

    asyncio.run(scenario())


def test_the_log_is_moved_into_the_file_beside_the_commits(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_COMMITS_PER_CHECKPOINT", 3)

    async def scenario() -> None:
        async with database.open() as opened:
            for number in range(3):
                await opened.write(_named, f"{number}" * 90)
            await until(lambda: b"2" * 90 in database.path.read_bytes())

    asyncio.run(scenario())


def test_the_log_is_moved_after_many_rows_too(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_ROWS_PER_CHECKPOINT", 3)

    async def scenario() -> None:
        async with database.open() as opened:
            await opened.write(lambda tx: [_named(tx, f"{number}" * 90) for number in range(3)])
            await until(lambda: b"2" * 90 in database.path.read_bytes())

    asyncio.run(scenario())


def test_the_log_of_one_that_died_is_moved_at_the_start(database: Database) -> None:
    store = SqliteStore(database.path, database.clock, database.dice)
    store.write(_named, "a" * 90)
    assert b"a" * 90 not in database.path.read_bytes()

    async def scenario() -> None:
        async with database.open():
            await until(lambda: b"a" * 90 in database.path.read_bytes())

    asyncio.run(scenario())
    store.close()


def test_somebody_who_reads_for_long_holds_up_the_log_and_no_commit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_COMMITS_PER_CHECKPOINT", 1)
    monkeypatch.setattr(group_commit, "_LOG_BYTES", 0)  # the log is always so long that one waits for readers

    async def scenario() -> None:
        async with database.open(busy_timeout_seconds=1) as opened:
            reader = sqlite3.connect(database.path, isolation_level=None)
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM api_key").fetchall()
            for number in range(5):
                assert await opened.write(_named, f"{number}") == f"{number}"
            reader.rollback()
            reader.close()

    asyncio.run(scenario())
    assert len(database.names_on_disk()) == 5


def test_what_is_erased_leaves_the_log_too_as_soon_as_nobody_reads(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "_EMPTY_AGAIN_SECONDS", 0.01)

    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in database.path.parent.iterdir())

    async def scenario() -> None:
        async with database.open() as opened:
            await opened.write(report_call, call_payload(phone_number="+14002007868"))
            reader = sqlite3.connect(database.path, isolation_level=None)
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM call").fetchall()
            assert await opened.write(erase_contact, "+14002007868", 500)
            assert b"+14002007868" in on_disk()  # the reader may still ask for it
            reader.rollback()
            reader.close()
            await until(lambda: b"+14002007868" not in on_disk())

    asyncio.run(scenario())


def _named(tx: Transaction, name: str) -> str:
    create_key(tx, name, Scope.READ)
    return name


def test_whoever_has_a_file_does_not_load_the_driver_of_postgresql() -> None:
    """It takes longer to load than a file to open, and memory for nothing."""
    asks = (
        "import sys, hookline.cli.serve; from hookline.bootstrap.storage import place_of;"
        " from hookline.settings import load_settings;"
        " place_of(load_settings({'HOOKLINE_DATABASE': 'sqlite:///any.db'})); sys.exit('psycopg' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", asks], check=False).returncode == 0
