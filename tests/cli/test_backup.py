"""`hookline backup`: a whole copy while a server writes, or nothing."""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.serving import Api, Server
from tests.cli import spoilt
from tests.cli.commands import Hookline

pytestmark = pytest.mark.slow

_CALLS = [{"phone_line": "+441400800008", "phone_number": "", "type": "missed"} for _ in range(200)]


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let processes that start meanwhile write no file larger than this: a disk that is full for them."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def report_calls(api: Api, ending: asyncio.Event) -> None:
    """Commit after commit, until told to end."""
    while not ending.is_set():
        await api.post("/v3/calls/batch", {"calls": _CALLS})


def test_a_copy_made_while_a_server_writes_is_sound_and_holds_all_that_was_accepted_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path) as server, Api.to(server) as api:
            hookline = Hookline.beside(server)
            for _ in range(10):
                await api.post("/v3/calls/batch", {"calls": _CALLS})
            ending = asyncio.Event()
            writing = [asyncio.create_task(report_calls(api, ending)) for _ in range(2)]
            before = spoilt.count(server.database, "event")
            copy = tmp_path / "copy.db"
            said = await asyncio.to_thread(hookline, "backup", str(copy), "--json")
            ending.set()
            await asyncio.gather(*writing)
            assert (said.code, said.err) == (0, "")
            assert said.value == {"file": str(copy), "bytes": copy.stat().st_size}
            assert spoilt.check(copy) == "ok"
            assert before <= spoilt.count(copy, "event") <= spoilt.count(server.database, "event")
            assert spoilt.count(copy, "event") == spoilt.count(copy, "call")

    asyncio.run(scenario())


def test_a_copy_can_take_the_place_of_the_database(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path) as server, Api.to(server) as api:
            made = await api.post("/v3/calls", _CALLS[0])
            assert Hookline.beside(server)("backup", "copy.db").code == 0
        restored = tmp_path / "restored"
        restored.mkdir()
        (tmp_path / "copy.db").rename(restored / "hookline.db")
        async with Server.running(restored) as server, Api.to(server) as api:
            assert (await api.get(f"/v3/calls/{made['id']}"))["id"] == made["id"]

    asyncio.run(scenario())


def test_nothing_but_the_copy_is_left(hookline: Hookline) -> None:
    hookline("migrate")
    before = hookline.files()
    said = hookline("backup", "copy.db")
    assert (said.code, said.err) == (0, "")
    assert "copy.db" in said.out
    assert hookline.files() - before - {"hookline.db-shm", "hookline.db-wal"} == {"copy.db"}


def test_a_file_is_never_replaced(hookline: Hookline) -> None:
    hookline("migrate")
    (hookline.folder / "kept").write_text("precious")
    assert "exists already" in hookline("backup", "kept").refusal()
    assert (hookline.folder / "kept").read_text() == "precious"
    assert "exists already" in hookline("backup", str(hookline.database)).refusal()
    assert spoilt.check(hookline.database) == "ok"


def test_without_a_database_there_is_no_copy(hookline: Hookline) -> None:
    assert str(hookline.database) in hookline("backup", "copy.db").refusal()
    assert hookline.files() == set()


def test_of_a_file_that_is_no_database_there_is_no_copy(hookline: Hookline) -> None:
    spoilt.garbage(hookline.database)
    assert "not a database" in hookline("backup", "copy.db").refusal()
    assert hookline.files() == {"hookline.db"}


def test_of_a_damaged_database_nothing_is_left(hookline: Hookline) -> None:
    hookline("migrate")
    spoilt.scratch(hookline.database)
    hookline("backup", "copy.db").refusal()
    assert not [name for name in hookline.files() if name.startswith("copy.db")]


def test_into_a_folder_that_does_not_exist_there_is_no_copy(hookline: Hookline) -> None:
    hookline("migrate")
    assert "nowhere/copy.db could not be written" in hookline("backup", "nowhere/copy.db").refusal()


def test_of_a_copy_that_the_disk_has_no_room_for_nothing_is_left(hookline: Hookline) -> None:
    hookline("migrate")
    with files_of_at_most(hookline.database.stat().st_size // 2):
        sentence = hookline("backup", "copy.db").refusal()
    assert "copy.db could not be written" in sentence
    assert not [name for name in hookline.files() if name.startswith("copy.db")]
