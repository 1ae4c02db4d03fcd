"""`hookline import calls`: a file goes in once, however often it is interrupted."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.serving import Api, Server
from tests.cli.commands import NOBODY, Hookline

pytestmark = pytest.mark.slow

LINE = "+441400800008"


def write_calls(folder: Path, count: int, name: str = "calls.jsonl") -> Path:
    """So many calls, each with a length of its own."""
    call = {"type": "answered", "phone_line": LINE, "phone_number": "+14002007868"}
    file = folder / name
    file.write_text("".join(json.dumps({**call, "duration_seconds": n}) + "\n" for n in range(count)), "utf-8")
    return file


@asynccontextmanager
async def a_server(folder: Path) -> AsyncIterator[tuple[Hookline, Api]]:
    async with Server.running(folder) as server, Api.to(server) as api:
        yield Hookline.beside(server), api


async def lengths(api: Api) -> list[int]:
    """The lengths of all calls that are kept, in order."""
    found, cursor = list[int](), ""
    while True:
        page = await api.get(f"/v3/calls?limit=200{cursor}")
        found += [each["call"]["duration_seconds"] for each in page["calls"]]
        if page["next"] is None:
            return sorted(found)
        cursor = f"&cursor={page['next']}"


def position(file: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(file.with_name(file.name + ".import").read_bytes())
    return value


def keep(file: Path, value: dict[str, Any]) -> None:
    file.with_name(file.name + ".import").write_text(json.dumps(value), "utf-8")


def test_calls_are_imported_and_a_second_time_there_is_nothing_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as (hookline, api):
            write_calls(tmp_path, 1201)
            said = await asyncio.to_thread(hookline, "import", "calls", "calls.jsonl")
            assert (said.code, said.out, said.err) == (0, "1,201 calls imported.\n", "")
            again = await asyncio.to_thread(hookline, "import", "calls", "calls.jsonl", "--json")
            assert (again.code, again.value) == (0, {"file": "calls.jsonl", "calls": 1201, "alreadyIn": 1201})
            assert await lengths(api) == list(range(1201))

    asyncio.run(scenario())


def test_killed_again_and_again_an_import_brings_in_every_call_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as (hookline, api):
            file = write_calls(tmp_path, 6000)
            for done in (500, 2000, 4000):
                await asyncio.to_thread(_killed_at, hookline, file, done)
            said = await asyncio.to_thread(hookline, "import", "calls", "calls.jsonl")
            assert said.code == 0, said
            assert said.out.startswith("6,000 calls imported. ")
            assert await lengths(api) == list(range(6000))

    asyncio.run(scenario())


def _killed_at(hookline: Hookline, file: Path, done: int) -> None:
    """An import that is killed when so many calls are in."""
    with hookline.started("import", "calls", file.name) as running:
        while not file.with_name(f"{file.name}.import").exists() or position(file)["done"] < done:
            continue
        running.tell(signal.SIGKILL)
        running.end()


def test_a_batch_that_got_in_before_it_was_noted_is_not_brought_in_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as (hookline, api):
            file = write_calls(tmp_path, 700)
            assert (await asyncio.to_thread(hookline, "import", "calls", "calls.jsonl")).code == 0
            now = (await api.get("/v3/calls?limit=1"))["calls"][0]["createdAt"]
            keep(file, {**position(file), "done": 500, "sending_since": now})  # as a kill -9 in that instant leaves it
            said = await asyncio.to_thread(hookline, "import", "calls", "calls.jsonl")
            assert said.out == "700 calls imported. 500 of them were in before.\n"
            assert await lengths(api) == list(range(700))

    asyncio.run(scenario())


@pytest.mark.parametrize(("unsure", "count"), [("skip", 500), ("send", 700)])
def test_a_day_later_one_is_asked_about_the_batch_that_was_under_way(tmp_path: Path, unsure: str, count: int) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as (hookline, api):
            file = write_calls(tmp_path, 500)
            assert (await asyncio.to_thread(hookline, "import", "calls", "calls.jsonl")).code == 0
            file = write_calls(tmp_path, 700, "more.jsonl")
            fresh = {**position(tmp_path / "calls.jsonl"), "digest": await digest(hookline, file), "total": 700}
            keep(file, {**fresh, "done": 500, "sending_since": "2020-01-01T00:00:00.000Z"})
            refused = await asyncio.to_thread(hookline, "import", "calls", "more.jsonl")
            assert "while calls 501 to 700 were under way" in refused.refusal()
            assert "--unsure" in refused.refusal()
            said = await asyncio.to_thread(hookline, "import", "calls", "more.jsonl", "--unsure", unsure)
            assert said.code == 0, said
            assert len(await lengths(api)) == count

    asyncio.run(scenario())


async def digest(hookline: Hookline, file: Path) -> str:
    """What a file is known by: as an import to a server that is not there keeps it."""
    await asyncio.to_thread(hookline, "import", "calls", file.name, HOOKLINE_LISTEN=NOBODY)
    return str(position(file)["digest"])


def test_a_server_that_goes_away_is_told_and_the_import_goes_on_later(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path) as server:
            hookline = Hookline.beside(server)
            write_calls(tmp_path, 600)
            await server.stop()
            refused = (await asyncio.to_thread(hookline, "import", "calls", "calls.jsonl")).refusal()
            assert "0 of 600 calls are in." in refused
            assert "it goes on where it ended" in refused
            await server.start()
            await server.ready()
            async with Api.to(server) as api:
                said = await asyncio.to_thread(hookline, "import", "calls", "calls.jsonl")
                assert said.out == "600 calls imported.\n"
                assert await lengths(api) == list(range(600))

    asyncio.run(scenario())


def test_a_key_that_may_not_report_is_refused_and_nothing_is_unsure(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with a_server(tmp_path) as (hookline, _):
            file = write_calls(tmp_path, 3)
            said = await asyncio.to_thread(hookline, "import", "calls", "calls.jsonl", "--api-key", "wrong")
            assert "0 of 3 calls are in." in said.refusal()
            assert position(file)["sending_since"] == ""

    asyncio.run(scenario())


def test_bad_rows_are_named_before_anything_is_sent(hookline: Hookline) -> None:
    file = write_calls(hookline.folder, 2)
    file.write_text(file.read_text("utf-8") + '{"type": "missed"}\n', "utf-8")
    told = hookline("import", "calls", "calls.jsonl", HOOKLINE_API_KEY="k" * 16).refusal()
    assert "calls.jsonl: 1 row is no call, so nothing was sent.\nline 3: phone_line: is needed." in told
    assert hookline.files() == {"calls.jsonl"}


def test_a_file_that_changed_after_an_interruption_is_refused(hookline: Hookline) -> None:
    write_calls(hookline.folder, 3)
    assert "No server" in hookline("import", "calls", "calls.jsonl", HOOKLINE_API_KEY="k" * 16).refusal()
    write_calls(hookline.folder, 4)
    told = hookline("import", "calls", "calls.jsonl", HOOKLINE_API_KEY="k" * 16).refusal()
    assert "interrupted after 0 of 3 calls, and the file has changed since" in told
    write_calls(hookline.folder, 3)
    told = hookline(
        "import", "calls", "calls.jsonl", HOOKLINE_API_KEY="k" * 16, HOOKLINE_LISTEN="127.0.0.1:2"
    ).refusal()
    assert f"and that was into http://{NOBODY}" in told


def test_a_position_that_is_none_is_refused(hookline: Hookline) -> None:
    file = write_calls(hookline.folder, 3)
    file.with_name("calls.jsonl.import").write_bytes(b"\xff")
    told = hookline("import", "calls", "calls.jsonl", HOOKLINE_API_KEY="k" * 16).refusal()
    assert "does not say how far an import has come" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["calls.xls"], "expected a file named .csv, .json, .jsonl"),
        (["missing.csv"], "does not exist"),
        ([], "Missing argument"),
        (["calls.jsonl", "--unsure", "perhaps"], "--unsure"),
    ],
)
def test_called_wrongly_it_says_so(hookline: Hookline, words: list[str], told: str) -> None:
    write_calls(hookline.folder, 1, "calls.xls")
    write_calls(hookline.folder, 1)
    assert told in hookline("import", "calls", *words, HOOKLINE_API_KEY="k" * 16).refusal(2)
