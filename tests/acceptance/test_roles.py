"""Nodes with one role each, as real processes on one PostgreSQL: together they do the job of one that has all."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.acceptance.serving import Api, Server
from tests.acceptance.test_main_job import arrived, from_now, sample, times
from tests.fakes import Subscriber, replying
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.slow


@pytest.fixture
def database() -> Iterator[str]:
    url = postgres_server().new_database()
    yield url
    postgres_server().drop(url)


def settings(database: str, roles: str) -> dict[str, str]:
    return {"HOOKLINE_DATABASE": database, "HOOKLINE_ROLES": roles}


async def asked(server: Server, method: str, path: str) -> tuple[int, str | None, str]:
    """Status, `Retry-After` and body of what a node answers."""
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, data=b"{}") as response:
        return response.status, response.headers.get("retry-after"), await response.text()


def test_what_one_node_takes_another_sends_and_a_third_announces(tmp_path: Path, database: str) -> None:
    async def scenario() -> None:
        async with (
            Subscriber.running(lambda _: replying(200)) as subscriber,
            Server.running(tmp_path, **settings(database, "api")) as front,
            Server.running(tmp_path, **settings(database, "deliver")),
            Server.running(tmp_path, **settings(database, "timers")),
            Api.to(front) as api,
        ):
            await api.subscribe(subscriber, events=["callFinished", "meetingStarted"])
            await api.post("/v3/calls", sample("callFinished"))
            [call] = await arrived(subscriber, 1)
            await api.post("/v3/meetings", {**sample("meetingBooked"), **times(from_now(0.5))})
            [_, start] = await arrived(subscriber, 2)
            assert (call.complaint, call.header("hookline-event")) == ("", "callFinished")
            assert (start.complaint, start.header("hookline-event")) == ("", "meetingStarted")

    asyncio.run(scenario())


@pytest.mark.parametrize("roles", ["deliver", "timers", "deliver,timers"])
def test_a_node_that_takes_no_requests_says_how_it_is_and_sends_all_others_on(
    tmp_path: Path, database: str, roles: str
) -> None:
    async def scenario() -> None:
        async with Server.running(tmp_path, **settings(database, roles)) as server:
            for path in ("/healthz", "/readyz"):
                assert (await asked(server, "GET", path))[0] == 200
            for method, path in (
                ("GET", "/v3/webhooks"),
                ("POST", "/v3/calls"),
                ("GET", "/v3/calls/%63all_1"),
                ("GET", "/v3/exports/token.csv"),
                ("GET", "/"),
                ("GET", "/docs"),
            ):
                status, retry_after, body = await asked(server, method, path)
                assert (status, retry_after) == (503, "1"), path
                assert "This node takes no requests." in body
            assert await server.stop() == 0

    asyncio.run(scenario())


def test_all_nodes_of_a_new_database_may_start_at_once(tmp_path: Path) -> None:
    url = postgres_server().empty_database()

    async def scenario() -> None:
        nodes = [Server(tmp_path, **settings(url, roles)) for roles in ("api", "deliver", "timers", "api")]
        try:
            await asyncio.gather(*(node.start() for node in nodes))
            await asyncio.gather(*(node.ready() for node in nodes))
            for node in nodes:
                assert (await asked(node, "GET", "/readyz"))[0] == 200
        finally:
            await asyncio.gather(*(node.kill() for node in nodes))

    asyncio.run(scenario())
    postgres_server().drop(url)
