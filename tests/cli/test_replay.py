"""`hookline replay`: counted first, asked about at a terminal, then sent again by the server while one watches."""

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.acceptance.serving import Api, Server
from tests.cli.commands import NOBODY, Hookline
from tests.fakes import Subscriber, replying
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

RANGE = ("--since", "2020-01-01T00:00:00Z")
CALL = {"type": "answered", "phone_line": "+441400800008", "phone_number": "+14002007868"}


@asynccontextmanager
async def after_an_outage(folder: Path, count: int) -> AsyncIterator[tuple[Hookline, Subscriber, Api]]:
    """A server whose webhook 1 missed so many calls, and its receiver, which is up again by now."""
    statuses = [500] * count
    async with (
        Subscriber.running(lambda _: replying(statuses.pop() if statuses else 204)) as subscriber,
        Server.running(folder) as server,
        Api.to(server) as api,
    ):
        await api.subscribe(subscriber, retryPolicy={"scheduleSeconds": []})
        await api.post("/v3/calls/batch", {"calls": [CALL] * count})
        while len((await api.get("/v3/deliveries?status=dead&limit=200"))["deliveries"]) < count:
            continue
        subscriber.received.clear()
        yield Hookline.beside(server), subscriber, api


def at_a_terminal(hookline: Hookline, answer: str, *words: str) -> tuple[int, str]:
    """Exit code and output of a command whose terminal is answered so."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hookline", *words],
        env={**hookline.environment, "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    os.write(ours, answer.encode())
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # Linux says so of a terminal whose other side is closed
        pass
    os.close(ours)
    return process.wait(timeout=PATIENCE_SECONDS), shown.decode()


def test_what_failed_is_counted_and_sent_again_and_the_outcome_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with after_an_outage(tmp_path, 3) as (hookline, subscriber, _):
            said = await asyncio.to_thread(hookline, "replay", "1", *RANGE, "--only", "failed")
            assert (said.code, said.err) == (0, "")
            assert said.out.splitlines() == [
                "3 deliveries of webhook 1 to send again.",
                "Process 1 completed: 3 of 3 deliveries are due again.",
            ]
            await subscriber.until(lambda: len(subscriber.received) == 3)
            assert {each.complaint for each in subscriber.received} == {""}

    asyncio.run(scenario())


def test_programs_are_told_in_json(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with after_an_outage(tmp_path, 1) as (hookline, _, _):
            said = await asyncio.to_thread(hookline, "replay", "1", *RANGE, "--only", "all", "--json")
            assert (said.code, said.err) == (0, "")
            assert said.value == {
                "processId": 1,
                "count": 1,
                "status": "completed",
                "info": "1 of 1 deliveries are due again.",
            }
            nothing = ("--since", "2020-01-01T00:00:00Z", "--until", "2020-01-02T00:00:00Z", "--only", "all")
            said = await asyncio.to_thread(hookline, "replay", "1", *nothing, "--json")
            assert (said.code, said.value["processId"], said.value["count"]) == (0, None, 0)

    asyncio.run(scenario())


def test_at_a_terminal_it_begins_only_when_somebody_agrees(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with after_an_outage(tmp_path, 2) as (hookline, subscriber, api):
            words = ("replay", "1", *RANGE, "--only", "failed")
            code, shown = await asyncio.to_thread(at_a_terminal, hookline, "n\n", *words)
            assert code == 1
            assert "2 deliveries of webhook 1 to send again." in shown
            assert (await api.get("/v3/processes"))["count"] == 0
            code, shown = await asyncio.to_thread(at_a_terminal, hookline, "y\n", *words)
            assert code == 0
            assert "completed: 2 of 2 deliveries are due again." in shown
            code, shown = await asyncio.to_thread(at_a_terminal, hookline, "", *words, "--yes")
            assert code == 0
            assert "Begin?" not in shown
            await subscriber.until(lambda: len(subscriber.received) == 2)

    asyncio.run(scenario())


def test_what_the_server_refuses_is_a_failure(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path) as server:
            hookline = Hookline.beside(server)
            said = await asyncio.to_thread(hookline, "replay", "1", *RANGE, "--only", "failed")
            assert "There is no webhook 1." in said.refusal()

    asyncio.run(scenario())


def test_a_replay_that_cannot_go_on_is_a_failure(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with after_an_outage(tmp_path, 150) as (hookline, _, api):
            with hookline.started("replay", "1", *RANGE, "--only", "failed") as running:
                await asyncio.to_thread(running.says, "to send again")
                while not (await api.get("/v3/processes"))["count"]:
                    continue
                (await api.ask("DELETE", "/v3/webhooks/1")).of(204)
                said = await asyncio.to_thread(running.end)
            assert said.code == 1
            assert "failed: Webhook 1 was deleted." in said.out

    asyncio.run(scenario())


def test_without_a_key_or_a_server_it_is_told_what_to_do(hookline: Hookline) -> None:
    words = ("replay", "1", *RANGE, "--only", "failed")
    assert "HOOKLINE_API_KEY" in hookline(*words).refusal()
    refusal = hookline(*words, "--api-key", "some-key-or-other").refusal()
    assert "hookline serve" in refusal
    assert NOBODY in refusal
