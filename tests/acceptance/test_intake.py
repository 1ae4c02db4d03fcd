"""`kill -9` between what a phone system told and the event, and anywhere around it: one event for each call."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.acceptance.serving import Api, Server, in_patience, real_seconds
from tests.fakes import Subscriber, replying
from tests.scripted import saying
from tests.telling import LINE, a_whole_call, comes_in, hangs_up, report, talk

pytestmark = pytest.mark.slow

_PROJECT: Final = Path(__file__).parents[2]
_CALLS: Final = 150
#: How long after it was told the server is killed; it settles a call after a second.
_KILLED_AFTER: Final = (0.0, 0.0, 1.0, 1.05)


class ScriptedServer(Server):
    """A server that knows a phone system which says what the test says."""

    program = "tests.scripted"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, PYTHONPATH=str(_PROJECT))


def number_of(count: int) -> str:
    """By which a call can be told from others."""
    return f"+4477009{count:05}"


def told(counts: Sequence[int]) -> list[Any]:
    """Calls that are over, and with each some part of it once more."""
    wholes = (report(*a_whole_call(shows=number_of(count)), key=str(count)) for count in counts)
    parts = (report(*talk(), *hangs_up(), *comes_in(shows=number_of(count)), key=str(count)) for count in counts)
    said: list[Any] = json.loads(saying(*wholes, *parts))
    return said


async def everything(api: Api) -> list[Any]:
    """All events."""
    found: list[Any] = []
    cursor = ""
    while True:
        page = await api.get(f"/v3/events?limit=200{cursor}")
        found += page["events"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def test_a_call_that_was_taken_in_is_one_event_whenever_the_server_is_killed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Subscriber.running(lambda _: replying(200)) as subscriber,
            ScriptedServer.running(tmp_path) as server,
            Api.to(server) as api,
        ):
            await api.subscribe(subscriber)
            await api.post("/v3/phone-lines", {"number": LINE, "name": "Front desk"})
            settings = {"password": "p4ss", "region": "GB"}
            made = await api.post("/v3/connectors", {"kind": "scripted", "name": "PBX", "settings": settings})
            path = "/in/" + made["url"].partition("/in/")[2] + "?p4ss"
            for number, seconds in enumerate(_KILLED_AFTER):
                counts = range(number * _CALLS, (number + 1) * _CALLS)
                (await api.ask("POST", path, told(counts), key="again")).of(204)
                await real_seconds(seconds and seconds + random.SystemRandom().uniform(-0.1, 0.1))
                await server.kill()
                await server.start()
                await server.ready()
                (await api.ask("POST", path, told(counts), key="again")).of(204)
            wanted = {number_of(count): 1 for count in range(_CALLS * len(_KILLED_AFTER))}

            async def all_arrive() -> None:
                while len(await everything(api)) < len(wanted):
                    await real_seconds(0.05)

            await in_patience(all_arrive(), "every call to be an event")
            await in_patience(
                subscriber.until(lambda: len({_id(each) for each in subscriber.received}) >= len(wanted)), "its arrival"
            )
            assert await server.stop() == 0
            numbers = {_id(each): json.loads(each.body)["phone_number"] for each in subscriber.received}
            assert Counter(numbers.values()) == wanted

    asyncio.run(scenario())


def _id(received: Any) -> str:
    return str(received.header("webhook-id"))
