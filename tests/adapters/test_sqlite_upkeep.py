"""Copies of a SQLite file in use, and looks into it, on real files."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hookline.adapters.sql import upkeep
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.errors import Invalid, Unavailable
from hookline.services.booking import book_meeting, cancel_meeting
from hookline.services.calls import report_calls
from hookline.services.webhooks import create_webhook
from tests.fakes import MONDAY, ManualClock
from tests.values import LIMITS, call_payload, details, wanted, webhook

PAGES = 5000


class Stopped(Exception):
    """The copy took so long that it would not have ended."""


@pytest.fixture
def database(tmp_path: Path, clock: ManualClock, dice: random.Random) -> Path:
    """A database of ours that is large enough to be copied in several steps."""
    path = tmp_path / "hookline.db"
    SqliteStore(path, clock, dice).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE ballast (weight BLOB)")
        connection.executemany("INSERT INTO ballast VALUES (zeroblob(4000))", [()] * PAGES)
        connection.commit()
    return path


def weight(path: Path) -> int:
    """How much ballast there is."""
    with closing(sqlite3.connect(path)) as connection:
        [(rows,)] = connection.execute("SELECT COUNT(*) FROM ballast")
    return int(rows)


def test_a_copy_ends_although_others_commit_at_its_every_step_and_holds_what_there_was_at_first(
    database: Path, tmp_path: Path
) -> None:
    left: list[int] = []
    with closing(sqlite3.connect(database, isolation_level=None)) as other:

        def progress(pages_left: int, total: int) -> None:
            left.append(pages_left)
            if len(left) > PAGES:
                raise Stopped
            other.execute("INSERT INTO ballast VALUES (zeroblob(4000))")

        upkeep.back_up(database, tmp_path / "copy.db", progress)
    assert len(left) > 2
    assert left == sorted(left, reverse=True)
    assert weight(tmp_path / "copy.db") == PAGES
    assert weight(database) == PAGES + len(left)


def test_what_is_owed_is_counted_by_events_whether_they_go_in_batches_or_not(
    tmp_path: Path, clock: ManualClock, dice: random.Random
) -> None:
    path = tmp_path / "hookline.db"
    with closing(SqliteStore(path, clock, dice)) as store:
        for batched in (True, False):
            store.write(create_webhook, wanted(batched=batched), LIMITS)
        clock.advance(seconds=60)
        store.write(report_calls, [call_payload()] * 3)
        backlog = upkeep.look_into(path).backlog
    assert backlog is not None
    assert (backlog.owed, backlog.oldest_due_at) == (6, clock.now())


def test_of_a_copy_that_was_interrupted_nothing_is_left(database: Path, tmp_path: Path) -> None:
    def progress(pages_left: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upkeep.back_up(database, tmp_path / "copy.db", progress)
    assert not list(tmp_path.glob("copy.db*"))


def test_a_name_that_somebody_took_meanwhile_stays_theirs(database: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="exists already"):
        upkeep.back_up(database, tmp_path / "copy.db", lambda left, total: (tmp_path / "copy.db").touch())
    assert [file.name for file in tmp_path.glob("copy.db*")] == ["copy.db"]
    assert (tmp_path / "copy.db").stat().st_size == 0


def test_a_copy_can_be_read_by_its_owner_only(database: Path, tmp_path: Path) -> None:
    upkeep.back_up(database, tmp_path / "copy.db", lambda left, total: None)
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_a_copy_never_replaces_a_file_nor_follows_a_link(database: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(Invalid, match="exists already"):
        upkeep.back_up(database, tmp_path / "link.db", lambda left, total: None)
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_look_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="There is no database"):
        upkeep.look_into(tmp_path / "hookline.db")
    assert upkeep.schema_of(tmp_path / "hookline.db") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_look_at_a_sound_database_tells_its_backlog(database: Path) -> None:
    health = upkeep.look_into(database)
    assert (health.damage, health.schema) == ("", upkeep.latest_schema())
    assert health.backlog is not None
    assert (health.backlog.owed, health.backlog.dead, health.backlog.oldest_due_at) == (0, 0, None)


def test_what_waits_behind_an_earlier_event_is_owed_and_not_late(tmp_path: Path, clock: ManualClock) -> None:
    store = SqliteStore(tmp_path / "waiting.db", clock, random.Random(1))
    store.write(lambda tx: tx.webhooks.add(webhook(ordered=True)))
    meeting = store.write(book_meeting, details())
    store.write(cancel_meeting, meeting, "")
    store.close()
    backlog = upkeep.look_into(tmp_path / "waiting.db").backlog
    assert backlog is not None
    assert (backlog.owed, backlog.waiting, backlog.oldest_due_at) == (2, 1, MONDAY)


def test_of_another_schema_no_backlog_is_told(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")
    health = upkeep.look_into(database)
    assert (health.schema, health.backlog) == (99, None)
