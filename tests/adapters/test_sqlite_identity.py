"""Which file a path means, who may serve it, and whether all of it is there."""

import asyncio
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hookline.adapters.sql import sqlite_file, upkeep
from hookline.adapters.sql.group_commit import SqliteDatabase
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.domain.keys import Scope
from hookline.errors import Unavailable
from hookline.services.keys import create_key, list_keys
from tests.fakes import ManualClock

#: Takes the lock of a file in another process, and says whether it got it.
OTHER_SERVER = """
import sys
from pathlib import Path
from hookline.adapters.sql.sqlite_file import only_server, resolved
from hookline.errors import Unavailable
try:
    with only_server(resolved(Path(sys.argv[1]))):
        print("alone")
except Unavailable as refusal:
    print(refusal.message)
"""


def other_server(path: Path) -> str:
    """What a second server says that is started on this path."""
    ended = subprocess.run([sys.executable, "-c", OTHER_SERVER, str(path)], capture_output=True, check=True)
    return ended.stdout.decode().strip()


def made(path: Path, clock: ManualClock) -> Path:
    """A database of ours at this path, without a server."""
    SqliteStore(path, clock, random.Random(1)).close()
    return path


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_symbolic_link_and_the_file_itself_are_one_database(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "data").mkdir()
    real, link, folder = tmp_path / "data" / "real.db", tmp_path / "link.db", tmp_path / "folder"
    link.symlink_to(real)
    folder.symlink_to(tmp_path / "data")
    assert [sqlite_file.resolved(path) for path in (link, folder / "real.db", real)] == [real] * 3
    made(sqlite_file.resolved(link), clock)
    with sqlite_file.only_server(sqlite_file.resolved(link)):
        for path in (real, link, folder / "real.db"):
            assert other_server(path) == f"Another server delivers from {real} already."
        assert mode(real) == mode(tmp_path / "data" / "real.db.lock") == 0o600
    assert other_server(real) == "alone"


def test_a_relative_path_is_resolved_to_the_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_file.resolved(Path("new.db")) == tmp_path / "new.db"


def test_a_second_server_is_refused_although_the_lock_file_was_removed(tmp_path: Path, clock: ManualClock) -> None:
    path = made(tmp_path / "hookline.db", clock)
    with sqlite_file.only_server(path):
        (tmp_path / "hookline.db.lock").unlink()
        assert "Another server delivers from" in other_server(path)


def test_the_lock_of_a_server_leaves_commands_and_readers_alone(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "hookline.db"
    with sqlite_file.only_server(path), closing(SqliteStore(path, clock, random.Random(1))) as server:
        server.write(create_key, "of the server", Scope.READ)
        write = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA user_version = 99'); c.close()"
        )
        subprocess.run([sys.executable, "-c", write, str(path)], check=True)
        assert [key.name for key in server.read(list_keys)] == ["of the server"]


def test_a_file_with_a_second_name_is_refused_and_the_sentence_says_how_to_find_it(
    tmp_path: Path, clock: ManualClock
) -> None:
    path = made(tmp_path / "hookline.db", clock)
    (tmp_path / "other.db").hardlink_to(path)
    for name in ("hookline.db", "other.db"):
        with pytest.raises(Unavailable, match="has 2 names") as refusal:
            sqlite_file.resolved(tmp_path / name)
        assert "-samefile" in refusal.value.hint


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "circle.db").symlink_to(tmp_path / "circle.db")
    for path, why in (
        (tmp_path, "it is a directory"),
        (Path("/dev/null"), "it is no regular file"),
        (tmp_path / "circle.db", "circle"),
    ):
        with pytest.raises(Unavailable, match=why):
            sqlite_file.resolved(path)


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
@pytest.mark.parametrize("replaced", [False, True])
def test_what_is_written_into_a_file_that_was_taken_away_is_refused_until_it_is_back(
    tmp_path: Path, clock: ManualClock, ending: str, *, replaced: bool
) -> None:
    path, aside = tmp_path / "hookline.db", tmp_path / "aside"

    async def scenario() -> None:
        database = SqliteDatabase(path, clock, random.Random(1))
        database.start()
        try:
            await database.write(create_key, "before", Scope.READ)
            file = sqlite_file.beside(path, ending)
            file.rename(aside)
            if replaced:
                shutil.copy(aside, file)
            with pytest.raises(Unavailable, match="moved, removed or replaced"):
                await database.write(create_key, "lost", Scope.READ)
            assert database.refusals == 1
            aside.rename(file)
            await database.write(create_key, "after", Scope.READ)
            assert [key.name for key in await database.read(list_keys)] == ["before", "after"]
        finally:
            await database.close()

    asyncio.run(scenario())


