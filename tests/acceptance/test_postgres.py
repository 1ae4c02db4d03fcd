"""Processes on one PostgreSQL database: nodes share the work, and a database that is away for a while loses nothing."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.acceptance.serving import API_KEY, Api, Server, in_patience
from tests.api.door import MEETING
from tests.fakes import Subscriber, replying
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.slow

_ALL: Final = ["callFinished", "meetingBooked", "meetingStarted", "meetingCancelled"]
_CALLS: Final = 60


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    """A server of databases that keeps what it confirmed, whatever becomes of it."""
    made = PostgresServer(fsync="on", full_page_writes="on")
    yield made
    made.close()


def a_call(number: int) -> dict[str, Any]:
    return {"phone_line": "+441400800008", "phone_number": "", "type": "missed", "phone_line_name": f"call {number}"}


def a_meeting(starts_in: timedelta) -> dict[str, Any]:
    start_at = datetime.now(UTC) + starts_in  # noqa: TID251  processes live in real time
    return {
        **MEETING,
        "meeting_start_timestamp": start_at.isoformat(),
        "meeting_end_timestamp": (start_at + timedelta(hours=1)).isoformat(),
    }


def kinds(subscriber: Subscriber) -> Counter[str | None]:
    return Counter(each.header("hookline-event") for each in subscriber.received)


def test_two_nodes_send_each_event_once_and_either_fires_what_the_other_set(
    tmp_path: Path, database: PostgresServer
) -> None:
    async def scenario() -> None:
        url = database.empty_database()
        async with AsyncExitStack() as stack:
            subscriber = await stack.enter_async_context(Subscriber.running(lambda _: replying(200)))
            nodes = [Server(tmp_path, HOOKLINE_DATABASE=url) for _ in range(2)]
            for node in nodes:  # both at once: one of them makes the tables
                stack.push_async_callback(node.kill)
                await node.start()
            for node in nodes:
                await node.ready()
            [first, second] = [await stack.enter_async_context(Api.to(node)) for node in nodes]
            await first.subscribe(subscriber, events=_ALL)
            for api in (first, second):
                await api.post("/v3/calls/batch", {"calls": [a_call(number) for number in range(_CALLS)]})
                await api.post("/v3/meetings", a_meeting(timedelta(seconds=1)))
            assert await nodes[0].stop() == 0  # its meeting is left to the other
            expected = {"callFinished": 2 * _CALLS, "meetingBooked": 2, "meetingStarted": 2}
            await in_patience(subscriber.until(lambda: kinds(subscriber) >= Counter(expected)), "every event")
            assert kinds(subscriber) == expected
            assert set(Counter(each.header("webhook-id") for each in subscriber.received).values()) == {1}
            assert {each.complaint for each in subscriber.received} == {""}

    asyncio.run(scenario())


def test_a_webhook_that_was_deleted_on_one_node_gets_nothing_more_from_another(
    tmp_path: Path, database: PostgresServer
) -> None:
    async def scenario() -> None:
        url = database.empty_database()
        async with (
            Subscriber.running(lambda _: replying(200)) as deleted,
            Subscriber.running(lambda _: replying(200)) as kept,
            Server.running(tmp_path, HOOKLINE_DATABASE=url) as here,
            Server.running(tmp_path, HOOKLINE_DATABASE=url) as there,
            Api.to(here) as first,
            Api.to(there) as second,
        ):
            webhook_id = await first.subscribe(deleted)
            await first.subscribe(kept)
            await second.post("/v3/calls", a_call(1))
            await in_patience(deleted.until(lambda: bool(deleted.received)), "the first call")
            assert (await first.ask("DELETE", f"/v3/webhooks/{webhook_id}")).status == 204
            await second.post("/v3/calls", a_call(2))
            await in_patience(kept.until(lambda: len(kept.received) == 2), "both calls")
            assert len(deleted.received) == 1

    asyncio.run(scenario())


def test_while_the_database_is_away_requests_are_told_so_and_then_everything_goes_on_without_a_restart(
    tmp_path: Path, database: PostgresServer
) -> None:
    async def scenario() -> None:
        url = database.empty_database()
        async with (
            Subscriber.running(lambda _: replying(200)) as subscriber,
            Server.running(tmp_path, HOOKLINE_DATABASE=url) as server,
            Api.to(server) as api,
        ):
            await api.subscribe(subscriber)

            async def report(number: int) -> None:
                """Ask until it is answered, as a client does."""
                (await api.ask("POST", "/v3/calls", a_call(number), key=f"call {number}")).of(201)

            await asyncio.gather(*(report(number) for number in range(20)))
            load = [asyncio.ensure_future(report(number)) for number in range(20, _CALLS)]
            await api.get("/v3/webhooks")
            await asyncio.to_thread(database.stop)
            await require_told_so(server)
            load += [asyncio.ensure_future(report(_CALLS))]
            await asyncio.to_thread(database.start)
            await in_patience(asyncio.gather(*load), "every call to be taken in")
            names = {f"call {number}" for number in range(_CALLS + 1)}
            await in_patience(subscriber.until(lambda: len(ids(subscriber)) == len(names)), "every event")
            events = (await api.get("/v3/events?limit=200"))["events"]
            assert len(events) == len(names)
            assert {event["id"] for event in events} == ids(subscriber)
            assert (await api.get("/readyz"))["status"] == "ready"
            assert server.lives == 1

    asyncio.run(scenario())


def ids(subscriber: Subscriber) -> set[str | None]:
    return {each.header("webhook-id") for each in subscriber.received}


async def require_told_so(server: Server) -> None:
    """It is up, not ready, and says when to ask again."""
    base = f"http://127.0.0.1:{server.port}"
    async with aiohttp.ClientSession(headers={"api-key": API_KEY}) as session:
        async with session.post(f"{base}/v3/calls", json=a_call(0)) as answer:
            assert (answer.status, (await answer.json())["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        async with session.get(f"{base}/v3/webhooks") as answer:
            assert answer.status == 503
        async with session.get(f"{base}/readyz") as answer:
            assert answer.status == 503
        async with session.get(f"{base}/healthz") as answer:
            assert answer.status == 200
