"""A full disk and a locked file: nothing is kept, everybody is told, and afterwards all goes on."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hookline.adapters.sql.group import Call
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.keys import Scope
from hookline.errors import Unavailable
from hookline.ports.storage import Transaction
from hookline.services.booking import book_meeting, book_meetings
from hookline.services.keys import create_key
from tests.contract.owing import added, all_deliveries, claimed, plenty
from tests.fakes import ManualClock
from tests.values import details, webhook


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hookline.db"


@pytest.fixture
def store(path: Path, clock: ManualClock, dice: random.Random) -> Iterator[SqliteStore]:
    """A store that does not wait for others, whose listener has room for everything."""
    opened = SqliteStore(path, clock, dice, room=plenty, busy_timeout_seconds=0)
    yield opened
    opened.close()


@contextmanager
def full_disk(store: SqliteStore) -> Iterator[None]:
    """Not a page more: SQLite then says what it says when the disk is full."""
    [(pages,)] = store.connection.execute("PRAGMA page_count")
    [(most,)] = store.connection.execute("PRAGMA max_page_count")
    store.connection.execute(f"PRAGMA max_page_count = {pages}")
    yield
    store.connection.execute(f"PRAGMA max_page_count = {most}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else writes, and does not end."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.rollback()
    other.close()


def many_meetings(tx: Transaction) -> None:
    """More than fits into the pages that are there."""
    book_meetings(tx, [details(meeting_notes="x" * 2000)] * 200)


def count_of_keys(store: SqliteStore) -> int:
    return len(store.read(lambda tx: tx.keys.all()))


def test_on_a_full_disk_nothing_is_kept_and_the_caller_is_told(store: SqliteStore) -> None:
    added(store)
    with full_disk(store):
        with pytest.raises(Unavailable, match="full"):
            store.write(many_meetings)
        assert not all_deliveries(store)
        assert store.read(lambda tx: tx.calendar.next_timer_at()) is None
    assert not claimed(store)


def test_when_the_disk_has_room_again_the_same_store_works(store: SqliteStore) -> None:
    added(store)
    with full_disk(store), pytest.raises(Unavailable):
        store.write(many_meetings)
    store.write(many_meetings)
    assert len(all_deliveries(store)) == 200


def test_on_a_full_disk_everybody_in_the_commit_is_told_and_nobody_is_born_claimed(store: SqliteStore) -> None:
    added(store)
    with full_disk(store):
        answers, doings = store.write_group(
            [
                Call(create_key, ("one", Scope.READ), {}),
                Call(many_meetings, (), {}),
                Call(create_key, ("two", Scope.READ), {}),
            ]
        )
    assert [type(answer.error) for answer in answers] == [Unavailable] * 3
    assert not doings.claims
    assert not doings.owed
    assert not doings.timers
    assert count_of_keys(store) == 0


def test_on_a_full_disk_a_webhook_that_was_added_is_not_remembered(store: SqliteStore) -> None:
    def add_and_overflow(tx: Transaction) -> None:
        tx.webhooks.add(webhook())
        assert len(tx.webhooks.all()) == 1
        many_meetings(tx)

    with full_disk(store), pytest.raises(Unavailable):
        store.write(add_and_overflow)
    assert store.write(lambda tx: tx.webhooks.all()) == []


def test_while_the_file_is_locked_nothing_is_kept_and_the_caller_is_told(store: SqliteStore, path: Path) -> None:
    with locked(path), pytest.raises(Unavailable, match="locked"):
        store.write(create_key, "a key", Scope.READ)
    assert count_of_keys(store) == 0


def test_while_the_file_is_locked_it_can_be_read(store: SqliteStore, path: Path) -> None:
    store.write(create_key, "a key", Scope.READ)
    with locked(path):
        assert count_of_keys(store) == 1


def test_when_the_lock_has_gone_the_same_store_works(store: SqliteStore, path: Path) -> None:
    with locked(path), pytest.raises(Unavailable):
        store.write(book_meeting, details())
    meeting_id = store.write(book_meeting, details())
    assert store.read(lambda tx: tx.calendar.meeting(meeting_id)) is not None


def test_reading_that_could_not_begin_leaves_nothing_open(store: SqliteStore) -> None:
    store.connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_PRAGMA else 0)
    with pytest.raises(Unavailable):
        store.read(lambda tx: tx.keys.all())
    store.connection.set_authorizer(None)
    assert count_of_keys(store) == 0
    store.write(create_key, "a key", Scope.READ)
    assert count_of_keys(store) == 1


def test_the_caller_is_told_which_database_and_why_but_not_where_it_is(store: SqliteStore, path: Path) -> None:
    with locked(path), pytest.raises(Unavailable) as refusal:
        store.write(create_key, "a key", Scope.READ)
    assert path.name in refusal.value.message
    assert str(path.parent) not in refusal.value.message
    assert refusal.value.hint


def test_a_file_that_is_no_database_is_refused(path: Path, clock: ManualClock, dice: random.Random) -> None:
    path.write_bytes(b"These are not the bytes of a database. " * 200)
    with pytest.raises(Unavailable, match=path.name):
        SqliteStore(path, clock, dice)


def test_a_file_in_a_folder_that_is_not_there_is_refused(
    tmp_path: Path, clock: ManualClock, dice: random.Random
) -> None:
    with pytest.raises(Unavailable, match="unable to open"):
        SqliteStore(tmp_path / "nowhere" / "hookline.db", clock, dice)


def test_a_database_of_a_later_version_is_refused(
    store: SqliteStore, path: Path, clock: ManualClock, dice: random.Random
) -> None:
    store.connection.execute("PRAGMA user_version = 9999")
    with pytest.raises(Unavailable, match="9999"):
        SqliteStore(path, clock, dice)


def test_a_store_for_reading_cannot_write(
    store: SqliteStore, path: Path, clock: ManualClock, dice: random.Random
) -> None:
    reader = SqliteStore(path, clock, dice, read_only=True)
    with pytest.raises(Unavailable):
        reader.write(create_key, "a key", Scope.READ)
    reader.close()
    assert count_of_keys(store) == 0