def is_moved(connection: sqlite3.Connection) -> bool:
    """Move the log into the file, and tell whether all of it is there now."""
    [(is_busy, in_log, moved)] = connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    return not is_busy and in_log == moved


def turn_of_others() -> None:
    """Another thread runs."""


def running_copy(tmp_path: Path, clock: ManualClock, *endings: str) -> Path:
    """A copy of some of the files of a database, taken while a server has it open and has moved its log once."""
    (tmp_path / "copy").mkdir()

    async def scenario() -> None:
        database = SqliteDatabase(tmp_path / "hookline.db", clock, random.Random(1))
        database.start()
        await database.write(create_key, "accepted", Scope.READ)
        with closing(sqlite3.connect(tmp_path / "hookline.db")) as other:
            while not is_moved(other):  # the thread that tidies may be at it just then
                await asyncio.to_thread(turn_of_others)
        for ending in endings:
            shutil.copy(sqlite_file.beside(tmp_path / "hookline.db", ending), tmp_path / "copy")
        await database.close()

    asyncio.run(scenario())
    return tmp_path / "copy" / "hookline.db"


def test_a_database_that_was_in_use_and_has_no_log_is_refused_by_everything_that_opens_it(
    tmp_path: Path, clock: ManualClock
) -> None:
    path = running_copy(tmp_path, clock, "")
    for look in (upkeep.check_before_use, upkeep.look_into, upkeep.check_before_use):  # looking changes nothing
        with pytest.raises(Unavailable, match=r"its log hookline\.db-wal is missing") as refusal:
            look(path)
        assert "`hookline migrate --without-log`" in refusal.value.hint
    upkeep.check_before_use(path, without_log=True)


def test_a_database_that_was_in_use_and_has_its_log_is_fine(tmp_path: Path, clock: ManualClock) -> None:
    upkeep.check_before_use(running_copy(tmp_path, clock, "", "-wal"))


def test_a_database_that_was_closed_in_order_needs_no_log(tmp_path: Path, clock: ManualClock) -> None:
    running_copy(tmp_path, clock)
    assert {file.name for file in tmp_path.iterdir()} == {"hookline.db", "copy"}
    upkeep.check_before_use(tmp_path / "hookline.db")


def test_a_backup_of_a_database_in_use_needs_no_log(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "hookline.db"
    with closing(SqliteStore(path, clock, random.Random(1))) as store:
        store.mark(sqlite_file.IN_USE)
        upkeep.back_up(path, tmp_path / "copy.db", lambda left, total: None)
        assert store.read(list_keys) == []
    upkeep.check_before_use(tmp_path / "copy.db")


def filled(path: Path, clock: ManualClock, *, keys: int = 200) -> Path:
    """A database with some pages in each of a table and its index."""
    with closing(SqliteStore(path, clock, random.Random(1))) as store:
        for number in range(keys):
            store.write(create_key, f"key {number} {'x' * 60}", Scope.READ)
    return path


@pytest.mark.parametrize("small_bytes", [64 * 1024 * 1024, 0])
def test_a_sound_database_passes(
    tmp_path: Path, clock: ManualClock, small_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_SMALL_BYTES", small_bytes)
    upkeep.check_before_use(filled(tmp_path / "hookline.db", clock))


@pytest.mark.parametrize("small_bytes", [64 * 1024 * 1024, 0])
def test_a_truncated_file_is_found_at_the_start(
    tmp_path: Path, clock: ManualClock, small_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_SMALL_BYTES", small_bytes)
    path = filled(tmp_path / "hookline.db", clock)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(Unavailable, match=r"malformed|damaged"):
        upkeep.check_before_use(path)


def test_a_zeroed_page_in_the_middle_is_found_at_the_start(tmp_path: Path, clock: ManualClock) -> None:
    path = filled(tmp_path / "hookline.db", clock)
    content = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        [(root,)] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'api_key'")
    content[(root - 1) * 4096 : root * 4096] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(Unavailable, match=r"malformed|damaged"):
        upkeep.check_before_use(path)


def test_of_a_large_file_damage_where_it_was_written_last_is_found(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_SMALL_BYTES", 0)
    path = filled(tmp_path / "hookline.db", clock)
    content = path.read_bytes()
    path.write_bytes(content[:-4096] + bytes(4096))
    with pytest.raises(Unavailable, match="damaged"):
        upkeep.check_before_use(path)


def test_a_file_that_is_no_database_is_found_and_an_empty_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "hookline.db"
    upkeep.check_before_use(path)
    path.touch()
    upkeep.check_before_use(path)
    path.write_bytes(b"These are not the bytes of a database. " * 200)
    with pytest.raises(Unavailable, match="not a database"):
        upkeep.check_before_use(path)


def test_a_local_file_system_is_no_network_file_system(tmp_path: Path) -> None:
    assert sqlite_file.network_file_system(tmp_path) == ""
